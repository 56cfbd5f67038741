"""Evidence in the store: its bytes, and what judges once made of it."""

from __future__ import annotations

import logging
from datetime import datetime

from trustgate.errors import BlobUnknown, StorageFull, StorageUnavailable
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import F
from trustgate.ports import Blobs, BlobStore, Judgements

log = logging.getLogger("trustgate.evidence")


def read_evidence(
    blobs: Blobs, blob_store: BlobStore, repository: RepositoryName, digest: Digest, *, max_bytes: int
) -> bytes:
    """A blob of the repository. Raises ``BlobUnknown``; ``SizeInvalid`` when it is larger."""
    blob = blobs.find(repository, digest)
    if blob is None:
        raise BlobUnknown(f"{digest.short} is not in the repository")
    return blob_store.read(blob.key, max_bytes=max_bytes)


def keep(judgements: Judgements[F], key: str, facts: tuple[F, ...], now: datetime) -> None:
    """A pull does not fail because its judgement can't be kept."""
    try:
        judgements.save(key, facts, now=now)
    except (StorageUnavailable, StorageFull) as exc:
        log.warning("a judgement of evidence could not be kept: %s", exc.message)
