"""Bytes on local disk: durable before they are acknowledged, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustgate.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    DigestInvalid,
    SizeInvalid,
    StorageFull,
    StorageUnavailable,
)
from trustgate.oci.digest import Digest
from trustgate.ports import StorageKey, UploadId
from trustgate.store.blobs_local import LocalBlobStore

UPLOAD = UploadId("an-upload-of-this-test")


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path)


def stage(blobs: LocalBlobStore, content: bytes, offset: int = 0, upload: UploadId = UPLOAD) -> None:
    with blobs.append(upload, offset) as writer:
        writer.write(content)
        writer.sync()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_was_staged_in_pieces_is_one_blob(blobs: LocalBlobStore, algorithm: str) -> None:
    stage(blobs, b"one ")
    stage(blobs, b"two", offset=4)
    key = blobs.commit(UPLOAD, Digest.of(b"one two", algorithm), 7)
    assert blobs.read(key, max_bytes=100) == b"one two"
    assert list(blobs.keys()) == [key]


def test_bytes_beyond_the_offset_are_dropped(blobs: LocalBlobStore) -> None:
    """A writer that was cut off before its bytes were recorded."""
    stage(blobs, b"kept and lost")
    stage(blobs, b"-end", offset=4)
    key = blobs.commit(UPLOAD, Digest.of(b"kept-end"), 8)
    assert blobs.read(key, max_bytes=100) == b"kept-end"


def test_what_broke_off_is_sent_again_and_nothing_is_read_again(
    blobs: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a chunk of a byte, broken off, would cost as much as the whole upload."""
    stage(blobs, b"one ")
    with pytest.raises(ConnectionError):
        _broken_off(blobs, b"lost", offset=4)
    monkeypatch.setattr(os, "pread", None)
    stage(blobs, b"two", offset=4)
    assert blobs.read(blobs.commit(UPLOAD, Digest.of(b"one two"), 7), max_bytes=100) == b"one two"


def _broken_off(blobs: LocalBlobStore, content: bytes, offset: int) -> None:
    with blobs.append(UPLOAD, offset) as writer:
        writer.write(content)
        raise ConnectionError


def test_another_process_goes_on_where_this_one_stopped(blobs: LocalBlobStore, tmp_path: Path) -> None:
    stage(blobs, b"first ")
    again = LocalBlobStore(tmp_path)
    stage(again, b"second", offset=6)
    assert again.read(again.commit(UPLOAD, Digest.of(b"first second"), 12), max_bytes=20) == b"first second"


def test_fewer_bytes_than_recorded(blobs: LocalBlobStore) -> None:
    stage(blobs, b"abc")
    with pytest.raises(BlobUploadUnknown), blobs.append(UPLOAD, 10):
        pass


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_wrong_digest_keeps_the_staging_and_stores_nothing(blobs: LocalBlobStore, algorithm: str) -> None:
    stage(blobs, b"content")
    with pytest.raises(DigestInvalid):
        blobs.commit(UPLOAD, Digest.of(b"other", algorithm), 7)
    assert list(blobs.keys()) == []
    assert blobs.commit(UPLOAD, Digest.of(b"content", algorithm), 7)


def test_a_wrong_size(blobs: LocalBlobStore) -> None:
    stage(blobs, b"content")
    with pytest.raises(SizeInvalid):
        blobs.commit(UPLOAD, Digest.of(b"content"), 8)


def test_a_finish_that_was_cut_off_can_be_tried_again(blobs: LocalBlobStore) -> None:
    stage(blobs, b"content")
    first = blobs.commit(UPLOAD, Digest.of(b"content"), 7)
    second = blobs.commit(UPLOAD, Digest.of(b"content"), 7)
    assert first != second, "a key is never used twice"
    blobs.delete(first)
    assert blobs.read(second, max_bytes=7) == b"content"


def test_reading_is_bounded(blobs: LocalBlobStore) -> None:
    stage(blobs, b"content")
    key = blobs.commit(UPLOAD, Digest.of(b"content"), 7)
    with pytest.raises(SizeInvalid):
        blobs.read(key, max_bytes=6)


def test_what_is_gone_is_unknown(blobs: LocalBlobStore) -> None:
    stage(blobs, b"content")
    key = blobs.commit(UPLOAD, Digest.of(b"content"), 7)
    blobs.delete(key)
    blobs.delete(key)
    with pytest.raises(BlobUnknown):
        blobs.path(key)


@pytest.mark.parametrize("key", ["../../etc/passwd", "sha256/ab/x/y", "/etc/passwd", ""])
def test_a_key_is_no_path(blobs: LocalBlobStore, key: str) -> None:
    with pytest.raises(BlobUnknown):
        blobs.path(StorageKey(key))


@pytest.mark.parametrize("upload", ["../x", "a/b", "", "x" * 65, "short"])
def test_an_upload_id_is_no_path(blobs: LocalBlobStore, upload: str) -> None:
    with pytest.raises(BlobUploadUnknown), blobs.append(UploadId(upload), 0):
        pass


def test_a_full_disk_says_so_and_keeps_what_was_recorded(
    blobs: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(blobs, b"kept")
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFull), blobs.append(UPLOAD, 4) as writer:
        writer.write(b"lost")
    monkeypatch.setattr(os, "write", real)
    stage(blobs, b"-end", offset=4)
    assert blobs.commit(UPLOAD, Digest.of(b"kept-end"), 8)


def test_a_failing_fsync_is_fatal(blobs: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    stage(blobs, b"content")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageUnavailable):
        blobs.commit(UPLOAD, Digest.of(b"content"), 7)
    monkeypatch.undo()
    assert list(blobs.keys()) == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6), forget=st.booleans())
def test_any_pieces(tmp_path: Path, pieces: list[bytes], forget: bool) -> None:
    blobs, offset = LocalBlobStore(tmp_path), 0
    upload = UploadId(os.urandom(8).hex())
    for piece in pieces:
        stage(blobs, piece, offset, upload)
        offset += len(piece)
        blobs = LocalBlobStore(tmp_path) if forget else blobs
    whole = b"".join(pieces)
    key = blobs.commit(upload, Digest.of(whole), len(whole))
    assert blobs.read(key, max_bytes=2000) == whole
