"""``os-release``: which distribution, and which of OSV's ecosystems its packages belong to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

PATHS: Final = ("etc/os-release", "usr/lib/os-release")
MAX_BYTES: Final = 64 * 1024
DISTRIBUTIONS: Final = frozenset({"Debian", "Ubuntu", "Alpine", "Wolfi", "Chainguard", "unknown-os"})
_UBUNTU_LTS = frozenset({"14.04", "16.04", "18.04", "20.04", "22.04", "24.04", "26.04"})
_PLAIN = {"wolfi": "Wolfi", "chainguard": "Chainguard"}


@dataclass(frozen=True, slots=True)
class Release:
    """``ecosystem`` is empty when no advisories could exist for it: a rolling or unknown release."""

    id: str
    version: str
    ecosystem: str

    @property
    def shown(self) -> str:
        return f"{self.id} {self.version}".strip()


def wants(path: str) -> bool:
    return path in PATHS


def read(content: bytes) -> Release:
    """Raises ``ValueError``."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"os-release has {len(content)} bytes")
    fields: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            fields[key] = _unquoted(value)
    identity, version = fields.get("ID", "").lower(), fields.get("VERSION_ID", "")
    if not identity:
        raise ValueError("os-release has no ID")
    return Release(identity, version, _ecosystem(identity, version))


def _ecosystem(identity: str, version: str) -> str:
    if identity in _PLAIN:
        return _PLAIN[identity]
    if not version:
        return f"unknown-os:{identity}"
    if identity == "debian":
        return f"Debian:{version.partition('.')[0]}"
    if identity == "ubuntu":
        return f"Ubuntu:{version}:LTS" if version in _UBUNTU_LTS else f"Ubuntu:{version}"
    if identity == "alpine":
        return f"Alpine:v{'.'.join(version.split('.')[:2])}"
    return f"unknown-os:{identity}:{version}"


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value.strip("\"'")
