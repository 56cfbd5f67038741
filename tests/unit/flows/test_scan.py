"""Scan jobs: what a scanner does never stops the queue, and never makes a bad answer look like a good one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.clocks import SetClock
from tests.data_folders import begun
from tests.simulators.scanner import BreakableScanner, flow_of, run_until_idle, state, status_of, until
from tests.unit.store.test_records import add_blob, image, push
from trustgate.errors import StorageUnavailable
from trustgate.evidence.model import Role
from trustgate.flows import scan as scan_module
from trustgate.flows.scan import LEASE_S, ScanFlow, Worker, scan_jobs_for
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.oci.names import RepositoryName
from trustgate.ports import NewJob
from trustgate.scanning import ScannerError, ScanStatus
from trustgate.store.jobs import MAX_ATTEMPTS
from trustgate.store.opening import Store, open_store

REPO = RepositoryName("shop/web")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    opened = open_store(begun(tmp_path / "data"), clock)
    yield opened
    opened.close()


@pytest.fixture
def scanner() -> BreakableScanner:
    return BreakableScanner()


@pytest.fixture
def observed() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def flow(
    store: Store, clock: SetClock, scanner: BreakableScanner, observed: list[tuple[str, str]]
) -> ScanFlow:
    return flow_of(store, clock, scanner, observed=observed)


@pytest.fixture
def pushed(store: Store) -> Manifest:
    """An image, and the job that its push brings."""
    add_blob(store, b"layer")
    add_blob(store, b"{}")
    manifest = image(b"layer")
    push(store, manifest, "1", jobs=scan_jobs_for(manifest, Role.IMAGE, REPO))
    return manifest


# --- a job -----------------------------------------------------------------------------------------


def test_a_push_is_scanned_once(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest, observed: list[tuple[str, str]]
) -> None:
    assert flow.run_next("worker") is True
    assert flow.run_next("worker") is False
    assert status_of(store, pushed) == [(ScanStatus.OK, "")]
    assert (state(store), observed) == ({"done": 1}, [("sim", "ok")])
    (request,) = scanner.asked
    assert (request.repository, request.manifest.raw) == (REPO, pushed.raw)
    assert [blob.path.read_bytes() for blob in (request.config, *request.layers)] == [b"{}", b"layer"]


def test_only_images_are_scanned(pushed: Manifest) -> None:
    for role in set(Role) - {Role.IMAGE}:
        assert scan_jobs_for(pushed, role, REPO) == ()


@pytest.mark.parametrize("kind", ["timeout", "crash"])
def test_what_may_pass_is_tried_again_ever_later(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest, clock: SetClock, kind: str
) -> None:
    scanner.failure = ScannerError(kind, "no luck")
    for wait in (20, 40, 80, 160):
        assert flow.run_next("worker") is True
        assert status_of(store, pushed) == [(ScanStatus.FAILED, f"{kind}: no luck")]
        clock.advance(wait - 1)
        assert flow.run_next("worker") is False
        clock.advance(1)
    scanner.failure = None
    assert flow.run_next("worker") is True
    assert (status_of(store, pushed), state(store)) == ([(ScanStatus.OK, "")], {"done": 1})


@pytest.mark.parametrize(("kind", "attempts"), [("crash", MAX_ATTEMPTS), ("limit", 1), ("input", 1)])
def test_the_attempts_end_at_once_when_time_can_not_help(
    flow: ScanFlow,
    store: Store,
    scanner: BreakableScanner,
    pushed: Manifest,
    clock: SetClock,
    kind: str,
    attempts: int,
) -> None:
    scanner.failure = ScannerError(kind, "always")
    assert run_until_idle(flow, clock) == attempts
    assert status_of(store, pushed) == [(ScanStatus.FAILED, f"{kind}: always")]
    assert not {"ready", "running"} & set(state(store))


@pytest.mark.parametrize("failure", [RuntimeError("secret"), MemoryError(), RecursionError(), KeyError(1)])
def test_a_scanner_that_breaks_its_rules(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest, failure: Exception
) -> None:
    scanner.failure = failure
    assert flow.run_next("worker") is True
    assert status_of(store, pushed) == [(ScanStatus.FAILED, f"crash: {type(failure).__name__}")]


def test_a_report_about_something_else_is_no_report(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest
) -> None:
    scanner.about = Digest.of(b"something else")
    flow.run_next("worker")
    ((status, reason),) = status_of(store, pushed)
    assert (status, "not on what was asked" in reason) == (ScanStatus.FAILED, True)
    assert store.reports.find(scanner.about) == ()


def test_a_scanner_that_can_not_even_name_its_advisories(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest
) -> None:
    scanner.failure, scanner.advisories = ScannerError("crash", "gone"), ""
    assert flow.run_next("worker") is True
    assert status_of(store, pushed) == [(ScanStatus.FAILED, "crash: gone")]
    assert flow.generations() == ("",)


@pytest.mark.parametrize("status", [ScanStatus.OK, ScanStatus.PARTIAL, ScanStatus.UNSUPPORTED])
def test_the_last_good_report_stays_in_force(
    flow: ScanFlow,
    store: Store,
    scanner: BreakableScanner,
    pushed: Manifest,
    clock: SetClock,
    status: ScanStatus,
) -> None:
    scanner.status = status
    flow.run_next("worker")
    before = store.reports.find(pushed.digest)
    scanner.failure = ScannerError("crash", "now it fails")
    assert flow.rescan_all() == 1
    assert run_until_idle(flow, clock) == MAX_ATTEMPTS
    assert store.reports.find(pushed.digest) == before


def test_two_scanners_fail_apart(store: Store, clock: SetClock, pushed: Manifest) -> None:
    good, bad = BreakableScanner("good"), BreakableScanner("bad")
    bad.failure = ScannerError("timeout", "slow")
    for scanners in ((good, bad), (bad, good)):
        flow = flow_of(store, clock, *scanners)
        flow.rescan_all()
        assert flow.run_next("worker") is True
        reports = {report.scanner: report.status for report in store.reports.find(pushed.digest)}
        assert reports == {"good": ScanStatus.OK, "bad": ScanStatus.FAILED}
        assert state(store)["ready"] >= 1
        run_until_idle(flow, clock)


def test_an_image_that_is_gone_ends_its_job(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest
) -> None:
    store.manifests.delete(REPO, pushed.digest, revision=store.manifests.revision(REPO))
    assert flow.run_next("worker") is True
    assert (state(store), scanner.asked) == ({"done": 1}, [])


def test_without_scanners_there_is_no_report(store: Store, clock: SetClock, pushed: Manifest) -> None:
    assert flow_of(store, clock).run_next("worker") is True
    assert (status_of(store, pushed), state(store)) == ([], {"done": 1})


def test_jobs_of_another_kind_fail_and_do_not_block(
    flow: ScanFlow, store: Store, pushed: Manifest, clock: SetClock
) -> None:
    store.jobs.enqueue([NewJob("dance", {}, "d")], at=clock.now())
    assert run_until_idle(flow, clock) == 2
    assert store.jobs.counts() == {("dance", "failed"): 1, ("scan", "done"): 1}


def test_a_senseless_payload_ends_in_failure(flow: ScanFlow, store: Store, clock: SetClock) -> None:
    store.jobs.enqueue([NewJob("scan", {"repository": "../x", "digest": "x"}, "d")], at=clock.now())
    assert run_until_idle(flow, clock) == MAX_ATTEMPTS
    assert state(store) == {"failed": 1}


# --- leases ----------------------------------------------------------------------------------------


def test_a_lost_lease_keeps_nothing(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest, clock: SetClock
) -> None:
    other = BreakableScanner()
    other.advisories = "newer"

    def overtake() -> None:
        clock.advance(LEASE_S + 1)
        assert flow_of(store, clock, other).run_next("another") is True

    scanner.during = overtake
    assert flow.run_next("worker") is True
    assert [report.database for report in store.reports.find(pushed.digest)] == ["newer"]
    assert state(store) == {"done": 1}


def test_a_lost_lease_keeps_nothing_of_any_scanner(store: Store, clock: SetClock, pushed: Manifest) -> None:
    first, last = BreakableScanner("first"), BreakableScanner("last")
    first.advisories = last.advisories = "stale"
    fresh = BreakableScanner("first")

    def overtake() -> None:
        last.during = lambda: None
        clock.advance(LEASE_S + 1)
        assert flow_of(store, clock, fresh).run_next("another") is True

    last.during = overtake
    flow_of(store, clock, first, last).run_next("worker")
    assert [(r.scanner, r.database) for r in store.reports.find(pushed.digest)] == [("first", "g1")]


def test_the_heart_beats_while_a_scan_lasts(
    flow: ScanFlow,
    store: Store,
    scanner: BreakableScanner,
    pushed: Manifest,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan_module, "BEAT_S", 0.02)

    def last_long() -> None:
        for _ in range(4):
            clock.advance(LEASE_S * 0.6)
            time.sleep(0.15)
        assert store.jobs.claim(owner="another", lease_s=LEASE_S, now=clock.now()) is None

    scanner.during = last_long
    assert flow.run_next("worker") is True
    assert (len(scanner.asked), state(store)) == (1, {"done": 1})


def test_a_worker_that_died_is_replaced(
    flow: ScanFlow, store: Store, pushed: Manifest, clock: SetClock
) -> None:
    assert store.jobs.claim(owner="dead", lease_s=LEASE_S, now=clock.now()) is not None
    assert flow.run_next("worker") is False
    clock.advance(LEASE_S + 1)
    assert flow.run_next("worker") is True
    assert status_of(store, pushed) == [(ScanStatus.OK, "")]


# --- advisories that change ------------------------------------------------------------------------


def test_only_what_is_stale_is_scanned_again(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest, clock: SetClock
) -> None:
    run_until_idle(flow, clock)
    assert flow.rescan_stale() == 0
    scanner.advisories = "g2"
    assert flow.rescan_stale() == 1
    run_until_idle(flow, clock)
    assert [report.database for report in store.reports.find(pushed.digest)] == ["g2"]
    assert flow.rescan_stale() == 0


@pytest.mark.parametrize(("status", "again"), [("failed", 1), ("unsupported", 0), ("partial", 0), ("ok", 0)])
def test_which_reports_are_worth_another_try(
    flow: ScanFlow, scanner: BreakableScanner, pushed: Manifest, clock: SetClock, status: str, again: int
) -> None:
    if status == "failed":
        scanner.failure = ScannerError("limit", "x")
    scanner.status = ScanStatus(status)
    run_until_idle(flow, clock)
    assert flow.rescan_stale() == again


def test_a_new_scanner_makes_everything_stale(
    flow: ScanFlow, store: Store, scanner: BreakableScanner, pushed: Manifest, clock: SetClock
) -> None:
    run_until_idle(flow, clock)
    both = flow_of(store, clock, scanner, BreakableScanner("second"))
    assert both.rescan_stale() == 1
    run_until_idle(both, clock)
    assert (both.rescan_stale(), len(store.reports.find(pushed.digest))) == (0, 2)


def test_every_page_is_rescanned_and_waiting_twins_are_one(
    flow: ScanFlow,
    store: Store,
    pushed: Manifest,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan_module, "RESCAN_PAGE", 2)
    manifests = [image(b"layer", config=b'{"n": %d}' % number) for number in range(5)]
    for number, manifest in enumerate(manifests):
        add_blob(store, b'{"n": %d}' % number)
        push(store, manifest)
    run_until_idle(flow, clock)
    assert (flow.rescan_all(), flow.rescan_all()) == (6, 6)
    assert state(store) == {"done": 1, "ready": 6}
    run_until_idle(flow, clock)
    assert all(store.reports.find(manifest.digest) for manifest in manifests)


# --- the worker ------------------------------------------------------------------------------------


@pytest.fixture
def worker(flow: ScanFlow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(scan_module, "POLL_S", 0.02)
    made = Worker(flow, "worker")
    yield made
    made.stop()


def test_the_worker_scans_what_is_pushed_and_what_changes(
    worker: Worker, store: Store, scanner: BreakableScanner, pushed: Manifest
) -> None:
    worker.start()
    until(lambda: status_of(store, pushed) == [(ScanStatus.OK, "")])
    scanner.advisories = "g2"
    worker.wake()
    until(lambda: [report.database for report in store.reports.find(pushed.digest)] == ["g2"])


def test_the_worker_catches_up_with_what_changed_while_it_was_away(
    worker: Worker, store: Store, pushed: Manifest, clock: SetClock
) -> None:
    away = BreakableScanner()
    away.advisories = "g0"
    run_until_idle(flow_of(store, clock, away), clock)
    worker.start()
    until(lambda: [report.database for report in store.reports.find(pushed.digest)] == ["g1"])


@pytest.mark.parametrize(
    "failure", [StorageUnavailable("the disk is gone", hint="wait"), RuntimeError("a bug")]
)
def test_the_worker_survives(
    store: Store,
    clock: SetClock,
    scanner: BreakableScanner,
    pushed: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    monkeypatch.setattr(scan_module, "POLL_S", 0.02)
    broken = Event()

    class Failing(ScanFlow):
        """The machine below fails three times."""

        failures = 3

        def run_next(self, owner: str) -> bool:
            if self.failures:
                self.failures -= 1
                broken.set()
                raise failure
            return super().run_next(owner)

    worker = Worker(flow_of(store, clock, scanner, kind=Failing), "worker")
    with caplog.at_level(logging.ERROR):
        worker.start()
        until(lambda: status_of(store, pushed) == [(ScanStatus.OK, "")])
    worker.stop()
    assert broken.is_set()
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


def test_the_worker_starts_with_a_scanner_that_is_broken(
    worker: Worker, store: Store, scanner: BreakableScanner, pushed: Manifest
) -> None:
    scanner.advisories, scanner.failure = "", RuntimeError("broken")
    worker.start()
    until(lambda: status_of(store, pushed) == [(ScanStatus.FAILED, "crash: RuntimeError")])
