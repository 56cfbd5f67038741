"""Keys that live elsewhere, and the services behind a keyless signature: who certifies a key, who writes it
down, who tells the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.evidence.keys import PublicKey
from trustgate.evidence.signing_algorithm import SigningAlgorithm
from trustgate.evidence.sigstore_signing.identity_token import IdentityToken
from trustgate.evidence.sigstore_signing.material import CertificateChain, LogEntry
from trustgate.evidence.sigstore_signing.rekor import Loggable


class SigningKey(Protocol):
    """A private key that stays where it is: in a PKCS#11 token, or with a cloud's key service.

    It is already opened: whoever may use it has shown that. ``str`` of it is its name, fit for messages. What
    comes of an algorithm that is not for its kind of key is undefined.
    """

    def public_key(self) -> PublicKey:
        """The public half, as the token says; nothing is asked again."""
        ...

    def sign(self, content: bytes, algorithm: SigningAlgorithm) -> bytes:
        """A signature over ``content``, which may be hashed on this side. ECDSA comes as ASN.1 DER.

        Nobody has verified it: its caller does, before it goes anywhere. Raises ``SigningKeyUnavailable``.
        """
        ...


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
