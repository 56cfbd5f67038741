"""Policies come into force whole or not at all, and the last good set survives everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.policy.scenes import policy, root, severe, tree
from trustgate.errors import PolicyInvalid, PolicySourceUnavailable, StorageUnavailable
from trustgate.flows.reload import Reload
from trustgate.ports import PolicyFiles

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
GOOD = tree(policy(severe()))
BETTER = tree(policy(severe(), name="better"))
BROKEN = tree(b"kind: [\n")


@dataclass
class Source:
    """A source that can be edited and broken."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    revision: str = ""
    down: bool = False
    fetches: int = 0

    def fetch(self, *, known: str) -> PolicyFiles | None:
        self.fetches += 1
        if self.down:
            raise PolicySourceUnavailable("the network is down", hint="wait")
        if known == self.revision:
            return None
        return PolicyFiles(self.revision, self.files, self.describe(), NOW)

    def describe(self) -> str:
        return "a simulator"

    def publish(self, revision: str, files: Mapping[str, bytes]) -> None:
        self.revision, self.files = revision, files


@dataclass
class History:
    kept: PolicyFiles | None = None
    accepted: int = 0
    down: bool = False

    def last_good(self) -> PolicyFiles | None:
        return self.kept

    def accept(self, files: PolicyFiles) -> None:
        if self.down:
            raise StorageUnavailable("the disk is gone")
        self.kept = files
        self.accepted += 1


def started(revision: str = "1", files: Mapping[str, bytes] = GOOD) -> tuple[Reload, Source, History]:
    source, history = Source(files, revision), History()
    reload = Reload(source, history)
    reload.start(NOW)
    return reload, source, history


def test_first_start() -> None:
    reload, _, history = started()
    assert reload.current is not None
    assert reload.current.revision == "1"
    assert history.kept is not None
    status = reload.status
    assert (status.desired_revision, status.loaded_revision, status.loaded_at) == ("1", "1", NOW)
    assert status.summary == "1 policy, 1 rule (1 enforced), 0 attestors"
    assert (status.origin, status.loaded_origin, status.last_fetch) == ("a simulator", "a simulator", NOW)
    assert not status.degraded


def test_a_newer_commit_comes_into_force() -> None:
    reload, source, history = started()
    before = reload.current
    assert not reload.run_once(LATER)
    assert reload.current is before
    source.publish("2", BETTER)
    assert reload.run_once(LATER)
    assert reload.current is not before
    assert (reload.status.loaded_revision, reload.status.loaded_at) == ("2", LATER)
    assert history.accepted == 2


def test_a_broken_commit_changes_nothing_and_is_told() -> None:
    reload, source, history = started()
    before = reload.current
    source.publish("2", BROKEN)
    assert not reload.run_once(LATER)
    assert reload.current is before
    assert history.accepted == 1
    status = reload.status
    assert (status.desired_revision, status.loaded_revision) == ("2", "1")
    assert status.last_error is not None
    assert status.last_error.problems[0].path == "policies/p0.yaml"
    assert status.last_error.at == LATER
    assert status.degraded


def test_a_broken_commit_stays_told_when_the_source_comes_and_goes() -> None:
    reload, source, _ = started()
    source.publish("2", BROKEN)
    reload.run_once(LATER)
    source.down = True
    reload.run_once(LATER)
    assert reload.status.last_error is not None
    assert reload.status.last_error.message == "the network is down"
    source.down = False
    reload.run_once(LATER)
    assert reload.status.last_error is not None
    assert reload.status.last_error.problems
    source.publish("1", GOOD)
    assert reload.run_once(LATER)
    assert not reload.status.degraded


def test_an_unreachable_source_is_told_and_forgiven() -> None:
    reload, source, _ = started()
    source.down = True
    assert not reload.run_once(LATER)
    assert reload.status.degraded
    assert reload.status.last_fetch == NOW
    source.down = False
    assert not reload.run_once(LATER)
    assert not reload.status.degraded
    assert reload.status.last_fetch == LATER


def test_nothing_is_in_force_that_is_not_kept() -> None:
    reload, source, history = started()
    before = reload.current
    source.publish("2", BETTER)
    history.down = True
    assert not reload.run_once(LATER)
    assert reload.current is before
    assert reload.status.last_error is not None
    history.down = False
    assert reload.run_once(LATER)
    assert not reload.status.degraded


@pytest.mark.parametrize("broken", [True, False])
def test_a_start_without_a_usable_source_serves_the_last_good_set(broken: bool) -> None:
    _, source, history = started()
    source.publish("2", BROKEN)
    source.down = not broken
    reload = Reload(source, history)
    assert reload.start(LATER).revision == "1"
    status = reload.status
    assert (status.loaded_revision, status.loaded_at) == ("1", NOW)
    assert status.last_error is not None
    assert bool(status.last_error.problems) is broken
    source.publish("3", BETTER)
    source.down = False
    assert reload.run_once(LATER)
    assert not reload.status.degraded


def test_a_restart_makes_nothing_stale() -> None:
    _, source, history = started()
    Reload(source, history).start(LATER)
    assert history.accepted == 1
    source.files = (
        BETTER  # the same revision with other content: a folder's or starter set's digest would differ
    )
    Reload(source, history).start(LATER)
    assert history.accepted == 2


@pytest.mark.parametrize(
    ("files", "down", "error"),
    [(BROKEN, False, PolicyInvalid), (GOOD, True, PolicySourceUnavailable), ({}, False, PolicyInvalid)],
)
def test_without_any_good_set_nothing_starts(
    files: Mapping[str, bytes], down: bool, error: type[Exception]
) -> None:
    reload = Reload(Source(files, "1", down), History())
    with pytest.raises(error):
        reload.start(NOW)
    assert reload.current is None


def test_a_source_that_delivers_nothing() -> None:
    with pytest.raises(PolicySourceUnavailable, match="delivered no policy"):
        Reload(Source({}, ""), History()).start(NOW)


def test_a_last_good_set_that_no_longer_loads() -> None:
    history = History(PolicyFiles("0", BROKEN, "old", NOW))
    with pytest.raises(PolicySourceUnavailable):
        Reload(Source(down=True), history).start(NOW)
    with pytest.raises(PolicyInvalid):
        Reload(Source({}, ""), history).start(NOW)
    served = Reload(Source({"trustgate.yaml": root()}, "1"), history)
    assert served.start(NOW).revision == "1"
