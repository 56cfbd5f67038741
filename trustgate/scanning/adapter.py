"""What an adapter is given, what it returns and what it raises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, final

from trustgate.evidence.scan_report import ScanReport
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest

MAX_REPORT_FINDINGS: Final = 50_000


class ScannerError(Exception):
    """The scanner did not deliver; ``kind`` is one of ``timeout``, ``limit``, ``crash``, ``input``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Blob:
    """Content of the artifact on local disk: read it, never write or move it."""

    digest: Digest
    media_type: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One image manifest (never an index: each child is asked for by itself) and its blobs in order."""

    repository: str
    manifest: Manifest
    config: Blob
    layers: tuple[Blob, ...]
    now: datetime
    deadline_s: float
    max_report_bytes: int


@dataclass(frozen=True, slots=True)
class ScanContext:
    """What an adapter is made with: a folder of its own that lasts, and one that does not."""

    data_directory: Path
    temporary_directory: Path


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The advisories that a scanner holds: records per source, and how old they are."""

    generation: str
    updated_at: datetime | None
    records: dict[str, int]
    """Source or ecosystem to number of advisories."""
    known_exploited: int


class Scanner(ABC):
    """A scanner adapter. ``name`` is its entry point's name."""

    name: str
    version: str

    def __init__(self, context: ScanContext) -> None:
        self.context = context

    @final
    def scan(self, request: ScanRequest) -> ScanReport:
        """Scan, and hold the adapter to its page: the report is about the manifest that was asked for.

        Raises ``ScannerError`` only.
        """
        report = self._scan(request)
        if report.subject != request.manifest.digest:
            raise ScannerError("crash", f"{self.name} reported on {report.subject}, not on what was asked")
        if len(report.findings) > MAX_REPORT_FINDINGS:
            raise ScannerError("limit", f"{self.name} reported more than {MAX_REPORT_FINDINGS} findings")
        return report

    @abstractmethod
    def _scan(self, request: ScanRequest) -> ScanReport:
        """Read the blobs and return a report; raise ``ScannerError`` for anything else."""

    @abstractmethod
    def generation(self) -> str:
        """Names the advisories in use; when it changes, stored reports are out of date."""


class UpdatableScanner(Scanner):
    """A scanner whose advisories are imported by ``trustgate db import``."""

    @abstractmethod
    def import_advisories(
        self,
        sources: Sequence[Path],
        *,
        progress: Callable[[str, int], None],
        now: datetime,
        allow_shrink: bool = False,
    ) -> DatabaseStatus:
        """Read OSV zips and KEV catalogues into a new generation, then swap it in whole.

        ``progress`` is called with (what is read, records so far). Raises ``ScannerError("input")``
        with the file and the reason; the old generation then stays. A new generation that loses more
        than a fifth of an ecosystem's records is refused unless ``allow_shrink``.
        """

    @abstractmethod
    def database_status(self) -> DatabaseStatus | None:
        """What is loaded, or ``None`` when nothing was ever imported."""


ScannerFactory = Callable[[ScanContext], Scanner]


def names_of(scanners: Iterable[Scanner]) -> str:
    """For messages: ``embedded, trivy``."""
    return ", ".join(scanner.name for scanner in scanners) or "none"
