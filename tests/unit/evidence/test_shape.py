"""What a manifest is, by its content: being a signature must not be had for a name."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cbor2
import pytest

from tests import signing_world as world
from tests.images import tar
from trustgate.evidence.archive import opens_as_layer
from trustgate.evidence.attestation import MAX_ATTESTATION_BYTES, MAX_ATTESTATION_LAYERS
from trustgate.evidence.cosign import candidates_from_bundle_manifest, candidates_from_legacy_manifest
from trustgate.evidence.model import MAX_BUNDLE_BYTES, MAX_SIMPLE_SIGNING_BYTES, Role, SignatureKind
from trustgate.evidence.notation.attributes import PAYLOAD_TYPE
from trustgate.evidence.notation.manifest import NOTARY_SIGNATURE
from trustgate.evidence.shape import (
    MAX_ATTACHED_BYTES,
    MAX_SIGNATURE_LAYERS,
    MAX_SIGNATURE_MANIFEST_BYTES,
    attestation_blobs,
    fallback_tag,
    is_referrers_tag,
    legacy_attestation_tag,
    legacy_signature_tag,
    looks_like_evidence,
    role_blobs,
    role_of,
    signature_blobs,
    signed_by,
)
from trustgate.evidence.simple_signing import read_simple_signing
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag

ALICE = world.key()
IMAGE = world.image()
SUBJECT = IMAGE.manifest.descriptor
BUNDLE = world.bundle(SUBJECT.digest, ALICE)
LAYER = world.legacy_candidate(SUBJECT.digest, ALICE)


def role(artifact: world.Artifact) -> Role:
    """As a flow does it: only the blobs that were named are handed over."""
    manifest = artifact.manifest
    contents = {one.digest: artifact.blobs[one.digest] for one in role_blobs(manifest)}
    return role_of(manifest, contents)


def test_images_indexes_and_artifacts() -> None:
    assert role(IMAGE) is Role.IMAGE
    assert role(world.index(IMAGE)) is Role.INDEX
    docker = world.image()
    docker.document |= {"mediaType": media.DOCKER_MANIFEST}
    docker.document["config"]["mediaType"] = media.DOCKER_CONFIG
    assert role(docker) is Role.IMAGE
    chart = world.image()
    chart.document["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    assert role(chart) is Role.ARTIFACT
    assert signature_blobs(IMAGE.manifest) == signature_blobs(chart.manifest) == ()
    assert role_blobs(IMAGE.manifest) == role_blobs(chart.manifest) == ()


def test_a_bundle_by_referrer_is_a_signature() -> None:
    made = world.bundle_manifest(SUBJECT, BUNDLE)
    assert [one.digest for one in signature_blobs(made.manifest)] == [Digest.of(BUNDLE)]
    assert role(made) is Role.SIGNATURE
    del made.document["artifactType"]  # clients do not look at it, so neither does this
    assert role(made) is Role.SIGNATURE
    attestation = world.bundle(SUBJECT.digest, ALICE, edit_statement=lambda s: s.update(predicateType="x"))
    assert role(world.bundle_manifest(SUBJECT, attestation)) is Role.SIGNATURE


def config(**fields: Any) -> Callable[[world.Artifact], object]:
    return lambda made: made.document["config"].update(fields)


def layer(**fields: Any) -> Callable[[world.Artifact], object]:
    return lambda made: made.document["layers"][0].update(fields)


def two_layers(made: world.Artifact) -> None:
    made.document["layers"] *= 2


def foreign_config(made: world.Artifact) -> None:
    made.document["config"] = made.add(media.OCI_EMPTY, b"[]")


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.document.pop("subject"),
        two_layers,
        lambda made: made.document.update(layers=[]),
        foreign_config,
        config(mediaType=media.OCI_CONFIG),
        config(size=3),
        layer(mediaType="application/octet-stream"),
        layer(size=MAX_ATTESTATION_BYTES + 1),
        lambda made: made.document.update(mediaType=media.DOCKER_MANIFEST),
    ],
)
def test_descriptors_that_rule_a_bundle_out(change: Callable[[world.Artifact], object]) -> None:
    made = world.bundle_manifest(SUBJECT, BUNDLE)
    change(made)
    assert signature_blobs(made.manifest) == role_blobs(made.manifest) == ()
    assert role_of(made.manifest, made.blobs) is not Role.SIGNATURE


def test_a_bundle_too_large_for_a_signature_may_be_an_attestation() -> None:
    huge = {"note": "x" * MAX_BUNDLE_BYTES}
    raw = world.bundle(
        SUBJECT.digest, ALICE, edit_statement=lambda s: s.update(predicateType="x", predicate=huge)
    )
    made = world.bundle_manifest(SUBJECT, raw)
    assert signature_blobs(made.manifest) == ()
    assert attestation_blobs(made.manifest) == role_blobs(made.manifest) == made.manifest.layers
    assert role(made) is Role.SIGNATURE
    assert role_of(made.manifest, {}) is Role.ARTIFACT


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"\x1f\x8b a layer",
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d.pop("dsseEnvelope")),
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d.pop("verificationMaterial")),
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d.update(mediaType="text/plain")),
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d.pop("mediaType")),
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d["dsseEnvelope"].pop("payload")),
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d["dsseEnvelope"].pop("payloadType")),
        world.bundle(SUBJECT.digest, ALICE, edit=lambda d: d["dsseEnvelope"].pop("signatures")),
    ],
)
def test_content_that_is_no_bundle_makes_no_signature(raw: bytes) -> None:
    assert role(world.bundle_manifest(SUBJECT, raw)) is Role.ARTIFACT


def test_without_the_bytes_nothing_is_a_signature() -> None:
    assert role_of(world.bundle_manifest(SUBJECT, BUNDLE).manifest, {}) is Role.ARTIFACT
    legacy = world.legacy_manifest(LAYER)
    config_only = {legacy.manifest.blobs[0].digest: legacy.blobs[legacy.manifest.blobs[0].digest]}
    assert role_of(legacy.manifest, {}) is Role.IMAGE
    assert role_of(legacy.manifest, config_only) is Role.IMAGE


def test_simple_signing_layers_are_a_signature() -> None:
    made = world.legacy_manifest(LAYER, world.legacy_candidate(SUBJECT.digest, world.key(name="bob")))
    assert signature_blobs(made.manifest) == made.manifest.blobs
    assert role(made) is Role.SIGNATURE


def one_layer_of_an_image(made: world.Artifact) -> None:
    made.document["layers"].append(made.add(media.OCI_LAYER_TAR_GZIP, b"a program"))


def too_many(made: world.Artifact) -> None:
    made.document["layers"] *= MAX_SIGNATURE_LAYERS + 1


@pytest.mark.parametrize(
    "change",
    [
        one_layer_of_an_image,
        too_many,
        lambda made: made.document.update(layers=[]),
        layer(size=MAX_SIMPLE_SIGNING_BYTES + 1),
        config(size=64 * 1024 + 1),
        config(mediaType=media.DOCKER_CONFIG),
        lambda made: made.document.update(subject=SUBJECT.as_json()),
        lambda made: made.document.update(mediaType=media.DOCKER_MANIFEST),
    ],
)
def test_descriptors_that_rule_simple_signing_out(change: Callable[[world.Artifact], object]) -> None:
    made = world.legacy_manifest(LAYER)
    change(made)
    assert signature_blobs(made.manifest) == ()
    assert role_of(made.manifest, made.blobs) is Role.IMAGE


def test_exactly_the_most_layers_are_read() -> None:
    made = world.legacy_manifest(LAYER)
    made.document["layers"] *= MAX_SIGNATURE_LAYERS
    assert role(made) is Role.SIGNATURE


@pytest.mark.parametrize("payload", [b"", b"{}", b"\x7fELF", world.simple_signing(SUBJECT.digest)[:-1]])
def test_one_layer_that_is_no_payload_makes_it_an_image(payload: bytes) -> None:
    bad = world.legacy_candidate(SUBJECT.digest, ALICE, payload=payload)
    assert role(world.legacy_manifest(LAYER, bad)) is Role.IMAGE


@pytest.mark.parametrize("raw", [b"", b"[]", b"#!/bin/sh", b'{"rootfs": {}, "script": "x"}'])
def test_the_config_must_be_an_image_configuration(raw: bytes) -> None:
    made = world.legacy_manifest(LAYER)
    made.document["config"] = made.add(media.OCI_CONFIG, raw)
    assert role(made) is Role.IMAGE


def test_a_signatures_manifest_is_small() -> None:
    """Many of them are read for one digest, and whoever may push decides how large they are."""
    for made in (world.bundle_manifest(SUBJECT, BUNDLE), world.legacy_manifest(LAYER)):
        made.document["annotations"] = {"x": "y" * (MAX_SIGNATURE_MANIFEST_BYTES - 2000)}
        assert role(made) is Role.SIGNATURE
        made.document["annotations"] = {"x": "y" * MAX_SIGNATURE_MANIFEST_BYTES}
        assert signature_blobs(made.manifest) == attestation_blobs(made.manifest) == ()
        assert role_blobs(made.manifest) == ()
        assert role_of(made.manifest, made.blobs) is not Role.SIGNATURE


def test_what_a_signature_is_about() -> None:
    tag = legacy_signature_tag(SUBJECT.digest)
    assert tag is not None
    other = legacy_signature_tag(Digest.of(b"other"))
    assert other is not None
    legacy, bundle = world.legacy_manifest(LAYER).manifest, world.bundle_manifest(SUBJECT, BUNDLE).manifest
    assert signed_by(legacy, []) is None
    assert signed_by(legacy, [Tag("v1")]) is None
    assert signed_by(legacy, [Tag("v1"), tag]) == SUBJECT.digest
    assert signed_by(bundle, []) == signed_by(bundle, [other]) == SUBJECT.digest


# --- one file, two readers -----------------------------------------------------------------------


def tar_header(start: bytes, size: int) -> bytes:
    """A header of printable characters only, as the first 512 bytes of a JSON string."""
    name = start.ljust(100, b"a")
    before = name + b"0000644 " + b"0000000 " * 2 + b"%011o " % size + b"%011o " % 0
    after = b"0" + b"a" * 172 + b"0000000 " * 2 + b"a" * 167
    return before + b"%06o  " % (sum(before) + 8 * 32 + sum(after)) + after


def both(start: bytes, document: bytes) -> bytes:
    """A JSON document that is a tar archive of one file too; ``start`` opens a string that it closes."""
    body = b"some text" + document
    body += b" " * (-len(body) % 512)
    return tar_header(start, len(body)) + body


def unpacks(raw: bytes) -> bool:
    with tarfile.open(fileobj=BytesIO(raw)) as archive:
        return archive.getmembers()[0].size > 0


def test_a_signature_that_opens_as_a_layer_is_an_image() -> None:
    """JSON and tar at once: podman would unpack it, whatever its media type says."""
    payload = both(b'{"x":"', b'",' + world.simple_signing(SUBJECT.digest)[1:])
    assert unpacks(payload)
    assert read_simple_signing(payload)
    made = world.legacy_manifest(LAYER, world.legacy_candidate(SUBJECT.digest, ALICE, payload=payload))
    assert role(made) is Role.IMAGE


def test_a_bundle_that_opens_as_a_layer_is_an_artifact() -> None:
    kind = media.SIGSTORE_BUNDLE_V03.encode()
    payload = both(b'{"mediaType":"%s' % kind, b'",' + BUNDLE[1:].replace(b'"mediaType"', b'"messageType"'))
    assert unpacks(payload)
    assert role(world.bundle_manifest(SUBJECT, payload)) is Role.ARTIFACT


def notation(filler: bytes) -> bytes:
    """A COSE envelope with ``filler`` from its twelfth byte on, in an attribute that means nothing."""
    scheme = "io.cncf.notary.signingScheme"
    header: dict[int | str, Any] = {"x": filler, 1: -7, 2: [scheme], scheme: "notary.x509"}
    header |= {3: PAYLOAD_TYPE, "io.cncf.notary.signingTime": cbor2.CBORTag(1, 1_700_000_000)}
    target = {"mediaType": SUBJECT.media_type, "digest": str(SUBJECT.digest), "size": SUBJECT.size}
    payload = json.dumps({"targetArtifact": target}).encode()
    unsigned = {33: [b"a certificate"]}
    return cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps(header), unsigned, payload, b"a signature"]))


def notation_manifest(envelope: bytes) -> world.Artifact:
    made = world.image()
    config = made.add(media.OCI_EMPTY, media.EMPTY_JSON)
    layers = [made.add("application/cose", envelope)]
    made.document |= {"artifactType": NOTARY_SIGNATURE, "config": config, "layers": layers}
    made.document["subject"] = SUBJECT.as_json()
    return made


def test_a_notation_envelope_that_opens_as_a_layer_is_an_artifact() -> None:
    """CBOR has room for any bytes: a whole program would fit."""
    plain = notation(bytes(4096))
    assert role(notation_manifest(plain)) is Role.SIGNATURE
    missing = -len(plain) % 512
    plain = notation(bytes(4096 + missing))
    header = tar_header(plain[:11], len(plain) - 512)
    payload = notation(header[11:].ljust(4096 + missing, b"\x7f"))
    assert len(payload) == len(plain)
    assert unpacks(payload)
    assert role(notation_manifest(payload)) is Role.ARTIFACT


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["etc/passwd", "caf\u00e9", "x/" * 60 + "y"])
def test_archives_open_as_layers(style: int, name: str) -> None:
    raw = tar({name: b"content"}, style=style)
    assert opens_as_layer(raw)
    assert not opens_as_layer(raw[:511])
    assert opens_as_layer(gzip.compress(raw))
    assert opens_as_layer(lzma.compress(raw))
    assert opens_as_layer(bz2.compress(raw))
    assert opens_as_layer(b"\x53\x2a\x4d\x18 a zstd frame to be skipped, and then the layer")
    assert not opens_as_layer(b"{" + raw)


def test_an_old_writers_checksum_counts_too() -> None:
    """It summed signed characters; some readers accept that."""
    raw = bytearray(tar({"caf\u00e9": b"x"}, style=tarfile.GNU_FORMAT)[:512])
    assert max(raw) > 127
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(byte - 256 if byte > 127 else byte for byte in raw)
    assert opens_as_layer(bytes(raw))


def test_signatures_do_not_open_as_layers() -> None:
    for raw in (BUNDLE, LAYER.payload, BUNDLE.ljust(4096), b"", b"{}", bytes(512)):
        assert not opens_as_layer(raw)


def test_candidates_carry_what_is_judged() -> None:
    made = world.bundle_manifest(SUBJECT, BUNDLE)
    (found,) = candidates_from_bundle_manifest(made.manifest, made.blobs)
    assert found == world.bundle_candidate(
        SUBJECT.digest, BUNDLE, evidence=made.manifest.digest, layer=made.manifest.layers[0]
    )
    legacy = world.legacy_manifest(LAYER, LAYER)
    candidates = candidates_from_legacy_manifest(legacy.manifest, legacy.blobs)
    assert [one.kind for one in candidates] == [SignatureKind.COSIGN_LEGACY] * 2
    assert candidates[0].annotations == LAYER.annotations
    assert candidates[0].claimed_subject is None
    assert candidates_from_legacy_manifest(legacy.manifest, {}) == ()


def test_tags_by_which_signatures_are_found() -> None:
    digest, long = Digest.of(b"x"), Digest.of(b"x", "sha512")
    assert fallback_tag(digest) == f"sha256-{digest.hex}"
    assert legacy_signature_tag(digest) == f"sha256-{digest.hex}.sig"
    assert fallback_tag(long) == f"sha512-{long.hex[:64]}"
    assert legacy_signature_tag(long) is None
    for tag in (
        fallback_tag(digest),
        fallback_tag(long),
        f"sha256-{digest.hex}.sig",
        f"sha256-{digest.hex}.att",
    ):
        assert is_referrers_tag(tag)
    for tag in (
        "v1",
        "sha256-abc",
        f"sha256-{digest.hex}.exe",
        f"x-sha256-{digest.hex}",
        f"sha256-{digest.hex}\n",
    ):
        assert not is_referrers_tag(tag)


# --- attestations under a tag --------------------------------------------------------------------


def attested(*envelopes: bytes) -> world.Artifact:
    """A ``.att`` manifest as cosign makes it."""
    made = world.legacy_manifest(LAYER)
    made.document["layers"] = [made.add(media.DSSE_ENVELOPE, one) for one in envelopes]
    return made


def envelope(**changes: Any) -> bytes:
    document = json.loads(BUNDLE)["dsseEnvelope"]
    return world.as_json({**document, **changes})


ENVELOPE = envelope()


def test_in_toto_envelopes_under_a_tag_are_attestations() -> None:
    made = attested(ENVELOPE, envelope(signatures=[{"keyid": "x", "sig": world.b64(b"y")}]), ENVELOPE)
    assert role_blobs(made.manifest) == made.manifest.blobs
    assert [one.digest for one in attestation_blobs(made.manifest)] == [
        one.digest for one in made.manifest.layers[:2]
    ]
    assert role(made) is Role.SIGNATURE
    assert signature_blobs(made.manifest) == (), "and no signature is read from them"
    tag = legacy_attestation_tag(SUBJECT.digest)
    assert tag == f"sha256-{SUBJECT.digest.hex}.att"
    assert signed_by(made.manifest, [tag]) == SUBJECT.digest
    assert signed_by(made.manifest, [fallback_tag(SUBJECT.digest)]) is None
    other = legacy_attestation_tag(Digest.of(b"other"))
    assert other is not None
    assert signed_by(world.bundle_manifest(SUBJECT, BUNDLE).manifest, [other]) == SUBJECT.digest
    assert legacy_attestation_tag(Digest.of(b"x", "sha512")) is None


def mixed(made: world.Artifact) -> None:
    made.document["layers"].append(made.add(media.COSIGN_SIMPLE_SIGNING, LAYER.payload))


def many_attestations(made: world.Artifact) -> None:
    made.document["layers"] *= MAX_ATTESTATION_LAYERS + 1


def together_too_large(made: world.Artifact) -> None:
    (only,) = made.document["layers"]
    made.document["layers"] = [{**only, "size": MAX_ATTESTATION_BYTES}] * 2 + [only]


@pytest.mark.parametrize(
    "change",
    [
        one_layer_of_an_image,
        mixed,
        many_attestations,
        together_too_large,
        lambda made: made.document.update(layers=[]),
        lambda made: made.document.update(subject=SUBJECT.as_json()),
        layer(size=MAX_ATTESTATION_BYTES + 1),
        layer(mediaType="application/json"),
        config(size=64 * 1024 + 1),
        config(mediaType=media.DOCKER_CONFIG),
    ],
)
def test_descriptors_that_rule_attestations_out(change: Callable[[world.Artifact], object]) -> None:
    made = attested(ENVELOPE)
    change(made)
    assert attestation_blobs(made.manifest) == role_blobs(made.manifest) == ()
    assert role_of(made.manifest, made.blobs) is not Role.SIGNATURE


def test_attestations_up_to_the_limit_are_read() -> None:
    made = attested(ENVELOPE)
    (only,) = made.document["layers"]
    made.document["layers"] = [{**only, "size": MAX_ATTACHED_BYTES // 2}] * 2
    assert attestation_blobs(made.manifest)
    made.document["annotations"] = {"x": "y" * MAX_SIGNATURE_MANIFEST_BYTES}
    assert attestation_blobs(made.manifest) == role_blobs(made.manifest) == ()
    bundle = world.bundle_manifest(SUBJECT, BUNDLE)
    bundle.document["annotations"] = {"x": "y" * MAX_SIGNATURE_MANIFEST_BYTES}
    assert attestation_blobs(bundle.manifest) == role_blobs(bundle.manifest) == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"a program",
        b"\x1f\x8b a layer",
        envelope(payloadType="text/plain"),
        envelope(payload="?"),
        envelope(payload=""),
        envelope(signatures=[]),
        envelope(more=1),
        both(
            b'{"signatures":[{"keyid":"',
            b'","sig":"YQ=="}],"payloadType":"application/vnd.in-toto+json","payload":"YQ=="}',
        ),
    ],
)
def test_content_that_is_no_envelope_makes_no_attestation(raw: bytes) -> None:
    """An image can never pass as one: each layer has to be a document, and nothing that unpacks."""
    assert role(attested(raw)) is Role.IMAGE
    assert role(attested(ENVELOPE, raw)) is Role.IMAGE


def test_attestations_need_an_image_configuration_too() -> None:
    made = attested(ENVELOPE)
    made.document["config"] = made.add(media.OCI_CONFIG, b'{"entrypoint": "x"}')
    assert role(made) is Role.IMAGE
    made = attested(ENVELOPE)
    for digest, content in made.blobs.items():
        assert role_of(made.manifest, {digest: content}) is Role.IMAGE, "one of the two is not enough"


def test_an_index_is_no_evidence_whatever_it_calls_itself() -> None:
    made = world.index(world.image())
    made.document["artifactType"] = media.SIGSTORE_BUNDLE_V03
    assert not looks_like_evidence(made.manifest)
