"""Signatures by logs and authorities: the algorithm follows from the key, and nothing else."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

_BY_CURVE: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


def is_signed_by(key: object, signature: bytes, content: bytes) -> bool:
    """Whether ``signature`` over ``content`` is by ``key``."""
    try:
        match key:
            case ec.EllipticCurvePublicKey() if key.curve.name in _BY_CURVE:
                key.verify(signature, content, ec.ECDSA(_BY_CURVE[key.curve.name]))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, content)
            case rsa.RSAPublicKey():
                key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
            case _:
                return False
    except InvalidSignature:
        return False
    return True
