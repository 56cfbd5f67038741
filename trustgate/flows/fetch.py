"""Bring an image's blobs to local disk, so that scanners can read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from trustgate.errors import ManifestInvalid, SizeInvalid
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import ImageSource
from trustgate.scanning import Blob, ScanRequest

MAX_IMAGE_BYTES: Final = 50 * 1024**3
MAX_PLATFORMS: Final = 64
MAX_DEPTH: Final = 4
DEADLINE_S: Final = 600.0
MAX_REPORT_BYTES: Final = 32 * 1024 * 1024


def scan_requests(
    source: ImageSource,
    target: Tag | Digest,
    folder: Path,
    *,
    now: datetime,
    repository: RepositoryName,
    depth: int = 0,
) -> Iterator[ScanRequest]:
    """A request for the image, or one for each image of an index. Raises what the source raises."""
    found = source.manifest(target)
    manifest = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
    if manifest.kind == "index":
        if len(manifest.children) > MAX_PLATFORMS or depth >= MAX_DEPTH:
            raise ManifestInvalid(
                f"{manifest.digest.short} has more than {MAX_PLATFORMS} images, or {MAX_DEPTH} levels",
                hint="scan them by their digests",
            )
        for child in manifest.children:
            yield from scan_requests(
                source, child.digest, folder, now=now, repository=repository, depth=depth + 1
            )
        return
    if manifest.config is not None:
        yield _request(source, manifest, manifest.config, folder, now, repository)


def _request(
    source: ImageSource,
    manifest: Manifest,
    config: Descriptor,
    folder: Path,
    now: datetime,
    repository: RepositoryName,
) -> ScanRequest:
    total = sum(descriptor.size for descriptor in manifest.blobs)
    if total > MAX_IMAGE_BYTES:
        raise SizeInvalid(
            f"the image has {total} bytes, at most {MAX_IMAGE_BYTES} are fetched",
            hint="push it to a trustgate server, which scans it where it lies",
        )
    return ScanRequest(
        repository=str(repository),
        manifest=manifest,
        config=_fetch(source, config, folder),
        layers=tuple(_fetch(source, layer, folder) for layer in manifest.layers),
        now=now,
        deadline_s=DEADLINE_S,
        max_report_bytes=MAX_REPORT_BYTES,
    )


def _fetch(source: ImageSource, descriptor: Descriptor, folder: Path) -> Blob:
    path = folder / descriptor.digest.hex
    if not path.exists():
        draft = path.with_suffix(".part")
        with draft.open("wb") as file:
            for piece in source.stream(descriptor):
                file.write(piece)
        draft.rename(path)
    return Blob(descriptor.digest, descriptor.media_type, descriptor.size, path)
