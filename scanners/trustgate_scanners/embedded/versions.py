"""Version order of each ecosystem, as sort keys; ``None`` for a version that has no place in the order.

dpkg: deb-version(7). apk: Alpine's package versions. Go and npm: Semantic Versioning 2.0.0. PyPI: PEP 440.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from packaging.version import InvalidVersion, Version

MAX_VERSION_CHARACTERS: Final = 512
CACHED_KEYS: Final = 16_384
Key = tuple[Any, ...]
LOWEST: Final[Key] = ()
"""Sorts before every version: OSV's ``introduced: 0`` means "before everything", not version 0."""

_DIGITS = re.compile(r"([0-9]+)")
_SEMVER = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_APK = re.compile(
    r"(?P<numbers>\d+(?:\.\d+)*)(?P<letter>[a-z])?(?P<suffixes>(?:_[a-z]+\d*)*)(?:~[0-9a-f]+)?(?:-r(?P<revision>\d+))?",
    re.ASCII,
)
_APK_SUFFIXES = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}


@lru_cache(maxsize=CACHED_KEYS)
def key(ecosystem: str, version: str) -> Key | None:
    """A sort key that compares with others of the same ecosystem."""
    if not version or len(version) > MAX_VERSION_CHARACTERS:
        return None
    base = ecosystem.partition(":")[0]
    if base in {"Debian", "Ubuntu"}:
        return dpkg_key(version)
    if base in {"Alpine", "Wolfi", "Chainguard"}:
        return apk_key(version)
    if base == "PyPI":
        return pep440_key(version)
    return semver_key(version)


def dpkg_key(version: str) -> Key | None:
    """deb-version(7): epoch, upstream version, revision; ``~`` sorts before the end."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    if not (epoch.isascii() and epoch.isdigit()) or not rest or any(c.isspace() for c in rest):
        return None
    upstream, _dash, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return (1, int(epoch), _dpkg_part(upstream), _dpkg_part(revision))


def _dpkg_part(text: str) -> tuple[Any, ...]:
    """Alternating non-digits and numbers; each list of characters ends below every character but ``~``."""
    parts: list[Any] = []
    for position, piece in enumerate(_DIGITS.split(text)):
        if position % 2:
            parts.append(int(piece))
        else:
            parts.append((*map(_dpkg_rank, piece), 0))
    if len(parts) % 2:
        parts.append(0)
    return (*parts, (0,), 0)


def _dpkg_rank(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 256


def apk_key(version: str) -> Key | None:
    """Alpine: numbers, a letter, suffixes such as ``_rc1`` and ``_p2``, a revision ``-r3``."""
    found = _APK.fullmatch(version)
    if found is None:
        return None
    first, *others = found["numbers"].split(".")
    numbers = (int(first), *(_apk_number(text) for text in others))
    suffixes = []
    for name, number in re.findall(r"_([a-z]+)(\d*)", found["suffixes"]):
        if name not in _APK_SUFFIXES:
            return None
        suffixes.append((_APK_SUFFIXES[name], int(number or 0)))
    return (1, numbers, found["letter"] or "", (*suffixes, (0, 0)), int(found["revision"] or 0))


def _apk_number(text: str) -> Any:
    """A part with a leading zero compares like a decimal fraction."""
    return float(f"0.{text}") if text.startswith("0") and len(text) > 1 else int(text)


def semver_key(version: str) -> Key | None:
    """SemVer 2.0.0 with an optional ``v``, and missing parts as zero. Build metadata does not count."""
    found = _SEMVER.fullmatch(version)
    if found is None:
        return None
    numbers = tuple(int(part or 0) for part in found.groups()[:3])
    if found[4] is None:
        return (1, numbers, 1, ())
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in found[4].split("."))
    return (1, numbers, 0, parts)


def pep440_key(version: str) -> Key | None:
    try:
        return (1, Version(version))
    except InvalidVersion:
        return None
