"""Debian's package database: ``var/lib/dpkg/status``, and ``status.d`` of distroless images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from packageurl import PackageURL

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile

MAX_STANZA_LINES: Final = 20_000
_STATUS = "var/lib/dpkg/status"
_STATUS_D = "var/lib/dpkg/status.d/"
_INFO = "var/lib/dpkg/info/"
_SOURCE = re.compile(r"(?P<name>[^\s(]+)(?:\s*\((?P<version>[^)]+)\))?")


def wants(path: str) -> bool:
    return is_database(path) or (path.startswith(_INFO) and path.endswith(".list"))


def is_database(path: str) -> bool:
    if path.startswith(_STATUS_D):
        return not path.endswith(".md5sums")
    return path == _STATUS


def owned_paths(files: Mapping[str, KeptFile]) -> set[str]:
    """Every path that a Debian package installed."""
    owned: set[str] = set()
    for path, file in files.items():
        if path.startswith(_INFO):
            owned.update(line.lstrip("/") for line in file.content.decode("utf-8", "replace").splitlines())
    return owned


def read(file: KeptFile, ecosystem: str) -> Iterator[Package]:
    """Installed packages. Raises ``ValueError``."""
    for fields in _stanzas(file.content.decode("utf-8", "replace")):
        name, version = fields.get("package", ""), fields.get("version", "")
        status = fields.get("status", "install ok installed")
        if not name or not version or not status.endswith(" installed"):
            continue
        source = _SOURCE.match(fields.get("source", ""))
        source_name = source["name"] if source else name
        namespace = ecosystem.partition(":")[0].lower()
        yield Package(
            name=name,
            version=version,
            ecosystem=ecosystem,
            purl=PackageURL("deb", namespace, name, version).to_string(),
            source_name=source_name,
            source_version=(source["version"] if source else None) or version,
            layer=file.layer,
            path=file.path,
        )


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if len(lines) > MAX_STANZA_LINES:
            raise ValueError(f"a stanza has {len(lines)} lines")
        fields: dict[str, str] = {}
        for line in lines:
            key, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields[key.lower()] = value.strip()
        if fields:
            yield fields
