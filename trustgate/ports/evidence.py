"""What is known about artifacts: where signatures lie, what judges made of them, what scanners found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from trustgate.evidence.scan_report import ScanReport
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import F
from trustgate.ports.reading import ReportReader
from trustgate.ports.values import Job


class AttachedEvidence(Protocol):
    """Signatures and attestations that name a digest as their ``subject``."""

    def about(self, repository: RepositoryName, subject: Digest, *, limit: int) -> tuple[Digest, ...]:
        """Digests of their manifests, oldest first; where there are more than ``limit``, those who pushed
        them take turns, each with the oldest first, so that nobody's flood pushes out another's."""
        ...


class Reports(ReportReader, Protocol):
    """Scan reports. The last good one stays valid while a new scan runs."""

    def save(self, report: ScanReport, *, finishing: Job | None) -> bool:
        """Keep a report, and end the job that made it in the same transaction; bumps the revision of
        every repository that holds the digest. False when the job's lease was lost: nothing is kept."""
        ...

    def subjects(self, *, limit: int, after: str) -> tuple[tuple[RepositoryName, Digest], ...]:
        """Every image that can be scanned, ordered by digest: for scanning all again."""
        ...


class Judgements(Protocol[F]):
    """What judges found in the signatures or attestations of a digest, so that a pull only evaluates it.

    A memory and no authority: losing all of it costs time. The key names everything that a judgement rests
    on but the time, so nothing has to be invalidated.
    """

    def find(self, keys: Iterable[str], *, now: datetime) -> Mapping[str, tuple[F, ...]]:
        """The facts by key; not those of which one could have turned by ``now``, or was found after it."""
        ...

    def save(self, found: Mapping[str, tuple[F, ...]], *, now: datetime) -> None:
        """Keep facts by key, in place of those that were kept."""
        ...

    def forget_old(self, *, now: datetime) -> int:
        """Drop what time has ended, of whatever kind. Returns how many."""
        ...
