"""The first start: an administrator with a random password, and a link to choose one's own.

Never a default password, never "whoever comes first". The link works once, for half an hour; the file with
the password is readable by its owner only, and goes when the link has been used.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from threading import Lock
from typing import Final

from trustgate.errors import Forbidden, StorageUnavailable
from trustgate.flows.accounts import AccountFlow
from trustgate.flows.throttle import Throttle
from trustgate.ports import Accounts, Clock

ADMIN: Final = "admin"
PASSWORD_FILE: Final = "initial-admin-password"  # noqa: S105 - the file's name
LINK_LIFETIME_S: Final = 30 * 60
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GROUPS, _GROUP_CHARACTERS = 4, 5


class FirstStart:
    """Holds the setup link, in memory and as a hash."""

    def __init__(self, accounts: Accounts, flow: AccountFlow, clock: Clock, directory: Path) -> None:
        self._accounts = accounts
        self._flow = flow
        self._clock = clock
        self._file = directory / PASSWORD_FILE
        self._lock = Lock()
        self._code: bytes | None = None
        self._until = 0.0
        self._throttle = Throttle(clock)

    def prepare(self) -> str | None:
        """The setup code, when there was no account at all and the administrator was just made."""
        if self._accounts.all():
            return None
        password = secrets.token_urlsafe(24)
        self._write(password)
        self._flow.create_user(ADMIN, password, is_admin=True)
        return self._new_code()

    @property
    def password_file(self) -> Path:
        return self._file

    def redeem(self, code: str, password: str, source: str) -> None:
        """Set the administrator's password. Raises ``Forbidden``, ``InvalidInput``, ``TooManyAttempts``."""
        self._throttle.check("setup", source)
        with self._lock:
            if not self.is_open(code):
                self._throttle.failed("setup", source)
                raise Forbidden(
                    "this setup link is not valid, or not any more",
                    hint=f"it works once, for 30 minutes after the first start; else use {PASSWORD_FILE}",
                )
            self._flow.set_password(ADMIN, password)
            self._code = None
            self._file.unlink(missing_ok=True)

    def is_open(self, code: str) -> bool:
        """Whether the code would be taken now."""
        if self._code is None or self._clock.monotonic() > self._until:
            return False
        return hmac.compare_digest(self._code, _hashed(code))

    def _new_code(self) -> str:
        groups = (
            "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARACTERS)) for _ in range(_GROUPS)
        )
        code = "-".join(groups)
        self._code = _hashed(code)
        self._until = self._clock.monotonic() + LINK_LIFETIME_S
        return code

    def _write(self, password: str) -> None:
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                os.fchmod(descriptor, 0o600)
                file.write(password + "\n")
        except OSError as exc:
            raise StorageUnavailable(f"could not write {self._file}: {exc.strerror}") from exc


def _hashed(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
