"""Simple signing under the ``.sig`` tag: each thing that must hold, held once and broken once."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests import signing_world as world
from tests import sigstore_world
from trustgate.evidence.cosign import judge
from trustgate.evidence.cosign_claim import MAX_ANNOTATION_BYTES
from trustgate.evidence.model import MAX_SIMPLE_SIGNING_BYTES, Outcome, SignatureCandidate
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor

SUBJECT = Digest.of(b"subject")
LONG = Digest.of(b"subject", "sha512")
OTHER = Digest.of(b"other")
ALICE = world.key()


def verdict(
    candidate: SignatureCandidate, key: Any = ALICE, subject: Digest = SUBJECT
) -> tuple[Outcome, str]:
    fact = judge(candidate, subject=subject, attestors=[world.trusted(key)], now=world.NOW)
    assert (fact.identities != ()) == (fact.outcome is Outcome.VERIFIED)
    return fact.outcome, fact.reason


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048"])
def test_a_good_layer_is_verified(kind: str) -> None:
    key = world.key(kind)
    assert verdict(world.legacy_candidate(SUBJECT, key), key) == (Outcome.VERIFIED, "verified by alice")


def test_the_name_that_the_signer_gave_is_kept() -> None:
    candidate = world.legacy_candidate(SUBJECT, ALICE)
    for trusted in ([world.trusted(ALICE)], []):
        fact = judge(candidate, subject=SUBJECT, attestors=trusted, now=world.NOW)
        assert fact.signed_repository == "registry.test/shop/web"


def test_a_sha512_subject_is_verified_as_one() -> None:
    assert verdict(world.legacy_candidate(LONG, ALICE), subject=LONG)[0] is Outcome.VERIFIED


def critical(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["critical"].update(fields)


def identity(reference: object) -> Callable[[dict[str, Any]], object]:
    return critical(identity={"docker-reference": reference})


PAYLOADS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("other type", critical(type="atomic container signature"), "critical.type"),
    ("no type", lambda d: d["critical"].pop("type"), "critical.type"),
    ("other case of type", critical(type="Cosign container image signature"), "critical.type"),
    ("other digest", critical(image={"docker-manifest-digest": str(OTHER)}), "not about this digest"),
    (
        "digest in upper case",
        critical(image={"docker-manifest-digest": str(SUBJECT).upper()}),
        "not about this digest",
    ),
    ("digest and more", critical(image={"docker-manifest-digest": f"{SUBJECT} "}), "not about this digest"),
    ("no digest", critical(image={}), "docker-manifest-digest is missing"),
    (
        "other spelling",
        critical(image={"Docker-manifest-digest": str(SUBJECT)}),
        "docker-manifest-digest is missing",
    ),
    (
        "two spellings",
        critical(image={"Docker-manifest-digest": str(SUBJECT), "docker-manifest-digest": str(SUBJECT)}),
        "twice",
    ),
    (
        "digest is a list",
        critical(image={"docker-manifest-digest": [str(SUBJECT)]}),
        "docker-manifest-digest is missing",
    ),
    ("image is text", critical(image=str(SUBJECT)), "not an object"),
    ("no critical", lambda d: d.pop("critical"), "not an object"),
    ("critical in other case", lambda d: d.update(Critical=d.pop("critical")), "not an object"),
    ("identity is text", critical(identity="x"), "not an object"),
    ("reference is a number", identity(7), "not a reference"),
    ("reference is long", identity("x" * 513), "not a reference"),
    ("reference is not printable", identity("x\x1b[31m"), "not printable"),
    ("reference is not ASCII", identity("жук"), "not printable"),
    ("reference is half a character", identity("\ud800"), "half of a surrogate pair"),
]


@pytest.mark.parametrize(("edit", "word"), [row[1:] for row in PAYLOADS], ids=[row[0] for row in PAYLOADS])
def test_signed_payloads_that_do_not_sign_this(edit: Callable[[dict[str, Any]], object], word: str) -> None:
    payload = world.simple_signing(SUBJECT, edit)
    found, reason = verdict(world.legacy_candidate(SUBJECT, ALICE, payload=payload))
    assert found is Outcome.BROKEN
    assert word in reason


@pytest.mark.parametrize(
    "edit",
    [
        identity(""),
        critical(identity={}),
        lambda d: d["critical"].pop("identity"),
        lambda d: d.update(optional={"by": "ci"}),
    ],
)
def test_what_a_payload_may_leave_out_or_add(edit: Callable[[dict[str, Any]], object]) -> None:
    payload = world.simple_signing(SUBJECT, edit)
    assert verdict(world.legacy_candidate(SUBJECT, ALICE, payload=payload))[0] is Outcome.VERIFIED


def test_a_duplicate_key_is_refused_though_signed() -> None:
    payload = world.simple_signing(SUBJECT).replace(b'{"critical"', b'{"critical": {}, "critical"', 1)
    found, reason = verdict(world.legacy_candidate(SUBJECT, ALICE, payload=payload))
    assert (found, "twice" in reason) == (Outcome.BROKEN, True)


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'"' + b"x" * MAX_SIMPLE_SIGNING_BYTES + b'"'])
def test_payloads_that_are_none(payload: bytes) -> None:
    assert verdict(world.legacy_candidate(SUBJECT, ALICE, payload=payload))[0] is Outcome.BROKEN


GOOD = world.b64(world.signature(ALICE, world.simple_signing(SUBJECT)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "****",
        GOOD[:20] + "\n" + GOOD[20:],
        GOOD + "\n",
        " " + GOOD,
        GOOD + "=",
        GOOD + "ж",
        "AAAA" * 1024,
    ],
    ids=range(8),
)
def test_the_signature_annotation_has_one_spelling(text: str) -> None:
    candidate = world.legacy_candidate(SUBJECT, ALICE, annotations={world.SIGNATURE: text})
    found, reason = verdict(candidate)
    assert (found, "not base64" in reason) == (Outcome.BROKEN, True)


def test_spare_bits_of_base64_must_be_zero() -> None:
    key = world.key("ed25519")  # 64 bytes: the last letter before "==" has four spare bits
    good = world.legacy_candidate(SUBJECT, key)
    text = good.annotations[world.SIGNATURE]
    respelled = text[:-3] + chr(ord(text[-3]) + 1) + "=="
    assert base64.b64decode(respelled) == base64.b64decode(text)
    assert verdict(good, key)[0] is Outcome.VERIFIED
    changed = world.legacy_candidate(SUBJECT, key, annotations={world.SIGNATURE: respelled})
    assert verdict(changed, key)[0] is Outcome.BROKEN


def test_a_layer_without_signature_is_broken() -> None:
    bare = world.legacy_candidate(SUBJECT, ALICE)
    stripped = replace(bare, annotations={})
    assert verdict(stripped)[0] is Outcome.BROKEN


def test_a_certificate_that_is_none() -> None:
    candidate = world.legacy_candidate(SUBJECT, ALICE, annotations={"dev.sigstore.cosign/certificate": "x"})
    assert verdict(candidate) == (
        Outcome.BROKEN,
        "its certificate annotation is not one PEM certificate",
    )


def test_a_certificate_has_an_end() -> None:
    pem = sigstore_world.pem(sigstore_world.instance().certificate(ALICE.public_key())).decode()
    for spaces, huge in ((0, False), (MAX_ANNOTATION_BYTES, True)):
        named = {"dev.sigstore.cosign/certificate": pem + "\n" * spaces}
        outcome = verdict(world.legacy_candidate(SUBJECT, ALICE, annotations=named))
        assert (outcome[1] == "its certificate annotation is not one PEM certificate") is huge


def test_log_entries_without_a_trusted_root_are_named_and_not_judged() -> None:
    made = sigstore_world.sign_payload(SUBJECT, key=ALICE, holder=ALICE.public_key())
    candidate = sigstore_world.layer_of(SUBJECT, made, sigstore_world.annotations_of(made))
    found, reason = verdict(candidate)
    assert (found, reason.endswith("were not judged")) == (Outcome.VERIFIED, True)


@pytest.mark.parametrize("name", ["dev.sigstore.cosign/bundle", "dev.sigstore.cosign/rfc3161timestamp"])
@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"Payload": 1}', '{"a": 1, "a": 1}', "\udcff"])
def test_log_entries_and_timestamps_that_are_none(name: str, text: str) -> None:
    found, _ = verdict(world.legacy_candidate(SUBJECT, ALICE, annotations={name: text}))
    assert found is Outcome.BROKEN


def test_the_layer_must_be_simple_signing_and_match_its_bytes() -> None:
    payload = world.simple_signing(SUBJECT)
    digest, size = Digest.of(payload), len(payload)
    for layer, word in (
        (Descriptor("application/vnd.dsse.envelope.v1+json", digest, size), "no simple signing"),
        (Descriptor(media.COSIGN_SIMPLE_SIGNING, OTHER, size), "do not match the digest"),
        (Descriptor(media.COSIGN_SIMPLE_SIGNING, digest, size + 1), "its layer says"),
    ):
        found, reason = verdict(world.legacy_candidate(SUBJECT, ALICE, layer=layer))
        assert (found, word in reason) == (Outcome.BROKEN, True)


def test_a_signature_over_other_bytes_is_untrusted() -> None:
    candidate = world.legacy_candidate(
        SUBJECT, ALICE, sign=lambda key, content: world.signature(key, content + b" ")
    )
    assert verdict(candidate) == (Outcome.UNTRUSTED, "signed by a key that the trust store does not name")


def test_a_key_of_a_kind_that_is_not_judged_verifies_nothing() -> None:
    key = world.key("dsa")
    alice = world.trusted(ALICE)
    odd = replace(alice, trust=replace(alice.trust, public_key=key.public_key()))
    fact = judge(world.legacy_candidate(SUBJECT, ALICE), subject=SUBJECT, attestors=[odd], now=world.NOW)
    assert fact.outcome is Outcome.UNTRUSTED
