"""Log entries and timestamps beside signatures by a key: they prove a time, and may be asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests import signing_world
from tests import sigstore_world as world
from trustgate.errors import KeyUnreadable
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge
from trustgate.evidence.keys import key_trust
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.evidence.sigstore.trusted_root import read_trusted_root

SUBJECT = signing_world.image().manifest.digest
ALICE = signing_world.key()
MALLORY = signing_world.key(name="mallory")
DAY = timedelta(days=1)


def alice(edit: world.Edit = signing_world.unchanged, **more: Any) -> Attestor:
    root = read_trusted_root(world.instance().trusted_root(edit))
    return Attestor("alice", key_trust(signing_world.public_pem(ALICE), root=root, **more))


def made(key: Any = ALICE) -> world.Signature:
    return world.sign_statement(SUBJECT, key=key, holder=key.public_key())


def fact(raw: bytes, *attestors: Attestor) -> SignatureFact:
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    return judge(candidate, subject=SUBJECT, attestors=attestors or (alice(),), now=world.NOW)


@pytest.mark.parametrize(
    ("kind", "version"), [("dsse", "0.0.1"), ("hashedrekord", "0.0.1"), ("intoto", "0.0.2")]
)
def test_an_entry_of_rekor_1_proves_a_time(kind: str, version: str) -> None:
    one = made()
    found = fact(world.bundle_of(one, entries=[one.entry(kind, version)]), alice(min_logs=1))
    assert (found.outcome, found.reason) == (Outcome.VERIFIED, "verified by alice")
    assert (found.logs, found.timestamps, found.signed_at) == (1, 0, world.SIGNED)
    assert not found.unproven


def test_an_entry_of_rekor_2_proves_that_it_is_logged() -> None:
    one = made()
    raw = world.bundle_of(one, entries=[one.entry("hashedrekord", "0.0.2")])
    found = fact(raw, alice(min_logs=1))
    assert (found.outcome, found.logs, found.signed_at) == (Outcome.VERIFIED, 1, None)

    def ended(document: dict[str, Any]) -> None:
        document["tlogs"][1]["publicKey"]["validFor"]["end"] = "2026-03-02T00:00:00Z"

    assert fact(raw, alice(ended)).logs == 0
    assert fact(raw, alice(ended, min_logs=1)).outcome is Outcome.UNTRUSTED
    assert fact(raw, alice(ended)).valid_until is None

    def ending(document: dict[str, Any]) -> None:
        document["tlogs"][1]["publicKey"]["validFor"]["end"] = "2026-05-01T00:00:00Z"

    until = fact(raw, alice(ending)).valid_until
    assert until is not None
    assert until.isoformat() == "2026-05-01T00:00:00+00:00"
    stamped = world.bundle_of(one, entries=[one.entry("hashedrekord", "0.0.2")], stamps=[one.stamp()])
    assert fact(stamped, alice(ending)).valid_until is None
    assert fact(stamped, alice(ended, min_logs=1)).logs == 1


def test_a_timestamp_proves_a_time() -> None:
    one = made()
    raw = world.bundle_of(one, entries=[], stamps=[one.stamp()])
    found = fact(raw, alice(min_timestamps=1))
    assert (found.logs, found.timestamps, found.signed_at) == (0, 1, world.SIGNED)
    assert "0 of 1 needed transparency logs" in fact(raw, alice(min_logs=1)).reason


def test_what_is_asked_for_and_not_there() -> None:
    raw = world.bundle_of(made(), entries=[])
    assert fact(raw).outcome is Outcome.VERIFIED
    for more in ({"min_logs": 1}, {"min_timestamps": 1}):
        found = fact(raw, alice(**more))
        assert (found.outcome, found.signers) == (Outcome.UNTRUSTED, ())
        assert found.reason.startswith("signed by alice, but 0 of 1 needed")


def test_what_proves_nothing_does_not_count_and_does_no_harm() -> None:
    one, other = made(), made(MALLORY)
    for entry in (other.entry(), one.entry(signer=world.instance("two").rekor)):
        raw = world.bundle_of(one, entries=[entry], stamps=[other.stamp()])
        found = fact(raw)
        assert (found.outcome, found.logs, found.timestamps) == (Outcome.VERIFIED, 0, 0)
        assert fact(raw, alice(min_logs=1)).outcome is Outcome.UNTRUSTED


def test_who_has_no_trusted_root_leaves_them_unjudged() -> None:
    one = made()
    bare = signing_world.trusted(ALICE)
    found = fact(world.bundle_of(one, stamps=[one.stamp()]), bare)
    assert (found.logs, found.timestamps, found.unproven) == (0, 0, {"log", "timestamp"})
    assert fact(world.bundle_of(one, entries=[], stamps=[one.stamp()]), bare).unproven == {"timestamp"}
    assert not fact(world.bundle_of(one, stamps=[one.stamp()]), bare, alice()).unproven


def test_two_attestors_with_one_key_need_different_proofs() -> None:
    raw = world.bundle_of(made())
    strict = replace(alice(min_logs=2), name="strict")
    assert fact(raw, strict, alice()).attestors == ("alice",)


def test_nobody_is_helped_by_what_another_attestor_trusts() -> None:
    """Alice has no trusted root; that the same key has one elsewhere proves nothing under her name."""
    one = made()
    raw = world.bundle_of(one, stamps=[one.stamp()])
    other = replace(alice(), name="other")
    bare = signing_world.trusted(ALICE)
    for attestors in ((bare, other), (other, bare)):
        found = fact(raw, *attestors)
        assert set(found.attestors) == {bare.name, "other"}
        assert (found.logs, found.timestamps, found.signed_at) == (0, 0, None)


def test_a_promise_from_the_future_says_nothing_about_other_entries() -> None:
    """Else a log that is not trusted yet would count by it, and one whose time ends would never end."""
    one = made()
    late = one.entry(moment=world.NOW + 15 * DAY)
    raw = world.bundle_of(one, entries=[one.entry("hashedrekord", "0.0.2"), late])

    def window(**window: str) -> world.Edit:
        return lambda document: document["tlogs"][1]["publicKey"]["validFor"].update(window)

    begins = alice(window(start=f"{world.NOW + DAY:%Y-%m-%dT%H:%M:%SZ}"), min_logs=1)
    assert fact(raw, begins).outcome is Outcome.UNTRUSTED
    ends = world.NOW + DAY
    found = fact(raw, alice(window(end=f"{ends:%Y-%m-%dT%H:%M:%SZ}")))
    assert (found.logs, found.valid_until) == (1, ends)


def test_trust_ends_with_the_first_root_that_ends() -> None:
    one = made()
    raw = world.bundle_of(one, entries=[one.entry("hashedrekord", "0.0.2")])

    def ending(document: dict[str, Any]) -> None:
        document["tlogs"][1]["publicKey"]["validFor"]["end"] = "2026-05-01T00:00:00Z"

    endless, ends = alice(), replace(alice(ending), name="ends")
    assert fact(raw, endless).valid_until is None
    for attestors in ((endless, ends), (ends, endless)):
        assert fact(raw, *attestors).valid_until == fact(raw, ends).valid_until is not None


def layer(one: world.Signature, annotations: dict[str, str], *attestors: Attestor) -> SignatureFact:
    candidate = world.layer_of(SUBJECT, one, annotations)
    return judge(candidate, subject=SUBJECT, attestors=attestors or (alice(),), now=world.NOW)


def test_legacy_layers_too() -> None:
    one = world.sign_payload(SUBJECT, key=ALICE, holder=ALICE.public_key())
    found = layer(one, world.annotations_of(one, stamp=one.stamp()), alice(min_logs=1, min_timestamps=1))
    assert (found.outcome, found.logs, found.timestamps) == (Outcome.VERIFIED, 1, 1)
    for changes in ({"signature": b"x"}, {"signed": b"x"}, {"holder": MALLORY.public_key()}):
        wrong = world.annotations_of(one, **changes)
        assert layer(one, wrong).logs == 0
        assert layer(one, wrong, alice(min_logs=1)).outcome is Outcome.UNTRUSTED


def test_keys_in_an_entry_that_are_none() -> None:
    one = made()
    for text in (b"x", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        body = one.body("dsse", "0.0.1")
        body["spec"]["signatures"][0]["verifier"] = signing_world.b64(text)
        assert fact(world.bundle_of(one, entries=[one.sigstore.entry(body)])).logs == 0


def test_a_log_without_a_root_is_a_mistake_of_the_configuration() -> None:
    for more in ({"min_logs": 1}, {"min_timestamps": 1}):
        with pytest.raises(KeyUnreadable, match="trusted root"):
            key_trust(signing_world.public_pem(ALICE), **more)
