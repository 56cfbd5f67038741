"""Every check of a provenance: what passes with it, and what it alone refuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import openpgp_world as world
from tests.simulators.openpgp import OpenPgpSimulator
from trustgate.errors import InvalidInput
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.chart_manifest import CHART_TYPE, CONFIG_TYPE, LEGACY_CHART_TYPE, PROVENANCE_TYPE
from trustgate.evidence.helm.judge import (
    MAX_CLOCK_SKEW,
    MAX_REASON_CHARACTERS,
    ChartCandidate,
    HelmClaim,
    as_called,
    helm_claim,
    judge_helm,
    keyrings,
)
from trustgate.evidence.helm.packaging import chart_artifact, with_provenance
from trustgate.evidence.helm.provenance_signing import check_signed, provenance_text
from trustgate.evidence.helm.question import OpenPgpStatus
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.evidence.helm.trust import gpg_trust
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.model import Outcome, SignatureFact, Signer, Subject
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest

KEY, RSA, OTHER = world.pgp_key("ed25519"), world.pgp_key("rsa2048"), world.pgp_key("ed25519", "other")
WEAK = world.pgp_key("rsa1024")
PACKAGE = world.package()
CHART = read_chart(PACKAGE)
few = settings(max_examples=150, deadline=None)


def attestor(key: world.PgpKey = KEY, name: str = "charts", **more: Any) -> Attestor:
    return Attestor(name, gpg_trust(key.public(), [key.fingerprint]), **more)


def signed(body: str | None = None, key: world.PgpKey = KEY, **more: Any) -> bytes:
    return world.clear_signed(
        body if body is not None else world.provenance_body(PACKAGE), key, **more
    ).encode()


def judged(
    provenance: bytes,
    *,
    attestors: Sequence[Attestor] | None = None,
    simulator: OpenPgpSimulator | None = None,
    now: datetime = world.NOW,
    package: bytes = PACKAGE,
) -> SignatureFact:
    trusted = attestors if attestors is not None else [attestor()]
    asked = simulator or OpenPgpSimulator({key.public(): key for key in (KEY, RSA, OTHER, WEAK)})
    claim = helm_claim(ChartCandidate(provenance, read_chart(package)), subject=None)
    if isinstance(claim, SignatureFact):
        return claim
    answers = {name: asked.verify(claim.question, ring, at=now) for name, ring in keyrings(trusted).items()}
    return judge_helm(claim, answers, attestors=trusted, now=now)


# --- who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, RSA])
@pytest.mark.parametrize("hash_id", [8, 10])
def test_a_good_provenance(key: world.PgpKey, hash_id: int) -> None:
    provenance = signed(key=key, hash_id=hash_id)
    fact = judged(provenance, attestors=[attestor(key)])
    assert (fact.outcome, fact.reason) == (Outcome.VERIFIED, "web-1.2.3.tgz is signed by charts")
    assert fact.signers == (Signer("charts", f"gpg:{key.fingerprint}"),)
    assert (fact.evidence, fact.signed_repository) == (Digest.of(provenance), "web:1.2.3")
    assert fact.signed_at is None
    assert fact.valid_until is None


def test_everyone_for_whom_it_verifies_is_named() -> None:
    both = KEY.public() + RSA.public()
    other = Attestor("both", gpg_trust(both, [KEY.fingerprint, RSA.fingerprint]))
    simulator = OpenPgpSimulator({KEY.public(): KEY, both: KEY})
    fact = judged(signed(), attestors=[attestor(), attestor(OTHER, "other"), other], simulator=simulator)
    assert fact.attestors == ("charts", "both")
    assert len(set(fact.identities)) == 1


def test_a_key_of_the_keyring_that_is_not_listed_is_no_trust() -> None:
    both = KEY.public() + RSA.public()
    listed = Attestor("charts", gpg_trust(both, [RSA.fingerprint]))
    fact = judged(signed(), attestors=[listed], simulator=OpenPgpSimulator({both: KEY}))
    assert (fact.outcome, fact.signers) == (Outcome.UNTRUSTED, ())
    assert f"{KEY.fingerprint}, whose fingerprint charts does not list" in fact.reason


def test_a_foreign_key_is_untrusted_and_hides_nobody() -> None:
    fact = judged(signed(key=OTHER))
    assert (fact.outcome, "in no trusted keyring" in fact.reason) == (Outcome.UNTRUSTED, True)
    assert judged(signed(key=OTHER), attestors=[attestor(), attestor(OTHER, "o")]).attestors == ("o",)


def test_without_an_attestor_of_this_kind_nothing_is_trusted() -> None:
    key = Attestor("image", KeyTrust(None, "00"))  # type: ignore[arg-type]
    for attestors in ([], [key]):
        fact = judged(signed(), attestors=attestors)
        assert fact.outcome is Outcome.UNTRUSTED
        assert "no attestor of type gpg" in fact.reason


def test_an_attestor_counts_in_its_time() -> None:
    day = timedelta(days=1)
    assert judged(signed(), attestors=[attestor(not_after=world.NOW + day)]).outcome is Outcome.VERIFIED
    for window in ({"not_after": world.NOW}, {"not_before": world.NOW + day}):
        fact = judged(signed(), attestors=[attestor(**window)])
        assert fact.outcome is Outcome.UNTRUSTED
        assert "does not count at this time" in fact.reason
    assert judged(signed(), attestors=[attestor(not_after=world.NOW + day)]).valid_until == world.NOW + day


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "outcome", "why"),
    [
        (OpenPgpStatus.BAD, Outcome.BROKEN, "signature does not verify"),
        (OpenPgpStatus.UNKNOWN_KEY, Outcome.UNTRUSTED, "in no trusted keyring"),
        (OpenPgpStatus.KEY_EXPIRED, Outcome.UNTRUSTED, "key that has expired"),
        (OpenPgpStatus.KEY_REVOKED, Outcome.UNTRUSTED, "key that was revoked"),
        (OpenPgpStatus.SIGNATURE_EXPIRED, Outcome.UNTRUSTED, "signature has expired"),
        (OpenPgpStatus.NOT_VERIFIED, Outcome.BROKEN, "could not be verified"),
        (OpenPgpStatus.GOOD, Outcome.BROKEN, "could not be verified"),
    ],
)
def test_every_other_answer_is_a_no(says: OpenPgpStatus, outcome: Outcome, why: str) -> None:
    """The last one is a yes without the fields that it has to come with."""
    fact = judged(signed(), simulator=OpenPgpSimulator({KEY.public(): KEY}, says=says))
    assert (fact.outcome, fact.signers) == (outcome, ())
    assert why in fact.reason


def test_a_no_with_all_the_fields_of_a_yes_is_a_no() -> None:
    claim = helm_claim(ChartCandidate(signed(), CHART), subject=None)
    assert isinstance(claim, HelmClaim)
    good = OpenPgpSimulator({KEY.public(): KEY}).verify(claim.question, KEY.public(), at=world.NOW)
    ring = attestor().trust.keyring_digest  # type: ignore[union-attr]
    for status in OpenPgpStatus:
        answers = {ring: replace(good, status=status)}
        fact = judge_helm(claim, answers, attestors=[attestor()], now=world.NOW)
        assert (fact.outcome is Outcome.VERIFIED) == (status is OpenPgpStatus.GOOD), status


def test_a_question_that_was_not_answered_is_a_no() -> None:
    claim = helm_claim(ChartCandidate(signed(), CHART), subject=None)
    assert isinstance(claim, HelmClaim)
    fact = judge_helm(claim, {}, attestors=[attestor()], now=world.NOW)
    assert (fact.outcome, "was not verified" in fact.reason) == (Outcome.UNTRUSTED, True)


@pytest.mark.parametrize(
    ("change", "outcome", "why"),
    [
        ({"signature_class": 0}, Outcome.BROKEN, "not what OpenPGP says"),
        ({"hash_id": 8}, Outcome.BROKEN, "not what OpenPGP says"),
        ({"algorithm": 1}, Outcome.BROKEN, "not what OpenPGP says"),
        ({"signing_key": OTHER.fingerprint}, Outcome.UNTRUSTED, "in no trusted keyring"),
        ({"primary_key": OTHER.fingerprint}, Outcome.UNTRUSTED, "in no trusted keyring"),
        ({"created": world.NOW + MAX_CLOCK_SKEW + timedelta(seconds=1)}, Outcome.BROKEN, "in the future"),
        ({"created": world.MADE - timedelta(seconds=1)}, Outcome.BROKEN, "before its key was made"),
        ({"expires": world.NOW}, Outcome.UNTRUSTED, "signature has expired"),
        ({"key_expires": world.NOW}, Outcome.UNTRUSTED, "key that has expired"),
    ],
)
def test_what_the_answer_says_is_weighed(change: Mapping[str, Any], outcome: Outcome, why: str) -> None:
    fact = judged(signed(), simulator=OpenPgpSimulator({KEY.public(): KEY}, change=dict(change)))
    assert (fact.outcome, fact.signers) == (outcome, ())
    assert why in fact.reason


def test_ends_are_outside_and_say_until_when_the_judgement_holds() -> None:
    second = timedelta(seconds=1)
    for change, turn in (
        ({"created": world.NOW + MAX_CLOCK_SKEW}, None),
        ({"created": world.MADE}, None),
        ({"expires": world.NOW + second}, world.NOW + second),
        ({"key_expires": world.NOW + second}, world.NOW + second),
    ):
        fact = judged(signed(), simulator=OpenPgpSimulator({KEY.public(): KEY}, change=change))
        assert (fact.outcome, fact.valid_until) == (Outcome.VERIFIED, turn)
    early = OpenPgpSimulator({KEY.public(): KEY}, change={"created": world.NOW + timedelta(hours=1)})
    assert judged(signed(), simulator=early).valid_until == world.NOW + timedelta(hours=1) - MAX_CLOCK_SKEW


def test_keys_of_two_primaries_do_not_lend_each_other_names() -> None:
    both = KEY.public() + RSA.public()
    trust = Attestor("both", gpg_trust(both, [KEY.fingerprint, RSA.fingerprint]))
    lie = OpenPgpSimulator({both: KEY}, change={"primary_key": RSA.fingerprint})
    assert judged(signed(), attestors=[trust], simulator=lie).outcome is Outcome.UNTRUSTED


@pytest.mark.parametrize("late", ["primary", "subkey"])
def test_neither_key_may_be_younger_than_the_signature(late: str) -> None:
    young = world.pgp_key("ed25519", "young", made=world.NOW)
    both = KEY.public() + young.public()
    trust = gpg_trust(both, [KEY.fingerprint, young.fingerprint])
    primary, subkey = (young, KEY) if late == "primary" else (KEY, young)
    bound = replace(trust.keys[subkey.fingerprint], primary=primary.fingerprint)
    trust = replace(trust, keys={**trust.keys, subkey.fingerprint: bound})
    names = {"primary_key": primary.fingerprint, "signing_key": subkey.fingerprint}
    simulator = OpenPgpSimulator({both: KEY}, change=names)
    fact = judged(signed(), attestors=[Attestor("both", trust)], simulator=simulator)
    assert (fact.outcome, "before its key was made" in fact.reason) == (Outcome.BROKEN, True), fact.reason


def test_weak_keys_do_not_count() -> None:
    both = WEAK.public() + KEY.public()
    trust = Attestor("weak", gpg_trust(both, [KEY.fingerprint]))
    fact = judged(signed(key=WEAK), attestors=[trust], simulator=OpenPgpSimulator({both: WEAK}))
    assert fact.outcome is Outcome.UNTRUSTED
    assert "RSA with 1024 bits" in fact.reason


def test_a_weak_subkey_of_a_strong_key_does_not_count() -> None:
    both = KEY.public() + WEAK.public()
    trust = gpg_trust(both, [KEY.fingerprint])
    bound = replace(trust.keys[WEAK.fingerprint], primary=KEY.fingerprint)
    trust = replace(trust, keys={**trust.keys, WEAK.fingerprint: bound})
    simulator = OpenPgpSimulator({both: WEAK}, change={"primary_key": KEY.fingerprint})
    fact = judged(signed(key=WEAK), attestors=[Attestor("both", trust)], simulator=simulator)
    assert (fact.outcome, fact.signers) == (Outcome.UNTRUSTED, ())
    assert "RSA with 1024 bits" in fact.reason


def test_sha1_and_dsa_are_refused_before_anyone_is_asked() -> None:
    simulator = OpenPgpSimulator({KEY.public(): KEY})
    fact = judged(signed(hash_id=2), simulator=simulator)
    assert (fact.outcome, simulator.asked) == (Outcome.BROKEN, 0)
    assert "signed over SHA1" in fact.reason
    packet = bytearray(KEY.signature(b""))
    packet[8] = 17
    dsa = signed().decode()
    head = dsa[: dsa.index("-----BEGIN PGP SIGNATURE")]
    fact = judged((head + world.armor(bytes(packet))).encode(), simulator=simulator)
    assert "signed with DSA" in fact.reason


# --- what ----------------------------------------------------------------------------------------


def body(**more: str) -> str:
    return world.provenance_body(PACKAGE, **more)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (body(name="db-1.2.3.tgz"), "is for 'db-1.2.3.tgz', and the chart is 'web-1.2.3.tgz'"),
        (world.provenance_body(b"other"), "package with the digest"),
        (body(metadata=world.CHART_YAML.replace("web", "db")), "do not say the same of 'name'"),
        (
            body(metadata=world.CHART_YAML.replace("a chart", "another")),
            "do not say the same of 'description'",
        ),
        (body().replace("sha256:", "sha512:"), "package with the digest 'sha512:"),
        (body().replace(CHART.digest, CHART.digest.upper()), "package with the digest"),
        (body() + "\n  db-1.0.0.tgz: sha256:00", "exactly one file"),
        (body() + f"\n  web-1.2.3.tgz: {CHART.digest}", "twice"),
        (body() + "\nimages: {}", "exactly one file"),
        (body() + "\nFiles: {}", "exactly one file"),
        (body().replace("files:", "Files:"), "exactly one file"),
        (body().partition("  web")[0], "exactly one file"),
        (body().replace(f": {CHART.digest}", ": [a]"), "without a digest"),
        (body() + "\n...\nfiles: {}", "must have two parts"),
        (body().replace("\n...\n", "\n"), "must have two parts"),
        (body().replace("\n...\n", "\n ...\n"), "must have two parts"),
        (body(metadata="x: |\n  a\n"), "metadata has the name ''"),
        (body(metadata="- a\n"), "is not a mapping"),
        (body().replace("\nfiles:", "\n- files:"), "is not a mapping"),
    ],
)
def test_what_is_signed_must_be_this_chart(text: str, why: str) -> None:
    fact = judged(signed(text))
    assert fact.outcome is Outcome.BROKEN
    assert why in fact.reason
    assert fact.reason.startswith("the provenance")


def test_another_package_under_a_good_provenance_is_broken() -> None:
    other = gzip.compress(gzip.decompress(PACKAGE), mtime=7)
    assert read_chart(other).metadata == CHART.metadata
    assert judged(signed(), package=other).outcome is Outcome.BROKEN


def test_a_changed_text_is_broken() -> None:
    changed = signed().replace(b"a chart", b"a Chart")
    package = world.package(chart=world.CHART_YAML.replace("a chart", "a Chart"))
    assert judged(changed).outcome is Outcome.BROKEN
    again = changed.replace(CHART.digest.encode(), Digest.of(package).encode())
    fact = judged(again, package=package)
    assert (fact.outcome, fact.reason) == (Outcome.BROKEN, "the provenance's signature does not verify")


# --- where it lies -------------------------------------------------------------------------------


def artifact(**more: Any) -> tuple[ChartCandidate, Subject]:
    """A chart's manifest with everything in its place; ``more`` replaces parts of the document."""
    provenance = signed()
    made = chart_artifact(PACKAGE, CHART, provenance, created=world.NOW)
    config = next(content for content in made.blobs.values() if content.startswith(b"{"))
    document = {**json.loads(made.manifest), **more}
    manifest = parse_manifest(json.dumps(document).encode())
    candidate = ChartCandidate(provenance, CHART, manifest, config)
    return candidate, Subject(manifest.digest, manifest.media_type, len(manifest.raw))


