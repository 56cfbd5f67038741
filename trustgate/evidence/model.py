"""What is known about an artifact: each piece ``Known``, ``Absent`` or ``Unreachable``.

``Absent`` is an answer ("there is no signature"), ``Unreachable`` is none ("the store did not answer"):
a policy must be able to tell them apart, since the second never counts as a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor

T = TypeVar("T")

MAX_SIGNATURE_CANDIDATES = 64
"""Signature candidates judged for one digest, oldest first; that there are more is reported."""
MAX_SIMPLE_SIGNING_BYTES = 64 * 1024
MAX_BUNDLE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """The evidence was read."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent:
    """It was looked for and does not exist."""

    why: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """It could not be asked for, or not be read whole: no statement either way."""

    why: str


class Role(StrEnum):
    """What a manifest is, decided from its content when it was pushed (never from a tag's name)."""

    IMAGE = "image"
    INDEX = "index"
    SIGNATURE = "signature"
    ARTIFACT = "artifact"


class Outcome(StrEnum):
    """What became of one signature candidate. Permanent words: they stand in records and in JSON."""

    VERIFIED = "verified"
    UNTRUSTED = "untrusted"
    """A well-formed signature, by no key that the trust store names."""
    BROKEN = "broken"
    """It claims to be by someone, or for something, and is not."""
    NOT_UNDERSTOOD = "not-understood"
    """A kind, version or algorithm that is not judged here."""


class SignatureKind(StrEnum):
    """How a signature is stored."""

    COSIGN_BUNDLE = "cosign-bundle"
    COSIGN_LEGACY = "cosign-legacy"


@dataclass(frozen=True, slots=True)
class Attestor:
    """Someone whose signature may count: a name from the trust store, and the key that proves it."""

    name: str
    public_key: PublicKeyTypes = field(hash=False, compare=False)
    key_id: str
    """SHA-256 of the key's SubjectPublicKeyInfo, hex: attestors with one key are one identity."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    prehashed: bool = False
    """The key signs as Ed25519ph (RFC 8032): a choice that the trust store writes down, never a guess."""


@dataclass(frozen=True, slots=True)
class SignatureCandidate:
    """Something that says it is a signature of ``subject``: everything needed to judge it, as bytes.

    ``evidence`` is the digest of the manifest that carries it, ``payload`` the blob's bytes and
    ``annotations`` those of its layer. ``claimed_subject`` is the ``subject`` of that manifest, which
    a bundle must have and which must be the digest asked for.
    """

    kind: SignatureKind
    evidence: Digest
    layer: Descriptor
    payload: bytes = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    claimed_subject: Digest | None = None


@dataclass(frozen=True, slots=True)
class SignatureFact:
    """The outcome of one candidate, with its reason: kept for every candidate, good or bad.

    ``attestors`` names everyone of the trust store whose key verifies it; ``identities`` holds the
    matching key ids, by which distinct signers are counted.
    """

    kind: SignatureKind
    evidence: Digest
    outcome: Outcome
    reason: str
    attestors: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    signed_repository: str = ""
    """``docker-reference`` of a legacy payload: what the signer said it was called."""
