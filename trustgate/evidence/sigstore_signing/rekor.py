"""Rekor's API 1 and 2: what is written into the log, and what it answers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from trustgate.errors import InvalidInput
from trustgate.evidence.dsse import Malformed, an_object
from trustgate.evidence.keys import PublicKey
from trustgate.evidence.sigstore_signing.material import CertificateChain, InclusionProof, LogEntry, b64
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""An entry comes back with everything that was written into it."""
MAX_HASHES: Final = 64
MAX_CHECKPOINT_CHARACTERS: Final = 64 * 1024
MAX_NUMBER: Final = 2**63 - 1
_Decoder = Callable[[Json], bytes]


@dataclass(frozen=True, slots=True)
class Loggable:
    """A signature, and who made it: a certificate, or a bare key."""

    signature: bytes
    signed: bytes = field(repr=False)
    """The bytes under the signature."""
    signer: CertificateChain | PublicKey
    envelope: bytes = field(default=b"", repr=False)
    """The DSSE document, where there is one."""


def entry_request_v1(about: Loggable) -> bytes:
    """The body of Rekor 1's ``POST /api/v1/log/entries``: ``dsse`` for envelopes, else ``hashedrekord``."""
    pem = b64(_pem(about.signer))
    if about.envelope:
        content: Json = {"envelope": about.envelope.decode(), "verifiers": [pem]}
        return _entry("dsse", {"proposedContent": content})
    if isinstance(about.signer, ed25519.Ed25519PublicKey):
        raise InvalidInput(
            "Rekor takes no plain signatures by Ed25519 keys, since it sees digests only",
            hint="sign with a bundle, without a log, or with an ECDSA key",
        )
    digest = hashlib.sha256(about.signed).hexdigest()
    return _entry(
        "hashedrekord",
        {
            "data": {"hash": {"algorithm": "sha256", "value": digest}},
            "signature": {"content": b64(about.signature), "publicKey": {"content": pem}},
        },
    )