def layer(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": Digest.of(content), "size": len(content)}


CHART_LAYER, PROVENANCE_LAYER = layer(PACKAGE, CHART_TYPE), layer(signed(), PROVENANCE_TYPE)


def claimed(**more: Any) -> HelmClaim | SignatureFact:
    candidate, subject = artifact(**more)
    return helm_claim(candidate, subject=subject)


def test_a_chart_in_its_manifest() -> None:
    assert isinstance(claimed(), HelmClaim)
    legacy = [layer(PACKAGE, LEGACY_CHART_TYPE), PROVENANCE_LAYER]
    assert isinstance(claimed(layers=legacy), HelmClaim)


@pytest.mark.parametrize(
    ("more", "outcome", "why"),
    [
        ({"layers": [CHART_LAYER]}, Outcome.BROKEN, "not the provenance that the manifest names"),
        ({"layers": [PROVENANCE_LAYER]}, Outcome.BROKEN, "has one chart layer; this one has 0"),
        ({"layers": [CHART_LAYER] * 2 + [PROVENANCE_LAYER]}, Outcome.BROKEN, "this one has 2"),
        ({"layers": [CHART_LAYER, *[PROVENANCE_LAYER] * 2]}, Outcome.BROKEN, "at most one provenance"),
        (
            {"layers": [CHART_LAYER, PROVENANCE_LAYER, layer(b"x", "text/plain")]},
            Outcome.BROKEN,
            "neither a chart nor a provenance",
        ),
        (
            {"layers": [layer(b"x", CHART_TYPE), PROVENANCE_LAYER]},
            Outcome.BROKEN,
            "chart that is not the one",
        ),
        (
            {"layers": [layer(bytes(len(PACKAGE)), CHART_TYPE), PROVENANCE_LAYER]},
            Outcome.BROKEN,
            "chart that is not the one",
        ),
        (
            {"layers": [{**CHART_LAYER, "size": 1}, PROVENANCE_LAYER]},
            Outcome.BROKEN,
            "chart that is not the one",
        ),
        (
            {"layers": [{**CHART_LAYER, "size": 10**9}, PROVENANCE_LAYER]},
            Outcome.NOT_UNDERSTOOD,
            "at most 20971520 are read",
        ),
        (
            {"layers": [CHART_LAYER, {**PROVENANCE_LAYER, "size": 10**9}]},
            Outcome.BROKEN,
            "at most 1048576 are read",
        ),
        ({"layers": [CHART_LAYER, layer(b"x", PROVENANCE_TYPE)]}, Outcome.BROKEN, "not the provenance"),
        ({"config": layer(b"{}", CONFIG_TYPE)}, Outcome.BROKEN, "config that is not the one"),
        ({"config": layer(b"{}", media.OCI_CONFIG)}, Outcome.BROKEN, "a chart's config has the type"),
        ({"config": {**layer(b"{}", CONFIG_TYPE), "size": 10**9}}, Outcome.NOT_UNDERSTOOD, "are read"),
    ],
)
def test_other_manifests_are_refused(more: Mapping[str, Any], outcome: Outcome, why: str) -> None:
    fact = claimed(**more)
    assert isinstance(fact, SignatureFact)
    assert fact.outcome is outcome
    assert why in fact.reason


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"", "config is not JSON"),
        (b"[]", "is not an object"),
        (b'{"name":"web","name":"web","version":"1.2.3"}', "twice"),
        (b'{"name":"db","version":"1.2.3"}', "differ in 'apiVersion'"),
        (b'{"name":"web","version":"1.2.3","apiVersion":"v2","description":"x"}', "differ in 'description'"),
        (b'{"name":["web"],"version":"1.2.3"}', "is not a text"),
        (b'{"name":null,"version":1}', "the name ''"),
        (b'{"name":"web","version":"1.2.3","deprecated":1.5,"x":{"y":[true,null,1]}}', "neither true nor"),
    ],
)
def test_the_config_must_say_what_the_chart_says(config: bytes, why: str) -> None:
    candidate, _ = artifact(config=layer(config, CONFIG_TYPE))
    manifest = candidate.manifest
    assert manifest is not None
    fact = helm_claim(
        replace(candidate, config=config), subject=Subject(manifest.digest, manifest.media_type, 1)
    )
    assert isinstance(fact, SignatureFact)
    assert fact.outcome is Outcome.BROKEN
    assert why in fact.reason


