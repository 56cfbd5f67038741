"""Shared fixtures (``tags.json`` and ``blobs/``) as OCI layouts, for commands to read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from trustgate.errors import ManifestInvalid
from trustgate.oci.manifest import Manifest, parse_manifest

REF_NAME = "org.opencontainers.image.ref.name"


def layout_of(fixture: Path, folder: Path) -> str:
    """A layout in ``folder``; returns ``oci-layout:FOLDER:v1``."""
    shutil.copytree(fixture / "blobs", folder / "blobs")
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    tags: dict[str, str] = json.loads((fixture / "tags.json").read_text())
    manifests = {str(manifest.digest): manifest for manifest in _manifests(folder)}
    entries = [_entry(manifests[digest], tag) for tag, digest in tags.items() if digest in manifests]
    entries += [_entry(one) for digest, one in manifests.items() if digest not in tags.values()]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return f"oci-layout:{folder}:v1"


def _manifests(folder: Path) -> list[Manifest]:
    found = []
    for path in sorted((folder / "blobs" / "sha256").iterdir()):
        try:
            found.append(parse_manifest(path.read_bytes()))
        except ManifestInvalid:
            continue
    return found


def _entry(manifest: Manifest, tag: str = "") -> dict[str, Any]:
    entry: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.raw),
    }
    return {**entry, "annotations": {REF_NAME: tag}} if tag else entry
