"""Attestations: what is said, by whom, about what; and that none of it is a signature."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import signing_world
from tests import sigstore_world as world
from trustgate.evidence.attestation import (
    MAX_ATTESTATION_BYTES,
    MAX_ATTESTATION_LAYERS,
    AttestationFact,
    attestation_candidates,
    judge_attestation,
    judge_attestations,
)
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge
from trustgate.evidence.keys import key_trust
from trustgate.evidence.model import Outcome, SignatureCandidate, SignatureKind, Signer
from trustgate.evidence.sigstore.pattern import exact
from trustgate.evidence.sigstore.trust import keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor

SUBJECT = signing_world.image().manifest.digest
OTHER = signing_world.image(b"another").manifest.digest
SLSA = "https://slsa.dev/provenance/v1"
ALICE = signing_world.key()
ROOT = read_trusted_root(world.instance().trusted_root())
KEY = Attestor("alice", key_trust(signing_world.public_pem(ALICE), root=ROOT))
CI = Attestor("ci", keyless_trust(ROOT, issuer=exact(world.ISSUER), identity=exact(world.SUBJECT)))


def provenance(said: dict[str, Any]) -> None:
    said.update(predicateType=SLSA, predicate={"buildType": "make"})


def made(edit: world.Edit = signing_world.unchanged, **more: Any) -> world.Signature:
    def both(said: dict[str, Any]) -> None:
        provenance(said)
        edit(said)

    return world.sign_statement(SUBJECT, edit_statement=both, **more)


def by_key(edit: world.Edit = signing_world.unchanged) -> world.Signature:
    return made(edit, key=ALICE, holder=ALICE.public_key())


def envelope(one: world.Signature, edit: world.Edit = signing_world.unchanged) -> bytes:
    document = {
        "payloadType": signing_world.IN_TOTO,
        "payload": signing_world.b64(one.payload),
        "signatures": [{"keyid": "", "sig": signing_world.b64(one.signature)}],
    }
    edit(document)
    return json.dumps(document).encode()


def layer(raw: bytes, annotations: dict[str, str] | None = None, **changes: Any) -> SignatureCandidate:
    found = {
        "kind": SignatureKind.COSIGN_LEGACY,
        "evidence": signing_world.EVIDENCE,
        "layer": Descriptor(media.DSSE_ENVELOPE, Digest.of(raw), len(raw)),
        "payload": raw,
        "annotations": {"dev.cosignproject.cosign/signature": "", **(annotations or {})},
    }
    return SignatureCandidate(**{**found, **changes})


def logged(one: world.Signature, raw: bytes, kind: str = "dsse", **more: Any) -> SignatureCandidate:
    return layer(raw, world.annotations_of(one, kind, envelope=raw, **more))


def judged(candidate: SignatureCandidate | bytes, *attestors: Attestor) -> AttestationFact:
    if isinstance(candidate, bytes):
        candidate = signing_world.bundle_candidate(SUBJECT, candidate)
    return judge_attestation(candidate, subject=SUBJECT, attestors=attestors or (KEY, CI), now=world.NOW)


def refused(candidate: SignatureCandidate | bytes, outcome: Outcome, word: str) -> None:
    found = judged(candidate)
    assert (found.outcome, word in found.reason) == (outcome, True), found.reason
    assert found.signers == ()


# --- what is good --------------------------------------------------------------------------------


def test_a_bundle_by_certificate() -> None:
    found = judged(world.bundle_of(made()))
    assert (found.outcome, found.predicate_type, found.predicate) == (
        Outcome.VERIFIED,
        SLSA,
        {"buildType": "make"},
    )
    assert found.signers == (Signer("ci", f"keyless:{world.ISSUER} {world.SUBJECT}"),)
    assert (found.logs, found.signed_at) == (1, world.SIGNED)


def test_a_bundle_by_key() -> None:
    one = by_key()
    found = judged(world.bundle_of(one, entries=[], stamps=[one.stamp()]))
    assert (found.outcome, found.timestamps, found.logs) == (Outcome.VERIFIED, 1, 0)


def test_a_layer_by_key() -> None:
    found = judged(layer(envelope(by_key())))
    assert (found.outcome, found.predicate_type) == (Outcome.VERIFIED, SLSA)
    assert found.content == Digest.of(envelope(by_key())) or found.content.startswith("sha256:")


@pytest.mark.parametrize(("kind", "version"), [("dsse", "0.0.1"), ("intoto", "0.0.1"), ("intoto", "0.0.2")])
def test_a_layer_with_a_promise(kind: str, version: str) -> None:
    one = made()
    found = judged(logged(one, envelope(one), kind, version=version))
    assert (found.outcome, found.logs, found.signed_at) == (Outcome.VERIFIED, 1, world.SIGNED)


def test_the_timestamp_of_a_layer_is_over_its_envelope() -> None:
    one = made()
    raw = envelope(one)
    assert judged(logged(one, raw, stamp=one.stamp(over=raw))).timestamps == 1
    assert judged(logged(one, raw, stamp=one.stamp())).timestamps == 0


def test_both_versions_of_statements_and_many_subjects() -> None:
    def older(said: dict[str, Any]) -> None:
        said["_type"] = "https://in-toto.io/Statement/v0.1"
        said["subject"] = [
            {"name": "other", "digest": {"sha256": OTHER.hex}},
            {"name": "this", "digest": {"sha256": SUBJECT.hex, "sha1": "00"}},
        ]

    assert judged(world.bundle_of(made(older))).outcome is Outcome.VERIFIED


# --- what is not ---------------------------------------------------------------------------------


def test_an_attestation_is_no_signature_and_a_signature_attests_nothing() -> None:
    attested = signing_world.bundle_candidate(SUBJECT, world.bundle_of(made()))
    fact = judge(attested, subject=SUBJECT, attestors=[CI], now=world.NOW)
    assert (fact.outcome, fact.signers) == (Outcome.NOT_UNDERSTOOD, ())
    refused(world.bundle_of(world.sign_statement(SUBJECT)), Outcome.NOT_UNDERSTOOD, "it is a signature")


@pytest.mark.parametrize(
    ("edit", "outcome", "word"),
    [
        (
            lambda s: s.update(_type="https://in-toto.io/Statement/v2"),
            Outcome.NOT_UNDERSTOOD,
            "statement type",
        ),
        (lambda s: s.update(predicateType=""), Outcome.BROKEN, "no predicateType"),
        (lambda s: s.update(predicateType="a\nb"), Outcome.BROKEN, "printable"),
        (lambda s: s.update(predicateType="x" * 600), Outcome.BROKEN, "printable"),
        (lambda s: s.update(predicateType="https://exämple.test"), Outcome.BROKEN, "printable"),
        (lambda s: s.update(subject=[]), Outcome.BROKEN, "subjects"),
        (lambda s: s.update(subject=s["subject"] * 1025), Outcome.BROKEN, "subjects"),
        (lambda s: s.update(subject="x"), Outcome.BROKEN, "subjects"),
        (lambda s: s.update(subject=[7]), Outcome.BROKEN, "not an object"),
        (lambda s: s.update(subject=[{"digest": 7}]), Outcome.BROKEN, "not an object"),
        (lambda s: s.update(subject=[{"digest": {"sha256": OTHER.hex}}]), Outcome.BROKEN, "not about"),
        (lambda s: s.update(subject=[{"digest": {"sha512": SUBJECT.hex}}]), Outcome.BROKEN, "not about"),
    ],
)
def test_the_statement(edit: world.Edit, outcome: Outcome, word: str) -> None:
    refused(world.bundle_of(made(edit)), outcome, word)
    refused(layer(envelope(by_key(edit))), outcome, word)


def test_by_a_stranger_it_says_nothing_that_counts() -> None:
    foreign = made(sigstore=world.instance("two"))
    found = judged(world.bundle_of(foreign))
    assert (found.outcome, found.signers) == (Outcome.BROKEN, ())
    mallory = signing_world.key(name="mallory")
    one = made(key=mallory, holder=mallory.public_key())
    assert judged(layer(envelope(one))).outcome is Outcome.UNTRUSTED


@pytest.mark.parametrize(
    "changes",
    [{"signature": b"x"}, {"payload": b"x"}, {"holder": signing_world.key(name="m").public_key()}],
)
def test_an_entry_of_something_else(changes: dict[str, Any]) -> None:
    one = made()
    raw = envelope(one)
    refused(layer(raw, world.annotations_of(one, "dsse", envelope=raw, **changes)), Outcome.BROKEN, "entry")


@pytest.mark.parametrize(("kind", "version"), [("dsse", "0.0.1"), ("intoto", "0.0.1"), ("intoto", "0.0.2")])
def test_an_entry_of_another_envelope(kind: str, version: str) -> None:
    one = made()
    annotations = world.annotations_of(one, kind, version=version, envelope=b"another")
    refused(layer(envelope(one), annotations), Outcome.BROKEN, "other content")


@pytest.mark.parametrize(("kind", "version"), [("dsse", "0.0.1"), ("intoto", "0.0.1"), ("intoto", "0.0.2")])
def test_an_entry_of_another_holder(kind: str, version: str) -> None:
    one = made()
    raw = envelope(one)
    stranger = signing_world.key(name="mallory").public_key()
    annotations = world.annotations_of(one, kind, version=version, envelope=raw, holder=stranger)
    refused(layer(raw, annotations), Outcome.BROKEN, "another certificate")


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda e: e.update(payloadType="text/plain"), "payload type"),
        (lambda e: e["signatures"].append(e["signatures"][0]), "exactly one signature"),
        (lambda e: e.update(signatures=[]), "exactly one signature"),
        (lambda e: e.update(payload="*"), "base64"),
        (lambda e: e.update(x=1), "does not name"),
    ],
)
def test_the_envelope(edit: world.Edit, word: str) -> None:
    refused(layer(envelope(by_key(), edit)), Outcome.BROKEN, word)


def test_the_layer() -> None:
    raw = envelope(by_key())
    other = Descriptor(media.COSIGN_SIMPLE_SIGNING, Digest.of(raw), len(raw))
    refused(layer(raw, layer=other), Outcome.BROKEN, "no DSSE envelope")
    refused(layer(raw, payload=raw + b" "), Outcome.BROKEN, "its layer says")
    refused(layer(b"{"), Outcome.BROKEN, "not JSON")
    refused(layer(raw.replace(b'"payload"', b'"Payload": "", "payload"')), Outcome.BROKEN, "twice")
    huge = b" " * (MAX_ATTESTATION_BYTES + 1)
    refused(layer(huge), Outcome.BROKEN, "at most")


def test_duplicate_keys_in_the_predicate() -> None:
    payload = json.dumps(signing_world.statement(SUBJECT)).replace(
        '"predicate": {}', '"predicate": {"passed": false, "passed": true}'
    )
    payload = payload.replace(signing_world.SIGN_PREDICATE, SLSA)
    refused(world.bundle_of(made(payload=payload.encode())), Outcome.BROKEN, "twice")


def test_a_manifest_of_several_layers_and_candidates_in_order() -> None:
    good, bad = envelope(by_key()), b"{}"
    artifact = signing_world.image()
    artifact.document["layers"] = [
        artifact.add(media.DSSE_ENVELOPE, good),
        artifact.add(media.DSSE_ENVELOPE, bad),
        artifact.add("text/plain", b"x"),
    ]
    candidates = attestation_candidates(artifact.manifest, artifact.blobs)
    facts = judge_attestations(candidates, subject=SUBJECT, attestors=[KEY], now=world.NOW)
    assert [fact.outcome for fact in facts] == [Outcome.VERIFIED, Outcome.BROKEN]
    assert [fact.content for fact in facts] == [Digest.of(good), Digest.of(bad)]
    assert attestation_candidates(artifact.manifest, {}) == ()
    artifact.document["layers"] = artifact.document["layers"][:1] * (MAX_ATTESTATION_LAYERS + 1)
    assert len(attestation_candidates(artifact.manifest, artifact.blobs)) == MAX_ATTESTATION_LAYERS


# --- for counting --------------------------------------------------------------------------------


def test_a_statement_that_is_wrapped_anew_is_the_same_statement() -> None:
    one = by_key()
    bundle = world.bundle_of(one, entries=[], stamps=[])
    wrapped = json.dumps(json.loads(bundle), indent=1).encode()
    facts = [judged(bundle), judged(wrapped), judged(layer(envelope(one)))]
    assert {fact.outcome for fact in facts} == {Outcome.VERIFIED}
    assert len({fact.content for fact in facts}) == 3
    assert {fact.statement for fact in facts} == {Digest.of(one.payload)}
    assert facts[0].attestors == ("alice",)

    def other(said: dict[str, Any]) -> None:
        said["predicate"] = {"buildType": "ninja"}

    assert judged(layer(envelope(by_key(other)))).statement != facts[0].statement


def test_a_log_entry_that_nobody_can_verify_is_told() -> None:
    blind = Attestor("alice", key_trust(signing_world.public_pem(ALICE)))
    one = by_key()
    found = judged(signing_world.bundle_candidate(SUBJECT, world.bundle_of(one)), blind)
    assert (found.outcome, found.logs, "log" in found.unproven) == (Outcome.VERIFIED, 0, True)


def test_what_is_written_is_known_of_what_does_not_count() -> None:
    signature = judged(world.bundle_of(world.sign_statement(SUBJECT)))
    assert (signature.is_signature, signature.outcome) == (True, Outcome.NOT_UNDERSTOOD)
    assert not judged(world.bundle_of(made())).is_signature

    def elsewhere(said: dict[str, Any]) -> None:
        said["subject"] = [{"name": "other", "digest": {"sha256": OTHER.hex}}]

    broken = judged(world.bundle_of(made(elsewhere)))
    assert (broken.outcome, broken.predicate_type, broken.signers) == (Outcome.BROKEN, SLSA, ())
    named_badly = judged(world.bundle_of(made(lambda said: said.update(predicateType="x" * 513))))
    assert (named_badly.outcome, named_badly.predicate_type) == (Outcome.BROKEN, "")
