"""Signature algorithms: fixed by the key in the leaf certificate, never chosen by the signature.

signature-specification.md, "Algorithm Selection". PSS has a salt as long as the hash, ECDSA signatures are
``r`` and ``s`` side by side (RFC 7518, sections 3.4 and 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from trustgate.evidence import signature_bytes
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.signing_algorithm import SigningAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One of the six: its JWS name, its COSE number, its hash, and how a token or a key service calls it."""

    name: str
    cose: int
    hash: hashes.HashAlgorithm
    elsewhere: SigningAlgorithm


_BY_RSA_BITS: Final = {
    2048: Algorithm("PS256", -37, hashes.SHA256(), SigningAlgorithm.RSA_PSS_SHA256),
    3072: Algorithm("PS384", -38, hashes.SHA384(), SigningAlgorithm.RSA_PSS_SHA384),
    4096: Algorithm("PS512", -39, hashes.SHA512(), SigningAlgorithm.RSA_PSS_SHA512),
}
_BY_CURVE: Final = {
    "secp256r1": Algorithm("ES256", -7, hashes.SHA256(), SigningAlgorithm.ECDSA_SHA256),
    "secp384r1": Algorithm("ES384", -35, hashes.SHA384(), SigningAlgorithm.ECDSA_SHA384),
    "secp521r1": Algorithm("ES512", -36, hashes.SHA512(), SigningAlgorithm.ECDSA_SHA512),
}
COSE_NAMES: Final = {one.cose: one.name for one in (*_BY_RSA_BITS.values(), *_BY_CURVE.values())}
_KINDS: Final = "RSA with 2048, 3072 or 4096 bits, or EC on P-256, P-384 or P-521"


def algorithm_of(key: object) -> Algorithm:
    """The one algorithm that signatures by ``key`` have. Raises ``Broken`` for any other kind of key."""
    match key:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            found, name = _BY_RSA_BITS.get(key.key_size), f"RSA with {key.key_size} bits"
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            found, name = _BY_CURVE.get(key.curve.name), f"EC on {key.curve.name}"
        case _:
            found, name = None, type(key).__name__
    if found is None:
        raise Broken(f"the signing key is {name}; a Notary Project signature has {_KINDS}")
    return found


def verifies(key: PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether ``signature`` over ``content`` is by ``key``, with the algorithm that the key fixes."""
    algorithm = algorithm_of(key)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, _pss(algorithm), algorithm.hash)
        else:
            key.verify(_der(signature, _field_bytes(key)), content, ec.ECDSA(algorithm.hash))
    except InvalidSignature:
        return False
    return True


def forms(key: PublicKey, signature: bytes) -> tuple[bytes, ...]:
    """A signature that verifies, in each form in which it does so: of ECDSA (r, s) and (r, n - s)."""
    if isinstance(key, rsa.RSAPublicKey):
        return (signature,)
    both = signature_bytes.forms(key, _der(signature, _field_bytes(key)))
    return tuple(side_by_side(key, one) for one in both)


def sign(key: PrivateKey, content: bytes) -> bytes:
    """A signature that ``verifies`` accepts. Raises ``Broken`` for a key of another kind."""
    algorithm = algorithm_of(key)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, _pss(algorithm), algorithm.hash)
    return side_by_side(key.public_key(), key.sign(content, ec.ECDSA(algorithm.hash)))


def signing_algorithm(key: PublicKey) -> SigningAlgorithm:
    """What a key that lives elsewhere is asked for. Raises ``Broken`` for a key of another kind."""
    return algorithm_of(key).elsewhere


def side_by_side(key: PublicKey, signature: bytes) -> bytes:
    """An ECDSA signature in DER as envelopes carry it; an RSA signature as it is. Raises ``Broken``."""
    if isinstance(key, rsa.RSAPublicKey):
        return signature
    width = _field_bytes(key)
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    except (ValueError, OverflowError) as exc:
        raise Broken("the signature is not one on the key's curve") from exc


def _pss(algorithm: Algorithm) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(algorithm.hash), salt_length=algorithm.hash.digest_size)


def _field_bytes(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> int:
    return (key.curve.key_size + 7) // 8


def _der(signature: bytes, width: int) -> bytes:
    if len(signature) != 2 * width:
        raise InvalidSignature
    return encode_dss_signature(
        int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
    )
