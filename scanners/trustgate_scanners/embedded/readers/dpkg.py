"""Debian's package database: ``var/lib/dpkg/status``, and ``status.d`` of distroless images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from packageurl import PackageURL

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile
from trustgate_scanners.embedded.readers.osrelease import namespace

MAX_STANZA_LINES: Final = 20_000
STATUS: Final = "var/lib/dpkg/status"
_STATUS_D = "var/lib/dpkg/status.d/"
_INFO = "var/lib/dpkg/info/"
_MD5SUMS = ".md5sums"
_ON_DISK = frozenset({"installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"})
"""States of dpkg(1) in which a package's files are there."""
_SOURCE = re.compile(r"(?P<name>[^\s(]+)(?:\s*\((?P<version>[^)]+)\))?")


def wants(path: str) -> bool:
    return is_database(path) or _is_list(path)


def _is_list(path: str) -> bool:
    if path.startswith(_STATUS_D):
        return path.endswith(_MD5SUMS)
    return path.startswith(_INFO) and path.endswith(".list")


def is_database(path: str) -> bool:
    if path.startswith(_STATUS_D):
        return not path.endswith(_MD5SUMS)
    return path == STATUS


def owned_paths(files: Mapping[str, KeptFile]) -> set[str]:
    """Every path that a Debian package installed, also where ``/bin`` and ``/lib`` lie below ``/usr``."""
    owned: set[str] = set()
    for path, file in files.items():
        if _is_list(path):
            lines = file.content.decode("utf-8", "replace").splitlines()
            if path.endswith(_MD5SUMS):
                lines = [line.partition("  ")[2] for line in lines]
            owned.update(line.lstrip("/") for line in lines)
    merged = {f"usr/{path}" for path in owned if path.startswith(("bin/", "sbin/", "lib"))}
    return owned | merged


def read(file: KeptFile, ecosystem: str) -> Iterator[Package]:
    """Installed packages. Raises ``ValueError``."""
    for fields in _stanzas(file.content.decode("utf-8", "replace")):
        name, version = fields.get("package", ""), fields.get("version", "")
        status = fields.get("status", "install ok installed")
        if not name or not version or status.rpartition(" ")[2] not in _ON_DISK:
            continue
        source = _SOURCE.match(fields.get("source", ""))
        source_name = source["name"] if source else name
        yield Package(
            name=name,
            version=version,
            ecosystem=ecosystem,
            purl=PackageURL("deb", namespace(ecosystem), name, version).to_string(),
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
