"""By whom each file is that a client publishes: the pinned root, the roles that count, the time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import signing_world
from tests.unit.evidence.notary import scene as sc
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, SignatureKind
from trustgate.evidence.notary.arriving import judge_published
from trustgate.evidence.notary.canonical import Malformed
from trustgate.oci.digest import Digest

ALL = ("root", "targets", "targets/releases")


def standing() -> sc.Scene:
    """With a second delegation, of bob."""
    made = sc.scene()
    bob = sc.signer("bob")
    delegations = [sc.delegation("targets/releases", sc.signer("alice")), sc.delegation("targets/bob", bob)]
    made.documents["targets"] = sc.targets_document({}, delegations, version=2, expires=sc.LATER)
    made.documents["targets/bob"] = sc.targets_document({}, [], version=1, expires=sc.LATER)
    made.signers["targets/bob"] = [bob]
    return made


def published(*attestors: Attestor, roles: tuple[str, ...] = ALL, gun: str = sc.GUN) -> list[tuple[str, str]]:
    """The outcome of each file, and in whose name."""
    built = standing().build()
    facts = judge_published(built, roles, gun=gun, attestors=attestors, now=sc.NOW)
    assert {one.kind for one in facts} == {SignatureKind.NOTARY_V1}
    assert [one.evidence for one in facts] == [
        Digest.of(built.roots[-1] if role == "root" else built.targets[role]) for role in roles
    ]
    return [(str(one.outcome), ", ".join(one.attestors)) for one in facts]


VERIFIED, FOREIGN = ("verified", "release"), ("untrusted", "")


def test_everything_below_the_pinned_root() -> None:
    assert published(sc.attestor(), roles=(*ALL, "targets/bob")) == [VERIFIED] * 4
    assert published(sc.attestor(given=sc.trust(sc.root("another")))) == [FOREIGN] * 3
    assert published(sc.attestor(given=sc.trust(gun="elsewhere/*"))) == [FOREIGN] * 3
    assert published(signing_world.trusted(signing_world.key())) == [FOREIGN] * 3
    assert published(sc.attestor("one"), sc.attestor("two"))[0] == ("verified", "one, two")


def test_named_delegations_and_what_delegates_to_them() -> None:
    releases = sc.attestor(given=sc.trust(roles=["targets/releases"]))
    assert published(releases, roles=(*ALL, "targets/bob")) == [VERIFIED] * 3 + [FOREIGN]
    bob = sc.attestor("bob", given=sc.trust(roles=["targets/bob"]))
    assert published(releases, bob, roles=(*ALL, "targets/bob"))[2:] == [VERIFIED, ("verified", "bob")]


def test_nothing_delegates_to_it() -> None:
    made = standing()
    made.documents["targets"] = sc.targets_document({}, [], version=2, expires=sc.LATER)
    built = made.build()
    (fact,) = judge_published(built, ("targets/bob",), gun=sc.GUN, attestors=[sc.attestor()], now=sc.NOW)
    assert (fact.outcome, "nothing delegates to it" in fact.reason) == (Outcome.UNTRUSTED, True)


def test_outside_the_time_of_the_attestor() -> None:
    for window in ({"not_after": sc.NOW}, {"not_before": sc.NOW + timedelta(days=1)}):
        assert published(sc.attestor(**window)) == [FOREIGN] * 3


@pytest.mark.parametrize("role", ["targets", "targets/releases", "snapshot", "timestamp"])
def test_a_set_that_does_not_open_is_nobodys_and_not_a_strangers(role: str) -> None:
    made = standing()
    made.swapped[role] = lambda raw: raw.replace(b'"version":', b'"Version":', 1)
    with pytest.raises(Malformed):
        judge_published(made.build(), ALL, gun=sc.GUN, attestors=[sc.attestor()], now=sc.NOW)


def test_an_expired_set_is_nobodys() -> None:
    with pytest.raises(Malformed):
        judge_published(standing().build(), ALL, gun=sc.GUN, attestors=[sc.attestor()], now=sc.LATER)
