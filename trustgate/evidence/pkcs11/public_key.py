"""Public keys as tokens hold them: attributes of PKCS#11 objects, read strictly.

PKCS #11 3.1: ``CKA_EC_PARAMS`` is the DER of a curve's OID, ``CKA_EC_POINT`` an OCTET STRING around the
point. Some tokens give the point without the OCTET STRING; its length tells which.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustgate.errors import KeyUnreadable
from trustgate.evidence.keys import PublicKey
from trustgate.evidence.malformed import MALFORMED

MAX_ATTRIBUTE_BYTES: Final = 2048
"""A modulus of 16384 bits."""
MAX_CERTIFICATE_BYTES: Final = 64 * 1024
_ED25519_BYTES: Final = 32
_CURVES: Final[dict[bytes, ec.EllipticCurve]] = {
    bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("06052b81040022"): ec.SECP384R1(),
    bytes.fromhex("06052b81040023"): ec.SECP521R1(),
}
_ED25519: Final = {
    bytes.fromhex("06032b6570"),  # RFC 8410
    bytes.fromhex("06092b06010401da470f01"),  # before it
    b"\x13\x0cedwards25519",  # PKCS #11 3.0, as a PrintableString
}


def rsa_public_key(modulus: bytes, exponent: bytes) -> PublicKey:
    """``CKA_MODULUS`` and ``CKA_PUBLIC_EXPONENT``, big-endian. Raises ``KeyUnreadable``."""
    _bound(modulus, exponent)
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    try:
        return numbers.public_key()
    except MALFORMED as exc:
        raise KeyUnreadable("the token's RSA key has numbers that make no key") from exc


def ec_public_key(params: bytes, point: bytes) -> PublicKey:
    """``CKA_EC_PARAMS`` and ``CKA_EC_POINT`` of a ``CKK_EC`` key. Raises ``KeyUnreadable``."""
    _bound(params, point)
    curve = _CURVES.get(params)
    if curve is None:
        raise KeyUnreadable(
            f"the token's EC key is on a curve that is not known here ({params[:20].hex()})",
            hint="known are P-256, P-384 and P-521",
        )
    width = (curve.key_size + 7) // 8
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, _bare(point, 1 + 2 * width))
    except MALFORMED as exc:
        raise KeyUnreadable("the token's EC key is not a point of its curve") from exc


def ed25519_public_key(params: bytes, point: bytes) -> PublicKey:
    """The same of a ``CKK_EC_EDWARDS`` key. Raises ``KeyUnreadable``."""
    _bound(params, point)
    if params not in _ED25519:
        raise KeyUnreadable(
            f"the token's key is on a curve that is not known here ({params[:20].hex()})",
            hint="of the Edwards curves only Ed25519 is known",
        )
    try:
        return ed25519.Ed25519PublicKey.from_public_bytes(_bare(point, _ED25519_BYTES))
    except MALFORMED as exc:
        raise KeyUnreadable("the token's Ed25519 key can't be read") from exc


def certified_public_key(der: bytes) -> PublicKey:
    """``CKA_VALUE`` of an X.509 certificate. Raises ``KeyUnreadable``."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise KeyUnreadable(
            f"the token's certificate has {len(der)} bytes, at most {MAX_CERTIFICATE_BYTES} are read"
        )
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except MALFORMED as exc:
        raise KeyUnreadable("the token's certificate can't be read") from exc
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        raise KeyUnreadable(f"the token's certificate is for a {type(key).__name__}", hint="name another key")
    return key


def _bound(*attributes: bytes) -> None:
    if any(not 0 < len(one) <= MAX_ATTRIBUTE_BYTES for one in attributes):
        raise KeyUnreadable("the token's public key has no attributes, or too long ones")


def _bare(point: bytes, length: int) -> bytes:
    """The point itself, which has ``length`` bytes, or is refused by who reads it. Raises ``ValueError``."""
    if len(point) == length:
        return point
    head = bytes([0x04, length]) if length < 0x80 else bytes([0x04, 0x81, length])
    if point[: len(head)] != head:
        raise ValueError(length)
    return point[len(head) :]
