"""What is signed, and how it is written: each rule of the envelopes has a case that breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from tests import notation_world as world
from tests.notation_world import COSE, JWS, NOW, SIGNED_AT, Parts
from trustgate.evidence.model import Outcome, Subject
from trustgate.evidence.notation.attributes import read_attributes
from trustgate.evidence.notation.envelope import MAX_CHAIN_CERTIFICATES
from trustgate.evidence.notation.manifest import NotationCandidate
from trustgate.evidence.notation.refusal import Broken
from trustgate.oci import media
from trustgate.oci.digest import Digest

FORMATS = (JWS, COSE)


def outcome_of(made: Parts, media_type: str) -> tuple[Outcome, str]:
    fact = world.judge(world.signed(made, media_type))
    return fact.outcome, fact.reason


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("kind", world.KINDS)
def test_each_kind_of_key_verifies(kind: str, media_type: str) -> None:
    fact = world.judge(world.signed(world.parts(world.signer(kind)), media_type))
    assert fact.outcome is Outcome.VERIFIED, fact.reason
    assert fact.attestors == ("release",)
    assert fact.identities[0].startswith("x509:")
    assert "verified by release (CN=signer" in fact.reason
    assert (fact.signed_at, fact.timestamps, fact.revocation) == (None, 0, "good")
    assert fact.unproven == frozenset()


@pytest.mark.parametrize("media_type", FORMATS)
def test_metadata_and_further_attributes_do_no_harm(media_type: str) -> None:
    made = world.parts()
    document = json.loads(made.payload)
    document["targetArtifact"]["annotations"] = {"build": "7"}
    made.payload = json.dumps(document).encode()
    made.header["com.example.note"] = "not critical"
    made.unsigned["com.example.hint"] = "unsigned"
    assert outcome_of(made, media_type)[0] is Outcome.VERIFIED


SIGNED_EDITS: dict[str, tuple[Callable[[Parts], object], Outcome, str]] = {
    "unknown critical attribute": (
        lambda p: p.header.update({"x": 1, "crit": [*p.header["crit"], "x"]}),
        Outcome.NOT_UNDERSTOOD,
        "the critical attribute 'x' is not understood",
    ),
    "crit names nothing": (
        lambda p: p.header.update(crit=[*p.header["crit"], "y"]),
        Outcome.BROKEN,
        "crit names 'y', which is no signed attribute",
    ),
    "no crit": (lambda p: p.header.pop("crit"), Outcome.BROKEN, "crit is not a list"),
    "empty crit": (lambda p: p.header.update(crit=[]), Outcome.BROKEN, "crit is not a list"),
    "long crit": (lambda p: p.header.update(crit=[world.SCHEME] * 17), Outcome.BROKEN, "crit is not a list"),
    "crit twice": (
        lambda p: p.header.update(crit=[world.SCHEME, world.SCHEME]),
        Outcome.BROKEN,
        "crit names an attribute twice",
    ),
    "scheme not critical": (
        lambda p: p.header.update({"x": 1, "crit": ["cty"]}),
        Outcome.BROKEN,
        "crit names 'cty', which is never critical",
    ),
    "expiry not critical": (
        lambda p: p.header.update({world.EXPIRY: NOW + timedelta(days=9)}),
        Outcome.BROKEN,
        "expiry is not marked critical",
    ),
    "signing time critical": (
        lambda p: p.header.update(crit=[world.SCHEME, world.TIME]),
        Outcome.BROKEN,
        "never critical",
    ),
    "another scheme": (
        lambda p: p.header.update({world.SCHEME: "notary.x509.v2"}),
        Outcome.NOT_UNDERSTOOD,
        "signing scheme 'notary.x509.v2'",
    ),
    "no scheme": (lambda p: p.header.pop(world.SCHEME), Outcome.NOT_UNDERSTOOD, "signing scheme 'None'"),
    "another content type": (
        lambda p: p.header.update(cty="application/json"),
        Outcome.NOT_UNDERSTOOD,
        "the content type is",
    ),
    "plugin": (
        lambda p: p.header.update({"io.cncf.notary.verificationPlugin": "x"}),
        Outcome.NOT_UNDERSTOOD,
        "plugin",
    ),
    "plugin's version alone": (
        lambda p: p.header.update({"io.cncf.notary.verificationPluginMinVersion": "1.0.0"}),
        Outcome.NOT_UNDERSTOOD,
        "plugin",
    ),
    "critical plugin": (
        lambda p: p.header.update(
            {
                "io.cncf.notary.verificationPlugin": "x",
                "crit": [world.SCHEME, "io.cncf.notary.verificationPlugin"],
            }
        ),
        Outcome.NOT_UNDERSTOOD,
        "plugin",
    ),
    "no signing time": (lambda p: p.header.pop(world.TIME), Outcome.BROKEN, "signingTime is missing"),
    "authentic time under x509": (
        lambda p: p.header.update({world.AUTHENTIC_TIME: SIGNED_AT}),
        Outcome.BROKEN,
        "does not belong to signing scheme notary.x509",
    ),
    "expires before it is signed": (
        lambda p: world.expiring(p, SIGNED_AT),
        Outcome.BROKEN,
        "not after its signing time",
    ),
    "misspelled attribute": (
        lambda p: p.header.update({"io.cncf.notary.Expiry": 1}),
        Outcome.BROKEN,
        "spelled unlike",
    ),
    "time that is text": (lambda p: p.header.update({world.TIME: "now"}), Outcome.BROKEN, "whole seconds"),
    "no algorithm": (lambda p: p.header.pop("alg"), Outcome.BROKEN, "alg is missing"),
    "attribute signed and unsigned": (
        lambda p: (p.header.update(twice=1), p.unsigned.update(twice=1)),
        Outcome.BROKEN,
        "both signed and unsigned",
    ),
    "unsigned expiry": (
        lambda p: p.unsigned.update({world.EXPIRY: 1}),
        Outcome.BROKEN,
        "has to be signed, and is not",
    ),
    "misspelled timestamp": (
        lambda p: p.unsigned.update({world.TIMESTAMP.upper(): "AAAA"}),
        Outcome.BROKEN,
        "spelled unlike",
    ),
    "too many certificates": (
        lambda p: p.chain.extend([p.chain[-1]] * MAX_CHAIN_CERTIFICATES),
        Outcome.BROKEN,
        "are read",
    ),
    "no certificates": (lambda p: p.chain.clear(), Outcome.BROKEN, "the chain has 0 certificates"),
}


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("case", SIGNED_EDITS)
def test_signed_attributes(case: str, media_type: str) -> None:
    edit, outcome, reason = SIGNED_EDITS[case]
    made = world.parts()
    edit(made)
    found, why = outcome_of(made, media_type)
    assert found is outcome, why
    assert reason in why


PAYLOADS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "digest": (lambda t: t.update(digest=str(Digest.of(b"other"))), "is over sha256:"),
    "media type": (lambda t: t.update(mediaType=media.OCI_INDEX), "the signature is over a"),
    "size": (lambda t: t.update(size=t["size"] + 1), "bytes, this has"),
    "size as text": (lambda t: t.update(size=str(t["size"])), "has no size"),
    "size as truth": (lambda t: t.update(size=True), "has no size"),
    "size with a fraction": (lambda t: t.update(size=float(t["size"])), "has no size"),
    "negative size": (lambda t: t.update(size=-1), "has no size"),
    "no size": (lambda t: t.pop("size"), "has no size"),
    "no media type": (lambda t: t.pop("mediaType"), "has no mediaType"),
    "no digest": (lambda t: t.pop("digest"), "digest is 'None'"),
    "misspelled": (lambda t: t.update(Digest=t["digest"]), "not a descriptor"),
    "foreign field": (lambda t: t.update(extra=1), "not a descriptor"),
    "annotations as list": (lambda t: t.update(annotations=[]), "annotations are not an object"),
    "annotation as number": (lambda t: t.update(annotations={"a": 1}), "annotation that is not text"),
}


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("case", PAYLOADS)
def test_payload_is_the_resolved_descriptor(case: str, media_type: str) -> None:
    edit, reason = PAYLOADS[case]
    made = world.parts()
    document = json.loads(made.payload)
    edit(document["targetArtifact"])
    made.payload = json.dumps(document).encode()
    outcome, why = outcome_of(made, media_type)
    # a digest that is there twice under two spellings is refused where JSON is read
    assert outcome is Outcome.BROKEN
    assert reason in why or "twice" in why


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"targetArtifact":[]}', b'{"a":1}', b"\xff"])
@pytest.mark.parametrize("media_type", FORMATS)
def test_payload_that_is_none(payload: bytes, media_type: str) -> None:
    assert outcome_of(world.parts(payload=payload), media_type)[0] is Outcome.BROKEN


def test_payload_with_a_second_member_or_a_key_twice() -> None:
    twice = world.parts().payload.replace(b'"size"', b'"size": 1, "size"')
    more = world.parts().payload[:-1] + b', "other": 1}'
    for payload in (twice, more):
        assert outcome_of(world.parts(payload=payload), JWS)[0] is Outcome.BROKEN


def _salted(private: Any, content: bytes) -> bytes:
    return private.sign(content, padding.PSS(padding.MGF1(hashes.SHA256()), 222), hashes.SHA256())


def _pkcs1(private: Any, content: bytes) -> bytes:
    return private.sign(content, padding.PKCS1v15(), hashes.SHA256())


def _der(private: Any, content: bytes) -> bytes:
    return private.sign(content, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("rsa2048", _salted),
        ("rsa2048", _pkcs1),
        ("p256", _der),
        ("p384", lambda k, c: world.primitive(world.key("p384", "other"), c)),
        ("p521", lambda k, c: b"\0" * 132),
        ("p256", lambda k, c: world.primitive(k, c)[:-1]),
        ("p256", lambda k, c: world.primitive(k, c) + b"\0"),
        ("p256", lambda k, c: (s := world.primitive(k, c))[:32] + b"\0" + s[32:]),
        ("rsa3072", lambda k, c: b"x" * 384),
    ],
)
def test_other_signatures_do_not_verify(kind: str, sign: Any, media_type: str) -> None:
    outcome, why = outcome_of(world.parts(world.signer(kind), sign=sign), media_type)
    assert outcome is Outcome.BROKEN
    assert "does not verify" in why


@pytest.mark.parametrize("stated", ["PS256", "ES384", "RS256", "HS256", "none", "EdDSA"])
def test_algorithm_is_the_key_s(stated: str) -> None:
    made = world.parts()
    made.header["alg"] = stated
    outcome, why = outcome_of(made, JWS)
    assert outcome is Outcome.BROKEN
    assert "must be ES256" in why


@pytest.mark.parametrize("stated", [-35, -8, -257, 5, True, "ES256", None, [1]])
def test_algorithm_is_the_key_s_in_cose(stated: Any) -> None:
    made = world.parts()
    made.header["alg"] = stated
    raw = cbor2.dumps({**world.cose_labels(made), 1: stated})
    outcome = world.judge(world.candidate(world.carrier(world.cose(made, protected=raw), COSE)))
    assert outcome.outcome is Outcome.BROKEN


def test_an_expiry_that_is_no_time() -> None:
    """Both readers turn times before the rules are applied; the rules do not rely on it."""
    header = {**world.parts().header, world.EXPIRY: "never", "crit": [world.SCHEME, world.EXPIRY]}
    with pytest.raises(Broken, match="is not a time"):
        read_attributes(header)


# --- JWS -----------------------------------------------------------------------------------------


def _spare_bit(written: str) -> str:
    """The same bytes to a lenient reader: the last of the four bits that no byte needs is set."""
    return written[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[written[-1]]


JWS_FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "further member": (lambda d: d.update(signatures=[]), "members are not exactly"),
    "no payload": (lambda d: d.pop("payload"), "members are not exactly"),
    "misspelled member": (lambda d: d.update(Payload=d.pop("payload")), "members are not exactly"),
    "header is a list": (lambda d: d.update(header=[]), "header is not an object"),
    "payload is a number": (lambda d: d.update(payload=1), "payload is not text"),
    "empty signature": (lambda d: d.update(signature=""), "signature is not text"),
    "padded": (lambda d: d.update(signature=d["signature"] + "=="), "signature is not base64url"),
    "standard alphabet": (lambda d: d.update(signature="+/" + d["signature"][2:]), "not base64url"),
    "spare bits": (lambda d: d.update(signature=_spare_bit(d["signature"])), "not base64url"),
    "one letter": (lambda d: d.update(signature="A"), "not base64url"),
    "not letters": (lambda d: d.update(protected="é"), "protected is not base64url"),
    "x5c is text": (lambda d: d["header"].update(x5c="AAAA"), "no certificate chain"),
    "x5c of numbers": (lambda d: d["header"].update(x5c=[1]), "not base64"),
    "x5c with line breaks": (lambda d: d["header"].update(x5c=["AA\nAA"]), "not base64"),
    "x5c is no certificate": (lambda d: d["header"].update(x5c=["AAAA"]), "can't be read"),
    "no x5c": (lambda d: d["header"].pop("x5c"), "no certificate chain"),
    "misspelled x5c": (lambda d: d["header"].update(X5C=[]), "twice|spelled unlike"),
    "timestamp is no base64": (lambda d: d["header"].update({world.TIMESTAMP: "*"}), "not base64"),
    "timestamp is a number": (lambda d: d["header"].update({world.TIMESTAMP: 1}), "not base64"),
    "unsigned algorithm": (lambda d: d["header"].update(alg="ES256"), "both signed and unsigned"),
    "altered payload": (lambda d: d.update(payload=world.base64url(b"{}")), "does not verify"),
}


@pytest.mark.parametrize("case", JWS_FORGERIES)
def test_forged_jws(case: str) -> None:
    forge, reason = JWS_FORGERIES[case]
    fact = world.judge(world.candidate(world.carrier(world.jws(world.parts(), forge))))
    assert fact.outcome is Outcome.BROKEN
    assert any(part in fact.reason for part in reason.split("|")), fact.reason


@pytest.mark.parametrize(
    "time",
    [
        "2027-01-09T12:00:00.5Z",
        "2027-01-09T12:00:00",
        "2027-01-09 12:00:00Z",
        "2027-01-09t12:00:00z",
        "2027-13-09T12:00:00Z",
        "2027-01-09T12:00:60Z",
        "0001-01-01T00:00:00+23:59",
        1,
        None,
    ],
)
def test_times_are_whole_seconds(time: Any) -> None:
    made = world.parts()
    made.header[world.TIME] = time
    assert outcome_of(made, JWS)[0] is Outcome.BROKEN


def test_times_may_have_an_offset() -> None:
    made = world.parts()
    made.header[world.TIME] = "2027-01-09T20:00:00+08:00"
    assert outcome_of(made, JWS)[0] is Outcome.VERIFIED


@pytest.mark.parametrize("header", [b"[]", b"{", b'{"alg":"ES256","alg":"ES256"}', b'{"a":NaN}'])
def test_protected_header_is_strict_json(header: bytes) -> None:
    fact = world.judge(world.candidate(world.carrier(world.jws(world.parts(), header_json=header))))
    assert fact.outcome is Outcome.BROKEN


def test_empty_timestamp_is_none() -> None:
    made = world.jws(world.parts(), lambda d: d["header"].update({world.TIMESTAMP: ""}))
    assert world.judge(world.candidate(world.carrier(made))).outcome is Outcome.VERIFIED


@pytest.mark.parametrize("name", [[1], None, True, {}, 1.5])
def test_crit_holds_names(name: Any) -> None:
    made = world.parts()
    made.header["crit"] = [world.SCHEME, name]
    assert outcome_of(made, JWS)[0] is Outcome.BROKEN


# --- COSE ----------------------------------------------------------------------------------------


COSE_FORGERIES: dict[str, tuple[Callable[[list[Any]], object], str]] = {
    "detached payload": (lambda m: m.__setitem__(2, None), "is not [protected"),
    "empty payload": (lambda m: m.__setitem__(2, b""), "empty payload or signature"),
    "payload as text": (lambda m: m.__setitem__(2, "{}"), "is not [protected"),
    "empty signature": (lambda m: m.__setitem__(3, b""), "empty payload or signature"),
    "protected as map": (lambda m: m.__setitem__(0, {}), "is not [protected"),
    "protected is no map": (lambda m: m.__setitem__(0, b"\x80"), "protected header is not a map"),
    "protected is broken": (lambda m: m.__setitem__(0, b"\xa1"), "the protected header ends"),
    "five items": (lambda m: m.append(1), "is not [protected"),
    "unprotected is a list": (lambda m: m.__setitem__(1, []), "is not [protected"),
    "algorithm unprotected too": (lambda m: m[1].update({1: -7}), "both signed and unsigned"),
    "content type unprotected": (lambda m: m[1].update({3: "x"}), "both signed and unsigned"),
    "x5chain is one certificate": (lambda m: m[1].update({33: m[1][33][0]}), "no certificate chain"),
    "x5chain of text": (lambda m: m[1].update({33: ["x"]}), "not a byte string"),
    "no x5chain": (lambda m: m[1].pop(33), "no certificate chain"),
    "timestamp as text": (lambda m: m[1].update({world.TIMESTAMP: "x"}), "not a byte string"),
    "altered payload": (lambda m: m.__setitem__(2, b"{}"), "does not verify"),
}


@pytest.mark.parametrize("case", COSE_FORGERIES)
def test_forged_cose(case: str) -> None:
    forge, reason = COSE_FORGERIES[case]
    fact = world.judge(world.candidate(world.carrier(world.cose(world.parts(), forge), COSE)))
    assert fact.outcome is Outcome.BROKEN
    assert reason in fact.reason


@pytest.mark.parametrize(
    "wrap",
    [
        lambda raw: raw[1:],  # untagged
        lambda raw: b"\xd1" + raw[1:],  # tag 17
        lambda raw: raw + b"\0",
        lambda raw: raw[:-1],
        lambda raw: b"\xd9\xd9\xf7" + raw,  # self-described CBOR
    ],
)
def test_cose_that_is_not_exactly_a_sign1(wrap: Callable[[bytes], bytes]) -> None:
    raw = wrap(world.cose(world.parts()))
    assert world.judge(world.candidate(world.carrier(raw, COSE))).outcome is Outcome.BROKEN


@pytest.mark.parametrize(
    "time",
    [
        1_799_500_000,
        cbor2.CBORTag(1, 1_799_500_000.5),
        cbor2.CBORTag(0, "2027-01-09T12:00:00Z"),
        cbor2.CBORTag(1, -1),
        cbor2.CBORTag(1, 2**62),
        cbor2.CBORTag(1, True),
    ],
)
def test_cose_times_are_tagged_whole_seconds(time: Any) -> None:
    made = world.parts()
    made.header[world.TIME] = time
    assert world.judge(world.candidate(world.carrier(world.cose(made), COSE))).outcome is Outcome.BROKEN


def test_other_numbers_of_cose_mean_nothing_unless_critical() -> None:
    made = world.parts()
    raw = cbor2.dumps({**world.cose_labels(made), 4: b"a key id"})
    fact = world.judge(world.candidate(world.carrier(world.cose(made, protected=raw), COSE)))
    assert fact.outcome is Outcome.VERIFIED, fact.reason
    raw = cbor2.dumps({**world.cose_labels(made), 4: b"a key id", 2: [world.SCHEME, 4]})
    fact = world.judge(world.candidate(world.carrier(world.cose(made, protected=raw), COSE)))
    assert fact.outcome is Outcome.NOT_UNDERSTOOD


@pytest.mark.parametrize("label", ["alg", "crit", "cty"])
def test_cose_labels_are_numbers(label: str) -> None:
    made = world.parts()
    raw = cbor2.dumps({**world.cose_labels(made), label: "x"})
    fact = world.judge(world.candidate(world.carrier(world.cose(made, protected=raw), COSE)))
    assert fact.outcome is Outcome.BROKEN


# --- the manifest --------------------------------------------------------------------------------


def other_subject(document: dict[str, Any]) -> None:
    document["subject"]["digest"] = str(Digest.of(b"other"))


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "about another": (other_subject, "is about sha256:"),
    "about nothing": (lambda d: d.pop("subject"), "has no subject"),
    "another artifact type": (lambda d: d.update(artifactType="application/x"), "artifactType is"),
    "another layer type": (
        lambda d: d["layers"][0].update(mediaType="application/json"),
        "its layer is of type 'application/json'",
    ),
    "two layers": (lambda d: d["layers"].append(d["layers"][0]), "has 2 layers"),
    "no layers": (lambda d: d.update(layers=[]), "has 0 layers"),
    "a real configuration": (lambda d: d["config"].update(mediaType=media.OCI_CONFIG), "not empty"),
    "docker's manifest": (lambda d: d.update(mediaType=media.DOCKER_MANIFEST), "not an OCI image manifest"),
    "no thumbprints": (lambda d: d["annotations"].clear(), "lacks the annotation"),
    "other thumbprints": (
        lambda d: d["annotations"].update({world.THUMBPRINTS: '["00"]'}),
        "does not list the certificates",
    ),
    "thumbprints that are no list": (
        lambda d: d["annotations"].update({world.THUMBPRINTS: '"00"'}),
        "does not list the certificates",
    ),
    "thumbprints that are no JSON": (lambda d: d["annotations"].update({world.THUMBPRINTS: "["}), "JSON"),
    "a deleted blob": (
        lambda d: d["layers"][0].update(digest=str(Digest.of(b"gone"))),
        "the registry does not have that blob",
    ),
    "a huge layer": (lambda d: d["layers"][0].update(size=2**40), "are read"),
    "another size": (lambda d: d["layers"][0].update(size=3), "do not match the digest and size"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_manifest(case: str) -> None:
    edit, reason = MANIFESTS[case]
    fact = world.judge(world.candidate(world.carrier(world.jws(world.parts()), edit=edit)))
    assert fact.outcome is Outcome.BROKEN
    assert reason in fact.reason


def test_upper_case_thumbprints_and_the_older_manifest_are_fine() -> None:
    def older(document: dict[str, Any]) -> None:
        del document["artifactType"]
        document["config"]["mediaType"] = world.NOTARY
        document["annotations"][world.THUMBPRINTS] = document["annotations"][world.THUMBPRINTS].upper()

    fact = world.judge(world.candidate(world.carrier(world.jws(world.parts()), edit=older)))
    assert fact.outcome is Outcome.VERIFIED, fact.reason


def test_the_envelope_of_another_format_is_broken() -> None:
    crossed = world.carrier(world.jws(world.parts()), COSE)
    assert world.judge(world.candidate(crossed)).outcome is Outcome.BROKEN
    crossed = world.carrier(world.cose(world.parts()), JWS)
    assert world.judge(world.candidate(crossed)).outcome is Outcome.BROKEN


def test_bytes_that_are_not_the_layer_s() -> None:
    """Of the right size, and of another digest: a store that hands out something else."""
    made = world.carrier(world.jws(world.parts()))
    other = world.jws(world.parts(world.signer("p384")))
    (layer,) = made.manifest.layers
    for raw in (made.blobs[layer.digest][:-1] + b" ", other):
        fact = world.judge(NotationCandidate(made.manifest, raw))
        assert fact.outcome is Outcome.BROKEN
        assert "do not match the digest and size" in fact.reason


def test_an_index_is_no_candidate() -> None:
    index = world.Artifact(
        {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [], "artifactType": world.NOTARY}
    )
    assert world.candidate_of(index.manifest, {}) is None


def test_another_subject_is_not_signed() -> None:
    other = Subject(Digest.of(b"other"), world.SUBJECT.media_type, world.SUBJECT.size)
    fact = world.Bench().judge(world.signed(world.parts()), other)
    assert fact.outcome is Outcome.BROKEN


def test_what_is_no_signature_is_no_candidate() -> None:
    assert world.candidate_of(world.IMAGE.manifest, {}) is None
