"""Rekor 1 and Rekor 2: what they answer to a body that they take in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.simulators.sigstore.authorities import PrivateSigstore, authority_key, spki
from tests.simulators.sigstore.entries import b64, canonical
from tests.simulators.sigstore.merkle import Proof, leaf_hash, prove, root_of

TREE_ID = "1193050959916656506"
SHARD_OFFSET = 1000
"""The index over all shards runs ahead of the one within the tree."""
FILLERS = tuple(b"a leaf by somebody else %d" % number for number in range(3))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of either log, as bundles carry it."""

    version: int
    kind: str
    body: bytes
    log_id: bytes
    log_index: int
    proof: Proof | None
    checkpoint: str
    integrated_time: int = 0
    set: bytes = b""

    def as_json(self) -> dict[str, Any]:
        """A protobuf ``TransparencyLogEntry`` in JSON."""
        name, _, version = self.kind.partition("/")
        made: dict[str, Any] = {
            "logIndex": str(self.log_index or ""),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": name, "version": version},
            "integratedTime": str(self.integrated_time or ""),
        }
        if self.set:
            made["inclusionPromise"] = {"signedEntryTimestamp": b64(self.set)}
        if self.proof:
            proof: dict[str, Any] = {
                "logIndex": str(self.proof.index or ""),
                "rootHash": b64(self.proof.root),
                "treeSize": str(self.proof.size),
                "hashes": [b64(one) for one in self.proof.hashes],
                "checkpoint": {"envelope": self.checkpoint} if self.checkpoint else None,
            }
            made["inclusionProof"] = _without_zeros(proof)
        return _without_zeros(made) | {"canonicalizedBody": b64(self.body)}

    def as_annotation(self) -> dict[str, Any]:
        """The bundle annotation of a legacy layer."""
        return {
            "SignedEntryTimestamp": b64(self.set),
            "Payload": {
                "body": b64(self.body),
                "integratedTime": self.integrated_time,
                "logIndex": self.log_index,
                "logID": self.log_id.hex(),
            },
        }

    def as_rekor_v1(self) -> dict[str, Any]:
        """What Rekor 1 answers, under the entry's UUID."""
        assert self.proof is not None
        return {
            "body": b64(self.body),
            "integratedTime": self.integrated_time,
            "logID": self.log_id.hex(),
            "logIndex": self.log_index,
            "verification": {
                "inclusionProof": {
                    "checkpoint": self.checkpoint,
                    "hashes": [one.hex() for one in self.proof.hashes],
                    "logIndex": self.proof.index,
                    "rootHash": self.proof.root.hex(),
                    "treeSize": self.proof.size,
                },
                "signedEntryTimestamp": b64(self.set),
            },
        }

    @property
    def uuid(self) -> str:
        return f"{int(TREE_ID):016x}{leaf_hash(self.body).hex()}"


def _without_zeros(fields: dict[str, Any]) -> dict[str, Any]:
    """Protobuf's JSON leaves out zeros and empty lists: the first entry of a log has no index there."""
    return {name: value for name, value in fields.items() if value}


def log_id_v1(key: Any) -> bytes:
    return hashlib.sha256(spki(key)).digest()


def log_id_v2(key: Any, origin: str) -> bytes:
    """C2SP signed-note key id of an Ed25519 key, whole; the checkpoint has its first four bytes."""
    raw = key.public_key().public_bytes_raw()
    return hashlib.sha256(origin.encode() + b"\n\x01" + raw).digest()


def entry_v1(
    sigstore: PrivateSigstore,
    kind: str,
    body: bytes,
    *,
    at: datetime | None = None,
    before: Sequence[bytes] = FILLERS,
) -> Entry:
    """Rekor 1: a promise (SET), the integrated time, and a proof with a checkpoint."""
    faults = sigstore.faults
    moment = at or sigstore.at
    if faults.integrated_time_before_leaf:
        moment -= timedelta(hours=1)
    if faults.integrated_time_after_leaf:
        moment += timedelta(hours=1)
    key = sigstore.rekor_key
    log_id = log_id_v1(key)
    proof, checkpoint = _proof(sigstore, body, before, f"{sigstore.host} - {TREE_ID}", key, log_id[:4])
    entry = Entry(
        1, kind, body, log_id, SHARD_OFFSET + len(before), proof, checkpoint, int(moment.timestamp())
    )
    return entry if faults.no_set else replace(entry, set=_promise(sigstore, entry))


def entry_v2(
    sigstore: PrivateSigstore, kind: str, body: bytes, *, before: Sequence[bytes] = FILLERS
) -> Entry:
    """Rekor 2: a proof with a checkpoint, and no word about time."""
    key = sigstore.rekor_v2_key
    log_id = log_id_v2(key, sigstore.host_v2)
    proof, checkpoint = _proof(sigstore, body, before, sigstore.host_v2, key, log_id[:4])
    return Entry(2, kind, body, log_id, len(before), proof, checkpoint)


def _promise(sigstore: PrivateSigstore, entry: Entry) -> bytes:
    faults = sigstore.faults
    time = entry.integrated_time + (60 if faults.set_over_other_time else 0)
    said = {
        "body": b64(entry.body),
        "integratedTime": time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    key = authority_key("not the log") if faults.set_by_other_key else sigstore.rekor_key
    signature: bytes = key.sign(canonical(said), ec.ECDSA(hashes.SHA256()))
    return signature


def _proof(
    sigstore: PrivateSigstore, body: bytes, before: Sequence[bytes], origin: str, key: Any, key_hint: bytes
) -> tuple[Proof | None, str]:
    faults = sigstore.faults
    leaves = [leaf_hash(one) for one in (*before, body)]
    proof = prove(leaves, 0 if faults.proof_of_other_leaf else len(leaves) - 1)
    root = root_of([*leaves, leaf_hash(b"one more")]) if faults.checkpoint_of_other_root else proof.root
    checkpoint = _checkpoint(sigstore, origin, proof.size, root, key, key_hint)
    if faults.proof_of_other_leaf:
        proof = replace(proof, index=len(leaves) - 1)
    if faults.wrong_root_hash:
        proof = replace(proof, root=hashlib.sha256(proof.root).digest())
    if faults.proof_index_outside_tree:
        proof = replace(proof, index=proof.size)
    return None if faults.no_inclusion_proof else proof, "" if faults.no_checkpoint else checkpoint


def _checkpoint(
    sigstore: PrivateSigstore, origin: str, size: int, root: bytes, key: Any, key_hint: bytes
) -> str:
    """A signed note (C2SP); the name in the signature line is the origin without the tree's number."""
    faults = sigstore.faults
    if faults.checkpoint_origin_foreign:
        origin = origin.replace("sigstore.test", "foreign.test")
    text = f"{origin}\n{size}\n{b64(root)}\n"
    if faults.checkpoint_by_other_key:
        kind = "p256" if isinstance(key, ec.EllipticCurvePrivateKey) else "ed25519"
        key = authority_key("not the log", kind)
    signature = (
        key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        if isinstance(key, ec.EllipticCurvePrivateKey)
        else key.sign(text.encode())
    )
    return f"{text}\n\u2014 {origin.partition(' - ')[0]} {b64(key_hint + signature)}\n"
