"""What is signed here is what cosign writes, and is verified here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import signing_world as world
from tests.shared_files import shared
from trustgate.errors import Conflict
from trustgate.evidence.cosign import (
    candidates_from_bundle_manifest,
    candidates_from_legacy_manifest,
    judge_all,
)
from trustgate.evidence.model import Outcome, Role
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS, role_of
from trustgate.evidence.signing import SignatureArtifact, bundle_artifact, bundle_for, legacy_artifact
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest

IMAGE = world.image().manifest
NAME = "registry.test/shop/web"


def legacy(key: Any, existing: Manifest | None = None, subject: Digest = IMAGE.digest) -> SignatureArtifact:
    return legacy_artifact(subject, key, docker_reference=NAME, annotations={"by": "ci"}, existing=existing)


def checked(artifact: SignatureArtifact) -> Manifest:
    """The manifest, after a look at whether every new blob is what the manifest says."""
    manifest = parse_manifest(artifact.manifest)
    assert all(Digest.of(raw, digest.algorithm) == digest for digest, raw in artifact.blobs.items())
    assert all(
        len(artifact.blobs[one.digest]) == one.size for one in manifest.blobs if one.digest in artifact.blobs
    )
    return manifest


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048"])
def test_a_bundle_made_here_is_verified_here(kind: str) -> None:
    key = world.key(kind)
    artifact = bundle_artifact(IMAGE.descriptor, bundle_for(IMAGE.digest, key, {"by": "ci"}), world.NOW)
    manifest = checked(artifact)
    assert set(artifact.blobs) == {one.digest for one in manifest.blobs}
    assert role_of(manifest, artifact.blobs) is Role.SIGNATURE
    candidates = candidates_from_bundle_manifest(manifest, artifact.blobs)
    (fact,) = judge_all(candidates, subject=IMAGE.digest, attestors=[world.trusted(key)], now=world.NOW)
    assert fact.outcome is Outcome.VERIFIED


def test_a_bundle_says_what_one_made_by_hand_says() -> None:
    ours, by_hand = (
        json.loads(raw)
        for raw in (bundle_for(IMAGE.digest, world.key(), {}), world.bundle(IMAGE.digest, world.key()))
    )
    assert ours["verificationMaterial"] == by_hand["verificationMaterial"]
    payloads = [json.loads(world.base64.b64decode(one["dsseEnvelope"]["payload"])) for one in (ours, by_hand)]
    assert payloads[0] == payloads[1]


def shape_of(value: object) -> object:
    """Keys and kinds, without the values that differ from signature to signature."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    return [shape_of(one) for one in value] if isinstance(value, list) else type(value)


def cosigns(folder: str, tag_end: str) -> Any:
    root = shared("fixtures", "cosign-3.1.2-signed", folder)
    tags = json.loads((root / "tags.json").read_text())
    tag = next(
        digest for name, digest in tags.items() if name.startswith("sha256-") and name.endswith(tag_end)
    )
    document = json.loads((root / "blobs" / "sha256" / tag.partition(":")[2]).read_text())
    if "manifests" in document:
        document = json.loads(
            (root / "blobs" / "sha256" / document["manifests"][0]["digest"][7:]).read_text()
        )
    return document


def test_the_referrer_has_the_fields_that_cosign_writes() -> None:
    theirs = cosigns("s_kbundle", "")
    ours = json.loads(
        bundle_artifact(IMAGE.descriptor, bundle_for(IMAGE.digest, world.key(), {}), world.NOW).manifest
    )
    theirs["config"].pop("artifactType", None)
    assert shape_of(ours) == shape_of(theirs)
    for field in ("mediaType", "artifactType", "config"):
        assert ours[field] == theirs[field]
    assert ours["annotations"] | {"org.opencontainers.image.created": ""} == theirs["annotations"] | {
        "org.opencontainers.image.created": ""
    }
    assert ours["annotations"]["org.opencontainers.image.created"] == "2027-01-10T12:00:00Z"


