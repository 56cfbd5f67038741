"""What a trust store takes back: keys, certificates and single pieces of evidence, whoever's they are.

An entry can only take away: what it marks verifies for nobody, and what is beside it is judged as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trustgate.oci.digest import Digest

Marks: TypeAlias = frozenset[str]
"""What a piece of evidence rests on: ``key:``, ``certificate:``, ``openpgp:`` or ``evidence:`` and a hash."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """``mark`` is one of ``Marks``. What is proven to be older than ``since`` still counts."""

    mark: str
    reason: str
    since: datetime | None = None


def why_revoked(entries: Sequence[Revoked], marks: Collection[str], proven: datetime | None) -> str:
    """Why evidence with these marks does not count, in words; empty when it does.

    ``proven`` is the earliest time that a log or a timestamp authority proves. What a signer claims is none.
    """
    found = next((one for one in entries if one.mark in marks and not _is_older(one, proven)), None)
    if found is None:
        return ""
    when = f" on {found.since:%Y-%m-%d}" if found.since else ""
    unproven = ", and nothing proves that it is older" if found.since and proven is None else ""
    return f"it was revoked{when}: {found.reason}{unproven}"


def _is_older(one: Revoked, proven: datetime | None) -> bool:
    return one.since is not None and proven is not None and proven < one.since


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence, by all that can take it back."""

    rests_on: Marks
    """Keys and certificates, what is signed, the signature: nobody makes others of them without a key."""
    stored: Marks = frozenset()
    """Files that hold it: whoever may push can store the same signature in others."""
    lasting: str = ""
    """The digest to revoke in place of a file's."""

    def why_revoked(self, entries: Sequence[Revoked], proven: datetime | None) -> str:
        """As ``why_revoked``; and what would hold, where a file alone was revoked."""
        why = why_revoked(entries, self.rests_on, proven)
        if why:
            return why
        why = why_revoked(entries, self.stored, proven)
        advice = "one of its files is revoked, and whoever may push can store it in another"
        return f"{advice} (revoke {self.lasting}, which holds): {why}" if why else ""


def names_evidence(entries: Iterable[Revoked]) -> bool:
    """Whether a digest is revoked at all: without one nothing large has to be hashed."""
    return any(one.mark.startswith("evidence:") for one in entries)


def content_marks(contents: Iterable[bytes]) -> Marks:
    """By every kind of digest that an entry may have."""
    return evidence_marks(Digest.of(one, kind) for one in contents for kind in ("sha256", "sha512"))


def evidence_marks(digests: Iterable[Digest]) -> Marks:
    return frozenset(f"evidence:{digest}" for digest in digests)


def certificate_marks(certificates: Iterable[x509.Certificate]) -> Marks:
    """Each certificate, and the key in it."""
    found: set[str] = set()
    for one in certificates:
        der = one.public_bytes(serialization.Encoding.DER)
        found |= {f"certificate:{hashlib.sha256(der).hexdigest()}", key_mark(one.public_key())}
    return frozenset(found)


def key_mark(key: PublicKeyTypes) -> str:
    """By its SubjectPublicKeyInfo, DER."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"key:{hashlib.sha256(spki).hexdigest()}"
