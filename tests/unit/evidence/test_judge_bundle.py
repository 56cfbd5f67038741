"""Bundles: each thing that must hold, held once and broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from tests import signing_world as world
from tests import sigstore_world
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge
from trustgate.evidence.model import MAX_BUNDLE_BYTES, Outcome, SignatureCandidate, SignatureFact, Signer
from trustgate.evidence.printable import MAX_REASON_CHARACTERS
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor

SUBJECT = Digest.of(b"subject")
LONG = Digest.of(b"subject", "sha512")
OTHER = Digest.of(b"other")
ALICE = world.key()
TRUSTED = (world.trusted(ALICE),)


def verdict(candidate: SignatureCandidate, *trusted: Attestor, subject: Digest = SUBJECT) -> SignatureFact:
    return judge(candidate, subject=subject, attestors=trusted or TRUSTED, now=world.NOW)


def outcome(raw: bytes, subject: Digest = SUBJECT) -> tuple[Outcome, str]:
    fact = verdict(world.bundle_candidate(subject, raw), subject=subject)
    assert (fact.attestors != ()) == (fact.identities != ()) == (fact.outcome is Outcome.VERIFIED)
    return fact.outcome, fact.reason


def test_a_good_bundle_is_verified_with_name_and_identity() -> None:
    fact = verdict(world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, ALICE)))
    assert fact == SignatureFact(
        kind=fact.kind,
        evidence=world.EVIDENCE,
        outcome=Outcome.VERIFIED,
        reason="verified by alice",
        signers=(Signer("alice", f"key:{TRUSTED[0].trust.key_id}"),),
    )


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048"])
def test_every_kind_of_key_verifies_in_its_one_way(kind: str) -> None:
    key = world.key(kind)
    candidate = world.bundle_candidate(SUBJECT, world.bundle(SUBJECT, key))
    assert verdict(candidate, world.trusted(key)).outcome is Outcome.VERIFIED


def test_a_sha512_subject_is_verified_as_one() -> None:
    assert outcome(world.bundle(LONG, ALICE), LONG)[0] is Outcome.VERIFIED


def raw_pair(key: Any, content: bytes) -> bytes:
    r, s = utils.decode_dss_signature(world.signature(key, content))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("p256", raw_pair),
        ("p256", lambda key, content: key.sign(content, ec.ECDSA(hashes.SHA384()))),
        ("p384", lambda key, content: key.sign(content, ec.ECDSA(hashes.SHA384()))),
        ("rsa2048", lambda key, content: key.sign(content, padding.PKCS1v15(), hashes.SHA512())),
        (
            "rsa2048",
            lambda key, content: key.sign(
                content, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
            ),
        ),
        ("ed25519", lambda key, content: key.sign(Digest.of(content, "sha512").encode())),
        ("p256", lambda key, content: world.signature(key, content) + b"\0"),
        ("p256", lambda key, content: world.signature(key, content.split(b" ", 4)[4])),
    ],
)
def test_no_other_algorithm_or_encoding_is_tried(kind: str, sign: Callable[[Any, bytes], bytes]) -> None:
    key = world.key(kind)
    raw = world.bundle(SUBJECT, key, sign=sign)
    fact = verdict(world.bundle_candidate(SUBJECT, raw), world.trusted(key))
    assert (fact.outcome, fact.identities) == (Outcome.BROKEN, ())
    assert "that key does not verify it" in fact.reason


def material(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["verificationMaterial"].update(fields)


def envelope(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["dsseEnvelope"].update(fields)


def twice(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["signatures"] *= 2


def two_line_signature(document: dict[str, Any]) -> None:
    signature = document["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"][:40] + "\n" + signature["sig"][40:]


def without_padding(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["payload"] = document["dsseEnvelope"]["payload"].rstrip("=") + "*"


UNSIGNED: list[tuple[str, Callable[[dict[str, Any]], object], Outcome, str]] = [
    (
        "version 0.2",
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
        Outcome.NOT_UNDERSTOOD,
        "version",
    ),
    (
        "version 0.4",
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json"),
        Outcome.NOT_UNDERSTOOD,
        "version",
    ),
    ("no version", lambda d: d.pop("mediaType"), Outcome.BROKEN, "mediaType"),
    (
        "certificate",
        lambda d: d.update(verificationMaterial={"certificate": {"rawBytes": "AAAA"}}),
        Outcome.UNTRUSTED,
        "names no keyless signer",
    ),
    (
        "chain",
        lambda d: d.update(verificationMaterial={"x509CertificateChain": {"certificates": []}}),
        Outcome.BROKEN,
        "as x509CertificateChain",
    ),
    ("key and certificate", material(certificate={"rawBytes": "AAAA"}), Outcome.BROKEN, "one of"),
    ("no material", lambda d: d.update(verificationMaterial={}), Outcome.BROKEN, "one of"),
    ("material is a list", lambda d: d.update(verificationMaterial=[]), Outcome.BROKEN, "not an object"),
    ("other spelling", lambda d: d.update(dsse_envelope=d["dsseEnvelope"]), Outcome.BROKEN, "does not name"),
    ("other spelling in material", material(public_key={}), Outcome.BROKEN, "does not name"),
    ("other spelling in envelope", envelope(payload_type="x"), Outcome.BROKEN, "does not name"),
    (
        "more in the key",
        lambda d: d["verificationMaterial"]["publicKey"].update(rawBytes="AAAA"),
        Outcome.BROKEN,
        "does not name",
    ),
    (
        "more in the signature",
        lambda d: d["dsseEnvelope"]["signatures"][0].update(cert="x"),
        Outcome.BROKEN,
        "does not name",
    ),
    ("hint is a number", material(publicKey={"hint": 7}), Outcome.BROKEN, "hint"),
    (
        "message signature too",
        lambda d: d.update(messageSignature={"signature": "AAAA"}),
        Outcome.BROKEN,
        "must hold one of dsseEnvelope",
    ),
    (
        "message signature only",
        lambda d: d.update(messageSignature={"signature": d.pop("dsseEnvelope")["payload"][:64]}),
        Outcome.BROKEN,
        "message signature",
    ),
    ("no envelope", lambda d: d.pop("dsseEnvelope"), Outcome.BROKEN, "must hold one of dsseEnvelope"),
    (
        "empty chain of an older version",
        lambda d: d.update(
            mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2",
            verificationMaterial={"x509CertificateChain": {"certificates": []}},
        ),
        Outcome.BROKEN,
        "the certificate chain is empty",
    ),
    ("two signatures", twice, Outcome.BROKEN, "exactly one signature"),
    ("no signature", envelope(signatures=[]), Outcome.BROKEN, "exactly one signature"),
    ("signatures are an object", envelope(signatures={"0": 1}), Outcome.BROKEN, "exactly one signature"),
    ("signature is text", envelope(signatures=["x"]), Outcome.BROKEN, "not an object"),
    ("signature is empty", envelope(signatures=[{"sig": ""}]), Outcome.BROKEN, "no sig"),
    ("signature is huge", envelope(signatures=[{"sig": "AAAA" * 1024}]), Outcome.BROKEN, "base64"),
    ("line break in base64", two_line_signature, Outcome.BROKEN, "base64"),
    ("payload is not base64", without_padding, Outcome.BROKEN, "base64"),
    ("other payload type", envelope(payloadType="application/json"), Outcome.BROKEN, "payload type"),
    (
        "other case of payload type",
        envelope(payloadType="application/vnd.in-toto+JSON"),
        Outcome.BROKEN,
        "payload type",
    ),
]


@pytest.mark.parametrize(
    ("edit", "wanted", "word"), [row[1:] for row in UNSIGNED], ids=[row[0] for row in UNSIGNED]
)
def test_around_the_statement(edit: Callable[[dict[str, Any]], object], wanted: Outcome, word: str) -> None:
    found, reason = outcome(world.bundle(SUBJECT, ALICE, edit=edit))
    assert found is wanted
    assert word in reason


def test_a_payload_of_another_type_is_no_statement_although_it_is_signed() -> None:
    found, reason = outcome(world.bundle(SUBJECT, ALICE, payload_type="application/json"))
    assert (found, "payload type" in reason) == (Outcome.BROKEN, True)


def subject_is(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda statement: statement.update(subject=value)


ONE = {"digest": {"sha256": SUBJECT.hex}}
SIGNED: list[tuple[str, Callable[[dict[str, Any]], object], Outcome, str]] = [
    (
        "statement v0.1",
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
        Outcome.NOT_UNDERSTOOD,
        "statement type",
    ),
    ("no type", lambda s: s.pop("_type"), Outcome.BROKEN, "_type"),
    (
        "attestation",
        lambda s: s.update(predicateType="https://spdx.dev/Document"),
        Outcome.NOT_UNDERSTOOD,
        "is not a signature",
    ),
    (
        "attestation of many",
        lambda s: s.update(predicateType="https://spdx.dev/Document", subject=[ONE, ONE]),
        Outcome.NOT_UNDERSTOOD,
        "is not a signature",
    ),
    (
        "predicate type with a slash",
        lambda s: s.update(predicateType=world.SIGN_PREDICATE + "/"),
        Outcome.NOT_UNDERSTOOD,
        "is not a signature",
    ),
    ("no predicate type", lambda s: s.pop("predicateType"), Outcome.BROKEN, "predicateType"),
    ("two subjects", subject_is([ONE, ONE]), Outcome.BROKEN, "exactly one subject"),
    ("no subject", subject_is([]), Outcome.BROKEN, "exactly one subject"),
    ("subject is an object", subject_is(ONE), Outcome.BROKEN, "exactly one subject"),
    ("subject is text", subject_is(["x"]), Outcome.BROKEN, "not an object"),
    ("no digest", subject_is([{"name": "x"}]), Outcome.BROKEN, "not an object"),
    (
        "two digests",
        subject_is([{"digest": {"sha256": SUBJECT.hex, "sha512": LONG.hex}}]),
        Outcome.BROKEN,
        "exactly one digest",
    ),
    (
        "other digest",
        subject_is([{"digest": {"sha256": OTHER.hex}}]),
        Outcome.BROKEN,
        "not about this digest",
    ),
    (
        "other algorithm",
        subject_is([{"digest": {"sha512": LONG.hex}}]),
        Outcome.BROKEN,
        "not about this digest",
    ),
    ("upper case", subject_is([{"digest": {"sha256": SUBJECT.hex.upper()}}]), Outcome.BROKEN, "not a sha256"),
    ("md5", subject_is([{"digest": {"md5": "0" * 32}}]), Outcome.BROKEN, "not a sha256"),
]


@pytest.mark.parametrize(
    ("edit", "wanted", "word"), [row[1:] for row in SIGNED], ids=[row[0] for row in SIGNED]
)
def test_signed_statements_that_do_not_sign_this(
    edit: Callable[[dict[str, Any]], object], wanted: Outcome, word: str
) -> None:
    found, reason = outcome(world.bundle(SUBJECT, ALICE, edit_statement=edit))
    assert found is wanted
    assert word in reason


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"\n",
        lambda raw: b" " + raw,
        lambda raw: world.as_json(dict(reversed(json.loads(raw).items()))),
    ],
)
def test_the_same_statement_in_other_bytes_is_not_the_signed_one(change: Callable[[bytes], bytes]) -> None:
    payload = change(world.as_json(world.statement(SUBJECT)))
    found, reason = outcome(world.bundle(SUBJECT, ALICE, edit=envelope(payload=world.b64(payload))))
    assert (found, "that key does not verify it" in reason) == (Outcome.BROKEN, True)


def test_a_name_and_annotations_of_the_subject_do_no_harm() -> None:
    def edit(statement: dict[str, Any]) -> None:
        statement["subject"][0] |= {"name": "shop/web", "annotations": {"by": "ci"}}

    assert outcome(world.bundle(SUBJECT, ALICE, edit_statement=edit))[0] is Outcome.VERIFIED


def test_the_older_spelling_of_version_three_is_read() -> None:
    edit = {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.3"}
    assert outcome(world.bundle(SUBJECT, ALICE, edit=lambda d: d.update(edit)))[0] is Outcome.VERIFIED


def test_log_entries_without_a_trusted_root_are_named_and_not_judged() -> None:
    made = sigstore_world.sign_statement(SUBJECT, key=ALICE, holder=ALICE.public_key())
    assert outcome(sigstore_world.bundle_of(made)) == (
        Outcome.VERIFIED,
        "verified by alice; its log entries and timestamps were not judged",
    )


@pytest.mark.parametrize("field", ["tlogEntries", "timestampVerificationData"])
def test_log_entries_and_timestamps_that_are_none(field: str) -> None:
    raw = world.bundle(SUBJECT, ALICE, edit=material(**{field: [{"logIndex": "1"}]}))
    assert outcome(raw)[0] is Outcome.BROKEN


def test_duplicate_keys_are_refused_outside_and_inside() -> None:
    raw = world.bundle(SUBJECT, ALICE)
    doubled = raw.replace(b'{"mediaType"', b'{"MediaType": "x", "mediaType"', 1)
    assert outcome(doubled) == (Outcome.BROKEN, "the bundle has the key 'mediaType' twice in one object")
    payload = world.as_json(world.statement(SUBJECT))[:-1] + b', "_type": "x"}'
    found, reason = outcome(world.bundle(SUBJECT, ALICE, payload=payload))
    assert (found, "twice" in reason) == (Outcome.BROKEN, True)


def test_foreign_text_is_escaped_and_cut_in_reasons() -> None:
    evil = "\x1b[31m\u202e" + "ж" * 5000
    raws = [
        world.bundle(SUBJECT, ALICE, edit=lambda d: d.update(mediaType=evil)),
        world.bundle(SUBJECT, ALICE, edit=envelope(payloadType=evil)),
        world.bundle(SUBJECT, ALICE, edit_statement=lambda s: s.update(predicateType=evil)),
        ('{"жжж": 1, "жжж": 2}').encode(),
    ]
    for raw in raws:
        found, reason = outcome(raw)
        assert found is not Outcome.VERIFIED
        assert reason.isascii()
        assert reason.isprintable()
        assert len(reason) <= MAX_REASON_CHARACTERS


def test_the_manifest_that_carries_it_must_be_about_the_subject() -> None:
    raw = world.bundle(SUBJECT, ALICE)
    for claimed in (None, OTHER):
        fact = verdict(world.bundle_candidate(SUBJECT, raw, claimed_subject=claimed))
        assert (fact.outcome, "its manifest is about" in fact.reason) == (Outcome.BROKEN, True)


def test_the_layer_must_be_a_bundle_and_match_its_bytes() -> None:
    raw = world.bundle(SUBJECT, ALICE)
    good = world.bundle_candidate(SUBJECT, raw).layer
    for layer, word in (
        (Descriptor("text/plain", good.digest, good.size), "no bundle"),
        (Descriptor(good.media_type, OTHER, good.size), "do not match the digest"),
        (Descriptor(good.media_type, good.digest, good.size + 1), "its layer says"),
    ):
        fact = verdict(world.bundle_candidate(SUBJECT, raw, layer=layer))
        assert (fact.outcome, word in fact.reason) == (Outcome.BROKEN, True)


def test_more_bytes_than_the_limit_are_not_read() -> None:
    raw = world.bundle(SUBJECT, ALICE)
    assert outcome(raw + b" " * (MAX_BUNDLE_BYTES - len(raw)))[0] is Outcome.VERIFIED
    found, reason = outcome(raw + b" " * (MAX_BUNDLE_BYTES + 1 - len(raw)))
    assert found is Outcome.BROKEN
    assert reason.startswith(f"it has {MAX_BUNDLE_BYTES + 1} bytes")
