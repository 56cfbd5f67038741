"""``os-release``: which distribution, and which of OSV's ecosystems its packages belong to."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

PATHS: Final = ("etc/os-release", "usr/lib/os-release")
MAX_BYTES: Final = 64 * 1024
UNKNOWN: Final = "unknown-os"
DISTRIBUTIONS: Final = frozenset({"Debian", "Ubuntu", "Alpine", "Wolfi", "Chainguard", UNKNOWN})
MAX_WORD_CHARACTERS: Final = 64
_UBUNTU = re.compile(r"[0-9]{2}\.[0-9]{2}")
_DEBIAN = re.compile(r"([0-9]+)(\.[0-9]+)*")
_ALPINE = re.compile(r"([0-9]+\.[0-9]+)(\.[0-9]+)*")
_PLAIN = {"wolfi": "Wolfi", "chainguard": "Chainguard"}


@dataclass(frozen=True, slots=True)
class Release:
    """``ecosystem`` begins with ``unknown-os`` for a rolling or unknown release: nothing covers that."""

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
    if not identity or max(len(identity), len(version)) > MAX_WORD_CHARACTERS:
        raise ValueError("os-release has no ID, or an absurd one")
    if not (identity + version).isprintable():
        raise ValueError("os-release has control characters")
    return Release(identity, version, _ecosystem(identity, version))


def namespace(ecosystem: str) -> str:
    """The distribution's word in a package URL: ``debian`` for ``Debian:12`` and ``unknown-os:debian``."""
    first, _colon, rest = ecosystem.partition(":")
    return (rest.partition(":")[0] if first == UNKNOWN else first).lower()


def _ecosystem(identity: str, version: str) -> str:
    """OSV's word for the release. Only forms that OSV has: anything else is not covered, and says so."""
    if identity in _PLAIN:
        return _PLAIN[identity]
    if identity == "debian" and (found := _DEBIAN.fullmatch(version)):
        return f"Debian:{found[1]}"
    if identity == "ubuntu" and _UBUNTU.fullmatch(version):
        is_lts = version.endswith(".04") and int(version[:2]) % 2 == 0
        return f"Ubuntu:{version}:LTS" if is_lts else f"Ubuntu:{version}"
    if identity == "alpine" and (found := _ALPINE.fullmatch(version)):
        return f"Alpine:v{found[1]}"
    return ":".join(filter(None, (UNKNOWN, identity, version)))


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value.strip("\"'")