def test_the_manifest_is_the_one_that_is_judged() -> None:
    candidate, subject = artifact()
    for wrong, other in (
        (candidate, replace(subject, digest=Digest.of(b"x"))),
        (candidate, None),
        (replace(candidate, manifest=None), subject),
        (replace(candidate, config=None), subject),
    ):
        fact = helm_claim(wrong, subject=other)
        assert isinstance(fact, SignatureFact)
        assert fact.outcome is Outcome.BROKEN


def test_under_another_name_it_is_another_chart() -> None:
    fact = judged(signed())
    assert as_called(fact, name="web", tag="1.2.3") == fact
    assert as_called(fact, name="web", tag=None) == fact
    for name, tag in (("web", "1.2.4"), ("web", "latest"), ("db", "1.2.3"), ("db", None)):
        other = as_called(fact, name=name, tag=tag)
        assert (other.outcome, other.signers) == (Outcome.BROKEN, ())
        assert "the provenance is for web:1.2.3" in other.reason
    broken = judged(signed(hash_id=2))
    assert as_called(broken, name="db", tag="1") == broken


# --- making them ---------------------------------------------------------------------------------


def test_what_we_sign_is_what_we_read() -> None:
    chart = (
        world.CHART_YAML
        + "appVersion: 1.10\nkeywords: [a, 'yes']\nannotations: {x: \"a\\n...\\nb\"}\nfoo: bar\n"
    )
    package = world.package(chart=chart)
    provenance = signed(provenance_text(package).decode().removesuffix("\n"))
    read, of = check_signed(provenance, package)
    assert read.metadata.fields == of.metadata.fields
    assert judged(provenance, package=package).outcome is Outcome.VERIFIED
    with pytest.raises(InvalidInput, match="not a tar"):
        provenance_text(b"x")
    with pytest.raises(InvalidInput, match="the provenance is for"):
        check_signed(provenance, PACKAGE)


