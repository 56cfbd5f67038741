"""No foreign bytes raise, and nothing but what was signed verifies."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import notation_world as world
from tests.notation_world import COSE, JWS
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation.certificates import code_signing_chain, load_certificate
from trustgate.evidence.notation.judge import revocation_questions
from trustgate.evidence.notation.refusal import Refused

GENUINE = {media_type: write(world.parts()) for media_type, write in world.WRITERS.items()}
LEAF = world.signer().certificate.public_bytes(world.Encoding.DER)
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(raw: bytes, media_type: str) -> Outcome:
    found = world.candidate(world.carrier(raw, media_type))
    bench = world.Bench()
    revocation_questions(found, subject=world.SUBJECT, attestors=bench.attestors(), now=world.NOW)
    return bench.judge(found).outcome


@pytest.mark.parametrize("media_type", [JWS, COSE])
@QUIET
@given(st.data())
def test_a_turned_envelope_is_not_verified(media_type: str, data: st.DataObject) -> None:
    """Cut, patched, filled: what is not signed may change only where it means nothing (the agent)."""
    genuine = GENUINE[media_type]
    at = data.draw(st.integers(0, len(genuine)))
    patch = data.draw(st.binary(max_size=4))
    cut = data.draw(st.integers(0, 4))
    turned = genuine[:at] + patch + genuine[at + cut :]
    agent = genuine.index(b"tests/1")
    if turned == genuine or agent - 2 <= at <= agent + 8 or (at + cut >= agent - 2 and at <= agent + 8):
        return
    if outcome(turned, media_type) is Outcome.VERIFIED:
        # JSON may be spaced and escaped otherwise, and unsigned headers nobody reads may be renamed
        assert media_type == JWS or _same_but_for_unread(turned)


def _same_but_for_unread(turned: bytes) -> bool:
    known: Any = cbor2.loads(GENUINE[COSE]).value
    found: Any = cbor2.loads(turned).value
    return (found[0], found[2], found[3], found[1][33]) == (known[0], known[2], known[3], known[1][33])


@pytest.mark.parametrize("media_type", [JWS, COSE])
@QUIET
@given(st.binary(max_size=400))
def test_garbage_is_broken(media_type: str, raw: bytes) -> None:
    assert outcome(raw, media_type) in {Outcome.BROKEN, Outcome.NOT_UNDERSTOOD}


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@QUIET
@given(st.sampled_from(["payload", "protected", "header", "signature"]), JSONS)
def test_any_member_of_a_jws(name: str, value: Any) -> None:
    raw = world.jws(world.parts(), lambda document: document.update({name: value}))
    assert outcome(raw, JWS) is not Outcome.VERIFIED


@QUIET
@given(
    st.sampled_from(["alg", "cty", "crit", world.SCHEME, world.TIME, world.EXPIRY, world.AUTHENTIC_TIME]),
    JSONS,
)
def test_any_signed_attribute(name: str, value: Any) -> None:
    made = world.parts()
    made.header[name] = value
    assert outcome(world.jws(made), JWS) is not Outcome.VERIFIED
    assert outcome(world.cose(made), COSE) is not Outcome.VERIFIED


@QUIET
@given(st.sampled_from(["mediaType", "digest", "size", "annotations", "platform", "x"]), JSONS)
def test_any_part_of_the_payload(name: str, value: Any) -> None:
    document = world.target()
    document["targetArtifact"][name] = value
    changed = {"mediaType", "digest", "size", "x"}
    found = outcome(world.jws(world.parts(payload=world.as_json(document))), JWS)
    assert name not in changed or found is not Outcome.VERIFIED


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(LEAF) - 1), st.binary(min_size=1, max_size=3))
def test_a_turned_certificate_is_broken(at: int, patch: bytes) -> None:
    turned = LEAF[:at] + patch + LEAF[at + len(patch) :]
    if turned == LEAF:
        return
    with pytest.raises(Refused):
        code_signing_chain([load_certificate(turned), *world.signer().issuers])
