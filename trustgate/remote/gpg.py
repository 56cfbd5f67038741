"""GnuPG behind the OpenPGP doors, by ``python-gnupg``: a private home for each keyring, and no network.

gpg is given octets and a detached signature that were taken out of the file here: it sees no armor and no
clear-signed framing. Its status lines come through a pipe of their own, so that nothing it prints for
people can be taken for them (CVE-2018-12020, CVE-2022-34903). Nothing foreign stands in its arguments.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run
from threading import Lock, Timer
from typing import Any, Final

import gnupg

from trustgate.errors import KeyUnreadable, OpenPgpUnavailable
from trustgate.evidence.helm.question import KeyLives, OpenPgpAnswer, OpenPgpQuestion
from trustgate.oci.digest import Digest
from trustgate.remote.gpg_status import answer_from

TIMEOUT_S: Final = 10.0
SIGNING_TIMEOUT_S: Final = 120.0
"""A card or a pinentry asks a person."""
MAX_HOMES: Final = 64
"""Keyrings that are kept imported; a trust store names a handful."""
MAX_LINE_CHARACTERS: Final = 4096
INSTALL_HINT: Final = (
    "install GnuPG: apt-get install gpg (Debian, Ubuntu), dnf install gnupg2, brew install gnupg"
)
_OFFLINE: Final = ("--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate", "--disable-dirmngr")
_VERIFYING: Final = (*_OFFLINE, "--no-autostart", "--trust-model", "always", "--weak-digest", "SHA1")


class Gpg:
    """Verifies with gpg. ``folder`` is where its homes are made; they are gone after ``close``."""

    def __init__(self, folder: Path | None = None, *, binary: str = "gpg", timeout_s: float = TIMEOUT_S):
        self._folder = folder
        self._binary = binary
        self._timeout_s = timeout_s
        self._homes: OrderedDict[Digest, _Home] = OrderedDict()
        self._lock = Lock()

    def verify(self, question: OpenPgpQuestion, keyring: bytes, *, at: datetime) -> OpenPgpAnswer:
        """Raises ``OpenPgpUnavailable``."""
        with self._home(keyring) as home, _translated():
            signature = home.path / f"question-{question.digest.hex[:32]}-{os.urandom(8).hex()}"
            signature.write_bytes(question.signature)
            try:
                clock = ["--faked-system-time", f"{int(at.timestamp())}!"]
                result = home.gpg.verify_data(str(signature), question.signed, extra_args=clock)
            finally:
                signature.unlink(missing_ok=True)
        _check_ended(result.returncode, self._timeout_s)
        return answer_from(result.lines, returncode=result.returncode, key_ends=home.key_ends)

    def lives(self, keyring: bytes) -> KeyLives:
        """What the keys of a keyring say of themselves. Raises ``OpenPgpUnavailable``."""
        with self._home(keyring) as home, _translated():
            listed = home.gpg.list_keys()
        _check_ended(listed.returncode, self._timeout_s)
        return _lives(listed, home.key_ends)

    def close(self) -> None:
        """Remove the homes."""
        with self._lock:
            homes = list(self._homes.values())
            self._homes.clear()
        for home in homes:
            shutil.rmtree(home.path, ignore_errors=True)

    @contextmanager
    def _home(self, keyring: bytes) -> Iterator[_Home]:
        """The keyring's home; one that is pushed out goes when its last user has left it."""
        digest = Digest.of(keyring)
        with self._lock:
            home = self._homes.get(digest)
            if home is None:
                home = self._homes[digest] = self._made(keyring)
            self._homes.move_to_end(digest)
            home.users += 1
            old = self._homes.popitem(last=False)[1] if len(self._homes) > MAX_HOMES else None
            if old is not None:
                old.abandoned = True
        try:
            yield home
        finally:
            with self._lock:
                home.users -= 1
            for one in filter(None, (home, old)):
                if one.abandoned and not one.users:
                    shutil.rmtree(one.path, ignore_errors=True)

    def _made(self, keyring: bytes) -> _Home:
        path = _private_folder(self._folder)
        try:
            with _translated():
                gpg = _Gpg(self._binary, path, _VERIFYING, self._timeout_s)
                done = gpg.import_keys(keyring, extra_args=["--no-auto-check-trustdb"])
                _check_ended(done.returncode, self._timeout_s)
                return _Home(path, gpg, _key_ends(gpg.list_keys()))
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise


class GpgSigner:
    """Signs with a key of the user's own GnuPG home, or of a secret keyring."""

    def __init__(self, secret_keyring: bytes | None = None, *, binary: str = "gpg") -> None:
        self._secret_keyring = secret_keyring
        self._binary = binary

    def clear_sign(self, text: bytes, *, key: str, passphrase: str | None) -> bytes:
        """``text`` clear-signed over SHA-512. Raises ``OpenPgpUnavailable``, ``KeyUnreadable``."""
        if key.startswith("-") or not key.isprintable():
            raise KeyUnreadable(f"{key[:40]!a} is not a key's fingerprint, id or user id")
        with self._opened() as gpg, _translated():
            try:
                done = gpg.sign(
                    text, keyid=key or None, passphrase=passphrase, extra_args=["--digest-algo", "SHA512"]
                )
            except ValueError as exc:
                raise KeyUnreadable("a passphrase can't have more than one line") from exc
        _check_ended(done.returncode, SIGNING_TIMEOUT_S)
        if done.returncode != 0 or not done.fingerprint:
            hint = "gpg --list-secret-keys shows the keys; a key with a passphrase needs it"
            raise KeyUnreadable(
                f"gpg did not sign with {key[:80]!a}: {done.status or 'no reason given'}", hint=hint
            )
        return bytes(done.data)

    @contextmanager
    def _opened(self) -> Iterator[_Gpg]:
        if self._secret_keyring is None:
            with _translated():
                gpg = _Gpg(self._binary, None, (), SIGNING_TIMEOUT_S)
            yield gpg
            return
        path = _private_folder(None)
        try:
            with _translated():
                gpg = _Gpg(self._binary, path, _OFFLINE, SIGNING_TIMEOUT_S)
                done = gpg.import_keys(self._secret_keyring)
            if not done.sec_read:
                raise KeyUnreadable(
                    "the keyring holds no secret key", hint="gpg --export-secret-keys KEY > FILE"
                )
            yield gpg
        finally:
            _stop_agent(path)
            shutil.rmtree(path, ignore_errors=True)


