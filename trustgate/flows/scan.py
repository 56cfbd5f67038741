"""Scan jobs: lease one, run the scanners on local bytes, keep the report with the job's end.

A scan changes no verdict behind anyone's back: it adds a report, and the next pull is judged with it. A
scanner that fails leaves a report that says so; the last good one stays in force.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

from trustgate.errors import TrustgateError
from trustgate.evidence.model import Role
from trustgate.evidence.scan_report import ScanReport, ScanStatus
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Blobs, BlobStore, Clock, Job, Jobs, Manifests, NewJob, Reports
from trustgate.scanning import Blob, Scanner, ScannerError, ScanRequest

KIND: Final = "scan"
DEADLINE_S: Final = 600.0
LEASE_S: Final = 60.0
BEAT_S: Final = LEASE_S / 3
POLL_S: Final = 1.0
MAX_REPORT_BYTES: Final = 32 * 1024 * 1024
FIRST_RETRY: Final = timedelta(seconds=20)
RESCAN_PAGE: Final = 500
PASSING_KINDS: Final = frozenset({"timeout", "crash"})
"""Kinds of ``ScannerError`` after which a scan is tried again."""

log = logging.getLogger("trustgate.scan")


def scan_jobs_for(manifest: Manifest, role: Role, repository: RepositoryName) -> tuple[NewJob, ...]:
    """What a push has to enqueue: images are scanned; an index is its children's scans."""
    return (scan_job(repository, manifest.digest),) if role is Role.IMAGE else ()


def scan_job(repository: RepositoryName, digest: Digest) -> NewJob:
    """One digest, scanned with the bytes that one repository holds."""
    payload = {"repository": str(repository), "digest": str(digest)}
    return NewJob(KIND, payload, dedupe=f"{KIND}:{repository}:{digest}")


def scan_manifest(scanner: Scanner, request: ScanRequest) -> ScanReport:
    """Run one scanner; a failure becomes a report that says so."""
    return _attempt(scanner, request).report


@dataclass(frozen=True, slots=True)
class _Attempt:
    report: ScanReport
    may_pass: bool
    """It failed in a way that another attempt may not: time and crashes, not limits and broken input."""


def _attempt(scanner: Scanner, request: ScanRequest) -> _Attempt:
    """The top of a scan: an adapter is foreign code, and whatever it raises is evidence of a failed scan."""
    try:
        return _Attempt(scanner.scan(request), may_pass=False)
    except ScannerError as exc:
        log.warning("%s failed on %s: %s (%s)", scanner.name, request.manifest.digest, exc, exc.kind)
        return _Attempt(_failed(scanner, request, f"{exc.kind}: {exc}"), exc.kind in PASSING_KINDS)
    except Exception as exc:
        log.exception("%s failed on %s in a way that its page forbids", scanner.name, request.manifest.digest)
        return _Attempt(_failed(scanner, request, f"crash: {type(exc).__name__}"), may_pass=True)


class ScanFlow:
    """Runs scan jobs, one at a time a thread."""

    def __init__(
        self,
        *,
        manifests: Manifests,
        blobs: Blobs,
        blob_store: BlobStore,
        reports: Reports,
        jobs: Jobs,
        clock: Clock,
        scanners: Sequence[Scanner],
        observe: Callable[[str, str], None],
    ) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._blob_store = blob_store
        self._reports = reports
        self._jobs = jobs
        self._clock = clock
        self._scanners = tuple(scanners)
        self._observe = observe

    def run_next(self, owner: str) -> bool:
        """Run one job, if one is due."""
        job = self._jobs.claim(owner=owner, lease_s=LEASE_S, now=self._clock.now())
        if job is None:
            return False
        if job.kind != KIND:
            self._jobs.fail(job, f"nobody here runs {job.kind!r} jobs", retry_at=None, now=self._clock.now())
            return True
        with _Heart(self._jobs, job, self._clock) as heart:
            self._run(job, heart)
        return True

    def rescan_all(self) -> int:
        """Enqueue every image: for advisories that changed. Returns how many."""
        after, number = "", 0
        while page := self._reports.subjects(limit=RESCAN_PAGE, after=after):
            self._jobs.enqueue([scan_job(*subject) for subject in page], at=self._clock.now())
            after, number = page[-1][1], number + len(page)
        return number

    def rescan_stale(self) -> int:
        """Enqueue the images without a report of each scanner's advisories as they are now: what changed
        while nobody looked. Returns how many."""
        generations = {scanner.name: _generation(scanner) for scanner in self._scanners}
        after, number = "", 0
        while page := self._reports.subjects(limit=RESCAN_PAGE, after=after):
            stale = [subject for subject in page if self._is_stale(subject[1], generations)]
            self._jobs.enqueue([scan_job(*subject) for subject in stale], at=self._clock.now())
            after, number = page[-1][1], number + len(stale)
        return number

    def generations(self) -> tuple[str, ...]:
        """Which advisories the scanners use now."""
        return tuple(_generation(scanner) for scanner in self._scanners)

    def _is_stale(self, digest: Digest, generations: Mapping[str, str]) -> bool:
        reports = {report.scanner: report for report in self._reports.find(digest)}
        return any(
            name not in reports or _is_outdated(reports[name], generation)
            for name, generation in generations.items()
        )

    def _run(self, job: Job, heart: _Heart) -> None:
        try:
            request = self._request(job)
        except TrustgateError as exc:
            self._give_up(job, exc.message)
            return
        if request is None:
            self._jobs.finish(job, now=self._clock.now())  # deleted meanwhile: nothing to scan
            return
        attempts = [_attempt(scanner, request) for scanner in self._scanners]
        if heart.lost or not self._jobs.beat(job, lease_s=LEASE_S, now=self._clock.now()):
            return  # another worker has the job now: its report counts
        for attempt in attempts:
            self._observe(attempt.report.scanner, str(attempt.report.status))
        *others, final = attempts
        for attempt in others:
            self._reports.save(attempt.report, finishing=None)
        passing = [attempt for attempt in attempts if attempt.may_pass]
        if passing and job.attempt < job.max_attempts:
            self._reports.save(final.report, finishing=None)
            self._give_up(job, passing[0].report.reason)
        else:
            self._reports.save(final.report, finishing=job)

    def _give_up(self, job: Job, why: str) -> None:
        now = self._clock.now()
        retry_at = now + FIRST_RETRY * 2 ** (job.attempt - 1)
        self._jobs.fail(job, why, retry_at=retry_at, now=now)

    def _request(self, job: Job) -> ScanRequest | None:
        repository = RepositoryName(job.payload["repository"])
        stored = self._manifests.find(repository, Digest(job.payload["digest"]))
        if stored is None or not self._scanners:
            return None
        manifest = parse_manifest(
            stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm
        )
        if manifest.config is None:
            return None
        config = self._blob(repository, manifest.config)
        layers = tuple(self._blob(repository, layer) for layer in manifest.layers)
        return ScanRequest(
            repository=str(repository),
            manifest=manifest,
            config=config,
            layers=layers,
            now=self._clock.now(),
            deadline_s=DEADLINE_S,
            max_report_bytes=MAX_REPORT_BYTES,
        )

    def _blob(self, repository: RepositoryName, descriptor: Descriptor) -> Blob:
        """A layer that is held elsewhere (a foreign layer) has no path; the scanner then says partial."""
        found = self._blobs.find(repository, descriptor.digest)
        path = self._blob_store.path(found.key) if found else Path("/nonexistent")
        return Blob(descriptor.digest, descriptor.media_type, descriptor.size, path)


