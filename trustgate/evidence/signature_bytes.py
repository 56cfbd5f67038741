"""Signatures over bytes: one fixed algorithm for each kind of key, none tried in turn.

ECDSA P-256 and P-384 with SHA-256 (ASN.1 DER), RSA PKCS#1 v1.5 with SHA-256, Ed25519 over the bytes
themselves: what ``cosign verify --key`` accepts without further options (measured with 2.6.2 and 3.1.2).
``cosign sign`` makes Ed25519ph with an Ed25519 key, which it does not verify itself: a trust store that wants
those signatures says so for that attestor.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from nacl.bindings import (
    crypto_sign_BYTES,
    crypto_sign_ed25519ph_final_verify,
    crypto_sign_ed25519ph_state,
    crypto_sign_ed25519ph_update,
)
from nacl.exceptions import BadSignatureError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

MAX_SIGNATURE_BYTES = 2048


def verifies(key: PublicKeyTypes, signature: bytes, content: bytes, *, prehashed: bool = False) -> bool:
    """Whether ``signature`` over ``content`` is by ``key``; ``prehashed`` asks for Ed25519ph instead."""
    if prehashed:
        return isinstance(key, ed25519.Ed25519PublicKey) and _verifies_prehashed(key, signature, content)
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


def forms(key: object, signature: bytes) -> tuple[bytes, ...]:
    """A signature that verifies, in each form in which it does so.

    Of ECDSA there are two, and either is made of the other without the key: (r, s) and (r, n - s).
    """
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return (signature,)
    r, s = decode_dss_signature(signature)
    return signature, encode_dss_signature(r, key.curve.group_order - s)


def _verifies_prehashed(key: ed25519.Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """RFC 8032, Ed25519ph without a context: what ``cosign sign`` makes with an Ed25519 key (3.1.2)."""
    if len(signature) != crypto_sign_BYTES:
        return False
    state = crypto_sign_ed25519ph_state()
    crypto_sign_ed25519ph_update(state, content)
    try:
        return bool(crypto_sign_ed25519ph_final_verify(state, signature, key.public_bytes_raw()))
    except BadSignatureError:
        return False


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
