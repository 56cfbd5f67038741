"""Fulcio's API 2: a certificate for a key, in exchange for an identity token."""

from __future__ import annotations

import json
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.evidence.dsse import Malformed, an_object
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.sigstore_signing.identity_token import IdentityToken
from trustgate.evidence.sigstore_signing.material import CertificateChain, b64
from trustgate.oci.strict_json import JsonRefused, loads

MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_CHAIN: Final = 8
"""Certificates, the leaf included; the public instance answers three."""
_ANSWERS: Final = ("signedCertificateEmbeddedSct", "signedCertificateDetachedSct")


def certificate_request(key: ec.EllipticCurvePrivateKey, token: IdentityToken) -> bytes:
    """The body of ``POST /api/v2/signingCert``: the key, and the proof that we hold it. The token itself
    goes into the header.
    """
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    proof = key.sign(token.subject.encode(), ec.ECDSA(hashes.SHA256()))
    return json.dumps(
        {
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
                "proofOfPossession": b64(proof),
            },
        }
    ).encode()


def read_chain(raw: bytes, public_key: ec.EllipticCurvePublicKey) -> CertificateChain:
    """The chain that Fulcio answered, which must be for our own key. Raises ``Malformed``."""
    leaf, *above = _certificates(raw)
    if leaf.public_key() != public_key:
        raise Malformed("the certificate is for another key than the one that was sent")
    return CertificateChain(leaf, tuple(above))


def _certificates(raw: bytes) -> list[x509.Certificate]:
    try:
        answer = an_object(loads(raw, max_bytes=MAX_ANSWER_BYTES), "the answer")
    except JsonRefused as exc:
        raise Malformed(f"the answer {exc}") from exc
    found = next((answer[key] for key in _ANSWERS if key in answer), None)
    chain = an_object(an_object(found, "the signed certificate").get("chain"), "its chain")
    pems = chain.get("certificates")
    if not isinstance(pems, list) or not 1 <= len(pems) <= MAX_CHAIN:
        raise Malformed(f"the chain has not 1 to {MAX_CHAIN} certificates")
    try:
        return [x509.load_pem_x509_certificate(str(pem).encode()) for pem in pems]
    except MALFORMED as exc:
        raise Malformed("the chain holds something that is not a certificate") from exc
