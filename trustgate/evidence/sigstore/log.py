"""Proofs that a transparency log holds an entry: its promise (SET), or a path to a root that it signed."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trustgate.evidence.sigstore.checkpoint import read_checkpoint
from trustgate.evidence.sigstore.entry import InclusionProof, LogEntry
from trustgate.evidence.sigstore.log_signature import is_signed_by
from trustgate.evidence.sigstore.merkle import leaf_hash, root_of
from trustgate.evidence.sigstore.refusal import NotTrusted, Refusal
from trustgate.evidence.sigstore.trusted_root import Log


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry that a log of the trusted root holds, and the time that the log proves for it."""

    log: Log
    moment: datetime | None
    entry: LogEntry = field(repr=False)


def prove_logged(entry: LogEntry, logs: Sequence[Log], *, needs_path: bool) -> Logged:
    """The log that holds ``entry``. Raises ``Refusal``; ``NotTrusted`` for a log that is not known.

    ``needs_path`` asks for an inclusion proof, as bundles since 0.2 have to bring one. Every proof that
    the entry brings must hold: a good promise does not excuse a bad path.
    """
    reasons: list[str] = []
    for log in logs:
        if not hmac.compare_digest(log.key_id, entry.log_id):
            continue
        try:
            return _held_by(log, entry, needs_path=needs_path)
        except Refusal as exc:
            reasons.append(str(exc))
    if reasons:
        raise Refusal(reasons[0])
    raise NotTrusted("its log entry is of a log that the trusted root does not name")


def _held_by(log: Log, entry: LogEntry, *, needs_path: bool) -> Logged:
    moment = _promised(log, entry)
    if entry.proof is not None:
        _check_path(entry, entry.proof)
    if entry.proof is not None and entry.proof.checkpoint:
        _check_root(log, entry.proof, by_name=moment is None)
    elif needs_path or moment is None:
        raise Refusal("the log entry has no inclusion proof with a checkpoint")
    return Logged(log, moment, entry)


def _promised(log: Log, entry: LogEntry) -> datetime | None:
    """The time that the promise states. A stated time that nothing proves is a claim, and is refused."""
    if not entry.promise:
        if entry.integrated:
            raise Refusal("the log entry states a time, and brings no promise of the log that proves it")
        return None
    if not entry.integrated:
        raise Refusal("the log entry has a promise, and states no time")
    if not is_signed_by(log.key, entry.promise, entry.promised):
        raise Refusal("the log's promise (SET) is not signed by the log")
    if not log.window.holds(entry.moment):
        raise Refusal(f"the log is not trusted at {entry.moment:%Y-%m-%dT%H:%M:%SZ}, the time of its entry")
    return entry.moment


def _check_path(entry: LogEntry, proof: InclusionProof) -> None:
    root = root_of(leaf_hash(entry.body), proof.index, proof.size, proof.path)
    if not hmac.compare_digest(root, proof.root):
        raise Refusal("the inclusion proof does not lead to its root")


def _check_root(log: Log, proof: InclusionProof, *, by_name: bool) -> None:
    checkpoint = read_checkpoint(proof.checkpoint, log, by_name=by_name)
    if checkpoint.size != proof.size or not hmac.compare_digest(checkpoint.root, proof.root):
        raise Refusal("the inclusion proof is of another tree than the checkpoint")
