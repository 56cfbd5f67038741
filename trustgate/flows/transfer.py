"""Copy an image between two sources: blobs first, children before their index, the tag last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from trustgate.errors import ManifestInvalid
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import FoundManifest, ImageSource

MAX_DEPTH: Final = 4
MAX_MANIFESTS: Final = 2000

Progress = Callable[[Descriptor, int], None]
"""(which blob, bytes of it so far)."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied."""

    digest: Digest
    manifests: int
    blobs: int
    bytes: int


def copy_image(
    source: ImageSource,
    target: Tag | Digest,
    destination: ImageSource,
    tag: Tag | None,
    *,
    progress: Progress,
) -> Copied:
    """Copy what ``target`` names, whole. Raises what the two sources raise."""
    found = source.manifest(target)
    walk = _Walk(source, destination, progress)
    walk.copy(found, tag, depth=0)
    return Copied(found.digest, walk.manifests, len(walk.done), walk.bytes)


class _Walk:
    def __init__(self, source: ImageSource, destination: ImageSource, progress: Progress) -> None:
        self._source = source
        self._destination = destination
        self._progress = progress
        self._copied: set[Digest] = set()
        self.done: set[Digest] = set()
        self.bytes = 0

    @property
    def manifests(self) -> int:
        return len(self._copied)

    def copy(self, found: FoundManifest, tag: Tag | None, *, depth: int) -> None:
        manifest = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
        for child in manifest.children:
            if child.digest not in self._copied:
                self._check(depth, found.digest)
                self.copy(self._source.manifest(child.digest), None, depth=depth + 1)
        for descriptor in manifest.blobs:
            if descriptor.digest not in self.done:
                self.done.add(descriptor.digest)
                self._destination.put_blob(descriptor.digest, self._stream(descriptor), descriptor.size)
        self._destination.put_manifest(found.raw, manifest.media_type, tag or found.digest)
        self._copied.add(found.digest)

    def _check(self, depth: int, digest: Digest) -> None:
        """A copy is whole or refused: a part of an index would look like all of it."""
        if depth < MAX_DEPTH and self.manifests < MAX_MANIFESTS:
            return
        raise ManifestInvalid(
            f"{digest.short} is an index with more than {MAX_DEPTH} levels or {MAX_MANIFESTS} manifests",
            hint="copy its parts by their digests",
        )

    def _stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        so_far = 0
        for piece in self._source.stream(descriptor):
            so_far += len(piece)
            self.bytes += len(piece)
            self._progress(descriptor, so_far)
            yield piece
