"""Whatever is done to keyless evidence: no exception, no yes for other content, no yes by leaving out.

One exception is the client specification's own (its "hybrid" time rule): every proven time must lie inside
the certificate's life, so a genuine timestamp from afterwards refuses what would pass without it.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import signing_world
from tests import sigstore_world as world
from tests.unit.evidence.test_properties import json_values, mutated
from trustgate.evidence.attestation import judge_attestation
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.bundle import NotUnderstood, read_bundle
from trustgate.evidence.cosign import judge
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.keys import key_trust
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.evidence.sigstore.artifact import artifact_of, verify_artifact
from trustgate.evidence.sigstore.certificate import identity_of, read_certificate
from trustgate.evidence.sigstore.pattern import exact
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trust import keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root

SUBJECT = signing_world.image().manifest.digest
OTHER = signing_world.image(b"another").manifest.digest


def by_different_operators(document: dict[str, Any]) -> None:
    for number, log in enumerate(document["tlogs"]):
        log["operator"] = f"operator {number}"


RAW_ROOT = world.instance().trusted_root(by_different_operators)
ROOT = read_trusted_root(RAW_ROOT)
TRUST = keyless_trust(ROOT, issuer=exact(world.ISSUER), identity=exact(world.SUBJECT))
CI = Attestor("ci", TRUST)
ALONE = Attestor("ci", replace(TRUST, second_judge=False))
ALICE = signing_world.key()
KEY = Attestor("alice", key_trust(signing_world.public_pem(ALICE), root=ROOT, min_logs=1))
MADE = world.sign_statement(SUBJECT)
BOTH = world.bundle_of(
    MADE, entries=[MADE.entry(), MADE.entry("hashedrekord", "0.0.2")], stamps=[MADE.stamp()]
)
ONE = world.bundle_of(MADE)
PAYLOAD = world.sign_payload(SUBJECT)
ANNOTATIONS = world.annotations_of(PAYLOAD, stamp=PAYLOAD.stamp())

few = settings(max_examples=120, deadline=None)
some = settings(max_examples=40, deadline=None)
Path = tuple[Any, ...]


def fact(raw: bytes, *attestors: Attestor) -> SignatureFact:
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    return judge(candidate, subject=SUBJECT, attestors=attestors or (CI, KEY), now=world.NOW)


def verified(raw: bytes, *attestors: Attestor) -> bool:
    return fact(raw, *attestors).outcome is Outcome.VERIFIED


def signed_part(raw: bytes) -> object:
    document = json.loads(raw)
    envelope = document["dsseEnvelope"]
    return (
        envelope["payloadType"],
        base64.b64decode(envelope["payload"]),
        envelope["signatures"][0]["sig"],
        document["verificationMaterial"]["certificate"],
    )


@few
@given(mutated(BOTH))
def test_a_changed_bundle_is_never_verified_with_other_content(raw: bytes) -> None:
    if verified(raw):
        assert signed_part(raw) == signed_part(BOTH)


@few
@given(mutated(BOTH) | st.binary(max_size=300))
def test_nothing_else_is_raised(raw: bytes) -> None:
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    judge_attestation(candidate, subject=SUBJECT, attestors=[CI, KEY], now=world.NOW)
    try:
        read_bundle(raw)
        verify_artifact(raw, artifact_of(b"x"), TRUST, now=world.NOW)
    except (Malformed, NotUnderstood):
        return


@few
@given(mutated(RAW_ROOT))
def test_a_changed_root_is_read_or_refused(raw: bytes) -> None:
    try:
        read_trusted_root(raw)
    except Refusal:
        return


CERTIFICATE = world.der(MADE.holder)


@few
@given(mutated(CERTIFICATE))
def test_a_changed_certificate_is_read_or_refused(raw: bytes) -> None:
    try:
        identity_of(read_certificate(raw))
    except Refusal:
        return


@few
@given(st.sampled_from(sorted(ANNOTATIONS)), st.text(max_size=60) | json_values.map(json.dumps))
def test_any_text_in_any_annotation(name: str, value: str) -> None:
    candidate = world.layer_of(SUBJECT, PAYLOAD, {**ANNOTATIONS, name: value})
    found = judge(candidate, subject=SUBJECT, attestors=[CI], now=world.NOW)
    unneeded = name.endswith(("chain", "rfc3161timestamp"))
    assert found.outcome is not Outcome.VERIFIED or unneeded


# --- leaving out, and putting in, at every place -------------------------------------------------


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, found in list(inner):
        yield (*at, key)
        if isinstance(found, dict | list):
            yield from places(found, (*at, key))


def without(raw: bytes, place: Path) -> bytes:
    document = json.loads(raw)
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    del holder[place[-1]]
    return signing_world.as_json(document)


def replaced(raw: bytes, place: Path, value: Any) -> bytes:
    document = json.loads(raw)
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return signing_world.as_json(document)


def test_the_good_bundles_are_good() -> None:
    assert (fact(BOTH).logs, fact(BOTH).timestamps) == (2, 1)
    assert verified(ONE)


def test_leaving_out_proves_less_and_never_more() -> None:
    for raw in (BOTH, ONE):
        whole = fact(raw)
        for place in places(json.loads(raw)):
            found = fact(without(raw, place))
            assert found.logs <= whole.logs
            assert found.timestamps <= whole.timestamps
            assert set(found.signers) <= set(whole.signers)


def objects(raw: bytes) -> list[Path]:
    document = json.loads(raw)
    holders = {place[:-1] for place in places(document) if isinstance(place[-1], str)}
    return sorted(holders, key=str)


BARE = world.bundle_of(world.sign_statement(SUBJECT, key=ALICE, holder=ALICE.public_key()))


@pytest.mark.parametrize("raw", [BOTH, BARE], ids=["by certificate", "by key"])
def test_a_field_that_no_format_names_is_refused_in_every_object(raw: bytes) -> None:
    """A second spelling of one, for example: another reader could take that."""
    assert verified(raw)
    for place in objects(raw):
        found = fact(replaced(raw, (*place, "log_index"), "7"))
        assert found.outcome is Outcome.BROKEN, place
        assert "two judges" not in found.reason, place


BAD: dict[str, bytes] = {
    "no certificate transparency": world.bundle_of(world.sign_statement(SUBJECT, sct=False)),
    "by another log of certificates": world.bundle_of(
        world.sign_statement(SUBJECT, sct_key=ec.generate_private_key(ec.SECP256R1()))
    ),
    "by someone else": world.bundle_of(world.sign_statement(SUBJECT, issuer="https://other.test")),
    "by another instance": world.bundle_of(world.sign_statement(SUBJECT, sigstore=world.instance("two"))),
    "expired": world.bundle_of(MADE, entries=[MADE.entry(moment=world.SIGNED + timedelta(hours=1))]),
    "not yet": world.bundle_of(MADE, entries=[MADE.entry(moment=world.SIGNED - timedelta(hours=1))]),
    "of another image": world.bundle_of(world.sign_statement(OTHER)),
    "an attestation": world.bundle_of(
        world.sign_statement(SUBJECT, edit_statement=lambda said: said.update(predicateType="x"))
    ),
    "an entry of another signature": world.bundle_of(
        MADE, entries=[MADE.sigstore.entry(MADE.body(signature=b"x"))]
    ),
    "an entry of another certificate": world.bundle_of(
        MADE, entries=[MADE.sigstore.entry(MADE.body(holder=world.sign_statement(SUBJECT).holder))]
    ),
    "an entry of other content": world.bundle_of(
        MADE, entries=[MADE.sigstore.entry(MADE.body(payload=b"x"))]
    ),
    "a promise by another log": world.bundle_of(
        MADE, entries=[MADE.entry(signer=world.instance("two").rekor)]
    ),
    "a promise of another time": world.bundle_of(
        MADE, entries=[MADE.entry(edit=lambda entry: entry.update(integratedTime="1"))]
    ),
    "no promise": world.bundle_of(MADE, entries=[MADE.entry(promise=False)], stamps=[MADE.stamp()]),
    "no time": world.bundle_of(MADE, entries=[MADE.entry("hashedrekord", "0.0.2")]),
    "a timestamp of something else": world.bundle_of(
        MADE, entries=[MADE.entry("hashedrekord", "0.0.2")], stamps=[MADE.stamp(over=b"x")]
    ),
    "no entry": world.bundle_of(MADE, entries=[], stamps=[MADE.stamp()]),
    "for stamping": world.bundle_of(world.sign_statement(SUBJECT, purposes=())),
    "an authority's": world.bundle_of(world.sign_statement(SUBJECT, authority=True)),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_leaving_any_one_thing_out_never_turns_a_no_into_a_yes(name: str) -> None:
    raw = BAD[name]
    assert not verified(raw)
    for place in places(json.loads(raw)):
        assert not verified(without(raw, place)), place


@pytest.mark.parametrize("name", sorted(BAD))
def test_nor_does_a_trusted_root_with_one_fewer(name: str) -> None:
    document = json.loads(RAW_ROOT)
    for part in ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"):
        for number in range(len(document[part])):
            fewer = copy.deepcopy(document)
            del fewer[part][number]
            root = read_trusted_root(signing_world.as_json(fewer))
            trust = keyless_trust(root, issuer=exact(world.ISSUER), identity=exact(world.SUBJECT))
            assert not verified(BAD[name], Attestor("ci", trust))


@some
@given(st.data())
def test_any_value_at_any_place_is_an_outcome(data: st.DataObject) -> None:
    document = json.loads(BOTH)
    place = data.draw(st.sampled_from(list(places(document))))
    raw = replaced(BOTH, place, data.draw(json_values))
    if verified(raw):
        assert signed_part(raw) == signed_part(BOTH)


@pytest.mark.parametrize("value", [None, True, 7, "", "x", "AAAA", [], [7], {}, {"x": 7}], ids=repr)
def test_a_value_of_each_kind_at_every_place_is_an_outcome(value: Any) -> None:
    """In the bundle, and in the bodies that its log entries hold."""
    for place in places(json.loads(BOTH)):
        judged(replaced(BOTH, place, value))
    for entry in json.loads(BOTH)["verificationMaterial"]["tlogEntries"]:
        body = base64.b64decode(entry["canonicalizedBody"])
        for place in places(json.loads(body)):
            changed = {**entry, "canonicalizedBody": signing_world.b64(replaced(body, place, value))}
            judged(replaced(BOTH, ("verificationMaterial", "tlogEntries"), [changed]))


def judged(raw: bytes) -> None:
    if verified(raw):
        assert signed_part(raw) == signed_part(BOTH)


def part(document: Any, place: Path) -> Any:
    for step in place:
        document = document[step]
    return document


def test_parts_of_two_good_bundles_are_no_third() -> None:
    """A stranger's part in place of the signer's own: no signature, or one with fewer proofs."""
    stranger = world.sign_statement(SUBJECT, issuer="https://other.test")
    other = json.loads(
        world.bundle_of(
            stranger,
            entries=[stranger.entry(), stranger.entry("hashedrekord", "0.0.2")],
            stamps=[stranger.stamp()],
        )
    )
    own = json.loads(BOTH)
    for place in places(other):
        found = fact(replaced(BOTH, place, part(other, place)), ALONE, KEY)
        if part(other, place) != part(own, place):
            assert (found.logs, found.timestamps) != (2, 1), place
