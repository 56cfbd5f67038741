"""What is signed here verifies here, wherever it is kept; and nothing but a manifest is signed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.signing_world import NOW, image, index, key, trusted
from tests.simulators.places import KINDS, client_of, place, put
from tests.simulators.registry import Answer, SimulatedRegistry, as_json
from trustgate.errors import Conflict, DigestInvalid, InvalidInput, ManifestInvalid, NotFound, UpstreamRefused
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS, legacy_signature_tag
from trustgate.flows.sign import Signed, sign_image, sign_image_legacy
from trustgate.flows.verify import verify_image
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource

IMAGE = image()
DIGEST = IMAGE.manifest.digest
KEYS = ["p256", "rsa2048", "ed25519"]


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageSource]:
    with place(request.param, tmp_path / "image") as made:
        put(made, IMAGE, "1")
        yield made


def sign(source: ImageSource, target: Tag | Digest, private: Any, *, legacy: bool = False) -> Signed:
    if legacy:
        return sign_image_legacy(source, target, private, docker_reference="a/b", annotations={"by": "ci"})
    return sign_image(source, target, private, annotations={"by": "ci"}, now=NOW)


def good(source: ImageSource, *names: str, kind: str = "p256", target: Tag | Digest = DIGEST) -> int:
    """How many signatures verify with the keys of these names."""
    attestors = [trusted(key(kind, name), name) for name in names]
    return len(verify_image(source, target, attestors, now=NOW).good)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", KEYS)
def test_signed_here_verifies_here(source: ImageSource, kind: str, legacy: bool) -> None:
    assert good(source, "alice", kind=kind) == 0
    signed = sign(source, Tag("1"), key(kind, "alice"), legacy=legacy)
    assert signed.subject == DIGEST
    assert good(source, "alice", kind=kind) == 1
    assert good(source, "mallory", kind=kind) == 0
    assert source.manifest(signed.signature).digest == signed.signature


@pytest.mark.parametrize("legacy", [False, True])
def test_many_sign_and_every_signature_stays(source: ImageSource, legacy: bool) -> None:
    names = ["alice", "bob", "carol"]
    for number, name in enumerate(names, start=1):
        sign(source, DIGEST, key("p256", name), legacy=legacy)
        assert good(source, *names) == number
    sign(source, DIGEST, key("p256", "dave"), legacy=not legacy)
    assert good(source, *names, "dave") == 4


def test_where_a_signature_is_kept_is_said(tmp_path: Path) -> None:
    said = dict(zip(KINDS, ["referrer", "referrer", "fallback tag"], strict=True))
    for kind, expected in said.items():
        with place(kind, tmp_path / "image") as source:
            put(source, IMAGE, "1")
            assert sign(source, DIGEST, key("p256", "alice")).stored == expected
            assert sign(source, DIGEST, key("p256", "alice"), legacy=True).stored == ".sig tag"


def test_an_index_is_signed_by_itself(source: ImageSource) -> None:
    top = put(source, index(IMAGE), "multi")
    sign(source, Tag("multi"), key("p256", "alice"))
    assert good(source, "alice", target=Tag("multi")) == 1
    assert good(source, "alice", target=DIGEST) == 0
    assert verify_image(source, top, [], now=NOW).manifest.kind == "index"


def test_a_digest_of_sha512_has_no_sig_tag_but_referrers(source: ImageSource) -> None:
    digest = source.put_manifest(IMAGE.raw, media.OCI_MANIFEST, Digest.of(IMAGE.raw, "sha512"))
    with pytest.raises(InvalidInput, match="sha256 digests only"):
        sign(source, digest, key("p256", "alice"), legacy=True)
    assert sign(source, digest, key("p256", "alice")).subject == digest
    assert good(source, "alice", target=digest) == 1


@pytest.mark.parametrize("legacy", [False, True])
def test_what_is_not_there_is_not_signed(source: ImageSource, legacy: bool) -> None:
    with pytest.raises(NotFound):
        sign(source, Tag("2"), key("p256", "alice"), legacy=legacy)
    with pytest.raises(NotFound):
        sign(source, Digest.of(b"missing"), key("p256", "alice"), legacy=legacy)


# --- a registry that answers strangely -------------------------------------------------------------


@pytest.fixture
def simulator() -> Iterator[SimulatedRegistry]:
    with SimulatedRegistry() as made:
        made.add(IMAGE.raw, media.OCI_MANIFEST, "1")
        yield made


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {"Content-Type": "text/html"}, b"<html>log in, please</html>"),
        Answer(200, {"Content-Type": media.OCI_INDEX}, IMAGE.raw),
        Answer(200, {"Content-Type": "text/html"}, IMAGE.raw),
        Answer(200, {"Content-Type": media.OCI_MANIFEST}, IMAGE.raw[:-2] + b', "manifests": []}'),
        as_json({"schemaVersion": 1}),
    ],
)
def test_only_a_manifest_is_signed(simulator: SimulatedRegistry, answer: Answer, legacy: bool) -> None:
    simulator.rig("GET .*/manifests/1", answer)
    with client_of(simulator) as client, pytest.raises(ManifestInvalid):
        sign(client, Tag("1"), key("p256", "alice"), legacy=legacy)
    assert not [seen for seen in simulator.seen if seen.method in {"POST", "PUT"}]


def test_other_bytes_than_the_digest_are_not_signed(simulator: SimulatedRegistry) -> None:
    simulator.rig("GET .*/manifests/", Answer(200, {}, image(b"evil").raw))
    with client_of(simulator) as client, pytest.raises(DigestInvalid):
        sign(client, DIGEST, key("p256", "alice"))
    assert not [seen for seen in simulator.seen if seen.method in {"POST", "PUT"}]


def test_a_manifest_without_a_content_type_is_named_by_its_body(simulator: SimulatedRegistry) -> None:
    simulator.rig("GET .*/manifests/1", Answer(200, {}, IMAGE.raw))
    with client_of(simulator) as client:
        signed = sign(client, Tag("1"), key("p256", "alice"))
        assert good(client, "alice") == 1
    subject = json.loads(simulator.manifests[signed.signature][0])["subject"]
    assert subject == {"mediaType": media.OCI_MANIFEST, "digest": DIGEST, "size": len(IMAGE.raw)}


def test_a_registry_that_refuses_the_signature(simulator: SimulatedRegistry) -> None:
    simulator.rig("PUT .*/manifests/", Answer(403))
    with client_of(simulator) as client, pytest.raises(UpstreamRefused):
        sign(client, DIGEST, key("p256", "alice"))
    with client_of(simulator) as client:
        assert good(client, "alice") == 0


def test_the_fallback_list_keeps_what_others_wrote(simulator: SimulatedRegistry) -> None:
    simulator.referrers_api = False
    other = {
        "mediaType": "a/b",
        "digest": Digest.of(b"x"),
        "size": 1,
        "annotations": {"kept": "yes"},
        "odd": [1],
    }
    listed = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [other]}
    tag = f"sha256-{DIGEST.hex}"
    simulator.add(json.dumps(listed).encode(), media.OCI_INDEX, tag)
    with client_of(simulator) as client:
        signed = sign(client, DIGEST, key("p256", "alice"))
    first, second = json.loads(simulator.manifests[simulator.tags[tag]][0])["manifests"]
    assert first == other
    assert (second["digest"], second["artifactType"]) == (signed.signature, media.SIGSTORE_BUNDLE_V03)


@pytest.mark.parametrize("raw", [b"{}", b"<html>", IMAGE.raw])
def test_a_fallback_tag_that_is_no_list_is_left_alone(simulator: SimulatedRegistry, raw: bytes) -> None:
    simulator.referrers_api = False
    tag = f"sha256-{DIGEST.hex}"
    simulator.tags[tag] = Digest.of(raw)
    simulator.manifests[Digest.of(raw)] = (raw, media.OCI_MANIFEST)
    with client_of(simulator) as client, pytest.raises(ManifestInvalid):
        sign(client, DIGEST, key("p256", "alice"))
    assert simulator.tags[tag] == Digest.of(raw)


def test_a_sig_tag_that_holds_an_image_is_left_alone(source: ImageSource) -> None:
    tag = legacy_signature_tag(DIGEST)
    before = put(source, image(b"not a signature"), tag)
    with pytest.raises(Conflict) as caught:
        sign(source, DIGEST, key("p256", "alice"), legacy=True)
    assert caught.value.hint
    assert source.manifest(Tag(str(tag))).digest == before


def test_a_sig_tag_that_is_full(tmp_path: Path) -> None:
    with place("layout", tmp_path / "image") as source:
        put(source, IMAGE, "1")
        for _ in range(MAX_SIGNATURE_LAYERS):
            sign(source, DIGEST, key("p256", "alice"), legacy=True)
        with pytest.raises(Conflict, match="as many as are read"):
            sign(source, DIGEST, key("p256", "bob"), legacy=True)
        assert sign(source, DIGEST, key("p256", "bob")).stored == "referrer"
