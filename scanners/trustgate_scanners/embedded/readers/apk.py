"""Alpine's package database: ``lib/apk/db/installed`` (newer: below ``usr``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from packageurl import PackageURL

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile
from trustgate_scanners.embedded.readers.osrelease import namespace

DATABASES: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")


def wants(path: str) -> bool:
    return path in DATABASES


is_database = wants


def owned_paths(files: Mapping[str, KeptFile]) -> set[str]:
    """Every path that an Alpine package installed."""
    owned: set[str] = set()
    for path in set(DATABASES) & set(files):
        folder = ""
        for line in files[path].content.decode("utf-8", "replace").splitlines():
            if line.startswith("F:"):
                folder = line[2:]
            elif line.startswith("R:"):
                owned.add(f"{folder}/{line[2:]}".lstrip("/"))
    return owned


def read(file: KeptFile, ecosystem: str) -> Iterator[Package]:
    """Installed packages. Raises ``ValueError``."""
    for block in file.content.decode("utf-8", "replace").split("\n\n"):
        fields = {line[0]: line[2:] for line in block.split("\n") if line[1:2] == ":"}
        name, version = fields.get("P", ""), fields.get("V", "")
        if name and version:
            yield Package(
                name=name,
                version=version,
                ecosystem=ecosystem,
                purl=PackageURL("apk", namespace(ecosystem), name, version).to_string(),
                source_name=fields.get("o", name),
                source_version=version,
                layer=file.layer,
                path=file.path,
            )
