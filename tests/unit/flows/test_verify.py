"""Verification keeps three answers apart: good, not good, and "could not be decided", which raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.signing_world import (
    NOW,
    Artifact,
    as_json,
    bundle,
    bundle_manifest,
    image,
    index,
    key,
    legacy_candidate,
    legacy_manifest,
    simple_signing,
    trusted,
)
from tests.simulators.places import KINDS, client_of, place, put
from tests.simulators.registry import Answer, SimulatedRegistry, challenge
from trustgate.errors import (
    DigestInvalid,
    ManifestInvalid,
    NotFound,
    TrustgateError,
    Unauthorized,
    UpstreamFailed,
    UpstreamRefused,
)
from trustgate.evidence.model import MAX_SIGNATURE_CANDIDATES, Outcome
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS, legacy_signature_tag
from trustgate.flows import verify as room
from trustgate.flows.verify import (
    MAX_ATTESTATION_CANDIDATES,
    MAX_REFERRERS,
    Verified,
    verify_attestations,
    verify_image,
)
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource

IMAGE = image()
OTHER = image(b"another image")
DIGEST = IMAGE.manifest.digest
SIG_TAG = str(legacy_signature_tag(DIGEST))
ALICE = trusted(key())
KEYS = ["p256", "rsa2048", "ed25519"]


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageSource]:
    with place(request.param, tmp_path / "image") as made:
        put(made, IMAGE, "1")
        yield made


@pytest.fixture
def simulator() -> Iterator[SimulatedRegistry]:
    with SimulatedRegistry() as made:
        fill(made, IMAGE, "1")
        yield made


def fill(simulator: SimulatedRegistry, artifact: Artifact, tag: str = "") -> Digest:
    for digest, content in artifact.blobs.items():
        simulator.blobs[digest] = content
    return simulator.add(artifact.raw, artifact.manifest.media_type, tag)


def attach(source: ImageSource, *referrers: Artifact) -> None:
    """As a client does: by subject, and in the fallback list."""
    for referrer in referrers:
        put(source, referrer)
    put(source, index(*referrers), f"sha256-{DIGEST.hex}")


def signed_by(private: Any, *, says: Digest = DIGEST, about: Descriptor | None = None) -> Artifact:
    return bundle_manifest(about or IMAGE.manifest.descriptor, bundle(says, private))


def verify(source: ImageSource, target: Tag | Digest = DIGEST, *attestors: Any) -> Verified:
    return verify_image(source, target, attestors or [ALICE], now=NOW)


def outcomes(source: ImageSource, *attestors: Any) -> list[Outcome]:
    return [fact.outcome for fact in verify(source, DIGEST, *attestors).facts]


# --- yes and no ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KEYS)
def test_a_good_signature(source: ImageSource, kind: str) -> None:
    attach(source, signed_by(key(kind)))
    put(source, legacy_manifest(legacy_candidate(DIGEST, key(kind, "bob"))), SIG_TAG)
    both = [trusted(key(kind)), trusted(key(kind, "bob"), "bob")]
    found = verify(source, Tag("1"), *both)
    assert (found.manifest.digest, [fact.attestors for fact in found.good]) == (
        DIGEST,
        [("alice",), ("bob",)],
    )
    assert len(verify(source, DIGEST, both[1]).good) == 1


def test_no_signature_is_an_answer(source: ImageSource) -> None:
    found = verify(source)
    assert (found.facts, found.good) == ((), ())


@pytest.mark.parametrize("kind", KEYS)
def test_a_foreign_key(source: ImageSource, kind: str) -> None:
    attach(source, signed_by(key(kind, "mallory")))
    put(source, legacy_manifest(legacy_candidate(DIGEST, key(kind, "mallory"))), SIG_TAG)
    assert outcomes(source, trusted(key(kind))) == [Outcome.UNTRUSTED] * 2


@pytest.mark.parametrize("kind", KEYS)
def test_a_signature_of_another_digest(source: ImageSource, kind: str) -> None:
    """Genuine, by the right key, hung on this image: it says nothing about it."""
    attach(source, signed_by(key(kind), says=OTHER.manifest.digest))
    moved = legacy_candidate(DIGEST, key(kind), payload=simple_signing(OTHER.manifest.digest))
    put(source, legacy_manifest(moved), SIG_TAG)
    assert outcomes(source, trusted(key(kind))) == [Outcome.BROKEN] * 2


def test_a_referrer_of_something_else_that_is_listed_here(simulator: SimulatedRegistry) -> None:
    simulator.referrers_api = False
    foreign = signed_by(key(), says=OTHER.manifest.digest, about=OTHER.manifest.descriptor)
    lying = signed_by(key(), about=OTHER.manifest.descriptor)
    with client_of(simulator) as client:
        attach(client, foreign, lying)
        assert not verify(client).good


def test_one_good_signature_among_bad_ones_is_enough(source: ImageSource) -> None:
    bad = [signed_by(key("p256", f"stranger{number}")) for number in range(3)]
    attach(source, *bad, signed_by(key()), signed_by(key(), says=OTHER.manifest.digest))
    assert sorted(outcomes(source)) == ["broken", "untrusted", "untrusted", "untrusted", "verified"]


def test_what_refers_to_an_image_need_not_be_a_signature(source: ImageSource) -> None:
    sbom = image(b"an sbom")
    sbom.document["subject"] = IMAGE.manifest.descriptor.as_json()
    attach(source, sbom, signed_by(key()))
    put(source, image(b"not a signature"), SIG_TAG)
    assert outcomes(source) == [Outcome.VERIFIED]


def test_candidates_of_each_format_are_bounded(source: ImageSource) -> None:
    """A flood of one format leaves room for the others."""
    layers = [legacy_candidate(DIGEST, key("ed25519"), annotations={"n": str(n)}) for n in range(60)]
    attach(source, *(signed_by(key("ed25519", f"s{n}")) for n in range(MAX_SIGNATURE_CANDIDATES + 2)))
    put(source, legacy_manifest(*layers), SIG_TAG)
    found = verify(source)
    assert len(found.facts) == MAX_SIGNATURE_CANDIDATES + 60
    assert (
        found.unread == "there are more than 64 signatures of kind cosign-bundle, and the rest was not judged"
    )


def test_that_there_are_more_is_told(source: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(source, *(signed_by(key("ed25519", f"s{n}")) for n in range(2)))
    assert verify(source).unread == ""
    monkeypatch.setattr(room, "MAX_REFERRERS", 1)
    assert verify(source).unread == "there are more than 1 referrers, and the rest was not judged"
    monkeypatch.setattr(room, "MAX_REFERRERS", 2)
    monkeypatch.setattr(room, "MAX_ATTESTATION_CANDIDATES", 1)
    found = verify_attestations(source, DIGEST, [ALICE], now=NOW)
    assert found.unread == "there are more than 1 attestations, and the rest was not judged"


def test_a_list_of_referrers_is_looked_at_up_to_a_limit(simulator: SimulatedRegistry) -> None:
    simulator.referrers_api = False
    missing = [{"digest": Digest.of(b"%d" % number)} for number in range(MAX_REFERRERS - 1)]
    last = [{"digest": fill(simulator, signed_by(one))} for one in (key(), key("ed25519"))]
    listed = as_json({"schemaVersion": 2, "manifests": missing + last})
    simulator.add(listed, media.OCI_INDEX, f"sha256-{DIGEST.hex}")
    with client_of(simulator) as client:
        assert outcomes(client, ALICE, trusted(key("ed25519"))) == [Outcome.VERIFIED]


def test_so_many_attestations_are_looked_at_and_no_more(tmp_path: Path) -> None:
    raw = bundle(DIGEST, key(), edit_statement=lambda said: said.update(predicateType="x"))
    with place("layout", tmp_path / "image") as source:
        put(source, IMAGE)
        for number in range(MAX_ATTESTATION_CANDIDATES + 1):
            made = bundle_manifest(IMAGE.manifest.descriptor, raw)
            made.document["annotations"] = {"n": str(number)}
            put(source, made)
        found = verify_attestations(source, DIGEST, [ALICE], now=NOW)
    assert [fact.outcome for fact in found.facts] == [Outcome.VERIFIED] * MAX_ATTESTATION_CANDIDATES


def test_so_many_layers_are_fetched_and_no_more(simulator: SimulatedRegistry) -> None:
    layers = [
        legacy_candidate(DIGEST, key(), payload=simple_signing(DIGEST, lambda d, n=n: d.update(n=n)))
        for n in range(MAX_SIGNATURE_LAYERS + 1)
    ]
    fill(simulator, legacy_manifest(*layers), SIG_TAG)
    with client_of(simulator) as client:
        verify(client)
    assert len(simulator.asked("GET .*/blobs/")) == MAX_SIGNATURE_LAYERS


def test_a_bundle_whose_bytes_are_gone_is_no_signature(simulator: SimulatedRegistry) -> None:
    signature = signed_by(key())
    fill(simulator, signature)
    with client_of(simulator) as client:
        assert len(verify(client).good) == 1
        del simulator.blobs[signature.manifest.layers[0].digest]
        assert not verify(client).good
        simulator.rig("GET .*/blobs/", Answer(200, {}, bundle(DIGEST, key())))
        assert not verify(client).good


def test_no_more_is_read_than_a_descriptor_says(simulator: SimulatedRegistry) -> None:
    """Else a small descriptor brings as many megabytes as are read of anything."""
    signature = signed_by(key())
    (layer,) = signature.manifest.layers
    lying = json.loads(signature.raw)
    lying["layers"][0]["size"] = layer.size - 1
    simulator.add(json.dumps(lying).encode(), signature.manifest.media_type, "")
    simulator.blobs |= signature.blobs
    with client_of(simulator) as client:
        assert verify(client).facts == ()
    fill(simulator, signature)
    with client_of(simulator) as client:
        assert outcomes(client) == [Outcome.VERIFIED]


# --- could not be decided --------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["/referrers/", "/manifests/sha256-.*sig", "/blobs/", "/manifests/sha256:"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(500), UpstreamFailed),
        (Answer(403), UpstreamRefused),
        (challenge("Basic"), Unauthorized),
        (Answer(200, {}, b"{", length=9), UpstreamFailed),
    ],
)
def test_what_can_not_be_read_is_no_answer(
    simulator: SimulatedRegistry, where: str, answer: Answer, kind: type[TrustgateError]
) -> None:
    fill(simulator, signed_by(key()))
    fill(simulator, legacy_manifest(legacy_candidate(DIGEST, key())), SIG_TAG)
    simulator.rig(where, answer)
    with client_of(simulator) as client, pytest.raises(kind):
        verify(client)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"manifests": [7]}'])
def test_a_senseless_list_is_not_no_signature(simulator: SimulatedRegistry, body: bytes) -> None:
    simulator.rig("/referrers/", Answer(200, {"Content-Type": "text/html"}, body))
    with client_of(simulator) as client, pytest.raises(UpstreamFailed):
        verify(client)


def test_another_manifest_than_asked_for(simulator: SimulatedRegistry) -> None:
    fill(simulator, signed_by(key()))
    simulator.rig(f"/manifests/{DIGEST}", Answer(200, {}, OTHER.raw))
    with client_of(simulator) as client, pytest.raises(DigestInvalid):
        verify(client)


def test_a_tag_that_moves_is_judged_by_what_it_is(simulator: SimulatedRegistry) -> None:
    """The signature of the old image does not follow the tag to the new one."""
    fill(simulator, signed_by(key()))
    with client_of(simulator) as client:
        assert verify(client, Tag("1")).good
        fill(simulator, OTHER, "1")
        assert verify(client, Tag("1")).manifest.digest == OTHER.manifest.digest
        assert not verify(client, Tag("1")).good


def test_what_is_no_manifest_is_not_verified(simulator: SimulatedRegistry) -> None:
    simulator.rig("/manifests/1", Answer(200, {"Content-Type": "text/html"}, b"<html>"))
    with client_of(simulator) as client:
        with pytest.raises(ManifestInvalid):
            verify(client, Tag("1"))
        with pytest.raises(NotFound):
            verify(client, Tag("2"))


def test_a_layout_with_a_broken_index(tmp_path: Path) -> None:
    with place("layout", tmp_path / "image") as source:
        put(source, IMAGE, "1")
        attach(source, signed_by(key()))
        assert verify(source).good
        (tmp_path / "image/index.json").write_text("{")
        with pytest.raises(UpstreamFailed):
            verify(source)
