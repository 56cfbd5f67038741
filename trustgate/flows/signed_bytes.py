"""Signatures by keys that are here and by keys that live elsewhere, in the forms that verifiers know.

What comes from elsewhere is verified before anybody sees it: a token may be broken, and its public key may be
that of another private one.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustgate.errors import KeyUnreadable, SigningKeyUnavailable
from trustgate.evidence import signature_bytes
from trustgate.evidence.notation import algorithms as notation
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.signing_algorithm import cosign_algorithm
from trustgate.ports.signing import SigningKey


def cosign_signature(key: signature_bytes.PrivateKey | SigningKey, content: bytes) -> bytes:
    """What cosign verifies. Raises ``KeyUnreadable``, ``SigningKeyUnavailable``."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        return signature_bytes.sign(key, content)
    public = key.public_key()
    signature = key.sign(content, cosign_algorithm(public))
    if not signature_bytes.verifies(public, signature, content):
        raise _not_by(key)
    return signature


def notation_signature(key: notation.PrivateKey | SigningKey, content: bytes) -> bytes:
    """What notation verifies. Raises ``KeyUnreadable``, ``SigningKeyUnavailable``."""
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return notation.sign(key, content)
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        raise KeyUnreadable("the key is neither RSA nor EC; Notary Project signatures know no others")
    signature = key.sign(content, notation.signing_algorithm(public))
    try:
        shaped = notation.side_by_side(public, signature)
    except Broken as exc:
        raise _not_by(key) from exc
    if not notation.verifies(public, shaped, content):
        raise _not_by(key)
    return shaped


def _not_by(key: SigningKey) -> SigningKeyUnavailable:
    return SigningKeyUnavailable(
        f"{key} answered with a signature that its own public key does not verify",
        hint="nothing was stored; do the private and the public key there belong together?",
    )
