"""The services behind a keyless signature: who certifies a key, who writes it down, who tells the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.evidence.sigstore_signing.identity_token import IdentityToken
from trustgate.evidence.sigstore_signing.material import CertificateChain, LogEntry
from trustgate.evidence.sigstore_signing.rekor import Loggable


class CertificateAuthority(Protocol):
    """Fulcio, or who stands for it.

    Raises ``UpstreamFailed``, ``UpstreamRefused``, and ``Unauthorized`` when the token is not taken.
    """

    def certificate(self, key: ec.EllipticCurvePrivateKey, token: IdentityToken) -> CertificateChain:
        """A certificate for ``key`` on the identity of ``token``; the private half stays here."""
        ...


class TransparencyLog(Protocol):
    """A log that keeps signatures for ever, in public. Raises ``UpstreamFailed``, ``UpstreamRefused``."""

    @property
    def version(self) -> int:
        """The major version of its API: 1 promises and tells the time, 2 proves and tells none."""
        ...

    def append(self, about: Loggable) -> LogEntry:
        """Write it down. Doing so again gives the same entry, or one more."""
        ...


class TimestampAuthority(Protocol):
    """An RFC 3161 timestamp authority. Raises ``UpstreamFailed``, ``UpstreamRefused``."""

    def timestamp(self, content: bytes) -> bytes:
        """A DER ``TimeStampResp`` over ``content``, which grants what was asked."""
        ...


@dataclass(frozen=True, slots=True)
class SigningServices:
    """Those that one signature takes; none of them for a bare key."""

    authority: CertificateAuthority | None = None
    logs: tuple[TransparencyLog, ...] = ()
    timestamps: tuple[TimestampAuthority, ...] = ()