@dataclass(slots=True)
class _Home:
    path: Path
    gpg: _Gpg
    key_ends: dict[str, datetime]
    users: int = 0
    abandoned: bool = False


@dataclass(slots=True)
class _StatusLines:
    """What the library hands each status line to; it judges none of them."""

    gpg: Any
    lines: list[tuple[str, str]] = field(default_factory=list)
    data: bytes = b""
    stderr: str = ""
    returncode: int | None = None

    def handle_status(self, key: str, value: str) -> None:
        self.lines.append((key, value[:MAX_LINE_CHARACTERS].rstrip()))


class _Gpg(gnupg.GPG):  # type: ignore[misc]  # the library has no types
    """The library, with a status pipe of its own, a deadline, and an environment without the caller's."""

    def __init__(self, binary: str, home: Path | None, options: Sequence[str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # a path and not a name: the library would look for it anew each time, in whatever PATH is then
        found = shutil.which(binary)
        if found is None:
            raise OpenPgpUnavailable(f"the program {binary} is not installed", hint=INSTALL_HINT)
        kept = ("PATH",) if home else ("PATH", "HOME", "GNUPGHOME", "GPG_TTY", "XDG_RUNTIME_DIR")
        environment = {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}
        gnupg.logger.setLevel(logging.CRITICAL)  # it logs a warning for every signature that is not good
        self.result_map = {**gnupg.GPG.result_map, "verify": _StatusLines}
        super().__init__(
            gpgbinary=found, gnupghome=str(home) if home else None, options=list(options), env=environment
        )

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Popen[bytes]:
        reader, writer = os.pipe()
        try:
            command: list[str] = self.make_args(args, passphrase)
            command[command.index("--status-fd") + 1] = str(writer)
            process = Popen(  # noqa: S603 - a fixed program; nothing foreign stands in its arguments
                command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=self.env, pass_fds=(writer,)
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        process.stderr = os.fdopen(reader, "rb")  # where the library reads status lines from
        return process

    def _collect_output(self, process: Popen[bytes], *rest: Any, **more: Any) -> Any:
        deadline = Timer(self._timeout_s, process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            return super()._collect_output(process, *rest, **more)
        finally:
            deadline.cancel()


def _private_folder(parent: Path | None) -> Path:
    """Mode 0700, as ``mkdtemp`` makes it."""
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="gpg-", dir=parent))
    except OSError as exc:
        raise OpenPgpUnavailable(f"there is no place for a keyring: {exc.strerror}") from exc


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OpenPgpUnavailable(f"gpg can't be run: {exc.strerror or exc}", hint=INSTALL_HINT) from exc


def _check_ended(returncode: int | None, timeout_s: float) -> None:
    """A gpg that was killed has said nothing. Raises ``OpenPgpUnavailable``."""
    if returncode is None or returncode < 0:
        raise OpenPgpUnavailable(f"gpg did not answer within {timeout_s:g} seconds")


def _key_ends(keys: Any) -> dict[str, datetime]:
    """Fingerprint to the moment of expiry, of primary keys and subkeys that have one."""
    ends: dict[str, datetime] = {}
    for key in keys:
        for one in (key, *key.get("subkey_info", {}).values()):
            name, expires = str(one.get("fingerprint", "")), str(one.get("expires", ""))
            if name and expires.isdigit():
                ends[name.upper()] = datetime.fromtimestamp(int(expires), UTC)
    return ends


def _lives(keys: Any, ends: dict[str, datetime]) -> KeyLives:
    known: set[str] = set()
    revoked: set[str] = set()
    names: dict[str, str] = {}
    for key in keys:
        names[key["fingerprint"].upper()] = next(iter(key["uids"]), "")
        for one in (key, *key.get("subkey_info", {}).values()):
            fingerprint = str(one.get("fingerprint", "")).upper()
            known.add(fingerprint)
            if "r" in {key.get("trust"), one.get("trust")}:
                revoked.add(fingerprint)
    return KeyLives(frozenset(known), ends, frozenset(revoked), names)


def _stop_agent(home: Path) -> None:
    """The agent of a temporary home holds its secret key: it goes first."""
    gpgconf = shutil.which("gpgconf")
    if gpgconf is not None:
        command = [gpgconf, "--homedir", str(home), "--kill", "all"]
        run(command, check=False, stdout=DEVNULL, stderr=DEVNULL, timeout=TIMEOUT_S)  # noqa: S603 - as above
