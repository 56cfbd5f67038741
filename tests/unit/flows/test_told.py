"""What was told a moment ago is told again, and only then."""

from __future__ import annotations

from dataclasses import replace

from tests.clocks import SetClock
from tests.unit.policy.scenes import NOW, pull
from trustgate.flows.decision_ids import new_decision_id
from trustgate.flows.told import MAX_TOLD, TOLD_FOR_S, Told
from trustgate.flows.verdict_cache import Judged
from trustgate.policy.model import Request
from trustgate.policy.signature_tags import refusal
from trustgate.ports import DecisionRecord


def refused(why: str = "why", request: Request | None = None) -> Judged:
    verdict = refusal(request or pull(), "not-a-signature", why, policy_revision="r", now=NOW)
    return Judged(DecisionRecord(new_decision_id(NOW), verdict, evidence=(), cached=False, duration_ms=0.0))


def test_the_same_for_the_same_reasons_for_a_while() -> None:
    clock = SetClock()
    told = Told(clock)
    first = refused()
    assert told.same(first) is first
    clock.advance(TOLD_FOR_S - 1)
    assert told.same(refused()) is first
    other = refused("another reason")
    assert told.same(other) is other
    elsewhere = refused(request=replace(pull(), tag=None))
    assert told.same(elsewhere) is elsewhere
    clock.advance(1)
    later = refused()
    assert told.same(later) is later


def test_it_is_bounded() -> None:
    told = Told(SetClock())
    first = refused("0")
    told.same(first)
    for number in range(1, MAX_TOLD + 1):
        told.same(refused(str(number)))
    assert told.same(refused("0")) is not first
