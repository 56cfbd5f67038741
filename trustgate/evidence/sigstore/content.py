"""What a signature is over, and who holds the key: the two things that a log entry must be bound to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.sigstore.certificate import certificate_of_pem, spki_of
from trustgate.evidence.sigstore.log_signature import is_signed_by
from trustgate.evidence.sigstore.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Content:
    """The signature, and the bytes that it is over: an artifact's, a payload's, or a DSSE encoding."""

    signature: bytes = field(repr=False)
    signed: bytes | None = field(repr=False)
    """``None`` when only the artifact's SHA-256 is known."""
    sha256: bytes = b""
    payload: bytes | None = field(default=None, repr=False)
    """The payload of a DSSE envelope; ``None`` for other signatures."""
    envelope: bytes | None = field(default=None, repr=False)
    """The DSSE envelope as it was stored, where those bytes are known."""

    def hash(self, algorithm: str) -> bytes:
        """The hash of what is signed. Raises ``Refusal`` when it can't be known."""
        if algorithm not in {"sha256", "sha384", "sha512"}:
            raise Refusal(f"the log entry uses the hash {algorithm[:40]!a}")
        if self.signed is None:
            if algorithm != "sha256":
                raise Refusal(f"only the artifact's SHA-256 is known, and the log entry has its {algorithm}")
            return self.sha256
        return hashlib.new(algorithm, self.signed).digest()

    def is_signed_by(self, key: object) -> bool:
        """Whether the signature is by ``key``, with the one algorithm that belongs to such a key."""
        if self.signed is not None:
            return is_signed_by(key, self.signature, self.signed)
        prehashed = Prehashed(hashes.SHA256())
        try:
            match key:
                case ec.EllipticCurvePublicKey() if key.curve.name == "secp256r1":
                    key.verify(self.signature, self.sha256, ec.ECDSA(prehashed))
                case rsa.RSAPublicKey():
                    key.verify(self.signature, self.sha256, padding.PKCS1v15(), prehashed)
                case _:
                    raise Refusal("a signature by such a key can't be verified with the digest alone")
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose signature it is said to be, as a log entry names them: a certificate, or a bare key (DER)."""

    spki: bytes
    certificate: bytes | None = None

    def is_named_by_pem(self, pem: bytes) -> bool:
        """Whether the one PEM block is of this certificate, or of this key."""
        if self.certificate is not None:
            return _certificate_of(pem) == self.certificate
        return _key_of(pem) == self.spki


def certificate_holder(certificate: x509.Certificate) -> Holder:
    return Holder(spki_of(certificate), certificate.public_bytes(serialization.Encoding.DER))


def _certificate_of(pem: bytes) -> bytes | None:
    try:
        return certificate_of_pem(pem, "what it names").public_bytes(serialization.Encoding.DER)
    except Refusal:
        return None


def _key_of(pem: bytes) -> bytes | None:
    if pem.count(b"-----BEGIN ") != 1:
        return None
    try:
        key = serialization.load_pem_public_key(pem)
    except MALFORMED:
        return None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
