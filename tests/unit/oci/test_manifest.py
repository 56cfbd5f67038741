"""Manifests: one meaning, bounded, and the bytes stay as they came."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.errors import ManifestInvalid, ManifestTooLarge
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_ANNOTATIONS, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, parse_manifest

DIGEST = str(Digest.of(b"x"))
LAYER = {"mediaType": media.OCI_LAYER_TAR_GZIP, "digest": DIGEST, "size": 1}
CONFIG = {"mediaType": media.OCI_CONFIG, "digest": DIGEST, "size": 1}


def image(**changes: Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": CONFIG,
        "layers": [LAYER],
        **changes,
    }
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def index(**changes: Any) -> bytes:
    child = {
        "mediaType": media.OCI_MANIFEST,
        "digest": DIGEST,
        "size": 1,
        "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
    }
    document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [child], **changes}
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def test_an_image() -> None:
    raw = image(subject=LAYER, annotations={"a": "b"})
    found = parse_manifest(raw, content_type=f"{media.OCI_MANIFEST}; charset=utf-8")
    assert (found.raw, found.digest, found.kind) == (raw, Digest.of(raw), "image")
    assert [blob.digest for blob in found.blobs] == [DIGEST, DIGEST]
    assert found.subject is not None
    assert found.artifact_type == media.OCI_CONFIG
    assert found.descriptor.as_json() == {
        "mediaType": media.OCI_MANIFEST,
        "digest": str(Digest.of(raw)),
        "size": len(raw),
        "artifactType": media.OCI_CONFIG,
        "annotations": {"a": "b"},
    }


def test_an_index() -> None:
    found = parse_manifest(index(artifactType="application/vnd.x"))
    assert (found.kind, found.blobs, found.artifact_type) == ("index", (), "application/vnd.x")
    assert str(found.children[0].platform) == "linux/arm/v7"


def test_types_are_guessed_only_when_nobody_says() -> None:
    assert parse_manifest(image(mediaType=...)).media_type == media.OCI_MANIFEST
    assert parse_manifest(index(mediaType=...)).media_type == media.OCI_INDEX
    said = parse_manifest(image(mediaType=...), content_type=media.OCI_MANIFEST)
    assert said.media_type == media.OCI_MANIFEST


def test_a_list_that_is_null_is_empty() -> None:
    assert parse_manifest(index(manifests=None)).children == ()


def test_the_digest_is_by_the_algorithm_that_was_asked_for() -> None:
    assert parse_manifest(image(), algorithm="sha512").digest == Digest.of(image(), "sha512")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"x"',
        b"\xff",
        image(schemaVersion=1),
        image(schemaVersion=True),
        image(schemaVersion="2"),
        image(mediaType=5),
        image(mediaType="application/json"),
        image(mediaType=media.OCI_INDEX),
        index(mediaType=media.OCI_MANIFEST),
        image(manifests=[]),
        index(layers=[]),
        index(config=CONFIG),
        index(fsLayers=[]),
        image(config=...),
        image(layers=...),
        index(manifests=...),
        image(layers={}),
        image(layers=["x"]),
        image(layers=[{**LAYER, "digest": "sha256:x"}]),
        image(layers=[{**LAYER, "digest": 5}]),
        image(layers=[{**LAYER, "size": -1}]),
        image(layers=[{**LAYER, "size": 2**63}]),
        image(layers=[{**LAYER, "size": 1.5}]),
        image(layers=[{**LAYER, "size": True}]),
        image(layers=[{**LAYER, "size": "1"}]),
        image(layers=[{**LAYER, "mediaType": ""}]),
        image(layers=[{**LAYER, "mediaType": "no slash"}]),
        image(layers=[{**LAYER, "urls": "x"}]),
        image(layers=[{**LAYER, "urls": [5]}]),
        image(layers=[{**LAYER, "annotations": {"a": 5}}]),
        image(layers=[{**LAYER, "annotations": []}]),
        image(layers=[{**LAYER, "platform": "linux"}]),
        image(layers=[{**LAYER, "platform": {"os": 5}}]),
        image(layers=[{**LAYER, "data": "!"}]),
        image(layers=[{**LAYER, "data": base64.b64encode(b"y").decode()}]),
        image(layers=[LAYER] * (MAX_DESCRIPTORS + 1)),
        image(annotations={str(number): "" for number in range(MAX_ANNOTATIONS + 1)}),
        image(annotations="x"),
        image(artifactType=5),
        image(artifactType="x"),
        image(subject="x"),
        image(config="x"),
        image().replace(b'"schemaVersion"', b'"schemaVersion": 2, "schemaVersion"'),
    ],
)
def test_what_is_refused(raw: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(raw)


@pytest.mark.parametrize(
    ("raw", "read_as"),
    [
        (image(Manifests=[]), "manifests"),
        (index(Layers=[]), "layers"),
        (image(mediaType=..., MediaType=media.OCI_INDEX), "mediaType"),
        (image(SUBJECT=LAYER), "subject"),
        (image(layers=[{**LAYER, "Data": "eQ=="}]), "data"),
        (image(layers=[{**LAYER, "url\u017f": ["https://elsewhere.test"]}]), "urls"),
        (image(config={**CONFIG, "Platform": {}}), "platform"),
    ],
)
def test_a_key_in_another_spelling_is_refused(raw: bytes, read_as: str) -> None:
    """Clients written in Go would see it, others would not."""
    with pytest.raises(ManifestInvalid, match=f"some clients read as '{read_as}'"):
        parse_manifest(raw)


def test_keys_that_nobody_knows_are_carried() -> None:
    assert parse_manifest(image(**{"org.example": 1}, layers=[{**LAYER, "x-own": [1]}])).layers


def test_content_type_and_body_must_agree() -> None:
    """CVE-2021-41190: one document that is two."""
    with pytest.raises(ManifestInvalid, match="they must be the same"):
        parse_manifest(image(), content_type=media.OCI_INDEX)


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [(media.DOCKER_MANIFEST, image(mediaType=...)), (media.DOCKER_MANIFEST_LIST, index(mediaType=...))],
)
def test_a_manifest_of_docker_says_so_itself(content_type: str, raw: bytes) -> None:
    """Else the same bytes would be two things, by what their pusher says of them."""
    assert parse_manifest(raw).media_type in {media.OCI_MANIFEST, media.OCI_INDEX}
    with pytest.raises(ManifestInvalid, match="the body has no mediaType"):
        parse_manifest(raw, content_type=content_type)


def test_data_that_is_the_content() -> None:
    assert parse_manifest(image(layers=[{**LAYER, "data": base64.b64encode(b"x").decode()}])).layers


def test_too_large() -> None:
    with pytest.raises(ManifestTooLarge):
        parse_manifest(b" " * (MAX_MANIFEST_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    with contextlib.suppress(ManifestInvalid):
        parse_manifest(raw)


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just([LAYER]) | st.just(CONFIG)
)
_KEYS = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations"]
)


@given(st.dictionaries(_KEYS, _VALUES), st.text(max_size=40))
def test_any_document(changes: dict[str, Any], content_type: str) -> None:
    with contextlib.suppress(ManifestInvalid):
        parse_manifest(image(**changes), content_type=content_type)
