"""What is known about an artifact: each piece ``Known``, ``Absent`` or ``Unreachable``.

``Absent`` is an answer ("there is no signature"), ``Unreachable`` is none ("the store did not answer"):
a policy must be able to tell them apart, since the second never counts as a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Literal, TypeAlias, TypeVar

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
    beyond: bool = False
    """Nothing failed: there is more of it than one request looks at. Whoever may push can bring that about,
    so ``onError: allow`` does not speak of it."""


TimeEvidence: TypeAlias = Literal["log", "timestamp"]
Revocation: TypeAlias = Literal["not-asked", "good", "revoked", "unknown"]


class Role(StrEnum):
    """What a manifest is, decided from its content when it was pushed (never from a tag's name)."""

    IMAGE = "image"
    INDEX = "index"
    SIGNATURE = "signature"
    """Or an attestation: a signed document beside an image, with nothing in it to run."""
    ARTIFACT = "artifact"


class Outcome(StrEnum):
    """What became of one signature candidate. Permanent words: they stand in records and in JSON."""

    VERIFIED = "verified"
    UNTRUSTED = "untrusted"
    """A well-formed signature, by no key that the trust store names."""
    BROKEN = "broken"
    """It claims to be by someone, or for something, and is not."""
    REVOKED = "revoked"
    """It verifies for someone, and the trust store takes it back."""
    NOT_UNDERSTOOD = "not-understood"
    """A kind, version or algorithm that is not judged here."""


class SignatureKind(StrEnum):
    """How a signature is stored."""

    COSIGN_BUNDLE = "cosign-bundle"
    COSIGN_LEGACY = "cosign-legacy"
    NOTATION = "notation"
    NOTARY_V1 = "notary-v1"
    HELM_PROVENANCE = "helm-provenance"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged, as a descriptor names it: some formats sign all three."""

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Signer:
    """Someone whose signature was verified: ``attestor`` is the trust store's name for them.

    ``identity`` is who really signed, and what distinct signers are counted by: ``key:`` and the hash
    of a public key, ``keyless:`` with issuer and subject, ``x509:``, ``gpg:`` or ``tuf:`` with a key.
    """

    attestor: str
    identity: str


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

    ``signers`` are all of the trust store for whom it verifies; empty unless it is verified.
    """

    kind: SignatureKind
    evidence: Digest
    outcome: Outcome
    reason: str
    signers: tuple[Signer, ...] = ()
    signed_repository: str = ""
    """``docker-reference`` of a legacy payload: what the signer said it was called."""
    signed_at: datetime | None = None
    """The earliest time that a log or a timestamp authority proves; never what a signer claims."""
    logs: int = 0
    """Distinct transparency logs that prove it."""
    timestamps: int = 0
    """Distinct timestamp authorities that prove its time."""
    unproven: frozenset[TimeEvidence] = frozenset()
    """What it carries and nobody verified, for want of a trusted root: it proves nothing."""
    annotations: tuple[tuple[str, str], ...] = ()
    """What the signer wrote beside the digest (``-a``), sorted; as good as the outcome."""
    revocation: Revocation = "not-asked"
    """Of the certificates, where the format has such a thing."""
    valid_until: datetime | None = None
    """When time alone could turn the outcome: a window that ends or begins; ``None`` for never."""
    early: bool = False
    """Dated later than now, or by certificates that begin later: time alone may show who signed it."""
    settled: bool = True
    """False when it could not be read or judged just now and may say something else later: never kept."""

    @property
    def attestors(self) -> tuple[str, ...]:
        """The names of its signers, each once."""
        return tuple(dict.fromkeys(signer.attestor for signer in self.signers))

    @property
    def identities(self) -> tuple[str, ...]:
        """Who really signed, each once."""
        return tuple(dict.fromkeys(signer.identity for signer in self.signers))
