"""Asking an OpenPGP implementation: verifying with public keys, and signing with a secret one."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from trustgate.evidence.helm.question import OpenPgpAnswer, OpenPgpQuestion


class OpenPgp(Protocol):
    """Verifies. Decides nothing about whom to trust, and fetches no keys from anywhere."""

    def verify(self, question: OpenPgpQuestion, keyring: bytes, *, at: datetime) -> OpenPgpAnswer:
        """Verify with the keys of a binary ``keyring``, as if it were ``at``.

        Raises ``OpenPgpUnavailable`` when nothing can be said: no program, no time, no answer.
        """
        ...


class OpenPgpSigner(Protocol):
    """Signs with a secret key that it has, or is given."""

    def clear_sign(self, text: bytes, *, key: str, passphrase: str | None) -> bytes:
        """``text`` clear-signed over SHA-512. Raises ``OpenPgpUnavailable``, ``KeyUnreadable``."""
        ...