def test_the_artifact_is_the_one_that_helm_push_makes() -> None:
    chart = world.CHART_YAML + (
        "home: https://example.test\nsources: [https://example.test/src]\n"
        "maintainers:\n- {name: A, email: a@b}\n- {name: B}\n"
        "annotations: {own: x, org.opencontainers.image.title: liar}\n"
    )
    package = world.package(chart=chart)
    made = chart_artifact(package, read_chart(package), b"prov", created=world.NOW)
    manifest = parse_manifest(made.manifest)
    assert manifest.annotations == {
        "org.opencontainers.image.title": "web",
        "org.opencontainers.image.version": "1.2.3",
        "org.opencontainers.image.description": "a chart",
        "org.opencontainers.image.url": "https://example.test",
        "org.opencontainers.image.source": "https://example.test/src",
        "org.opencontainers.image.authors": "A (a@b), B",
        "org.opencontainers.image.created": "2026-11-23T12:00:00Z",
        "own": "x",
    }
    assert [layer.digest for layer in manifest.layers] == sorted(layer.digest for layer in manifest.layers)
    again = parse_manifest(with_provenance(manifest, b"another").manifest)
    assert again.annotations == manifest.annotations
    assert again.config == manifest.config
    assert {one.digest for one in again.layers} == {Digest.of(package), Digest.of(b"another")}
    with pytest.raises(HelmRefused):
        with_provenance(_image(), b"x")


