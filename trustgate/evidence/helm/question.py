"""What an OpenPGP implementation is asked, and what it may answer: values, so that judging stays pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from trustgate.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class OpenPgpQuestion:
    """Does this one signature packet, of class 0x01, cover these octets?

    The framing is ours (``clear_sign.py``), so the implementation never sees armor or escapes: it is
    given the octets to hash and a detached signature, and can't read anything else out of the file.
    """

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def digest(self) -> Digest:
        """Names the question, for answers that are kept."""
        return Digest.of(len(self.signed).to_bytes(8) + self.signed + self.signature)


class OpenPgpStatus(StrEnum):
    """What became of the signature. Only ``GOOD`` can ever count."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN_KEY = "unknown-key"
    KEY_EXPIRED = "key-expired"
    KEY_REVOKED = "key-revoked"
    SIGNATURE_EXPIRED = "signature-expired"
    NOT_VERIFIED = "not-verified"
    """It could not be weighed at all: an algorithm that is switched off, a packet that is broken."""


@dataclass(frozen=True, slots=True)
class OpenPgpSignature:
    """Who signed, when and how: the fields of gpg's ``VALIDSIG``."""

    signing_key: str
    """Fingerprint of the key or subkey, upper-case hex."""
    primary_key: str
    created: datetime
    expires: datetime | None
    algorithm: int
    hash_id: int
    signature_class: int
    key_expires: datetime | None
    """The earlier end of the signing key and its primary key."""


@dataclass(frozen=True, slots=True)
class OpenPgpAnswer:
    """``signature`` is there when ``status`` is ``GOOD``. ``detail`` is for people, printable ASCII."""

    status: OpenPgpStatus
    signature: OpenPgpSignature | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeyLives:
    """What the keys of a keyring say of themselves, by fingerprint; their own signatures are verified."""

    known: frozenset[str]
    """Keys and subkeys that were taken up: what is not signed by itself is not."""
    ends: Mapping[str, datetime]
    revoked: frozenset[str]
    """By their owner; with a primary key go its subkeys."""
    names: Mapping[str, str]
    """The first user id of primary keys: foreign text."""
