"""Inclusion proofs of an append-only Merkle tree (RFC 9162, section 2.1.3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from trustgate.evidence.sigstore.refusal import Refusal

MAX_PROOF_HASHES = 64
HASH_BYTES = 32


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that ``path`` leads to from leaf number ``index`` of ``size``. Raises ``Refusal``."""
    if not 0 <= index < size:
        raise Refusal(f"entry {index} lies outside a tree of {size}")
    if len(path) > MAX_PROOF_HASHES or any(len(step) != HASH_BYTES for step in path):
        raise Refusal("the inclusion proof has too many hashes, or one of the wrong size")
    node, last, result = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise Refusal("the inclusion proof is longer than the tree is high")
        if node & 1 or node == last:
            result = _inner(step, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = _inner(result, step)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise Refusal("the inclusion proof is shorter than the tree is high")
    return result


def _inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
