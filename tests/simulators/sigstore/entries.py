"""The bodies of log entries, as Rekor canonicalises them (JCS: keys sorted, no spaces)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.simulators.sigstore.authorities import der_of, pem_of, spki

KINDS_V1 = ("dsse/0.0.1", "intoto/0.0.1", "intoto/0.0.2", "hashedrekord/0.0.1", "rekord/0.0.1")
KINDS_V2 = ("hashedrekord/0.0.2", "dsse/0.0.2")


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry is about: who signed what, and the envelope if there is one.

    ``content`` are the bytes under the signature for a plain one, ``envelope`` the DSSE document.
    """

    signature: bytes
    signer: Any
    """A certificate, or a private key whose public half is logged."""
    content: bytes
    envelope: bytes = b""
    payload: bytes = b""
    payload_type: str = ""
    digest: bytes = b""
    """Of ``content``, where only that is known."""

    @property
    def content_hash(self) -> bytes:
        return self.digest or hashlib.sha256(self.content).digest()


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def sha256(raw: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(raw).hexdigest()}


def body(kind: str, said: Said) -> bytes:
    """The canonicalised body of an entry of ``kind`` (``dsse/0.0.1`` …)."""
    name, _, version = kind.partition("/")
    spec = _SPECS[kind](said)
    return canonical({"apiVersion": version, "kind": name, "spec": spec})


def _hashedrekord(said: Said) -> dict[str, Any]:
    key = {"content": b64(pem_of(said.signer))}
    return {
        "data": {"hash": {"algorithm": "sha256", "value": said.content_hash.hex()}},
        "signature": {"content": b64(said.signature), "publicKey": key},
    }


def _rekord(said: Said) -> dict[str, Any]:
    spec = _hashedrekord(said)
    spec["signature"]["format"] = "x509"
    return spec


def _dsse(said: Said) -> dict[str, Any]:
    return {
        "envelopeHash": sha256(said.envelope),
        "payloadHash": sha256(said.payload),
        "signatures": [{"signature": b64(said.signature), "verifier": b64(pem_of(said.signer))}],
    }


def _intoto_1(said: Said) -> dict[str, Any]:
    return {
        "content": {"hash": sha256(said.envelope), "payloadHash": sha256(said.payload)},
        "publicKey": b64(pem_of(said.signer)),
    }


def _intoto_2(said: Said) -> dict[str, Any]:
    # the signature is base64 of the base64 that stands in the envelope
    signature = {"publicKey": b64(pem_of(said.signer)), "sig": b64(b64(said.signature).encode())}
    return {
        "content": {
            "envelope": {"payloadType": said.payload_type, "signatures": [signature]},
            "hash": sha256(said.envelope),
            "payloadHash": sha256(said.payload),
        }
    }


def _hashedrekord_2(said: Said) -> dict[str, Any]:
    return {
        "hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": b64(said.content_hash)},
            "signature": {"content": b64(said.signature), "verifier": verifier(said.signer)},
        }
    }


def _dsse_2(said: Said) -> dict[str, Any]:
    digest = b64(hashlib.sha256(said.payload).digest())
    return {
        "dsseV002": {
            "payloadHash": {"algorithm": "SHA2_256", "digest": digest},
            "signatures": [{"content": b64(said.signature), "verifier": verifier(said.signer)}],
        }
    }


def verifier(signer: Any) -> dict[str, Any]:
    """Rekor 2's way to name a certificate or key."""
    details = key_details(signer.public_key())
    if isinstance(signer, x509.Certificate):
        return {"keyDetails": details, "x509Certificate": {"rawBytes": b64(der_of(signer))}}
    return {"keyDetails": details, "publicKey": {"rawBytes": b64(spki(signer))}}


def key_details(public: Any) -> str:
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "PKIX_ED25519"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return {256: "PKIX_ECDSA_P256_SHA_256", 384: "PKIX_ECDSA_P384_SHA_384"}[public.curve.key_size]
    return f"PKIX_RSA_PKCS1V15_{public.key_size}_SHA256"


_SPECS = {
    "hashedrekord/0.0.1": _hashedrekord,
    "rekord/0.0.1": _rekord,
    "dsse/0.0.1": _dsse,
    "intoto/0.0.1": _intoto_1,
    "intoto/0.0.2": _intoto_2,
    "hashedrekord/0.0.2": _hashedrekord_2,
    "dsse/0.0.2": _dsse_2,
}