class _Heart:
    """Renews a job's lease while it runs, from a thread of its own: scanning must not stop the beat."""

    def __init__(self, jobs: Jobs, job: Job, clock: Clock) -> None:
        self._jobs = jobs
        self._job = job
        self._clock = clock
        self._stop = Event()
        self.lost = False
        """Someone else holds the job by now."""
        self._thread = Thread(target=self._beat, name=f"lease-of-job-{job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                if not self._jobs.beat(self._job, lease_s=LEASE_S, now=self._clock.now()):
                    self.lost = True
                    return
            except TrustgateError as exc:
                log.warning("the lease of job %s could not be renewed: %s", self._job.id, exc.message)


class Worker:
    """Runs scan jobs in a thread inside the server, and looks for advisories that changed."""

    def __init__(self, flow: ScanFlow, owner: str) -> None:
        self._flow = flow
        self._owner = owner
        self._stop = Event()
        self._woken = Event()
        self._thread = Thread(target=self._work, name="scan-worker", daemon=True)
        self._generations: tuple[str, ...] = ()

    def start(self) -> None:
        self._generations = self._flow.generations()
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Let the running job end; it is bounded, and taken up by the next start if this process dies."""
        self._stop.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _work(self) -> None:
        self._guarded(self._catch_up)
        while not self._stop.is_set():
            if not self._guarded(self._turn):
                self._woken.wait(POLL_S)
                self._woken.clear()

    def _guarded(self, step: Callable[[], bool]) -> bool:
        """The top of everything that this thread does: it must not die of one job."""
        try:
            return step()
        except TrustgateError as exc:
            log.error("scan worker: %s", exc.message)  # noqa: TRY400 - the message says it all
        except Exception:
            log.exception("a scan job failed in a way that nobody foresaw")
        return False

    def _turn(self) -> bool:
        busy = self._flow.run_next(self._owner)
        self._follow_advisories()
        return busy

    def _catch_up(self) -> bool:
        """Advisories may have been imported, and scanners enabled, while the server was down."""
        number = self._flow.rescan_stale()
        if number:
            log.info("%d images have no report of the present advisories: queued", number)
        return number > 0

    def _follow_advisories(self) -> None:
        now = self._flow.generations()
        if now != self._generations:
            self._generations = now
            log.info("advisories changed to %s: %d images queued", ", ".join(now), self._flow.rescan_all())


def _is_outdated(report: ScanReport, generation: str) -> bool:
    """A failed scan is worth another try; what a scanner does not read stays so with any advisories."""
    if report.status is ScanStatus.UNSUPPORTED:
        return False
    return report.status is ScanStatus.FAILED or report.database != generation


def _generation(scanner: Scanner) -> str:
    """Also of a scanner that is broken through and through."""
    try:
        return scanner.generation()
    except Exception as exc:  # noqa: BLE001 - foreign code, and asked every second: no trace each time
        log.warning("%s can't name its advisories: %s", scanner.name, type(exc).__name__)
        return ""


def _failed(scanner: Scanner, request: ScanRequest, reason: str) -> ScanReport:
    at: datetime = request.now
    return ScanReport(
        scanner=scanner.name,
        scanner_version=scanner.version,
        subject=request.manifest.digest,
        scanned_at=at,
        status=ScanStatus.FAILED,
        reason=reason[:500],
        database=_generation(scanner),
        database_at=None,
        os="",
        packages=(),
        findings=(),
        coverage=(),
    )
