"""An OpenPGP implementation for the door of the same name: no process, no clock, and faults on demand.

It verifies the signatures that ``tests/openpgp_world.py`` makes and answers as gpg does, for one key a
keyring. ``tests/unit/remote/test_gpg.py`` holds its answers against those of a real gpg.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.openpgp_world import HASHES, PgpKey
from trustgate.errors import OpenPgpUnavailable
from trustgate.evidence.helm.question import (
    OpenPgpAnswer,
    OpenPgpQuestion,
    OpenPgpSignature,
    OpenPgpStatus,
)


@dataclass(slots=True)
class OpenPgpSimulator:
    """``change`` replaces fields of a good answer: the lies that a judge must not believe."""

    keys: dict[bytes, PgpKey] = field(default_factory=dict)
    """By keyring."""
    change: dict[str, object] = field(default_factory=dict)
    says: OpenPgpStatus | None = None
    broken: bool = False
    asked: int = 0

    def verify(self, question: OpenPgpQuestion, keyring: bytes, *, at: datetime) -> OpenPgpAnswer:
        self.asked += 1
        if self.broken:
            raise OpenPgpUnavailable("gpg is not installed", hint="install it")
        if self.says is not None:
            return OpenPgpAnswer(self.says)
        key = self.keys.get(keyring)
        body = question.signature[6:]
        length = int.from_bytes(body[4:6])
        head = body[: 6 + length]
        created = datetime.fromtimestamp(int.from_bytes(body[8:12]), UTC)
        if key is None or body[15:35].hex().upper() != key.fingerprint:
            return OpenPgpAnswer(OpenPgpStatus.UNKNOWN_KEY)
        signed = question.signed + head + b"\x04\xff" + len(head).to_bytes(4)
        if not _verifies(key, signed, body, head):
            return OpenPgpAnswer(OpenPgpStatus.BAD)
        signature = OpenPgpSignature(
            signing_key=key.fingerprint,
            primary_key=key.fingerprint,
            created=created,
            expires=None,
            algorithm=body[2],
            hash_id=body[3],
            signature_class=body[1],
            key_expires=None,
        )
        return OpenPgpAnswer(OpenPgpStatus.GOOD, replace(signature, **self.change))  # type: ignore[arg-type]


def _verifies(key: PgpKey, signed: bytes, body: bytes, head: bytes) -> bool:
    algorithm = HASHES[body[3]][1]()
    rest = body[len(head) :]
    value = rest[2 + int.from_bytes(rest[:2]) + 2 :]
    public = key.private.public_key()
    try:
        if isinstance(public, rsa.RSAPublicKey):
            size = public.key_size // 8
            public.verify(value[2:].rjust(size, b"\0"), signed, padding.PKCS1v15(), algorithm)
        else:
            digest = hashes.Hash(algorithm)
            digest.update(signed)
            first = (int.from_bytes(value[:2]) + 7) // 8
            r, s = value[2 : 2 + first], value[4 + first :]
            public.verify(r.rjust(32, b"\0") + s.rjust(32, b"\0"), digest.finalize())
    except InvalidSignature:
        return False
    return True
