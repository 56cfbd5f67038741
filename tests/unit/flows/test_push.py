"""Pushing: what is durable, who may write at a time, and what is judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tests.conformance.server import Assembly, assemble
from tests.unit.api.registry.rig import manifest, policies
from trustgate.errors import (
    BlobUploadUnknown,
    Conflict,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    RangeInvalid,
    SizeInvalid,
    TrustgateError,
)
from trustgate.evidence.model import Role
from trustgate.flows.access import Actor
from trustgate.flows.admit import Refused
from trustgate.flows.push import MAX_MANIFEST_ATTEMPTS, SourceOutOfScope
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Caller
from trustgate.ports import Grant, Push, UploadId

WEB, OTHER = RepositoryName("shop/web"), RepositoryName("other/app")
ROOT = Actor(Caller("root"), is_admin=True)
CONFIG, LAYER = b'{"architecture": "amd64", "os": "linux"}', b"a layer"


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Assembly]:
    made = assemble(tmp_path)
    yield made
    made.pool.shutdown()
    made.store.close()


def _upload(inside: Assembly, content: bytes, repository: RepositoryName = WEB) -> Digest:
    upload = inside.push.begin(repository, ROOT)
    with inside.push.chunk(repository, upload.id, start=None) as session:
        session.write(content)
    return inside.push.finish(repository, upload.id, Digest.of(content)).digest


def _put(inside: Assembly, target: Tag | Digest, raw: bytes, *tags: Tag) -> Digest:
    done = inside.push.manifest(WEB, target, raw, ROOT, content_type=media.OCI_MANIFEST, tags=tags)
    return done.manifest.digest


@pytest.fixture
def image(inside: Assembly) -> bytes:
    for content in (CONFIG, LAYER):
        _upload(inside, content)
    return manifest(CONFIG, LAYER)


def test_what_was_written_is_recorded_also_when_the_body_breaks_off(inside: Assembly) -> None:
    upload = inside.push.begin(WEB, ROOT)
    broken = inside.push.chunk(WEB, upload.id, start=0)
    broken.__enter__().write(b"abc")
    assert not broken.__exit__(ConnectionError, ConnectionError(), None)
    assert inside.push.status(WEB, upload.id).offset == 3
    with inside.push.chunk(WEB, upload.id, start=3, length=2) as session:
        session.write(b"de")
        session.ended()
    assert session.upload.offset == 5
    assert inside.push.finish(WEB, upload.id, Digest.of(b"abcde")).size == 5


def test_a_chunk_has_its_place_and_its_length(inside: Assembly) -> None:
    upload = inside.push.begin(WEB, ROOT)
    with pytest.raises(RangeInvalid), inside.push.chunk(WEB, upload.id, start=1):
        pytest.fail("a chunk in the wrong place was begun")
    with pytest.raises(SizeInvalid), inside.push.chunk(WEB, upload.id, start=0, length=2) as session:
        session.write(b"abc")
    assert inside.push.status(WEB, upload.id).offset == 0
    with inside.push.chunk(WEB, upload.id, start=0, length=2) as session:
        session.write(b"a")
        with pytest.raises(SizeInvalid):
            session.ended()
    assert inside.push.status(WEB, upload.id).offset == 1


def test_one_writer_at_a_time(inside: Assembly) -> None:
    upload = inside.push.begin(WEB, ROOT)
    with inside.push.chunk(WEB, upload.id, start=None) as session:
        session.write(b"first")
        with pytest.raises(RangeInvalid), inside.push.chunk(WEB, upload.id, start=None):
            pytest.fail("a second writer was let in")
        with pytest.raises(RangeInvalid):
            inside.push.finish(WEB, upload.id, Digest.of(b""))
        with pytest.raises(RangeInvalid):
            inside.push.cancel(WEB, upload.id)
    assert inside.push.finish(WEB, upload.id, Digest.of(b"first")).size == 5


def test_threads_never_mix_their_bytes(inside: Assembly) -> None:
    """Whatever the interleaving: a blob that is accepted has the bytes of its digest."""
    contents = [bytes([letter]) * 50_000 for letter in b"abcd"]
    for _ in range(5):
        upload = inside.push.begin(WEB, ROOT)
        start = Barrier(len(contents))
        threads = [Thread(target=_racer, args=(inside, upload.id, one, start)) for one in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for content in contents:
        found = inside.store.blobs.find(WEB, Digest.of(content))
        if found is not None:
            assert inside.store.blob_store.read(found.key, max_bytes=10**6) == content


def _racer(inside: Assembly, upload: UploadId, content: bytes, start: Barrier) -> None:
    start.wait()
    try:
        with inside.push.chunk(WEB, upload, start=0) as session:
            for at in range(0, len(content), 10_000):
                session.write(content[at : at + 10_000])
        inside.push.finish(WEB, upload, Digest.of(content))
    except TrustgateError:
        pass  # losing the race is an answer too


def test_a_wrong_digest_leaves_the_upload_as_it_was(inside: Assembly) -> None:
    upload = inside.push.begin(WEB, ROOT)
    with inside.push.chunk(WEB, upload.id, start=None) as session:
        session.write(b"abc")
    with pytest.raises(DigestInvalid):
        inside.push.finish(WEB, upload.id, Digest.of(b"xyz"))
    assert inside.push.finish(WEB, upload.id, Digest.of(b"abc")).size == 3
    with pytest.raises(BlobUploadUnknown):
        inside.push.finish(WEB, upload.id, Digest.of(b"abc"))


def test_an_unknown_upload(inside: Assembly) -> None:
    for name in ("0" * 36, "..", ""):
        with pytest.raises(BlobUploadUnknown):
            inside.push.status(WEB, UploadId(name))


def test_the_same_blob_twice_is_one(inside: Assembly) -> None:
    _upload(inside, b"same", WEB)
    _upload(inside, b"same", OTHER)
    keys = {inside.store.blobs.find(name, Digest.of(b"same")) for name in (WEB, OTHER)}
    assert len(keys) == 1


def test_a_manifest_gets_its_tags_in_one_go(inside: Assembly, image: bytes) -> None:
    digest = _put(inside, Tag("1"), image, Tag("1"), Tag("1.2"))
    assert set(inside.store.manifests.tags_of(WEB, digest)) == {"1", "1.2"}
    stored = inside.store.manifests.find(WEB, Tag("1.2"))
    assert stored is not None
    assert (stored.raw, stored.role) == (image, Role.IMAGE)


def test_a_manifest_whose_blobs_are_elsewhere_is_refused(inside: Assembly) -> None:
    for content in (CONFIG, LAYER):
        _upload(inside, content, OTHER)
    with pytest.raises(ManifestBlobUnknown):
        _put(inside, Tag("1"), manifest(CONFIG, LAYER))
    assert inside.store.manifests.find(WEB, Tag("1")) is None


def test_sparse_content_is_taken_when_the_operator_says_so(tmp_path: Path) -> None:
    inside = assemble(tmp_path, sparse_indexes=True)
    _upload(inside, CONFIG)
    raw = manifest(CONFIG, LAYER)
    _put(inside, Tag("1"), raw)
    _upload(inside, LAYER)
    digest = _put(inside, Tag("1"), raw)
    reaching = inside.store.manifests.containing(WEB, Digest.of(LAYER), limit=9)
    assert reaching == (digest,), "a layer that came later is reached after the next push"
    with pytest.raises(ManifestBlobUnknown):
        _put(inside, Tag("1"), manifest(b"{}", LAYER))
    inside.store.close()


def test_a_tag_that_moved_meanwhile_is_judged_again(
    inside: Assembly, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = inside.store.manifests.put, list[Push]()

    def put(push: Push) -> None:
        calls.append(push)
        if len(calls) == 1:
            raise Conflict("the tag moved")
        real(push)

    monkeypatch.setattr(inside.store.manifests, "put", put)
    _put(inside, Tag("1"), image)
    assert len(calls) == 2

    def never(push: Push) -> None:
        calls.append(push)
        raise Conflict("the tag moved")

    monkeypatch.setattr(inside.store.manifests, "put", never)
    calls.clear()
    with pytest.raises(Conflict):
        _put(inside, Tag("1"), image)
    assert len(calls) == MAX_MANIFEST_ATTEMPTS


def test_too_many_tags(inside: Assembly, image: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        _put(inside, Tag("0"), image, *(Tag(f"t{number}") for number in range(16)))


def test_a_refused_push_and_a_refused_delete_change_nothing(tmp_path: Path) -> None:
    now = [policies()]
    inside = assemble(tmp_path, policies=lambda: now[0])
    for content in (CONFIG, LAYER):
        _upload(inside, content)
    _put(inside, Tag("1"), manifest(CONFIG, LAYER))
    now[0] = policies(push="deny", delete="deny")
    with pytest.raises(Refused):
        _put(inside, Tag("2"), manifest(CONFIG, LAYER))
    assert inside.store.manifests.find(WEB, Tag("2")) is None
    with pytest.raises(Refused):
        inside.push.delete_manifest(WEB, Tag("1"), ROOT)
    assert inside.store.manifests.find(WEB, Tag("1")) is not None
    inside.store.close()


def test_a_deletion_is_judged_again_when_anything_changed(
    inside: Assembly, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A protected tag may point to the manifest by the time that it would go."""
    digest = _put(inside, Tag("1"), image)
    judged, real = list[object](), inside.gate.change

    def meanwhile(*asked: object, **more: object) -> object:
        judged.append(asked)
        if len(judged) == 1:
            monkeypatch.setattr(inside.gate, "change", real)
            _put(inside, Tag("v2"), image)
            monkeypatch.setattr(inside.gate, "change", meanwhile)
        return real(*asked, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(inside.gate, "change", meanwhile)
    inside.push.delete_manifest(WEB, digest, ROOT)
    assert len(judged) == 2
    assert inside.store.manifests.find(WEB, Tag("v2")) is None


def test_a_repository_that_never_stands_still_is_a_conflict(
    inside: Assembly, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(inside, Tag("1"), image)
    monkeypatch.setattr(inside.store.manifests, "revision", lambda _repository: -1)
    with pytest.raises(Conflict, match="changed while"):
        inside.push.delete_manifest(WEB, Tag("1"), ROOT)
    assert inside.store.manifests.find(WEB, Tag("1")) is not None


def test_deleting_what_is_not_there(inside: Assembly) -> None:
    with pytest.raises(ManifestUnknown):
        inside.push.delete_manifest(WEB, Tag("1"), ROOT)


def test_mounts(inside: Assembly) -> None:
    digest = _upload(inside, b"blob", OTHER)
    stranger = Actor(Caller("x"), grants=(Grant("shop", frozenset({"pull", "push"})),))
    assert inside.push.mount(WEB, digest, OTHER, stranger) is None
    assert inside.push.mount(WEB, digest, None, stranger) is None
    assert inside.push.mount(WEB, Digest.of(b"none"), OTHER, ROOT) is None
    narrow = Actor(Caller("root"), is_admin=True, scope={WEB: frozenset({"pull", "push"})})
    for source in (OTHER, None):
        with pytest.raises(SourceOutOfScope):
            inside.push.mount(WEB, digest, source, narrow)
    assert inside.push.mount(WEB, digest, None, ROOT) is not None
    assert inside.push.mount(WEB, digest, OTHER, narrow) is not None, "it is here already"


def test_a_signature_is_told_by_its_bytes_and_not_by_its_name(inside: Assembly) -> None:
    _upload(inside, CONFIG)
    _upload(inside, b"not a payload")
    layer = {
        "mediaType": media.COSIGN_SIMPLE_SIGNING,
        "digest": Digest.of(b"not a payload"),
        "size": len(b"not a payload"),
    }
    raw = json.dumps({**json.loads(manifest(CONFIG)), "layers": [layer]}).encode()
    _put(inside, Tag(f"sha256-{'0' * 64}.sbom"), raw)
    stored = inside.store.manifests.find(WEB, Digest.of(raw))
    assert stored is not None
    assert stored.role is not Role.SIGNATURE


def test_a_push_on_a_condition_is_not_tried_again(inside: Assembly, image: bytes) -> None:
    tag = Tag("1")
    put = {"content_type": media.OCI_MANIFEST}
    inside.push.manifest(WEB, tag, image, ROOT, only_if={tag: None}, **put)
    with pytest.raises(Conflict, match="points elsewhere by now"):
        inside.push.manifest(WEB, tag, image, ROOT, only_if={tag: None}, **put)
    with pytest.raises(Conflict):
        inside.push.manifest(WEB, tag, image, ROOT, only_if={tag: Digest.of(b"other")}, **put)
    inside.push.manifest(WEB, tag, image, ROOT, only_if={tag: Digest.of(image)}, **put)
