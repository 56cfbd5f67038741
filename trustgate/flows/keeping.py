"""Housekeeping beside the requests: idle uploads, old judgements and decisions, bytes that nothing names."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trustgate.evidence.model import SignatureFact
from trustgate.ports import Blobs, BlobStore, Clock, Decisions, Judgements, Uploads

IDLE_UPLOAD: Final = timedelta(hours=24)
MAX_A_ROUND: Final = 200
MAX_DECISIONS_A_ROUND: Final = 10_000


class Keeping:
    """Each round is small and may be repeated; a kill in the middle leaves work for the next one."""

    def __init__(
        self,
        *,
        uploads: Uploads,
        blobs: Blobs,
        blob_store: BlobStore,
        judgements: Judgements[SignatureFact],
        decisions: Decisions,
        keep_decisions: timedelta,
        clock: Clock,
    ) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._blob_store = blob_store
        self._judgements = judgements
        self._decisions = decisions
        self._keep_decisions = keep_decisions
        self._clock = clock

    def round(self) -> tuple[int, int]:
        """(uploads ended, keys deleted)."""
        idle = self._uploads.idle(before=self._clock.now() - IDLE_UPLOAD, limit=MAX_A_ROUND)
        for upload in idle:
            self._uploads.cancel(upload.repository, upload.id)
            self._blob_store.discard(upload.id)
        keys = self._blobs.release(limit=MAX_A_ROUND)
        for key in keys:
            self._blob_store.delete(key)
        if keys:
            self._blobs.released(keys)
        self._judgements.forget_old(now=self._clock.now())
        self._decisions.forget(before=self._clock.now() - self._keep_decisions, limit=MAX_DECISIONS_A_ROUND)
        return len(idle), len(keys)