def _entry(kind: str, spec: dict[str, Json]) -> bytes:
    return json.dumps({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).encode()


def entry_request_v2(about: Loggable) -> bytes:
    """The body of Rekor 2's ``POST /api/v2/log/entries``: digest and signature, also of an envelope."""
    public = about.signer.leaf.public_key() if isinstance(about.signer, CertificateChain) else about.signer
    if isinstance(about.signer, CertificateChain):
        verifier: dict[str, Json] = {"x509Certificate": {"rawBytes": b64(about.signer.leaf_der)}}
    else:
        verifier = {"publicKey": {"rawBytes": b64(_public_bytes(about.signer, serialization.Encoding.DER))}}
    verifier["keyDetails"] = _key_details(public)
    request: Json = {
        "digest": b64(hashlib.sha256(about.signed).digest()),
        "signature": {"content": b64(about.signature), "verifier": verifier},
    }
    return json.dumps({"hashedRekordRequestV002": request}).encode()


def _key_details(key: object) -> str:
    """Sigstore's names for algorithms (protobuf-specs, ``PublicKeyDetails``); all of them with SHA-256."""
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size == 256:
        return "PKIX_ECDSA_P256_SHA_256"
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        size = getattr(key, "key_size", 0)
        if size in {2048, 3072, 4096}:
            return f"PKIX_RSA_PKCS1V15_{size}_SHA256"
    raise InvalidInput(
        "Rekor 2 takes no signatures by this kind of key",
        hint="it takes ECDSA P-256 and RSA of 2048, 3072 or 4096 bits",
    )


def _pem(signer: CertificateChain | PublicKey) -> bytes:
    if isinstance(signer, CertificateChain):
        return signer.leaf_pem
    return _public_bytes(signer, serialization.Encoding.PEM)


def _public_bytes(key: PublicKey, encoding: serialization.Encoding) -> bytes:
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- answers ---------------------------------------------------------------------------------------


def read_entry_v1(raw: bytes) -> LogEntry:
    """The one entry of Rekor 1's answer, under its UUID. Raises ``Malformed``."""
    answer = _object(raw)
    if len(answer) != 1:
        raise Malformed(f"the answer holds {len(answer)} entries, expected one")
    entry = an_object(next(iter(answer.values())), "the entry")
    about = an_object(entry.get("verification"), "the entry's verification")
    body = _bytes(entry, "body")
    kind, version = _kind_of(body)
    proof = about.get("inclusionProof")
    return LogEntry(
        kind=kind,
        version=version,
        index=_number(entry, "logIndex"),
        log_id=_hex(entry.get("logID")),
        body=body,
        integrated_time=_number(entry, "integratedTime"),
        promise=_bytes(about, "signedEntryTimestamp"),
        proof=_proof(an_object(proof, "inclusionProof"), _hex) if proof is not None else None,
    )


def read_entry_v2(raw: bytes) -> LogEntry:
    """Rekor 2's answer, a ``TransparencyLogEntry``. Raises ``Malformed``."""
    answer = _object(raw)
    body = _bytes(answer, "canonicalizedBody")
    kind, version = _kind_of(body)
    return LogEntry(
        kind=kind,
        version=version,
        index=_number(answer, "logIndex"),
        log_id=_bytes(an_object(answer.get("logId"), "logId"), "keyId"),
        body=body,
        proof=_proof(an_object(answer.get("inclusionProof"), "inclusionProof"), _base64),
    )


def _proof(fields: dict[str, Json], decode: _Decoder) -> InclusionProof:
    hashes = fields.get("hashes", [])
    if not isinstance(hashes, list) or len(hashes) > MAX_HASHES:
        raise Malformed(f"the inclusion proof has not at most {MAX_HASHES} hashes")
    checkpoint = fields.get("checkpoint")
    if isinstance(checkpoint, dict):
        checkpoint = checkpoint.get("envelope")
    if not isinstance(checkpoint, str) or not 0 < len(checkpoint) <= MAX_CHECKPOINT_CHARACTERS:
        raise Malformed("the inclusion proof has no checkpoint")
    return InclusionProof(
        index=_number(fields, "logIndex"),
        root=decode(fields.get("rootHash")),
        size=_number(fields, "treeSize"),
        hashes=tuple(decode(one) for one in hashes),
        checkpoint=checkpoint,
    )


def _kind_of(body: bytes) -> tuple[str, str]:
    fields = _object(body)
    kind, version = fields.get("kind"), fields.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        raise Malformed("the entry's body does not say what kind it is")
    return kind, version


def _object(raw: bytes) -> dict[str, Json]:
    try:
        return an_object(loads(raw, max_bytes=MAX_ANSWER_BYTES), "the answer")
    except JsonRefused as exc:
        raise Malformed(f"the answer {exc}") from exc


def _number(fields: dict[str, Json], key: str) -> int:
    """Rekor 1 writes numbers, Rekor 2 strings (protobuf JSON), which leaves out what is 0."""
    value = fields.get(key, "0")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise Malformed(f"{key} is not a number")
    return value


def _bytes(fields: dict[str, Json], key: str) -> bytes:
    try:
        return _base64(fields.get(key))
    except Malformed as exc:
        raise Malformed(f"{key} is not base64") from exc


def _base64(value: Json) -> bytes:
    try:
        return base64.b64decode(str(value).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Malformed("a hash is not base64") from exc


def _hex(value: Json) -> bytes:
    try:
        return bytes.fromhex(str(value))
    except ValueError as exc:
        raise Malformed("a hash is not hex") from exc


def check_entry(entry: LogEntry, about: Loggable) -> None:
    """Whether the body holds our signature at all. Raises ``Malformed``."""
    if not _holds(_object(entry.body), b64(about.signature)):
        raise Malformed("the entry is about another signature than ours")


def _holds(value: Json, text: str) -> bool:
    if isinstance(value, dict):
        return any(_holds(one, text) for one in value.values())
    if isinstance(value, list):
        return any(_holds(one, text) for one in value)
    return value == text
