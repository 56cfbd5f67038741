"""A Notary Project signature by its content: no image may be had for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import notation_world as world
from tests.notation_world import COSE, JWS
from trustgate.evidence.model import Role
from trustgate.evidence.notation.envelope import MAX_ENVELOPE_BYTES
from trustgate.evidence.shape import role_of, signature_blobs
from trustgate.oci import media
from trustgate.oci.digest import Digest


def role(artifact: world.Artifact) -> Role:
    manifest = artifact.manifest
    contents = {
        one.digest: artifact.blobs[one.digest]
        for one in signature_blobs(manifest)
        if one.digest in artifact.blobs
    }
    return role_of(manifest, contents)


@pytest.mark.parametrize("media_type", [JWS, COSE])
def test_a_signature_is_one_whoever_made_it(media_type: str) -> None:
    made = world.carrier(world.WRITERS[media_type](world.parts()), media_type)
    assert role(made) is Role.SIGNATURE
    unsigned = world.parts(sign=lambda k, c: b"\0" * 64)
    assert role(world.carrier(world.WRITERS[media_type](unsigned), media_type)) is Role.SIGNATURE

    def older(document: dict[str, Any]) -> None:
        del document["artifactType"]
        document["config"]["mediaType"] = world.NOTARY

    assert (
        role(world.carrier(world.WRITERS[media_type](world.parts()), media_type, edit=older))
        is Role.SIGNATURE
    )


def _image_config(document: dict[str, Any]) -> None:
    document["config"] = {
        "mediaType": media.OCI_CONFIG,
        "digest": str(Digest.of(b"config")),
        "size": 6,
    }


def _notary_config_of_an_image(document: dict[str, Any]) -> None:
    """Engines that do not look at the configuration's type would run this."""
    del document["artifactType"]
    document["config"] = {"mediaType": world.NOTARY, "digest": str(Digest.of(b"config")), "size": 6}


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no subject": lambda d: d.pop("subject"),
    "an image's configuration": _image_config,
    "an image's configuration under another type": _notary_config_of_an_image,
    "two layers": lambda d: d["layers"].append(d["layers"][0]),
    "no layer": lambda d: d.update(layers=[]),
    "a layer of an image": lambda d: d["layers"][0].update(mediaType=media.OCI_LAYER_TAR_GZIP),
    "another artifact type": lambda d: d.update(artifactType="application/x"),
    "docker's manifest": lambda d: d.update(mediaType=media.DOCKER_MANIFEST),
    "a huge layer": lambda d: d["layers"][0].update(size=MAX_ENVELOPE_BYTES + 1),
    "a blob that is not there": lambda d: d["layers"][0].update(digest=str(Digest.of(b"gone"))),
}


@pytest.mark.parametrize("case", EDITS)
def test_what_is_no_signature(case: str) -> None:
    assert role(world.carrier(world.jws(world.parts()), edit=EDITS[case])) is not Role.SIGNATURE


@pytest.mark.parametrize(
    ("envelope", "media_type"),
    [
        (b"{}", JWS),
        (b"\x1f\x8b\x08 a layer", JWS),
        (b"\x1f\x8b\x08 a layer", COSE),
        (world.jws(world.parts(payload=b'{"x":1}')), JWS),
        (world.jws(world.parts()), COSE),
        (world.jws(world.parts()) + b" " * MAX_ENVELOPE_BYTES, JWS),
    ],
)
def test_content_that_is_no_envelope(envelope: bytes, media_type: str) -> None:
    assert role(world.carrier(envelope, media_type)) is not Role.SIGNATURE
