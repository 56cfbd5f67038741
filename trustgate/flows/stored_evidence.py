"""Evidence in the store: its bytes, and what judges once made of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trustgate.errors import BlobUnknown, StorageFull, StorageUnavailable
from trustgate.evidence.model import Role, Unreachable
from trustgate.evidence.scan_report import ScanReport
from trustgate.evidence.shape import MAX_ATTACHED_BYTES
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import F, Partly
from trustgate.ports import AttachedEvidence, BlobFinder, BlobReader, Judgements, StoredManifest

MAX_FRESH_BYTES: Final = MAX_ATTACHED_BYTES
"""Of attestations that nobody has judged yet, for one request. Any manifest of them fits."""
MAX_FRESH_SIGNATURES: Final = 2048
"""Manifests of signatures that nobody has judged yet, for one request: a few seconds of work."""
MAX_PACKAGES: Final = 250_000
"""Of all scan reports that one request reads: more than the embedded scanner tells of one image."""
MAX_FINDINGS: Final = 50_000
"""In these reports."""
log = logging.getLogger("trustgate.evidence")
MAX_EVIDENCE_MANIFESTS: Final = 1024
"""That are looked at for one digest, signatures and attestations together; that there are more is told."""


@dataclass(slots=True)
class Allowance:
    """What one request may still judge; the next one goes on."""

    left_bytes: int = MAX_FRESH_BYTES
    left_signatures: int = MAX_FRESH_SIGNATURES
    packages: int = field(default=0, init=False)
    findings: int = field(default=0, init=False)

    def take(self, size: int) -> bool:
        """Whether there is room for that many bytes; then they are taken."""
        if size > self.left_bytes:
            return False
        self.left_bytes -= size
        return True

    def take_signatures(self, wanted: int) -> int:
        """How many of them may be judged; they are taken."""
        given = min(wanted, self.left_signatures)
        self.left_signatures -= given
        return given

    def take_report(self, report: ScanReport) -> bool:
        """Whether there is room for what it tells of."""
        self.packages += len(report.packages)
        self.findings += len(report.findings)
        return self.has_room_for_reports

    @property
    def has_room_for_reports(self) -> bool:
        """False once there was a report too many: then no further one is read."""
        return self.packages <= MAX_PACKAGES and self.findings <= MAX_FINDINGS


def evidence_about(
    attached: AttachedEvidence, repository: RepositoryName, subject: Digest, tagged: StoredManifest | None
) -> Sequence[Digest]:
    """Manifests of evidence, at most one more than are looked at; ``tagged`` is what a ``.sig`` or ``.att``
    tag points to."""
    found = attached.about(repository, subject, limit=MAX_EVIDENCE_MANIFESTS + 1)
    return (tagged.digest, *found) if tagged is not None and tagged.role is Role.SIGNATURE else found


def beyond() -> str:
    """Why some are not judged. It can only lose a yes: rules ask for what is there, never for absence."""
    return f"more than {MAX_EVIDENCE_MANIFESTS} candidates: the rest was not judged"


def too_many_reports() -> Unreachable:
    """Why a scan report is not weighed: what it tells of is not known then."""
    why = f"its scan reports tell of more than {MAX_PACKAGES} packages or {MAX_FINDINGS} findings"
    return Unreachable(f"{why}: too much for one request", beyond=True)


def partly(facts: tuple[F, ...], waiting: int) -> Partly[F]:
    """The answer when the allowance did not reach for all."""
    why = f"{waiting} are still to be judged, and will be with the next request"
    return Partly(facts, why, waits=True)


def read_evidence(
    blobs: BlobFinder, blob_store: BlobReader, repository: RepositoryName, digest: Digest, *, max_bytes: int
) -> bytes:
    """A blob of the repository. Raises ``BlobUnknown``; ``SizeInvalid`` when it is larger."""
    blob = blobs.find(repository, digest)
    if blob is None:
        raise BlobUnknown(f"{digest.short} is not in the repository")
    return blob_store.read(blob.key, max_bytes=max_bytes)


def keep(judgements: Judgements[F], found: Mapping[str, tuple[F, ...]], now: datetime) -> None:
    """A pull does not fail because its judgements can't be kept."""
    try:
        judgements.save(found, now=now)
    except (StorageUnavailable, StorageFull) as exc:
        log.warning("a judgement of evidence could not be kept: %s", exc.message)
