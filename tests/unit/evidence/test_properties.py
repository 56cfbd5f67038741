"""Whatever the bytes are: no exception, no yes for changed bytes, no word about others."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import signing_world as world
from trustgate.evidence.bundle import NotUnderstood, read_bundle, read_json
from trustgate.evidence.cosign import judge, judge_all
from trustgate.evidence.dsse import Malformed, read_statement
from trustgate.evidence.model import Outcome, SignatureCandidate
from trustgate.evidence.printable import MAX_REASON_CHARACTERS
from trustgate.evidence.shape import role_of
from trustgate.evidence.simple_signing import read_simple_signing
from trustgate.oci.digest import Digest

SUBJECT = world.image().manifest
ALICE = world.key()
TRUSTED = [world.trusted(ALICE), world.trusted(world.key("ed25519"), "bob")]
BUNDLE = world.bundle(SUBJECT.digest, ALICE)
PAYLOAD = world.simple_signing(SUBJECT.digest)
GENUINE = world.legacy_candidate(SUBJECT.digest, ALICE)

few = settings(max_examples=150, deadline=None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def mutated(raw: bytes) -> st.SearchStrategy[bytes]:
    """``raw`` with some bytes replaced, cut out or put in."""
    edits = st.tuples(st.integers(0, len(raw)), st.integers(0, 3), st.binary(max_size=3))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        result = raw
        for at, length, new in changes:
            result = result[:at] + new + result[at + length :]
        return result

    return st.lists(edits, min_size=1, max_size=4).map(apply)


def legacy(payload: bytes) -> SignatureCandidate:
    """A payload under the genuine signature's annotation."""
    annotations = dict(GENUINE.annotations)
    return world.legacy_candidate(SUBJECT.digest, ALICE, payload=payload, annotations=annotations)


def outcome(candidate: SignatureCandidate) -> Outcome:
    fact = judge(candidate, subject=SUBJECT.digest, attestors=TRUSTED, now=world.NOW)
    assert fact.reason.isascii()
    assert fact.reason.isprintable()
    assert 0 < len(fact.reason) <= MAX_REASON_CHARACTERS
    return fact.outcome


def signed_part(raw: bytes) -> object:
    """What the signature covers; the rest of a bundle may change without changing what was signed."""
    envelope = json.loads(raw)["dsseEnvelope"]
    return envelope["payloadType"], base64.b64decode(envelope["payload"])


@few
@given(mutated(BUNDLE))
def test_a_changed_bundle_is_never_verified_with_other_content(raw: bytes) -> None:
    if outcome(world.bundle_candidate(SUBJECT.digest, raw)) is Outcome.VERIFIED:
        assert signed_part(raw) == signed_part(BUNDLE)


@few
@given(mutated(world.as_json(world.statement(SUBJECT.digest))))
def test_a_changed_statement_under_the_old_signature_is_never_verified(payload: bytes) -> None:
    raw = world.bundle(
        SUBJECT.digest, ALICE, edit=lambda d: d["dsseEnvelope"].update(payload=world.b64(payload))
    )
    unchanged = payload == world.as_json(world.statement(SUBJECT.digest))
    assert (outcome(world.bundle_candidate(SUBJECT.digest, raw)) is Outcome.VERIFIED) == unchanged


@few
@given(mutated(PAYLOAD))
def test_a_changed_payload_is_never_verified(payload: bytes) -> None:
    assert (outcome(legacy(payload)) is Outcome.VERIFIED) == (payload == PAYLOAD)


@few
@given(st.binary(max_size=200))
def test_a_changed_signature_is_never_verified(signature: bytes) -> None:
    edit = {"signatures": [{"sig": world.b64(signature)}]}
    raw = world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d["dsseEnvelope"].update(edit))
    assert outcome(world.bundle_candidate(SUBJECT.digest, raw)) is Outcome.BROKEN
    annotations = {world.SIGNATURE: world.b64(signature)}
    candidate = world.legacy_candidate(SUBJECT.digest, ALICE, annotations=annotations)
    assert outcome(candidate) in {Outcome.UNTRUSTED, Outcome.BROKEN}


@few
@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()) | mutated(BUNDLE))
def test_parsers_raise_nothing_of_their_own(raw: bytes) -> None:
    for parse in (read_json, read_bundle, read_statement, read_simple_signing):
        with suppress(Malformed, NotUnderstood):
            parse(raw)


@few
@given(st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope"]), json_values)
def test_any_value_in_any_place_of_a_bundle(key: str, value: object) -> None:
    raw = world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d.update({key: value}))
    assert outcome(world.bundle_candidate(SUBJECT.digest, raw)) is not Outcome.VERIFIED
    role_of(*_pushed(raw))


@few
@given(st.sampled_from(["payload", "payloadType", "signatures"]), json_values)
def test_any_value_in_any_place_of_an_envelope(key: str, value: object) -> None:
    raw = world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d["dsseEnvelope"].update({key: value}))
    assert outcome(world.bundle_candidate(SUBJECT.digest, raw)) is not Outcome.VERIFIED


@few
@given(st.sampled_from(["_type", "subject", "predicateType"]), json_values)
def test_any_value_in_any_place_of_a_signed_statement(key: str, value: object) -> None:
    raw = world.bundle(SUBJECT.digest, ALICE, edit_statement=lambda s: s.update({key: value}))
    assert outcome(world.bundle_candidate(SUBJECT.digest, raw)) is not Outcome.VERIFIED


@few
@given(st.sampled_from(["type", "image", "identity"]), json_values)
def test_any_value_in_any_place_of_a_signed_payload(key: str, value: object) -> None:
    payload = world.simple_signing(SUBJECT.digest, lambda d: d["critical"].update({key: value}))
    found = outcome(world.legacy_candidate(SUBJECT.digest, ALICE, payload=payload))
    assert found is not Outcome.VERIFIED or (key == "identity" and isinstance(value, dict))


@few
@given(
    st.lists(st.binary(max_size=60).map(lambda raw: world.bundle_candidate(SUBJECT.digest, raw)), max_size=6),
    st.integers(0, 6),
)
def test_foreign_candidates_change_nothing_for_others(foreign: list[SignatureCandidate], at: int) -> None:
    mine = [world.bundle_candidate(SUBJECT.digest, BUNDLE), GENUINE]
    crowd = [*foreign[:at], mine[0], *foreign[at:], mine[1]]
    facts = judge_all(crowd, subject=SUBJECT.digest, attestors=TRUSTED, now=world.NOW)
    alone = judge_all(mine, subject=SUBJECT.digest, attestors=TRUSTED, now=world.NOW)
    assert (facts[min(at, len(foreign))], facts[-1]) == alone
    assert [fact.outcome for fact in alone] == [Outcome.VERIFIED, Outcome.VERIFIED]


@few
@given(st.binary(min_size=1, max_size=20))
def test_a_signature_of_one_digest_is_none_of_another(content: bytes) -> None:
    other = Digest.of(content)
    for candidate in (world.bundle_candidate(other, BUNDLE), GENUINE):
        fact = judge(candidate, subject=other, attestors=TRUSTED, now=world.NOW)
        assert fact.outcome is Outcome.BROKEN


def _pushed(raw: bytes) -> tuple[world.Manifest, dict[Digest, bytes]]:
    made = world.bundle_manifest(SUBJECT.descriptor, raw)
    return made.manifest, made.blobs
