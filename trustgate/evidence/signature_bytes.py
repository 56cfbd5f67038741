"""Signatures over bytes: one fixed algorithm for each kind of key, none tried in turn.

ECDSA P-256 and P-384 with SHA-256 (ASN.1 DER), RSA PKCS#1 v1.5 with SHA-256, Ed25519 over the bytes
themselves: what ``cosign verify --key`` accepts without further options (measured with 2.6.2 and 3.1.2).
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trustgate.evidence.cosign_key import PrivateKey

MAX_SIGNATURE_BYTES = 2048


def verifies(key: PublicKeyTypes, signature: bytes, content: bytes) -> bool:
    """Whether ``signature`` over ``content`` is by ``key``."""
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, content)
            case rsa.RSAPublicKey():
                key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def sign(key: PrivateKey, content: bytes) -> bytes:
    """A signature that ``verifies`` accepts, and cosign too."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(content, ec.ECDSA(hashes.SHA256()))
        case ed25519.Ed25519PrivateKey():
            return key.sign(content)
        case rsa.RSAPrivateKey():
            return key.sign(content, padding.PKCS1v15(), hashes.SHA256())


def canonical_base64(text: str) -> bytes | None:
    """Decode standard base64 that has exactly one spelling: no line breaks, right padding, no spare bits."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
