"""Seal private keys at rest: AES-256-GCM under a key that lies in the data directory, mode 0600."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustgate.errors import StorageUnavailable

KEY_FILE: Final = "key-encryption-key"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class Sealer:
    """``context`` says what is sealed and where it belongs: a sealed key that was moved can't be opened."""

    def __init__(self, directory: Path) -> None:
        """Read the key, or make it. Raises ``StorageUnavailable``."""
        self._path = directory / KEY_FILE
        self._cipher = AESGCM(self._key())

    def seal(self, content: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Raises ``StorageUnavailable`` when it was not sealed with this key, or not for this place."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as exc:
            raise StorageUnavailable(
                f"the stored key for {context} can't be opened with {self._path}",
                hint="restore the file that belongs to this database",
            ) from exc

    def _key(self) -> bytes:
        try:
            if not self._path.exists():
                self._make()
            key = self._path.read_bytes()
        except OSError as exc:
            raise StorageUnavailable(f"{self._path} can't be used: {exc.strerror}") from exc
        if len(key) != KEY_BYTES:
            raise StorageUnavailable(
                f"{self._path} has {len(key)} bytes, a key of {KEY_BYTES} is expected",
                hint="restore it from a backup; without it the server's Notary keys are lost",
            )
        return key

    def _make(self) -> None:
        """Whole or not at all: the file gets its name once its content is on the disk."""
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
