"""Records of decisions go when their time is over, the oldest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.clocks import SetClock
from tests.unit.flows.test_told import refused
from tests.unit.policy.scenes import NOW
from trustgate.flows.keeping import Keeping
from trustgate.ports import DecisionRecord
from trustgate.store.opening import Store

DAY = timedelta(days=1)


def record(days_ago: int) -> DecisionRecord:
    made = refused().record
    return replace(made, verdict=replace(made.verdict, at=NOW - days_ago * DAY))


def test_those_from_before_a_moment_so_many_at_once(store: Store) -> None:
    records = [record(days) for days in (3, 2, 1, 0)]
    store.decisions.save(records)

    def left() -> list[bool]:
        return [store.decisions.find(one.id) is not None for one in records]

    assert store.decisions.forget(before=NOW - DAY, limit=1) == 1
    assert left() == [False, True, True, True]
    assert store.decisions.forget(before=NOW - DAY, limit=10) == 1
    assert left() == [False, False, True, True]
    assert store.decisions.forget(before=NOW - DAY, limit=10) == 0


def test_a_round_of_housekeeping_keeps_them_as_long_as_was_said(store: Store) -> None:
    clock = SetClock()
    keeping = Keeping(
        uploads=store.uploads,
        blobs=store.blobs,
        blob_store=store.blob_store,
        judgements=store.judgements,
        decisions=store.decisions,
        keep_decisions=2 * DAY,
        clock=clock,
    )
    made = refused().record
    kept = replace(made, verdict=replace(made.verdict, at=clock.now()))
    store.decisions.save([kept])
    clock.advance(2 * 24 * 3600)
    keeping.round()
    assert store.decisions.find(kept.id) is not None
    clock.advance(1)
    keeping.round()
    assert store.decisions.find(kept.id) is None
