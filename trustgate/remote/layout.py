"""OCI image layouts on disk (image-spec image-layout.md), read and written like a repository.

Tags are ``org.opencontainers.image.ref.name`` annotations in ``index.json``. Referrers are found by the
``subject`` of the manifests that ``index.json`` lists, and by the fallback tag.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from trustgate.errors import (
    AnswerTooLarge,
    DigestInvalid,
    InvalidInput,
    NotFound,
    ReferenceInvalid,
    TagInvalid,
    UpstreamFailed,
)
from trustgate.evidence.shape import fallback_tag
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_MANIFEST_BYTES, Descriptor
from trustgate.oci.names import Tag
from trustgate.oci.strict_json import JsonRefused, loads
from trustgate.ports import FoundManifest

PREFIX: Final = "oci-layout:"
REF_NAME: Final = "org.opencontainers.image.ref.name"
LAYOUT_VERSION: Final = b'{"imageLayoutVersion":"1.0.0"}'
MAX_INDEX_BYTES: Final = 16 * 1024 * 1024
MAX_INDEX_ENTRIES: Final = 100_000
READ_BYTES: Final = 1024 * 1024
_AGAIN: Final = "the layout is not whole: copy the image into it again"
_NO_LAYOUT: Final = "is it the folder of an OCI layout?"
_UNREADABLE: Final = "may this user read it?"


def parse_layout_reference(text: str) -> tuple[Path, Tag | Digest]:
    """``oci-layout:DIR:TAG`` or ``oci-layout:DIR@DIGEST``. Raises ``ReferenceInvalid``, ``DigestInvalid``."""
    rest = text.removeprefix(PREFIX)
    folder, at, digest = rest.partition("@")
    if at:
        return Path(folder), Digest(digest)
    folder, colon, tag = rest.rpartition(":")
    if not colon or not folder:
        raise ReferenceInvalid(f"{text[:200]!a} names no tag", hint="oci-layout:DIR:TAG or @DIGEST")
    return Path(folder), Tag(tag)


class LayoutSource:
    """One OCI layout as an ``ImageSource``."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        self._directory = directory
        self._last_read: tuple[tuple[int, int, int], list[dict[str, Any]]] | None = None
        if create and not (directory / "oci-layout").exists():
            self._begin()
        if not (directory / "oci-layout").is_file():
            message = f"{directory} is not an OCI layout: it has no file named oci-layout"
            raise NotFound(message, hint=_NO_LAYOUT)

    def manifest(self, target: Tag | Digest) -> FoundManifest:
        if isinstance(target, Digest):
            entry = next((e for e in self._entries() if e.get("digest") == target), {})
            digest = target
        else:
            entry = self._tagged(target)
            digest = self._listed(entry)
        raw = self._read(digest, MAX_MANIFEST_BYTES)
        return FoundManifest(raw, str(entry.get("mediaType") or ""), digest)

    def blob(self, digest: Digest, *, max_bytes: int) -> bytes:
        return self._read(digest, max_bytes)

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        running = hashlib.new(descriptor.digest.algorithm)
        size = 0
        with self._open(descriptor.digest) as file:
            while size <= descriptor.size and (piece := file.read(READ_BYTES)):
                size += len(piece)
                running.update(piece)
                yield piece
        if size != descriptor.size or running.hexdigest() != descriptor.digest.hex:
            raise _damaged(self._directory, descriptor.digest)

    def referrers(self, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        found: dict[Digest, None] = {}
        for entry in self._entries():
            listed = self._listed(entry)
            if len(found) < limit and self._subject_of(listed) == digest:
                found[listed] = None
        for listed in self._fallback(digest):
            if len(found) < limit:
                found[listed] = None
        return tuple(found)

    def has_referrers_api(self, _digest: Digest) -> bool:
        """Referrers are found by their subject."""
        return True

    def tags(self) -> tuple[Tag, ...]:
        names = (_name_of(entry) for entry in self._entries())
        return tuple(dict.fromkeys(Tag(name) for name in names if _is_tag(name)))

    def listed(self) -> tuple[Digest, ...]:
        """Every manifest that ``index.json`` names, with a tag or without."""
        return tuple(dict.fromkeys(map(self._listed, self._entries())))

    def put_blob(self, digest: Digest, content: Iterator[bytes], size: int) -> None:
        if self._holds(digest, size):
            return
        try:
            self._write_blob(digest, content)
        except OSError as exc:
            raise _not_written(self._directory, exc) from exc

    def _write_blob(self, digest: Digest, content: Iterator[bytes]) -> None:
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        running = hashlib.new(digest.algorithm)
        try:
            with draft.open("wb") as file:
                for piece in content:
                    file.write(piece)
                    running.update(piece)
                file.flush()
                os.fsync(file.fileno())
            if running.hexdigest() != digest.hex:
                raise DigestInvalid(
                    f"the content for {digest.short} has another digest",
                    hint="nothing was kept: copy it again from where it comes",
                )
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def put_manifest(self, raw: bytes, media_type: str, target: Tag | Digest | None) -> Digest:
        digest = target if isinstance(target, Digest) else Digest.of(raw)
        tag = target if isinstance(target, Tag) else None
        self.put_blob(digest, iter([raw]), len(raw))
        entries = [e for e in self._entries() if not _replaced(e, digest, tag)]
        entry: dict[str, Any] = {"mediaType": media_type, "digest": str(digest), "size": len(raw)}
        if tag is not None:
            entry["annotations"] = {REF_NAME: str(tag)}
        self._write_index([*entries, entry])
        return digest

    # --- the folder ------------------------------------------------------------------------------

    def _begin(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if not (self._directory / "index.json").exists():
                self._write_index([])
            (self._directory / "oci-layout").write_bytes(LAYOUT_VERSION)
        except OSError as exc:
            raise _not_written(self._directory, exc) from exc

    def _holds(self, digest: Digest, size: int) -> bool:
        """Whether the blob is there and whole: a damaged one is written anew."""
        try:
            for _piece in self.stream(Descriptor("", digest, size)):
                pass
        except (NotFound, DigestInvalid, UpstreamFailed):
            return False
        return True

    def _entries(self) -> list[dict[str, Any]]:
        """What the index lists; read again only when it is another file than the last time."""
        path = self._directory / "index.json"
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                state = (status.st_ino, status.st_mtime_ns, status.st_size)
                if self._last_read is not None and self._last_read[0] == state:
                    return self._last_read[1]
                document = loads(file.read(MAX_INDEX_BYTES + 1), max_bytes=MAX_INDEX_BYTES)
        except FileNotFoundError as exc:
            raise NotFound(f"{self._directory} has no index.json", hint=_NO_LAYOUT) from exc
        except OSError as exc:
            raise UpstreamFailed(f"{path}: {exc.strerror}", hint=_UNREADABLE) from exc
        except JsonRefused as exc:
            raise UpstreamFailed(f"{path} {exc}", hint=_AGAIN) from exc
        entries = document.get("manifests") if isinstance(document, dict) else None
        if not isinstance(entries, list) or len(entries) > MAX_INDEX_ENTRIES:
            raise UpstreamFailed(f"{path} lists no manifests", hint=_AGAIN)
        found = [entry for entry in entries if isinstance(entry, dict)]
        self._last_read = (state, found)
        return found

    def _listed(self, entry: dict[str, Any]) -> Digest:
        try:
            return Digest(str(entry.get("digest")))
        except DigestInvalid as exc:
            raise DigestInvalid(f"{self._directory / 'index.json'}: {exc.message}", hint=_AGAIN) from exc

    def _tagged(self, tag: Tag) -> dict[str, Any]:
        for entry in self._entries():
            if _name_of(entry) == tag:
                return entry
        raise NotFound(f"{self._directory} has no tag {tag}", hint="trustgate ls lists the tags that it has")

    def _subject_of(self, digest: Digest) -> Digest | None:
        try:
            document = loads(self._read(digest, MAX_MANIFEST_BYTES), max_bytes=MAX_MANIFEST_BYTES)
            subject = document.get("subject") if isinstance(document, dict) else None
            return Digest(str(subject.get("digest"))) if isinstance(subject, dict) else None
        except (JsonRefused, InvalidInput, NotFound):
            return None

    def _fallback(self, digest: Digest) -> tuple[Digest, ...]:
        try:
            raw = self.manifest(fallback_tag(digest)).raw
            document = loads(raw, max_bytes=MAX_MANIFEST_BYTES)
        except (NotFound, JsonRefused):
            return ()
        entries = document.get("manifests") if isinstance(document, dict) else None
        return tuple(
            Digest(str(e.get("digest")))
            for e in (entries if isinstance(entries, list) else [])
            if isinstance(e, dict)
        )

    def _read(self, digest: Digest, max_bytes: int) -> bytes:
        with self._open(digest) as file:
            raw: bytes = file.read(max_bytes + 1)
        if len(raw) > max_bytes:
            raise AnswerTooLarge(
                f"{self._directory}: {digest.short} has more than {max_bytes} bytes", hint=_AGAIN
            )
        if Digest.of(raw, digest.algorithm) != digest:
            raise _damaged(self._directory, digest)
        return raw

    @contextmanager
    def _open(self, digest: Digest) -> Iterator[BinaryIO]:
        path = self._path(digest)
        try:
            if path.exists() and not path.is_file():
                raise UpstreamFailed(f"{path} is not a file", hint=_AGAIN)
            with path.open("rb") as file:
                yield file
        except FileNotFoundError as exc:
            raise NotFound(f"{self._directory} has no blob {digest.short}", hint=_AGAIN) from exc
        except OSError as exc:
            raise UpstreamFailed(f"{path}: {exc.strerror}", hint=_UNREADABLE) from exc

    def _path(self, digest: Digest) -> Path:
        return self._directory / "blobs" / digest.algorithm / digest.hex

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
        path = self._directory / "index.json"
        draft = path.with_name(".index.json.new")
        try:
            draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
            draft.replace(path)
        except OSError as exc:
            raise _not_written(self._directory, exc) from exc


def _name_of(entry: dict[str, Any]) -> str:
    """Some tools write the whole reference as the name: the tag is what counts."""
    annotations = entry.get("annotations")
    name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    if not isinstance(name, str):
        return ""
    return name.rpartition(":")[2] if "/" in name else name


def _is_tag(name: str) -> bool:
    """Names may be anything; what is no tag can be had by its digest."""
    try:
        Tag(name)
    except TagInvalid:
        return False
    return True


def _replaced(entry: dict[str, Any], digest: Digest, tag: Tag | None) -> bool:
    """The entry that a new one takes the place of."""
    name = _name_of(entry)
    if tag is not None:
        return name == tag
    return entry.get("digest") == digest and not name


def _damaged(directory: Path, digest: Digest) -> DigestInvalid:
    return DigestInvalid(
        f"{directory}: the blob {digest.short} has other bytes than its digest or size says",
        hint="the layout is damaged: copy the image into it again",
    )


def _not_written(directory: Path, error: OSError) -> UpstreamFailed:
    return UpstreamFailed(
        f"{directory} can't be written: {error.strerror}",
        hint="is there room, and may this user write there?",
    )
