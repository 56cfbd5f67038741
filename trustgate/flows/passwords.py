"""Secrets of people and of machines.

People choose passwords, so those are hashed slowly (argon2id). Robots get random secrets with 190 bits, for
which one SHA-256 is enough: CI logs in often, and checking must cost microseconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
import zlib
from threading import BoundedSemaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from trustgate.errors import InvalidInput

MIN_PASSWORD_CHARACTERS: Final = 12
MAX_PASSWORD_CHARACTERS: Final = 1024
ROBOT_PREFIX: Final = "tg_"
ROBOT_RANDOM_CHARACTERS: Final = 32
CHECKSUM_CHARACTERS: Final = 6
PARALLEL_HASHES: Final = 2
"""Slow hashes at one time: each takes 64 MiB."""
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


class Passwords:
    """argon2id with the library's parameters (RFC 9106, low memory), a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._slots = BoundedSemaphore(PARALLEL_HASHES)
        self._nobody = _hash_of_nobody(self._hasher)

    def hash(self, password: str) -> str:
        """Raises ``InvalidInput`` for a password that is too short or too long."""
        if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
            raise InvalidInput(
                f"the password has {len(password)} characters",
                hint=f"choose {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters",
            )
        with self._slots:
            return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password fits; for an account that does not exist it takes as long and says no."""
        if len(password) > MAX_PASSWORD_CHARACTERS:
            return False
        with self._slots:
            try:
                return self._hasher.verify(stored or self._nobody, password) and stored is not None
            except (VerificationError, InvalidHashError):
                return False


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """What costs as much to compare with as a real hash, and was no password's: it need not be computed."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def new_robot_secret() -> str:
    """``tg_`` + 32 random characters + 6 of checksum, so that secret scanners know one when they see it."""
    body = "".join(secrets.choice(_BASE62) for _ in range(ROBOT_RANDOM_CHARACTERS))
    return f"{ROBOT_PREFIX}{body}{_checksum(body)}"


def looks_like_robot_secret(secret: str) -> bool:
    """Prefix, length and checksum fit: anything else is refused before any look-up."""
    if not secret.startswith(ROBOT_PREFIX) or not secret.isascii():
        return False
    body, checksum = secret[len(ROBOT_PREFIX) : -CHECKSUM_CHARACTERS], secret[-CHECKSUM_CHARACTERS:]
    return len(body) == ROBOT_RANDOM_CHARACTERS and hmac.compare_digest(checksum, _checksum(body))


def robot_hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def robot_matches(stored: str, secret: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(stored, robot_hash(secret))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, place = divmod(number, len(_BASE62))
        digits = _BASE62[place] + digits
    return digits
