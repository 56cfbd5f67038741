"""Distinct signers: no name and no identity counts twice, whatever patterns overlap."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import signing_world as world
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Signer
from trustgate.evidence.notary.trust import NotaryTrust
from trustgate.policy.checks.counting import distinct, identities

NOW = world.NOW


NAMES = ("a", "b", "c", "d")
MANY = tuple(Attestor(name, NotaryTrust(frozenset({"0" * 64}))) for name in NAMES)
"""Attestors that many identities can be."""


def by(name: str, identity: str) -> Signer:
    return Signer(name, f"tuf:{identity}")


pairs = st.frozensets(st.builds(by, st.sampled_from(NAMES), st.sampled_from("wxyz")), max_size=10)


@pytest.mark.parametrize(
    ("signed", "wanted"),
    [
        ([], 0),
        ([("a", "x"), ("a", "y")], 1),
        ([("a", "x"), ("b", "x")], 1),
        ([("a", "x"), ("b", "y")], 2),
        ([("a", "x"), ("a", "y"), ("b", "x")], 2),
        ([("b", "x"), ("a", "x"), ("a", "y"), ("c", "y")], 2),
        ([("a", "w"), ("a", "x"), ("b", "w"), ("b", "y"), ("c", "w")], 3),
        ([("e", "x")], 0),
    ],
)
def test_each_name_and_each_identity_counts_once(signed: list[tuple[str, str]], wanted: int) -> None:
    assert len(distinct(MANY, frozenset(by(*one) for one in signed), NOW)) == wanted


@given(pairs)
def test_it_is_the_largest_possible_number(signers: frozenset[Signer]) -> None:
    held = {(signer.attestor, signer.identity) for signer in signers}
    best = max(
        sum((name, f"tuf:{one}") in held for name, one in zip(NAMES, order, strict=True))
        for order in permutations("wxyz")
    )
    assert len(distinct(MANY, signers, NOW)) == best


def test_a_key_is_one_identity_and_counts_inside_its_time() -> None:
    alice = world.trusted(world.key(), not_after=NOW + timedelta(seconds=1))
    own, foreign = Signer("alice", alice.trust.identity), Signer("alice", "key:" + "0" * 64)
    both = frozenset({own, foreign})
    assert identities(alice, both, NOW) == {own.identity}
    assert identities(alice, both, NOW + timedelta(seconds=1)) == frozenset()
    assert identities(alice, frozenset({foreign}), NOW) == frozenset()
