"""The bytes that a token signs, and what it answers.

Hashing is done here and not in the token: every token takes a digest, and few take a long message. PKCS #11
3.1: ``CKM_ECDSA`` and ``CKM_RSA_PKCS_PSS`` take the hash, ``CKM_RSA_PKCS`` a DigestInfo (RFC 8017, section
9.2), ``CKM_EDDSA`` the message; an ECDSA signature is ``r`` and ``s`` side by side.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trustgate.errors import SigningKeyUnavailable
from trustgate.evidence.signing_algorithm import SigningAlgorithm

MAX_COORDINATE_BYTES: Final = 66
"""``r`` or ``s`` on P-521."""
_DIGEST_INFO_SHA256: Final = bytes.fromhex("3031300d060960864801650304020105000420")


def bytes_for_token(content: bytes, algorithm: SigningAlgorithm) -> bytes:
    """What the mechanism of ``algorithm`` is given so that ``content`` is signed."""
    if algorithm.hash is None:
        return content
    hasher = hashes.Hash(algorithm.hash)
    hasher.update(content)
    digest = hasher.finalize()
    if algorithm is SigningAlgorithm.RSA_PKCS1_SHA256:
        return _DIGEST_INFO_SHA256 + digest
    return digest


def signature_from_token(raw: bytes, algorithm: SigningAlgorithm) -> bytes:
    """As everybody else writes it. Raises ``SigningKeyUnavailable`` for an answer that is no signature."""
    if not algorithm.is_ecdsa:
        return raw
    width, odd = divmod(len(raw), 2)
    if odd or not 0 < width <= MAX_COORDINATE_BYTES:
        raise SigningKeyUnavailable(f"the token answered with {len(raw)} bytes, which are no ECDSA signature")
    return encode_dss_signature(int.from_bytes(raw[:width], "big"), int.from_bytes(raw[width:], "big"))
