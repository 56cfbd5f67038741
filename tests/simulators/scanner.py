"""A scanner that can be broken, and the flow that runs it on a real store."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clocks import SetClock
from trustgate.evidence.scan_report import ScanStatus
from trustgate.flows.scan import ScanFlow
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.scanning import ScanContext, Scanner, ScanReport, ScanRequest
from trustgate.store.opening import Store


class BreakableScanner(Scanner):
    """Answers with ``status``, unless ``failure`` is set; ``during`` happens while it scans."""

    version = "1"

    def __init__(self, name: str = "sim") -> None:
        super().__init__(ScanContext(Path(), Path()))
        self.name = name
        self.status = ScanStatus.OK
        self.failure: Exception | None = None
        self.advisories = "g1"
        self.about: Digest | None = None
        self.during: Callable[[], object] = lambda: None
        self.asked: list[ScanRequest] = []

    def _scan(self, request: ScanRequest) -> ScanReport:
        self.asked.append(request)
        self.during()
        if self.failure is not None:
            raise self.failure
        return ScanReport(
            scanner=self.name,
            scanner_version=self.version,
            subject=self.about or request.manifest.digest,
            scanned_at=request.now,
            status=self.status,
            reason="" if self.status is ScanStatus.OK else "so it is",
            database=self.advisories,
            database_at=None,
            os="",
            packages=(),
            findings=(),
            coverage=(),
        )

    def generation(self) -> str:
        if not self.advisories:
            raise RuntimeError("the advisories are gone")
        return self.advisories


def flow_of(
    store: Store,
    clock: SetClock,
    *scanners: Scanner,
    observed: list[tuple[str, str]] | None = None,
    kind: type[ScanFlow] = ScanFlow,
) -> ScanFlow:
    seen = observed if observed is not None else []
    return kind(
        manifests=store.manifests,
        blobs=store.blobs,
        blob_store=store.blob_store,
        reports=store.reports,
        jobs=store.jobs,
        clock=clock,
        scanners=scanners,
        observe=lambda name, status: seen.append((name, status)),
    )


def state(store: Store) -> dict[str, int]:
    return {state: number for (_kind, state), number in store.jobs.counts().items()}


def status_of(store: Store, manifest: Manifest) -> list[tuple[ScanStatus, str]]:
    return [(report.status, report.reason) for report in store.reports.find(manifest.digest)]


def run_until_idle(flow: ScanFlow, clock: SetClock) -> int:
    """Every attempt, with time passing in between."""
    number = 0
    for _ in range(50):
        number += flow.run_next("worker")
        clock.advance(400)
    return number


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen in five seconds")
