"""Entries of a transparency log (Rekor) and their proofs, as bundles and annotations carry them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from trustgate.evidence.sigstore.fields import (
    Fields,
    bytes_of,
    decoded,
    fields_of,
    list_of,
    number_of,
    only_known,
    optional_of,
    text_of,
)
from trustgate.evidence.sigstore.merkle import MAX_PROOF_HASHES
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.oci.strict_json import Json

MAX_INTEGRATED_TIME: Final = 253402300799
"""The end of the year 9999, in seconds: the last moment that can be shown."""
_ENTRY_KEYS: Final = frozenset(
    {
        "logIndex",
        "logId",
        "kindVersion",
        "integratedTime",
        "inclusionPromise",
        "inclusionProof",
        "canonicalizedBody",
    }
)
_LOG_ID: Final = re.compile(r"[0-9a-f]{64}")
_PROOF_KEYS: Final = frozenset({"logIndex", "rootHash", "treeSize", "hashes", "checkpoint"})


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """A path from the entry to a root that the log signed."""

    index: int
    size: int
    root: bytes
    path: tuple[bytes, ...] = field(repr=False)
    checkpoint: str = field(repr=False)
    """Empty in some bundles of version 0.1: then nothing vouches for the root."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What a log is said to hold, nothing of it proven."""

    log_id: bytes
    index: int
    """Across all shards of the log, which is what its promise is about."""
    body: bytes = field(repr=False)
    kind: str = ""
    version: str = ""
    integrated: int = 0
    """Seconds since 1970; 0 when the log states no time (Rekor 2)."""
    promise: bytes = field(default=b"", repr=False)
    """The signed entry timestamp (SET)."""
    proof: InclusionProof | None = field(default=None, repr=False)

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.integrated, UTC)

    @property
    def promised(self) -> bytes:
        """What the promise is signed over: this object in JCS (RFC 8785)."""
        said = {
            "body": base64.b64encode(self.body).decode(),
            "integratedTime": self.integrated,
            "logID": self.log_id.hex(),
            "logIndex": self.index,
        }
        return json.dumps(said, separators=(",", ":")).encode()


def read_entry(value: Json, what: str) -> LogEntry:
    """An entry of a bundle's ``tlogEntries``. Raises ``Refusal``."""
    fields = fields_of(value, what)
    only_known(fields, _ENTRY_KEYS, what)
    log_id = fields_of(fields.get("logId"), f"{what}.logId")
    only_known(log_id, frozenset({"keyId"}), f"{what}.logId")
    kind = optional_of(fields, "kindVersion", what) or {}
    only_known(kind, frozenset({"kind", "version"}), f"{what}.kindVersion")
    promise = optional_of(fields, "inclusionPromise", what)
    only_known(promise or {}, frozenset({"signedEntryTimestamp"}), f"{what}.inclusionPromise")
    proof = optional_of(fields, "inclusionProof", what)
    return LogEntry(
        log_id=bytes_of(log_id, "keyId", f"{what}.logId"),
        index=number_of(fields, "logIndex", what),
        body=bytes_of(fields, "canonicalizedBody", what),
        kind=text_of(kind, "kind", f"{what}.kindVersion"),
        version=text_of(kind, "version", f"{what}.kindVersion"),
        integrated=_time(fields, what),
        promise=bytes_of(promise, "signedEntryTimestamp", f"{what}.inclusionPromise") if promise else b"",
        proof=_proof(proof, f"{what}.inclusionProof") if proof is not None else None,
    )


def _time(fields: Fields, what: str) -> int:
    seconds = number_of(fields, "integratedTime", what)
    if seconds > MAX_INTEGRATED_TIME:
        raise Refusal(f"{what}: integratedTime is no time")
    return seconds


def _proof(fields: Fields, what: str) -> InclusionProof:
    only_known(fields, _PROOF_KEYS, what)
    checkpoint = optional_of(fields, "checkpoint", what)
    only_known(checkpoint or {}, frozenset({"envelope"}), f"{what}.checkpoint")
    hashes = list_of(fields.get("hashes"), f"{what}.hashes", most=MAX_PROOF_HASHES)
    return InclusionProof(
        index=number_of(fields, "logIndex", what),
        size=number_of(fields, "treeSize", what),
        root=bytes_of(fields, "rootHash", what),
        path=tuple(_hash(one, what) for one in hashes),
        checkpoint=text_of(checkpoint, "envelope", f"{what}.checkpoint") if checkpoint else "",
    )


def _hash(value: Json, what: str) -> bytes:
    if not isinstance(value, str):
        raise Refusal(f"{what}: a hash is not a string")
    return decoded(value, f"{what}: a hash")


def read_entry_annotation(value: Json) -> LogEntry:
    """The entry of cosign's ``dev.sigstore.cosign/bundle`` annotation. Raises ``Refusal``."""
    what = "its bundle annotation"
    fields = fields_of(value, what)
    only_known(fields, frozenset({"SignedEntryTimestamp", "Payload"}), what)
    payload = fields_of(fields.get("Payload"), f"{what}: Payload")
    only_known(payload, frozenset({"body", "integratedTime", "logIndex", "logID"}), f"{what}: Payload")
    log_id = text_of(payload, "logID", what)
    if _LOG_ID.fullmatch(log_id) is None:
        raise Refusal(f"{what}: logID is not a SHA-256 in lower-case hex")
    return LogEntry(
        log_id=bytes.fromhex(log_id),
        index=number_of(payload, "logIndex", what),
        body=bytes_of(payload, "body", what),
        integrated=_time(payload, what),
        promise=bytes_of(fields, "SignedEntryTimestamp", what),
    )
