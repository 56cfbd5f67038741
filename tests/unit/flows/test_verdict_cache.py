"""What is kept of a verdict, for how long, and under what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.clocks import SetClock
from tests.conformance.server import open_policies
from trustgate.flows.decision_ids import new_decision_id
from trustgate.flows.verdict_cache import MAX_AGE_S, CacheKey, Judged, VerdictCache
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Action, Caller, Request, Verdict, VerdictKind
from trustgate.ports import DecisionRecord, Revisions

KEY = CacheKey(Action.PULL, RepositoryName("shop/web"), Digest.of(b"x"), Tag("1"), Caller("prod"))
VECTOR = Revisions(policy=1, accounts=1, repository=1)
POLICIES = open_policies()


def judged(clock: SetClock, *, valid_until: datetime | None = None) -> Judged:
    request = Request(KEY.action, KEY.repository, KEY.digest, KEY.caller, KEY.tag)
    verdict = Verdict(VerdictKind.ALLOW, request, "r", (), clock.now(), valid_until, cacheable=True)
    return Judged(DecisionRecord(new_decision_id(clock.now()), verdict, (), cached=False, duration_ms=0.0))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def cache(clock: SetClock) -> VerdictCache:
    return VerdictCache(clock, max_entries=3)


def test_the_same_question_under_the_same_facts(cache: VerdictCache, clock: SetClock) -> None:
    kept = judged(clock)
    cache.put(KEY, VECTOR, POLICIES, kept)
    assert cache.get(KEY, VECTOR, POLICIES) is kept


@pytest.mark.parametrize("name", ["policy", "accounts", "repository"])
def test_any_revision_ends_it_for_good(cache: VerdictCache, clock: SetClock, name: str) -> None:
    cache.put(KEY, VECTOR, POLICIES, judged(clock))
    assert cache.get(KEY, replace(VECTOR, **{name: 2}), POLICIES) is None
    assert cache.get(KEY, VECTOR, POLICIES) is None


def test_another_policy_set_ends_it_whatever_its_revision(cache: VerdictCache, clock: SetClock) -> None:
    cache.put(KEY, VECTOR, POLICIES, judged(clock))
    assert cache.get(KEY, VECTOR, open_policies()) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, action=Action.MOUNT),
        replace(KEY, repository=RepositoryName("shop/other")),
        replace(KEY, digest=Digest.of(b"y")),
        replace(KEY, tag=None),
        replace(KEY, caller=Caller("other")),
    ],
)
def test_every_part_of_the_question_counts(cache: VerdictCache, clock: SetClock, other: CacheKey) -> None:
    cache.put(KEY, VECTOR, POLICIES, judged(clock))
    assert cache.get(other, VECTOR, POLICIES) is None


def test_nothing_is_kept_longer_than_the_bound(cache: VerdictCache, clock: SetClock) -> None:
    cache.put(KEY, VECTOR, POLICIES, judged(clock))
    clock.advance(MAX_AGE_S)
    assert cache.get(KEY, VECTOR, POLICIES) is not None
    clock.advance(1)
    assert cache.get(KEY, VECTOR, POLICIES) is None


def test_it_ends_at_its_own_moment_and_not_after(cache: VerdictCache, clock: SetClock) -> None:
    until = clock.now() + timedelta(seconds=10)
    cache.put(KEY, VECTOR, POLICIES, judged(clock, valid_until=until))
    clock.advance(9.9)
    assert cache.get(KEY, VECTOR, POLICIES) is not None
    clock.advance(0.1)
    assert cache.get(KEY, VECTOR, POLICIES) is None


def test_a_clock_that_was_set_back_ends_it(cache: VerdictCache, clock: SetClock) -> None:
    """It would otherwise live longer than the rule that it rests on."""
    until = clock.now() + timedelta(seconds=10)
    cache.put(KEY, VECTOR, POLICIES, judged(clock, valid_until=until))
    clock.set_back(1)
    assert cache.get(KEY, VECTOR, POLICIES) is None


def test_the_least_used_goes_first(cache: VerdictCache, clock: SetClock) -> None:
    keys = [replace(KEY, tag=Tag(str(number))) for number in range(4)]
    for key in keys[:3]:
        cache.put(key, VECTOR, POLICIES, judged(clock))
    assert cache.get(keys[0], VECTOR, POLICIES) is not None
    cache.put(keys[3], VECTOR, POLICIES, judged(clock))
    assert [cache.get(key, VECTOR, POLICIES) is not None for key in keys] == [True, False, True, True]