def _image() -> Manifest:
    document = {"schemaVersion": 2, "config": layer(b"{}", media.OCI_CONFIG), "layers": []}
    return parse_manifest(json.dumps(document).encode(), content_type=media.OCI_MANIFEST)


# --- whatever comes ------------------------------------------------------------------------------


@few
@given(st.binary(max_size=300))
def test_no_bytes_are_a_yes(raw: bytes) -> None:
    fact = judged(raw)
    assert fact.outcome in {Outcome.BROKEN, Outcome.NOT_UNDERSTOOD}
    assert len(fact.reason) <= MAX_REASON_CHARACTERS
    assert fact.reason.isascii()
    assert fact.reason.isprintable()


@few
@given(st.integers(0, len(signed()) - 1), st.integers(1, 255))
def test_no_changed_byte_is_a_yes_for_other_bytes(at: int, difference: int) -> None:
    good = signed()
    changed = bytearray(good)
    changed[at] ^= difference
    fact = judged(bytes(changed))
    if fact.outcome is Outcome.VERIFIED:  # what no signature covers: the armor's checksum has another form
        assert bytes(changed).split() == good.split()


@few
@given(st.text(max_size=200))
def test_no_signed_text_raises(text: str) -> None:
    """Signed by the right key, whatever it says."""
    try:
        provenance = world.clear_signed(text, KEY).encode()
    except UnicodeEncodeError:
        return
    assert judged(provenance).outcome is not Outcome.VERIFIED