def test_the_sig_manifest_has_the_fields_that_cosign_writes() -> None:
    theirs = cosigns("s_klegacy", ".sig")
    ours = json.loads(legacy(world.key()).manifest)
    assert set(ours) == set(theirs)
    assert ours["config"]["mediaType"] == theirs["config"]["mediaType"]
    assert ours["layers"][0]["mediaType"] == theirs["layers"][0]["mediaType"]
    assert set(ours["layers"][0]["annotations"]) <= set(theirs["layers"][0]["annotations"])


@pytest.mark.parametrize("annotations", [{}, {"by": "ci"}])
def test_annotations_are_signed_along(annotations: dict[str, str]) -> None:
    made = legacy_artifact(
        IMAGE.digest, world.key(), docker_reference=NAME, annotations=annotations, existing=None
    )
    payload = made.blobs[parse_manifest(made.manifest).layers[0].digest]
    assert json.loads(payload)["optional"] == (annotations or None)


def test_a_second_signer_keeps_the_first_ones_layer() -> None:
    alice, bob = world.key(), world.key("ed25519", "bob")
    first = legacy(alice)
    before = checked(first)
    second = legacy(bob, before)
    after = checked(second)
    assert after.layers[0] == before.layers[0]
    assert len(after.layers) == 2
    contents = {**first.blobs, **second.blobs}
    assert role_of(after, contents) is Role.SIGNATURE
    trusted = [world.trusted(alice, "alice"), world.trusted(bob, "bob")]
    facts = judge_all(
        candidates_from_legacy_manifest(after, contents),
        subject=IMAGE.digest,
        attestors=trusted,
        now=world.NOW,
    )
    assert [fact.attestors for fact in facts] == [("alice",), ("bob",)]
    assert {fact.signed_repository for fact in facts} == {NAME}
    config = json.loads(second.blobs[after.blobs[0].digest])
    assert config["rootfs"]["diff_ids"] == [str(layer.digest) for layer in after.layers]


def test_an_image_under_the_signatures_tag_is_not_overwritten() -> None:
    with pytest.raises(Conflict, match="not a signature manifest"):
        legacy(world.key(), IMAGE)


def about_another(document: dict[str, Any]) -> None:
    document["subject"] = IMAGE.descriptor.as_json()


def of_another_config(document: dict[str, Any]) -> None:
    document["config"]["mediaType"] = media.OCI_EMPTY


def without_layers(document: dict[str, Any]) -> None:
    document["layers"] = []


@pytest.mark.parametrize("edit", [about_another, of_another_config, without_layers])
def test_what_is_almost_a_signature_manifest_is_not_added_to(edit: Callable[[Any], object]) -> None:
    document = json.loads(legacy(world.key()).manifest)
    edit(document)
    with pytest.raises(Conflict, match="is not a signature manifest"):
        legacy(world.key(), parse_manifest(world.as_json(document)))


def test_an_index_under_the_signatures_tag_is_not_overwritten() -> None:
    with pytest.raises(Conflict, match="is not a signature manifest"):
        legacy(world.key(), world.index(world.image()).manifest)


def test_no_more_layers_are_added_than_are_read() -> None:
    document = json.loads(legacy(world.key()).manifest)
    document["layers"] *= MAX_SIGNATURE_LAYERS
    with pytest.raises(Conflict, match="as many as are read"):
        legacy(world.key(), parse_manifest(world.as_json(document)))


def test_sha512_subjects_are_signed_in_both_shapes() -> None:
    subject = Digest.of(b"x", "sha512")
    descriptor = world.replace(IMAGE.descriptor, digest=subject)
    for artifact, read in (
        (
            bundle_artifact(descriptor, bundle_for(subject, world.key(), {}), world.NOW),
            candidates_from_bundle_manifest,
        ),
        (legacy(world.key(), subject=subject), candidates_from_legacy_manifest),
    ):
        candidates = read(checked(artifact), artifact.blobs)
        facts = judge_all(candidates, subject=subject, attestors=[world.trusted(world.key())], now=world.NOW)
        assert [fact.outcome for fact in facts] == [Outcome.VERIFIED]
