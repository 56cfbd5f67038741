"""Blobs on local disk (port ``BlobStore``).

    DATA/uploads/<upload id>                      staged content, appended to
    DATA/blobs/sha256/ab/<hex>/<random>           content, under a key that is never used again

Commit: fsync the staged file, link it into place (one filesystem), fsync the folder; the staged name goes
only after the records know the key, so a kill in between costs nothing but a name. A key holds a random
generation, so a late delete can only hit bytes that nothing points to.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from trustgate.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    DigestInvalid,
    SizeInvalid,
    StorageFull,
    StorageUnavailable,
    TrustgateError,
)
from trustgate.oci.digest import Digest
from trustgate.ports import StorageKey, UploadId

READ_BYTES = 1024 * 1024
GENERATION_BYTES = 12
MAX_HASHES_KEPT = 1024
"""Uploads whose running hash stays in memory between chunks; others are hashed again from disk."""
_UPLOAD_ID = re.compile(r"[0-9a-zA-Z_-]{8,64}")
_KEY = re.compile(r"sha(256|512)/[0-9a-f]{2}/[0-9a-f]{64,128}/[0-9a-f]{24}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LocalBlobStore:
    """Durable before it is acknowledged."""

    def __init__(self, directory: Path) -> None:
        self._uploads = directory / "uploads"
        self._blobs = directory / "blobs"
        self._hashes: OrderedDict[UploadId, tuple[int, hashlib._Hash]] = OrderedDict()
        self._lock = Lock()
        with _translated(f"open the blob store in {directory}"):
            for folder in (self._uploads, self._blobs):
                folder.mkdir(parents=True, exist_ok=True)
            if self._uploads.stat().st_dev != self._blobs.stat().st_dev:
                raise StorageUnavailable(
                    f"{self._uploads} and {self._blobs} are on different filesystems",
                    hint="content is linked from one to the other: put both on one filesystem",
                )

    @contextmanager
    def append(self, upload: UploadId, offset: int) -> Iterator[LocalWriter]:
        path = self._staged(upload)
        with _translated(f"write upload {upload}"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with _translated(f"write upload {upload}"):
                if os.fstat(descriptor).st_size < offset:
                    raise BlobUploadUnknown(
                        f"upload {upload} has fewer than {offset} bytes on disk",
                        hint="begin the upload again",
                    )
                os.ftruncate(descriptor, offset)
                os.lseek(descriptor, offset, os.SEEK_SET)
                running = self._hash_at(upload, offset, descriptor)
            before, writer = running.copy(), LocalWriter(descriptor, offset, running)
            try:
                yield writer
            except BaseException:
                self._keep_hash(upload, offset, before)  # what broke off is sent again from here
                raise
            self._keep_hash(upload, writer.offset, running)
        finally:
            os.close(descriptor)

    def commit(self, upload: UploadId, digest: Digest, size: int) -> StorageKey:
        path = self._staged(upload)
        with _translated(f"finish upload {upload}"):
            if not path.exists():
                path.touch(mode=0o600)  # an upload of no bytes at all
            self._verify(path, upload, digest, size)
            key = _new_key(digest)
            target = self._blobs / key
            self._make_folders(target.parent)
            _sync_file(path)
            target.hardlink_to(path)
            _sync_folder(target.parent)
        return key

    def discard(self, upload: UploadId) -> None:
        self._forget(upload)
        with _translated(f"drop upload {upload}"):
            self._staged(upload).unlink(missing_ok=True)

    def path(self, key: StorageKey) -> Path:
        path = self._blobs / _checked(key)
        if not path.is_file():
            raise BlobUnknown(f"the bytes under {key} are gone", hint="push the blob again")
        return path

    def read(self, key: StorageKey, *, max_bytes: int) -> bytes:
        path = self.path(key)
        with _translated(f"read {key}"), path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise SizeInvalid(f"the blob has more than {max_bytes} bytes")
        return content

    def delete(self, key: StorageKey) -> None:
        path = self._blobs / _checked(key)
        with _translated(f"delete {key}"):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # another generation of the digest may live beside it
                path.parent.rmdir()

    def keys(self) -> Iterator[StorageKey]:
        for path in self._blobs.glob("sha*/*/*/*"):
            if path.is_file():
                yield StorageKey(str(path.relative_to(self._blobs)))

    def check(self) -> None:
        probe = self._uploads / f".check-{secrets.token_hex(4)}"
        with _translated(f"write to {self._uploads}"):
            try:
                probe.write_bytes(b"trustgate")
                _sync_file(probe)
            finally:
                probe.unlink(missing_ok=True)

    def _staged(self, upload: UploadId) -> Path:
        if not _UPLOAD_ID.fullmatch(upload):
            raise BlobUploadUnknown(f"{upload[:80]!r} is not an upload's id")
        return self._uploads / upload

    def _hash_at(self, upload: UploadId, offset: int, descriptor: int) -> hashlib._Hash:
        """The SHA-256 of the first ``offset`` bytes: from memory, else by reading them again."""
        with self._lock:
            kept = self._hashes.pop(upload, None)
        if kept is not None and kept[0] == offset:
            return kept[1]
        running = hashlib.sha256()
        position = 0
        while position < offset:
            chunk = os.pread(descriptor, min(READ_BYTES, offset - position), position)
            if not chunk:
                raise BlobUploadUnknown(f"upload {upload} lost bytes on disk", hint="begin it again")
            running.update(chunk)
            position += len(chunk)
        return running

    def _keep_hash(self, upload: UploadId, offset: int, running: hashlib._Hash) -> None:
        with self._lock:
            self._hashes[upload] = (offset, running)
            while len(self._hashes) > MAX_HASHES_KEPT:
                self._hashes.popitem(last=False)

    def _forget(self, upload: UploadId) -> None:
        with self._lock:
            self._hashes.pop(upload, None)

    def _verify(self, path: Path, upload: UploadId, digest: Digest, size: int) -> None:
        found = path.stat().st_size
        if found != size:
            raise SizeInvalid(f"the upload has {found} bytes on disk, {size} were acknowledged")
        with self._lock:
            kept = self._hashes.get(upload)
        if digest.algorithm == "sha256" and kept is not None and kept[0] == size:
            actual = kept[1].hexdigest()
        else:
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, digest.algorithm).hexdigest()
        if actual != digest.hex:
            raise DigestInvalid(
                f"the uploaded content has the digest {digest.algorithm}:{actual}, {digest} was announced",
                hint="the content changed on the way, or the wrong digest was sent: upload it again",
            )

    def _make_folders(self, folder: Path) -> None:
        """Make the folders of a key, each made durable in its parent."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for made in reversed(missing):
            made.mkdir(exist_ok=True)
            _sync_folder(made.parent)


class LocalWriter:
    """Appends to one staged file, hashing on the way."""

    def __init__(self, descriptor: int, offset: int, running: hashlib._Hash) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self.hash = running

    @property
    def offset(self) -> int:
        return self._offset

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        with _translated("write uploaded content"):
            while view:
                written = os.write(self._descriptor, view)
                self.hash.update(view[:written])
                self._offset += written
                view = view[written:]

    def sync(self) -> None:
        with _translated("make uploaded content durable"):
            os.fsync(self._descriptor)


def _new_key(digest: Digest) -> StorageKey:
    generation = secrets.token_hex(GENERATION_BYTES)
    return StorageKey(f"{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/{generation}")


def _checked(key: StorageKey) -> StorageKey:
    if not _KEY.fullmatch(key):
        raise BlobUnknown(f"{key[:120]!r} is not a storage key")
    return key


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_folder = _sync_file


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except TrustgateError:
        raise
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFull(
                f"could not {what}: {exc.strerror}", hint="free some room on the data directory's disk"
            ) from exc
        raise StorageUnavailable(
            f"could not {what}: {exc.strerror or exc}", hint="check the data directory and its disk"
        ) from exc
