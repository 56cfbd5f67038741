"""What the services gave: certificates, log entries, timestamps; and how signatures carry them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from trustgate.oci.strict_json import Json

CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate"
CHAIN_ANNOTATION = "dev.sigstore.cosign/chain"
BUNDLE_ANNOTATION = "dev.sigstore.cosign/bundle"
TIMESTAMP_ANNOTATION = "dev.sigstore.cosign/rfc3161timestamp"


@dataclass(frozen=True, slots=True)
class CertificateChain:
    """The leaf for the signing key, and what stands above it."""

    leaf: x509.Certificate
    above: tuple[x509.Certificate, ...]

    @property
    def leaf_der(self) -> bytes:
        return self.leaf.public_bytes(serialization.Encoding.DER)

    @property
    def leaf_pem(self) -> bytes:
        return self.leaf.public_bytes(serialization.Encoding.PEM)

    @property
    def above_pem(self) -> bytes:
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.above)


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That the entry stands in the log: a path to the root that a checkpoint signs."""

    index: int
    root: bytes
    size: int
    hashes: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a transparency log, as the log answered."""

    kind: str
    version: str
    index: int
    log_id: bytes
    body: bytes = field(repr=False)
    integrated_time: int | None = None
    """Seconds since 1970; Rekor 2 tells none."""
    promise: bytes = b""
    """The signed entry timestamp, of Rekor 1 only."""
    proof: InclusionProof | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """All that travels with one signature, apart from it."""

    certificate: CertificateChain | None = None
    entries: tuple[LogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()
    """DER ``TimeStampResp``."""


def for_bundle(material: Material) -> dict[str, Json]:
    """``verificationMaterial`` of a bundle, apart from the hint of a key."""
    made: dict[str, Json] = {}
    if material.certificate is not None:
        made["certificate"] = {"rawBytes": b64(material.certificate.leaf_der)}
    if material.entries:
        made["tlogEntries"] = [_transparency_log_entry(entry) for entry in material.entries]
    if material.timestamps:
        tokens: list[Json] = [{"signedTimestamp": b64(one)} for one in material.timestamps]
        made["timestampVerificationData"] = {"rfc3161Timestamps": tokens}
    return made


def for_layer(material: Material) -> dict[str, str]:
    """The annotations of a layer under ``.sig`` and ``.att`` tags, apart from the signature."""
    made: dict[str, str] = {}
    if material.certificate is not None:
        made[CERTIFICATE_ANNOTATION] = material.certificate.leaf_pem.decode()
        made[CHAIN_ANNOTATION] = material.certificate.above_pem.decode()
    for entry in material.entries:
        made[BUNDLE_ANNOTATION] = _rekor_bundle(entry)
    for token in material.timestamps:
        made[TIMESTAMP_ANNOTATION] = json.dumps({"SignedRFC3161Timestamp": b64(token)})
    return made


def _transparency_log_entry(entry: LogEntry) -> Json:
    made: dict[str, Json] = {
        "logIndex": str(entry.index),
        "logId": {"keyId": b64(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
    }
    if entry.integrated_time is not None:
        made["integratedTime"] = str(entry.integrated_time)
    if entry.promise:
        made["inclusionPromise"] = {"signedEntryTimestamp": b64(entry.promise)}
    if entry.proof is not None:
        made["inclusionProof"] = {
            "logIndex": str(entry.proof.index),
            "rootHash": b64(entry.proof.root),
            "treeSize": str(entry.proof.size),
            "hashes": [b64(one) for one in entry.proof.hashes],
            "checkpoint": {"envelope": entry.proof.checkpoint},
        }
    return made | {"canonicalizedBody": b64(entry.body)}


def _rekor_bundle(entry: LogEntry) -> str:
    payload = {
        "body": b64(entry.body),
        "integratedTime": entry.integrated_time,
        "logIndex": entry.index,
        "logID": entry.log_id.hex(),
    }
    return json.dumps({"SignedEntryTimestamp": b64(entry.promise), "Payload": payload})


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
