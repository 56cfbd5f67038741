"""Whose signature counts, when, and for how many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import signing_world as world
from tests.unit.evidence.test_judge_bundle import ALICE, SUBJECT, TRUSTED, material, outcome, verdict
from trustgate.evidence.cosign import judge, judge_all
from trustgate.evidence.model import Outcome


def test_an_unknown_signer_is_untrusted_and_nobody_trusted_verifies_nothing() -> None:
    raw = world.bundle(SUBJECT, world.key(name="mallory"))
    assert outcome(raw) == (Outcome.UNTRUSTED, "signed by a key that the trust store does not name")
    fact = judge(world.bundle_candidate(SUBJECT, raw), subject=SUBJECT, attestors=(), now=world.NOW)
    assert fact.outcome is Outcome.UNTRUSTED


def test_a_hint_that_names_a_trusted_key_and_lies_is_broken() -> None:
    raw = world.bundle(
        SUBJECT, world.key(name="mallory"), edit=material(publicKey={"hint": world.hint(ALICE)})
    )
    assert outcome(raw) == (Outcome.BROKEN, "it names the key of alice, and that key does not verify it")


@pytest.mark.parametrize("public_key", [{}, {"hint": ""}, {"hint": "wrong"}])
def test_the_hint_is_only_a_hint(public_key: dict[str, str]) -> None:
    assert outcome(world.bundle(SUBJECT, ALICE, edit=material(publicKey=public_key)))[0] is Outcome.VERIFIED


def test_two_names_for_one_key_are_one_identity() -> None:
    candidate = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, ALICE))
    fact = verdict(
        candidate, world.trusted(ALICE, "a"), world.trusted(world.key("p384"), "b"), world.trusted(ALICE, "c")
    )
    assert (fact.attestors, fact.identities) == (("a", "c"), (TRUSTED[0].trust.identity,))


def test_many_names_give_a_short_reason() -> None:
    candidate = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, ALICE))
    fact = verdict(candidate, *(world.trusted(ALICE, f"attestor-{n}") for n in range(100)))
    assert len(fact.attestors) == 100
    assert fact.reason == "verified by attestor-0, attestor-1, attestor-2, attestor-3 and 96 more"


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        ({"not_before": world.NOW}, Outcome.VERIFIED),
        ({"not_before": world.NOW + SECOND}, Outcome.UNTRUSTED),
        ({"not_after": world.NOW + SECOND}, Outcome.VERIFIED),
        ({"not_after": world.NOW}, Outcome.UNTRUSTED),
        ({"not_before": world.NOW - SECOND, "not_after": world.NOW + SECOND}, Outcome.VERIFIED),
    ],
)
def test_a_key_counts_inside_its_time_only(window: dict[str, Any], wanted: Outcome) -> None:
    candidate = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, ALICE))
    fact = verdict(candidate, world.trusted(ALICE, **window))
    assert fact.outcome is wanted
    assert (fact.identities == ()) == (wanted is Outcome.UNTRUSTED) == ("outside the time" in fact.reason)


def test_of_two_names_for_one_key_only_the_one_inside_its_time_counts() -> None:
    candidate = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, ALICE))
    fact = verdict(
        candidate, world.trusted(ALICE, "left", not_after=world.NOW), world.trusted(ALICE, "stayed")
    )
    assert (fact.outcome, fact.attestors, fact.reason) == (
        Outcome.VERIFIED,
        ("stayed",),
        "verified by stayed",
    )


def test_candidates_stand_each_for_itself() -> None:
    good = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, ALICE))
    bad = world.bundle_candidate(SUBJECT, b"junk")
    foreign = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, world.key(name="mallory")))
    facts = judge_all([bad, foreign, good, bad], subject=SUBJECT, attestors=TRUSTED, now=world.NOW)
    assert [fact.outcome for fact in facts] == [
        Outcome.BROKEN,
        Outcome.UNTRUSTED,
        Outcome.VERIFIED,
        Outcome.BROKEN,
    ]
    assert judge_all([], subject=SUBJECT, attestors=TRUSTED, now=world.NOW) == ()
