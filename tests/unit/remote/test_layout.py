"""OCI layouts on disk: read and written like a repository, whatever the folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.signing_world import Artifact, image, index
from trustgate.errors import (
    DigestInvalid,
    NotFound,
    ReferenceInvalid,
    TagInvalid,
    TrustgateError,
    UpstreamFailed,
)
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor
from trustgate.oci.names import Tag
from trustgate.remote.layout import REF_NAME, LayoutSource, parse_layout_reference

IMAGE = image()
DIGEST = IMAGE.manifest.digest
LAYER = IMAGE.manifest.layers[0]
MISSING = Digest.of(b"missing")


def put(layout: LayoutSource, artifact: Artifact, tag: str | None = None) -> Digest:
    for digest, content in artifact.blobs.items():
        layout.put_blob(digest, iter([content]), len(content))
    return layout.put_manifest(artifact.raw, artifact.manifest.media_type, Tag(tag) if tag else None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "image"


@pytest.fixture
def layout(folder: Path) -> LayoutSource:
    made = LayoutSource(folder, create=True)
    put(made, IMAGE, "1")
    return made


def entries(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    return listed


def write_entries(folder: Path, *listed: object) -> None:
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))


def blob_path(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / digest.algorithm / digest.hex


def failure(ask: Callable[[], object], kind: type[TrustgateError], names: str = "") -> TrustgateError:
    with pytest.raises(kind) as caught:
        ask()
    assert names in caught.value.message
    assert caught.value.message
    assert caught.value.hint
    return caught.value


def whole(layout: LayoutSource, descriptor: Descriptor = LAYER) -> bytes:
    return b"".join(layout.stream(descriptor))


# --- reading and writing ---------------------------------------------------------------------------


def test_what_was_put_is_found(layout: LayoutSource, folder: Path) -> None:
    for target in (Tag("1"), DIGEST):
        found = layout.manifest(target)
        assert (found.raw, found.media_type, found.digest) == (IMAGE.raw, media.OCI_MANIFEST, DIGEST)
    assert (layout.tags(), layout.blob(LAYER.digest, max_bytes=100)) == ((Tag("1"),), whole(layout))
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert LayoutSource(folder).manifest(Tag("1")).digest == DIGEST


def test_a_child_is_found_by_its_digest_only(layout: LayoutSource) -> None:
    child = image(b"child")
    put(layout, child)
    top = put(layout, index(child), "multi")
    assert layout.manifest(Tag("multi")).digest == top
    assert layout.manifest(child.manifest.digest).raw == child.raw
    assert layout.tags() == (Tag("1"), Tag("multi"))


@pytest.mark.parametrize("name", ["1", "docker.io/library/web:1"])
def test_a_tag_is_moved(layout: LayoutSource, folder: Path, name: str) -> None:
    """Also one that another tool wrote as a whole reference: the old image must not answer to it."""
    (entry,) = entries(folder)
    write_entries(folder, {**entry, "annotations": {REF_NAME: name}})
    assert layout.manifest(Tag("1")).digest == DIGEST
    newer = put(layout, image(b"newer"), "1")
    assert layout.manifest(Tag("1")).digest == newer
    assert len(entries(folder)) == 1
    assert layout.manifest(DIGEST).digest == DIGEST


def test_the_same_twice_is_once(layout: LayoutSource, folder: Path) -> None:
    for _ in range(2):
        put(layout, IMAGE, "1")
        put(layout, image(b"untagged"))
    assert len(entries(folder)) == 2


def test_sha512(layout: LayoutSource, folder: Path) -> None:
    digest = Digest.of(IMAGE.raw, "sha512")
    assert layout.put_manifest(IMAGE.raw, media.OCI_MANIFEST, digest) == digest
    assert layout.manifest(digest).digest == digest
    blob_path(folder, digest).write_bytes(b"{}")
    failure(lambda: layout.manifest(digest), DigestInvalid)


def test_a_blob_that_is_there_is_not_read_again(layout: LayoutSource) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    layout.put_blob(LAYER.digest, never(), LAYER.size)


@pytest.mark.parametrize("damage", [b"", b"xx", b"X layer", b"a layer and more"])
def test_a_damaged_blob_is_found_out_and_can_be_copied_again(
    layout: LayoutSource, folder: Path, damage: bytes
) -> None:
    path = blob_path(folder, LAYER.digest)
    path.write_bytes(damage)
    failure(lambda: whole(layout), DigestInvalid, str(folder))
    failure(lambda: layout.blob(LAYER.digest, max_bytes=100), DigestInvalid, str(folder))
    layout.put_blob(LAYER.digest, iter([b"a ", b"layer"]), LAYER.size)
    assert whole(layout) == b"a layer"


def test_content_that_is_not_what_it_is_called(layout: LayoutSource, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    failure(lambda: layout.put_blob(MISSING, iter([b"other"]), 5), DigestInvalid)
    failure(lambda: layout.put_manifest(b"{}", media.OCI_MANIFEST, MISSING), DigestInvalid)
    assert sorted(folder.rglob("*")) == before


def test_a_source_that_breaks_off_leaves_nothing(layout: LayoutSource, folder: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"miss"
        raise UpstreamFailed("the line went dead")

    before = sorted(folder.rglob("*"))
    with pytest.raises(UpstreamFailed, match="line went dead"):
        layout.put_blob(MISSING, breaking(), 7)
    assert sorted(folder.rglob("*")) == before


# --- what may be wrong with a folder ---------------------------------------------------------------


def test_what_is_missing(layout: LayoutSource, folder: Path) -> None:
    failure(lambda: layout.manifest(Tag("2")), NotFound, str(folder))
    failure(lambda: layout.manifest(MISSING), NotFound, MISSING.short)
    failure(lambda: layout.blob(MISSING, max_bytes=9), NotFound, MISSING.short)
    failure(lambda: whole(layout, Descriptor("a/b", MISSING, 7)), NotFound, MISSING.short)
    blob_path(folder, DIGEST).unlink()
    failure(lambda: layout.manifest(Tag("1")), NotFound, DIGEST.short)


def test_no_layout_at_all(tmp_path: Path) -> None:
    failure(lambda: LayoutSource(tmp_path), NotFound, str(tmp_path))
    failure(lambda: LayoutSource(tmp_path / "nowhere"), NotFound, "nowhere")


def test_a_begun_folder_keeps_its_index(layout: LayoutSource, folder: Path) -> None:
    (folder / "oci-layout").unlink()
    assert LayoutSource(folder, create=True).manifest(Tag("1")).digest == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"manifests": 7}',
        '{"manifests": null}',
        '{"manifests": {}}',
        "[" * 5000,
        '{"manifests": [], "manifests": []}',
        '{"manifests": [' + "{}," * 100000 + "{}]}",
        "\x00" * 17000000,
    ],
    ids=range(12),
)
def test_a_broken_index_is_named(layout: LayoutSource, folder: Path, text: str) -> None:
    (folder / "index.json").write_text(text)
    named = str(folder / "index.json")
    failure(lambda: layout.manifest(Tag("1")), UpstreamFailed, named)
    failure(layout.tags, UpstreamFailed, named)
    failure(lambda: layout.referrers(DIGEST, limit=9), UpstreamFailed, named)
    failure(lambda: layout.put_manifest(IMAGE.raw, media.OCI_MANIFEST, Tag("2")), UpstreamFailed, named)
    assert (folder / "index.json").read_text() == text


def test_an_index_that_is_gone_or_a_folder(layout: LayoutSource, folder: Path) -> None:
    (folder / "index.json").unlink()
    failure(layout.tags, NotFound, str(folder))
    (folder / "index.json").mkdir()
    failure(layout.tags, UpstreamFailed, str(folder))


@pytest.mark.parametrize(
    "annotations", [None, 7, [], "x", {}, {REF_NAME: None}, {REF_NAME: 7}, {REF_NAME: ""}]
)
def test_entries_without_a_name(layout: LayoutSource, folder: Path, annotations: object) -> None:
    (entry,) = entries(folder)
    write_entries(folder, 7, None, {**entry, "annotations": annotations}, entry)
    assert layout.tags() == (Tag("1"),)
    assert layout.manifest(Tag("1")).digest == DIGEST
    put(layout, image(b"newer"), "2")
    assert layout.tags() == (Tag("1"), Tag("2"))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "a/../../b", "/etc/passwd", "a b", "-", "x" * 200]
)
def test_names_that_are_no_tags(layout: LayoutSource, folder: Path, name: str) -> None:
    (entry,) = entries(folder)
    write_entries(folder, {**entry, "annotations": {REF_NAME: name}}, entry)
    assert layout.tags() == (Tag("1"),)
    with pytest.raises(TagInvalid):
        layout.manifest(Tag(name))


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../../secret",
        "../secret",
        "sha256:" + "../" * 21 + "x",
        "",
        None,
        "sha256:",
        "md5:abc",
        7,
        "SHA256:" + DIGEST.hex,
        "sha256:" + DIGEST.hex.upper(),
        f"sha256:{DIGEST.hex}/../x",
    ],
)
def test_a_digest_that_leads_elsewhere(
    layout: LayoutSource, folder: Path, tmp_path: Path, digest: object
) -> None:
    (tmp_path / "secret").write_bytes(IMAGE.raw)
    write_entries(folder, {"mediaType": media.OCI_MANIFEST, "digest": digest, "annotations": {REF_NAME: "1"}})
    named = str(folder / "index.json")
    failure(lambda: layout.manifest(Tag("1")), DigestInvalid, named)
    failure(lambda: layout.referrers(DIGEST, limit=9), DigestInvalid, named)


def test_a_link_out_of_the_folder_shows_nothing(layout: LayoutSource, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hunter2")
    path = blob_path(folder, DIGEST)
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    error = failure(lambda: layout.manifest(Tag("1")), DigestInvalid)
    assert "hunter2" not in str(error)
    put(layout, IMAGE, "1")
    assert (tmp_path / "secret").read_bytes() == b"hunter2"


@pytest.mark.parametrize("target", ["/dev/zero", "/dev"])
def test_a_blob_that_is_no_file(layout: LayoutSource, folder: Path, target: str) -> None:
    path = blob_path(folder, LAYER.digest)
    path.unlink()
    path.symlink_to(target)
    failure(lambda: whole(layout), UpstreamFailed, str(folder))
    failure(lambda: layout.blob(LAYER.digest, max_bytes=9), UpstreamFailed, str(folder))


def test_a_blob_that_goes_on_is_not_read_to_its_end(layout: LayoutSource, folder: Path) -> None:
    with blob_path(folder, LAYER.digest).open("wb") as file:
        file.truncate(10 * 1024**4)
    failure(lambda: whole(layout), DigestInvalid)
    failure(lambda: layout.blob(LAYER.digest, max_bytes=100), UpstreamFailed, "more than 100 bytes")


def test_a_manifest_that_is_no_json_is_still_only_bytes(layout: LayoutSource, folder: Path) -> None:
    raw = b"\xff not JSON"
    layout.put_blob(Digest.of(raw), iter([raw]), len(raw))
    assert layout.manifest(Digest.of(raw)).media_type == ""


def test_a_folder_that_can_not_be_written(layout: LayoutSource, folder: Path, tmp_path: Path) -> None:
    (folder / "blobs/sha512").write_text("a file")
    digest = Digest.of(b"x", "sha512")
    failure(lambda: layout.put_blob(digest, iter([b"x"]), 1), UpstreamFailed, str(folder))
    (folder / ".index.json.new").mkdir()
    failure(lambda: put(layout, IMAGE, "2"), UpstreamFailed, str(folder))
    (tmp_path / "file").write_text("")
    failure(lambda: LayoutSource(tmp_path / "file/image", create=True), UpstreamFailed, str(tmp_path))


# --- referrers -------------------------------------------------------------------------------------


def referrer(number: int, subject: Descriptor = IMAGE.manifest.descriptor) -> Artifact:
    made = image(b"referrer %d" % number)
    made.document["subject"] = subject.as_json()
    return made


def test_referrers_by_subject_and_by_the_fallback_tag(layout: LayoutSource) -> None:
    found = [put(layout, referrer(number)) for number in range(3)]
    put(layout, referrer(9, image(b"other").manifest.descriptor))
    assert layout.referrers(DIGEST, limit=9) == tuple(found)
    assert layout.referrers(DIGEST, limit=2) == tuple(found[:2])
    put(layout, index(image(b"by tag")), f"sha256-{DIGEST.hex}")
    assert layout.referrers(DIGEST, limit=9) == (*found, image(b"by tag").manifest.digest)


@pytest.mark.parametrize("subject", [None, 7, "x", {}, {"digest": 7}, {"digest": "../x"}])
def test_a_senseless_subject_is_nobodys(layout: LayoutSource, subject: object) -> None:
    raw = json.dumps({"schemaVersion": 2, "subject": subject}).encode()
    layout.put_manifest(raw, media.OCI_MANIFEST, None)
    assert layout.referrers(DIGEST, limit=9) == ()


def test_referrers_that_can_not_be_read_are_no_answer(layout: LayoutSource, folder: Path) -> None:
    digest = put(layout, referrer(1))
    blob_path(folder, digest).unlink()
    blob_path(folder, digest).mkdir()
    failure(lambda: layout.referrers(DIGEST, limit=9), UpstreamFailed)


# --- what people write -----------------------------------------------------------------------------


def test_references() -> None:
    assert parse_layout_reference("oci-layout:/a/b:1") == (Path("/a/b"), Tag("1"))
    assert parse_layout_reference(f"oci-layout:a@{DIGEST}") == (Path("a"), DIGEST)
    assert parse_layout_reference("oci-layout:a:b:1") == (Path("a:b"), Tag("1"))


@pytest.mark.parametrize(
    "text",
    ["oci-layout:", "oci-layout:a", "oci-layout::1", "oci-layout:a:", "oci-layout:a:../b", "oci-layout:a@x"],
)
def test_broken_references(text: str) -> None:
    failure(lambda: parse_layout_reference(text), (ReferenceInvalid, TagInvalid, DigestInvalid))  # type: ignore[arg-type]
