"""Installed Python distributions: ``*.dist-info/METADATA`` and ``*.egg-info`` (PEP 376, core metadata)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile

MAX_HEADER_LINES: Final = 400


def wants(path: str) -> bool:
    return path.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO", ".egg-info"))


def read(file: KeptFile) -> Iterator[Package]:
    """The one distribution that the metadata describes. Raises ``ValueError``."""
    fields: dict[str, str] = {}
    lines = file.content[: 256 * 1024].decode("utf-8", "replace").splitlines()
    for line in lines[:MAX_HEADER_LINES]:
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.lower(), value.strip())
    name, version = fields.get("name", ""), fields.get("version", "")
    if not name or not version:
        raise ValueError("metadata without a name or a version")
    normal = canonicalize_name(name)
    yield Package(
        name=normal,
        version=version,
        ecosystem="PyPI",
        purl=PackageURL("pypi", None, normal, version).to_string(),
        layer=file.layer,
        path=file.path,
    )
