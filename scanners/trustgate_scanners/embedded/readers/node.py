"""Installed npm packages: ``node_modules/**/package.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from packageurl import PackageURL

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile

MAX_BYTES: Final = 2 * 1024 * 1024
_PATH = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json")


def wants(path: str) -> bool:
    return path.endswith("/package.json") and _PATH.fullmatch(path) is not None


def read(file: KeptFile) -> Iterator[Package]:
    """The package that the file describes; files without a name and version describe none."""
    if len(file.content) > MAX_BYTES:
        raise ValueError(f"package.json has {len(file.content)} bytes")
    try:
        document = json.loads(file.content)
    except (ValueError, RecursionError) as exc:
        raise ValueError("package.json is not JSON") from exc
    if not isinstance(document, dict):
        raise ValueError("package.json is not an object")  # noqa: TRY004 - readers raise ValueError only
    name, version = document.get("name"), document.get("version")
    if isinstance(name, str) and isinstance(version, str) and name and version:
        namespace, slash, base = name.rpartition("/")
        yield Package(
            name=name,
            version=version,
            ecosystem="npm",
            purl=PackageURL("npm", namespace if slash else None, base, version).to_string(),
            layer=file.layer,
            path=file.path,
        )
