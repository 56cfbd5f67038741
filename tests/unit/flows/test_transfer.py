"""Copies are whole or not there: children first, the tag last, and nothing under another digest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from tests.signing_world import Artifact, image, index
from tests.simulators.places import client_of, place, put
from tests.simulators.registry import Answer, SimulatedRegistry, error
from trustgate.errors import (
    DigestInvalid,
    ManifestInvalid,
    NotFound,
    SizeInvalid,
    TrustgateError,
    UpstreamFailed,
    UpstreamRefused,
)
from trustgate.flows import fetch, transfer
from trustgate.flows.fetch import scan_requests
from trustgate.flows.transfer import Copied, copy_image
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import ImageSource
from trustgate.remote.layout import LayoutSource

ONE, TWO, SHARED = image(b"one"), image(b"two"), image(b"one")
TOP = index(ONE, TWO)
NESTED = index(TOP, ONE)
FIRST = Tag("1")
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def layout(tmp_path: Path) -> LayoutSource:
    """An index in an index, and its images."""
    made = LayoutSource(tmp_path / "start", create=True)
    for artifact, tag in ((ONE, None), (TWO, None), (TOP, None), (NESTED, "1")):
        put(made, artifact, tag)
    return made


@pytest.fixture
def simulator() -> Iterator[SimulatedRegistry]:
    with SimulatedRegistry() as made:
        yield made


def copy(
    source: ImageSource, destination: ImageSource, target: Tag | Digest = FIRST, tag: str | None = "2"
) -> Copied:
    return copy_image(
        source, target, destination, Tag(tag) if tag else None, progress=lambda _blob, _bytes: None
    )


@pytest.mark.parametrize(("start", "end"), list(product(["layout", "registry"], repeat=2)))
def test_a_nested_index_arrives_whole(layout: LayoutSource, tmp_path: Path, start: str, end: str) -> None:
    with place(start, tmp_path / "a") as source, place(end, tmp_path / "b") as destination:
        copy(layout, source, tag="1")
        done = copy(source, destination)
        assert (done.digest, done.manifests, done.blobs) == (NESTED.manifest.digest, 4, 3)
        for artifact in (NESTED, TOP, ONE, TWO):
            assert destination.manifest(artifact.manifest.digest).raw == artifact.raw
            for blob in artifact.manifest.blobs:
                assert b"".join(destination.stream(blob))
        assert destination.tags() == (Tag("2"),)


def test_the_tag_is_put_last_and_each_thing_once(layout: LayoutSource, simulator: SimulatedRegistry) -> None:
    with client_of(simulator) as client:
        copy(layout, client)
    puts = [seen.path.rpartition("/")[2] for seen in simulator.asked("^PUT .*/manifests/")]
    assert puts == [a.manifest.digest for a in (ONE, TWO, TOP)] + ["2"]
    last_blob = max(n for n, seen in enumerate(simulator.seen) if "/blobs/" in seen.path)
    assert last_blob < len(simulator.seen) - 1
    assert len(simulator.asked("^PUT .*/blobs/")) == 3


def test_what_is_there_is_not_sent_again(layout: LayoutSource, simulator: SimulatedRegistry) -> None:
    with client_of(simulator) as client:
        assert copy(layout, client).bytes > 0
        simulator.seen.clear()
        assert copy(layout, client).bytes == 0
    assert simulator.asked("/blobs/uploads/") == []


def test_what_is_there_is_not_fetched_again(
    layout: LayoutSource, simulator: SimulatedRegistry, tmp_path: Path
) -> None:
    with client_of(simulator) as client:
        copy(layout, client, tag="1")
        there = LayoutSource(tmp_path / "there", create=True)
        copy(client, there)
        simulator.seen.clear()
        assert copy(client, there).bytes == 0
    assert simulator.asked("/blobs/") == []


def test_progress_is_told(layout: LayoutSource, tmp_path: Path) -> None:
    told: list[tuple[Descriptor, int]] = []
    there = LayoutSource(tmp_path / "there", create=True)
    done = copy_image(
        layout, Tag("1"), there, None, progress=lambda blob, so_far: told.append((blob, so_far))
    )
    assert sum(blob.size for blob, so_far in told if so_far == blob.size) == done.bytes


def test_a_copy_by_digest_needs_no_tag(layout: LayoutSource, simulator: SimulatedRegistry) -> None:
    with client_of(simulator) as client:
        copy(layout, client, TOP.manifest.digest, None)
        assert client.tags() == ()
        assert client.manifest(TOP.manifest.digest).raw == TOP.raw


@pytest.mark.parametrize("kind", ["layout", "registry"])
def test_sha512_stays_sha512(layout: LayoutSource, tmp_path: Path, kind: str) -> None:
    """Under its sha256 nobody who follows the index would find it."""
    child = layout.put_manifest(ONE.raw, media.OCI_MANIFEST, Digest.of(ONE.raw, "sha512"))
    entry = {"mediaType": media.OCI_MANIFEST, "digest": child, "size": len(ONE.raw)}
    put(layout, Artifact({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [entry]}), "512")
    with place(kind, tmp_path / "there") as there:
        copy(layout, there, Tag("512"))
        assert there.manifest(child).digest == child


def test_a_missing_content_type_is_not_passed_on(
    layout: LayoutSource, simulator: SimulatedRegistry, tmp_path: Path
) -> None:
    with client_of(simulator) as client:
        copy(layout, client, ONE.manifest.digest, "1")
        simulator.rig("GET .*/manifests/1", Answer(200, {}, ONE.raw))
        there = LayoutSource(tmp_path / "there", create=True)
        copy(client, there)
    assert there.manifest(Tag("2")).media_type == media.OCI_MANIFEST


# --- what goes wrong on the way --------------------------------------------------------------------


@pytest.mark.parametrize("where", ["PUT .*/blobs/", "POST", "PUT .*/manifests/sha256"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(507, "FULL", "no room"), UpstreamFailed),
        (error(403, "DENIED", "not you"), UpstreamRefused),
        (Answer(302, {"Location": "/elsewhere"}), TrustgateError),
    ],
)
def test_a_push_that_is_interrupted_leaves_no_tag(
    layout: LayoutSource, simulator: SimulatedRegistry, where: str, answer: Answer, kind: type[TrustgateError]
) -> None:
    simulator.rig(where, answer)
    with client_of(simulator) as client:
        with pytest.raises(kind) as caught:
            copy(layout, client)
        assert caught.value.hint
        assert simulator.tags == {}
    simulator.mend()
    with client_of(simulator) as client:
        assert copy(layout, client).digest == NESTED.manifest.digest


@pytest.mark.parametrize("location", ["", "http://[", "file:///tmp/x", "http://a:99999/"])
def test_an_upload_that_is_sent_nowhere(
    layout: LayoutSource, simulator: SimulatedRegistry, location: str
) -> None:
    simulator.rig("POST", Answer(202, {"Location": location} if location else {}))
    with client_of(simulator) as client, pytest.raises(UpstreamFailed) as caught:
        copy(layout, client)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(200, {}, b"on", length=3), UpstreamFailed),
        (Answer(200, {}, b"eno"), DigestInvalid),
        (Answer(200, {}, b"one and more"), DigestInvalid),
        (Answer(404), NotFound),
        (Answer(500), UpstreamFailed),
    ],
)
def test_a_pull_that_is_interrupted_leaves_no_tag_and_goes_on_later(
    layout: LayoutSource,
    simulator: SimulatedRegistry,
    tmp_path: Path,
    answer: Answer,
    kind: type[TrustgateError],
) -> None:
    there = LayoutSource(tmp_path / "there", create=True)
    with client_of(simulator) as client:
        copy(layout, client, tag="1")
        (layer,) = TWO.manifest.layers
        simulator.rig(f"GET .*/blobs/{layer.digest}", answer)
        with pytest.raises(kind) as caught:
            copy(client, there)
        assert caught.value.hint
        assert there.tags() == ()
        with pytest.raises(NotFound):
            there.blob(layer.digest, max_bytes=9)
        simulator.mend()
        simulator.seen.clear()
        copy(client, there)
    assert there.manifest(Tag("2")).digest == NESTED.manifest.digest
    assert len(simulator.asked("GET .*/blobs/")) == 1


def test_a_child_that_is_missing(layout: LayoutSource, simulator: SimulatedRegistry, tmp_path: Path) -> None:
    (tmp_path / "start/blobs/sha256" / TWO.manifest.digest.hex).unlink()
    with client_of(simulator) as client, pytest.raises(NotFound):
        copy(layout, client)
    assert simulator.tags == {}


@pytest.mark.parametrize(("limit", "number"), [("MAX_DEPTH", 1), ("MAX_MANIFESTS", 1)])
def test_an_index_beyond_the_limits_is_refused_not_cut(
    layout: LayoutSource,
    simulator: SimulatedRegistry,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    number: int,
) -> None:
    monkeypatch.setattr(transfer, limit, number)
    with client_of(simulator) as client, pytest.raises(ManifestInvalid) as caught:
        copy(layout, client)
    assert caught.value.hint
    assert simulator.tags == {}


def test_a_tower_of_repeated_indexes_costs_its_height(
    layout: LayoutSource, simulator: SimulatedRegistry
) -> None:
    """Each level names the one below fifty times: copied one by one that would be millions."""
    floor = ONE
    for _ in range(transfer.MAX_DEPTH):
        floor = index(*[floor] * 50)
        put(layout, floor)
    with client_of(simulator) as client:
        assert copy(layout, client, floor.manifest.digest).manifests == transfer.MAX_DEPTH + 1
        higher = index(floor)
        put(layout, higher)
        with pytest.raises(ManifestInvalid):
            copy_image(layout, higher.manifest.digest, client, None, progress=lambda _blob, _bytes: None)


# --- fetching to scan ------------------------------------------------------------------------------


def requests(source: ImageSource, folder: Path, target: Tag | Digest = FIRST) -> list[Digest]:
    folder.mkdir(exist_ok=True)
    asked = scan_requests(source, target, folder, now=NOW, repository=RepositoryName("a"))
    return [request.manifest.digest for request in asked]


def test_every_image_of_an_index_is_asked_for(layout: LayoutSource, tmp_path: Path) -> None:
    asked = requests(layout, tmp_path / "f")
    assert asked == [ONE.manifest.digest, TWO.manifest.digest, ONE.manifest.digest]
    files = {path.read_bytes() for path in (tmp_path / "f").iterdir()}
    assert {b"one", b"two"} < files
    assert len(files) == 3


def test_an_index_with_more_images_is_refused_not_cut(
    layout: LayoutSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MAX_PLATFORMS", 1)
    with pytest.raises(ManifestInvalid) as caught:
        requests(layout, tmp_path / "f")
    assert caught.value.hint
    monkeypatch.setattr(fetch, "MAX_PLATFORMS", 64)
    monkeypatch.setattr(fetch, "MAX_DEPTH", 1)
    with pytest.raises(ManifestInvalid):
        requests(layout, tmp_path / "f")


def test_an_image_that_says_it_is_huge(layout: LayoutSource, tmp_path: Path) -> None:
    huge = image(b"huge")
    huge.document["layers"][0]["size"] = fetch.MAX_IMAGE_BYTES
    put(layout, huge, "huge")
    with pytest.raises(SizeInvalid) as caught:
        requests(layout, tmp_path / "f", Tag("huge"))
    assert caught.value.hint


def test_a_blob_that_is_not_what_it_should_be_is_not_scanned(
    layout: LayoutSource, simulator: SimulatedRegistry, tmp_path: Path
) -> None:
    with client_of(simulator) as client:
        copy(layout, client, tag="1")
        (layer,) = TWO.manifest.layers
        simulator.blobs[layer.digest] = b"eno"
        with pytest.raises(DigestInvalid):
            requests(client, tmp_path / "f", TWO.manifest.digest)
        assert not (tmp_path / "f" / layer.digest.hex).exists()
        simulator.blobs[layer.digest] = b"two"
        assert requests(client, tmp_path / "f", TWO.manifest.digest) == [TWO.manifest.digest]
