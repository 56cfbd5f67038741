"""What is attached to an image is shown, whatever it is; what is endless, circular or broken too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.signing_world import IN_TOTO, NOW, Artifact, bundle, bundle_manifest, image, key
from tests.simulators.places import KINDS, client_of, place, put
from tests.simulators.registry import Answer, SimulatedRegistry
from tests.simulators.registry import index as listed
from trustgate.errors import NotFound
from trustgate.evidence.attesting import Predicate
from trustgate.flows import tree
from trustgate.flows.sign import attest_image, attest_image_legacy, sign_image, sign_image_legacy
from trustgate.flows.signatory import Signatory
from trustgate.flows.tree import Attached, tree_of
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource

IMAGE = image()
DIGEST = IMAGE.manifest.digest
ALICE = Signatory(key("p256", "alice"))
SBOM = Predicate("https://cyclonedx.org/bom", {})
SIGN = "https://sigstore.dev/cosign/sign/v1"


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageSource]:
    with place(request.param, tmp_path / "image") as made:
        put(made, IMAGE, "1")
        yield made


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[ImageSource]:
    with place("layout", tmp_path / "layout") as made:
        put(made, IMAGE, "1")
        yield made


def referrer(subject: Digest, artifact_type: str, content: bytes = b"{}", **more: Any) -> Artifact:
    made = Artifact({"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "artifactType": artifact_type})
    made.document |= {
        "config": made.add(media.OCI_EMPTY, media.EMPTY_JSON),
        "layers": [made.add(artifact_type, content)],
        "subject": {"mediaType": media.OCI_MANIFEST, "digest": str(subject), "size": 1},
        **more,
    }
    return made


def seen(attached: tuple[Attached, ...]) -> set[tuple[str, str, str]]:
    return {(one.kind, one.says, one.found_by) for one in attached}


def test_nothing_is_attached(source: ImageSource) -> None:
    found = tree_of(source, Tag("1"))
    assert (found.subject, found.attached, found.complete) == (DIGEST, (), True)
    with pytest.raises(NotFound):
        tree_of(source, Tag("2"))


def test_everything_that_can_be_attached(source: ImageSource) -> None:
    sign_image(source, DIGEST, ALICE, annotations={}, now=NOW)
    sign_image_legacy(source, DIGEST, ALICE, docker_reference="a/b", annotations={})
    sign_image_legacy(source, DIGEST, ALICE, docker_reference="a/b", annotations={"n": "2"})
    attest_image(source, DIGEST, ALICE, SBOM, name="a/b", now=NOW)
    attest_image_legacy(source, DIGEST, ALICE, SBOM, name="a/b")
    put(source, referrer(DIGEST, "text/spdx"), f"sha256-{DIGEST.hex}.sbom")
    found = tree_of(source, DIGEST)
    assert seen(found.attached) == {
        ("signature", SIGN, "referrer"),
        ("signature", media.COSIGN_SIMPLE_SIGNING, "tag sig"),
        ("attestation", SBOM.type, "referrer"),
        ("attestation", SBOM.type, "tag att"),
        ("sbom", "text/spdx", "tag sbom"),
    }
    assert [one.kind for one in found.attached].count("signature") == 3
    assert found.complete


def test_referrers_of_other_kinds_and_what_is_attached_to_them(layout: ImageSource) -> None:
    put(layout, referrer(DIGEST, "application/vnd.cncf.notary.signature"))
    put(layout, referrer(DIGEST, "application/x-thing"))
    sbom = put(layout, referrer(DIGEST, "application/vnd.cyclonedx+json"))
    sign_image(layout, sbom, ALICE, annotations={}, now=NOW)
    found = tree_of(layout, DIGEST)
    assert seen(found.attached) == {
        ("signature", "application/vnd.cncf.notary.signature", "referrer"),
        ("referrer", "application/x-thing", "referrer"),
        ("sbom", "application/vnd.cyclonedx+json", "referrer"),
    }
    (below,) = (one.attached for one in found.attached if one.kind == "sbom")
    assert seen(below) == {("signature", SIGN, "referrer")}


@pytest.mark.parametrize(
    ("raw", "kind", "says"),
    [
        (b"not json", "attestation", "can't be read"),
        (b"{}", "attestation", "without a statement"),
        (b'{"dsseEnvelope": {}}', "attestation", "can't be read"),
        (b'{"dsseEnvelope": {"payload": "?"}}', "attestation", "can't be read"),
        (bundle(DIGEST, key(), payload=b"[]", payload_type=IN_TOTO), "attestation", "can't be read"),
        (b" " * (1024 * 1024 + 1), "attestation", "a bundle of 1048577 bytes"),
    ],
)
def test_bundles_that_say_nothing(layout: ImageSource, raw: bytes, kind: str, says: str) -> None:
    put(layout, bundle_manifest(IMAGE.manifest.descriptor, raw))
    (one,) = tree_of(layout, DIGEST).attached
    assert one.kind == kind
    assert says in one.says


def test_what_is_broken_is_shown_and_the_rest_too() -> None:
    with SimulatedRegistry() as registry, client_of(registry) as client:
        put(client, IMAGE, "1")
        gone, torn = Digest.of(b"gone"), Digest.of(b"torn")
        good = put(client, referrer(DIGEST, "application/x-thing"))
        entries = [
            {"mediaType": media.OCI_MANIFEST, "digest": one, "size": 1} for one in (gone, torn, good, good)
        ]
        page = Answer(200, {"Content-Type": media.OCI_INDEX}, json.dumps(listed(entries)).encode())
        registry.rig(f"GET .*/referrers/{DIGEST}", page)
        registry.rig(f"GET .*/manifests/{torn}", Answer(200, {"Content-Type": media.OCI_MANIFEST}, b"torn"))
        found = tree_of(client, DIGEST)
    assert [one.kind for one in found.attached] == ["unreadable", "unreadable", "referrer"]


def test_a_circle_ends() -> None:
    """A registry that lists the same two as referrers of everything, the image among them."""
    with SimulatedRegistry() as registry, client_of(registry) as client:
        put(client, IMAGE, "1")
        thing = put(client, referrer(DIGEST, "application/x-thing"))
        entries = [{"mediaType": media.OCI_MANIFEST, "digest": one, "size": 1} for one in (DIGEST, thing)]
        page = Answer(200, {"Content-Type": media.OCI_INDEX}, json.dumps(listed(entries)).encode())
        registry.rig("GET .*/referrers/", page)
        found = tree_of(client, DIGEST)
    assert [(one.says, one.attached) for one in found.attached] == [("application/x-thing", ())]
    assert found.complete


def test_a_chain_that_is_deeper_than_is_looked(layout: ImageSource) -> None:
    subject = DIGEST
    for number in range(6):
        subject = put(layout, referrer(subject, f"application/x-{number}"))
    found = tree_of(layout, DIGEST)
    assert not found.complete


def test_more_than_is_shown(layout: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_ATTACHED", 5)
    for number in range(6):
        put(layout, referrer(DIGEST, "application/x-thing", b"%d" % number))
    found = tree_of(layout, DIGEST)
    assert len(found.attached) == 5
    assert not found.complete
