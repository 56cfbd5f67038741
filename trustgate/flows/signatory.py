"""Who signs: a key, or the bearer of an identity token with a key for this once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.errors import InvalidInput
from trustgate.evidence.keys import PublicKey
from trustgate.evidence.signature_bytes import PrivateKey
from trustgate.evidence.signing import as_json, dsse_document, to_be_signed
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.evidence.sigstore_signing.identity_token import IdentityToken
from trustgate.evidence.sigstore_signing.material import CertificateChain, Material
from trustgate.evidence.sigstore_signing.rekor import Loggable
from trustgate.flows.signed_bytes import cosign_signature
from trustgate.ports.signing import SigningKey, SigningServices

Shape = Literal["bundle", "layer"]


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What a fresh signature must verify under, and when, before it is stored."""

    root: TrustedRoot
    now: datetime


@dataclass(frozen=True, slots=True)
class Signatory:
    """A key, and the services that vouch for what it signs."""

    key: PrivateKey | SigningKey = field(repr=False)
    services: SigningServices = field(default_factory=SigningServices)
    token: IdentityToken | None = None
    check: SelfCheck | None = None

    @property
    def public_key(self) -> PublicKey | None:
        """What verifiers have to know; ``None`` where a certificate says it."""
        return None if self.token else self.key.public_key()


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature with all that travels with it; ``envelope`` is the DSSE document of a statement."""

    signature: bytes
    material: Material
    envelope: bytes = field(default=b"", repr=False)


def bearer(token: IdentityToken, services: SigningServices, check: SelfCheck | None = None) -> Signatory:
    """Sign with a fresh key, which is forgotten afterwards. Raises ``InvalidInput``."""
    if services.authority is None:
        raise InvalidInput("there is no certificate authority to ask", hint="give --fulcio-url")
    if not services.timestamps and all(log.version != 1 for log in services.logs):
        raise InvalidInput(
            "nothing would prove when this was signed, and the certificate holds for minutes",
            hint="give --rekor-url of a Rekor 1, or --timestamp-server-url; Rekor 2 tells no time",
        )
    return Signatory(ec.generate_private_key(ec.SECP256R1()), services, token, check)


def sign_statement(by: Signatory, payload: bytes, shape: Shape) -> Signature:
    """Sign an in-toto statement as a DSSE envelope."""
    _check_room(by.services, shape)
    certificate = _certificate(by)
    signed = to_be_signed(payload)
    signature = cosign_signature(by.key, signed)
    envelope = as_json(dsse_document(payload, signature))
    about = Loggable(signature, signed, _signer(by, certificate), envelope)
    stamped = envelope if shape == "layer" else signature  # what cosign stamps in each
    return Signature(signature, _material(by.services, certificate, about, stamped), envelope)


def sign_content(by: Signatory, content: bytes, shape: Shape) -> Signature:
    """Sign bytes as they are."""
    _check_room(by.services, shape)
    certificate = _certificate(by)
    signature = cosign_signature(by.key, content)
    about = Loggable(signature, content, _signer(by, certificate))
    return Signature(signature, _material(by.services, certificate, about, signature))


def _certificate(by: Signatory) -> CertificateChain | None:
    if by.token is None:
        return None
    if by.services.authority is None or not isinstance(by.key, ec.EllipticCurvePrivateKey):
        raise InvalidInput("certificates are asked for ECDSA keys, at a certificate authority")
    return by.services.authority.certificate(by.key, by.token)


def _signer(by: Signatory, certificate: CertificateChain | None) -> CertificateChain | PublicKey:
    return by.key.public_key() if certificate is None else certificate


def _check_room(services: SigningServices, shape: Shape) -> None:
    """Before anybody is asked for anything."""
    if shape == "bundle":
        return
    if len(services.logs) > 1 or len(services.timestamps) > 1:
        raise InvalidInput(
            "a .sig or .att layer has room for one log entry and one timestamp", hint="leave --legacy out"
        )
    if any(log.version != 1 for log in services.logs):
        raise InvalidInput(
            "a .sig or .att layer carries the promise of a Rekor 1, which Rekor 2 does not give",
            hint="leave --legacy out, or give a Rekor 1",
        )


def _material(
    services: SigningServices, certificate: CertificateChain | None, about: Loggable, stamped: bytes
) -> Material:
    """Timestamps first, then the log: what is written there has been signed by then."""
    stamps = tuple(one.timestamp(stamped) for one in services.timestamps)
    entries = tuple(log.append(about) for log in services.logs)
    return Material(certificate, entries, stamps)
