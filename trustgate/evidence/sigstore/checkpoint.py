"""Checkpoints: signed notes of a log's size and root (C2SP signed-note and tlog-checkpoint)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from trustgate.evidence.sigstore.fields import decoded
from trustgate.evidence.sigstore.log_signature import is_signed_by
from trustgate.evidence.sigstore.merkle import HASH_BYTES
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trusted_root import Log

MAX_CHECKPOINT_BYTES: Final = 16 * 1024
MAX_SIGNATURES: Final = 64
MAX_OWN_SIGNATURES: Final = 4
"""Signatures tried that name the log's own key."""
HINT_BYTES: Final = 4
_DASH: Final = "\u2014 "
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log signed: its name, and the tree at some moment."""

    origin: str
    size: int
    root: bytes


def read_checkpoint(text: str, log: Log, *, by_name: bool) -> Checkpoint:
    """The checkpoint, when ``log`` signed it. Raises ``Refusal``.

    ``by_name`` asks for the log's own name too, as Rekor 2 writes it; Rekor 1 may call itself anything.
    """
    if len(text.encode()) > MAX_CHECKPOINT_BYTES:
        raise Refusal(f"the checkpoint has more than {MAX_CHECKPOINT_BYTES} bytes")
    body, blank, signatures = text.partition("\n\n")
    if not blank:
        raise Refusal("the checkpoint has no signatures")
    note = body + "\n"
    found = _parsed(note)
    if by_name and found.origin != log.origin:
        raise Refusal(f"the checkpoint is of {found.origin[:80]!a}, not of {log.origin[:80]!a}")
    hints = _hints(log)
    ours = [
        signature
        for name, hint, signature in _signatures(signatures)
        if hint in hints and (name == log.origin or not by_name)
    ]
    if not any(is_signed_by(log.key, signature, note.encode()) for signature in ours[:MAX_OWN_SIGNATURES]):
        raise Refusal("the checkpoint is not signed by its log")
    return found


def _parsed(note: str) -> Checkpoint:
    lines = note.split("\n")
    if len(lines) < 4 or not lines[0]:
        raise Refusal("the checkpoint has no origin, size or root")
    origin, size, root = lines[:3]
    if _SIZE.fullmatch(size) is None:
        raise Refusal("the checkpoint has no size in its second line")
    digest = decoded(root, "the checkpoint's root")
    if len(digest) != HASH_BYTES:
        raise Refusal("the checkpoint's root is no SHA-256")
    return Checkpoint(origin, int(size), digest)


def _signatures(text: str) -> Iterator[tuple[str, bytes, bytes]]:
    """(name, key hint, signature) of each line."""
    lines = text.split("\n")
    if not lines or lines[-1] or len(lines) - 1 > MAX_SIGNATURES:
        raise Refusal("the checkpoint's signatures are cut off, or too many")
    for line in lines[:-1]:
        name, space, encoded = line.removeprefix(_DASH).rpartition(" ")
        if not line.startswith(_DASH) or not space or not name:
            raise Refusal("the checkpoint has a line that is no signature")
        raw = decoded(encoded, "a checkpoint's signature")
        yield name, raw[:HINT_BYTES], raw[HINT_BYTES:]


def _hints(log: Log) -> tuple[bytes, ...]:
    """Rekor 1: the beginning of the key's hash. Rekor 2: of name and key (C2SP signed-note, Ed25519)."""
    hints = [log.key_id[:HINT_BYTES]]
    if isinstance(log.key, ed25519.Ed25519PublicKey):
        named = log.origin.encode() + b"\n\x01" + log.key.public_bytes_raw()
        hints.append(hashlib.sha256(named).digest()[:HINT_BYTES])
    return tuple(hints)
