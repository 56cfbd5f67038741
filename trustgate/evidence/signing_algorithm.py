"""How a key that lives elsewhere is asked to sign: the names that every token and key service knows."""

from __future__ import annotations

from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from trustgate.evidence.keys import PublicKey, supported


class SigningAlgorithm(StrEnum):
    """ECDSA signatures are ASN.1 DER; PSS has MGF1 with the same hash, and a salt as long as it."""

    ED25519 = "Ed25519"
    ECDSA_SHA256 = "ECDSA with SHA-256"
    ECDSA_SHA384 = "ECDSA with SHA-384"
    ECDSA_SHA512 = "ECDSA with SHA-512"
    RSA_PKCS1_SHA256 = "RSA PKCS#1 v1.5 with SHA-256"
    RSA_PSS_SHA256 = "RSA PSS with SHA-256"
    RSA_PSS_SHA384 = "RSA PSS with SHA-384"
    RSA_PSS_SHA512 = "RSA PSS with SHA-512"

    @property
    def is_ecdsa(self) -> bool:
        return self.value.startswith("ECDSA")

    @property
    def hash(self) -> hashes.HashAlgorithm | None:
        """``None`` for Ed25519, which signs the message itself."""
        name = self.value.rpartition("SHA-")[2]
        return {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(name)


def cosign_algorithm(key: PublicKey) -> SigningAlgorithm:
    """What ``signature_bytes.verifies`` takes from such a key. Raises ``KeyUnreadable`` for other keys."""
    match supported(key):
        case ec.EllipticCurvePublicKey():
            return SigningAlgorithm.ECDSA_SHA256
        case ed25519.Ed25519PublicKey():
            return SigningAlgorithm.ED25519
        case _:
            return SigningAlgorithm.RSA_PKCS1_SHA256
