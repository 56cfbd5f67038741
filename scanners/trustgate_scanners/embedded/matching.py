"""OSV matching: which advisories speak about an installed package, and what they say.

OSV schema 1.7, "Evaluation". ``versions`` and ``ranges`` are alternatives; ``introduced: 0`` is before every
version; a version that has no place in the order gives an undetermined finding, never silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trustgate.scanning import Coverage, Finding, Package, Severity
from trustgate_scanners.embedded import versions
from trustgate_scanners.embedded.cvss import base_score, level
from trustgate_scanners.embedded.database import Advisory, AdvisoryDatabase
from trustgate_scanners.embedded.importing import normal_name
from trustgate_scanners.embedded.readers.osrelease import DISTRIBUTIONS

MAX_TITLE_CHARACTERS: Final = 200
_WORDS: Mapping[str, Severity] = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.NEGLIGIBLE,
    "unimportant": Severity.NEGLIGIBLE,
    "none": Severity.NONE,
}


@dataclass(frozen=True, slots=True)
class _Hit:
    """What one affected entry says about an installed version."""

    fixed: tuple[str, ...]
    undetermined: bool


def coverage(packages: Iterable[Package], database: AdvisoryDatabase | None) -> tuple[Coverage, ...]:
    """For every ecosystem that was found: are there advisories for it at all?"""
    counts: dict[str, int] = {}
    for package in packages:
        counts[package.ecosystem] = counts.get(package.ecosystem, 0) + 1
    found = []
    for ecosystem, number in sorted(counts.items()):
        at = database.covers(ecosystem) if database else None
        found.append(Coverage(ecosystem, number, at is not None, at))
    return tuple(found)


def findings(packages: Iterable[Package], database: AdvisoryDatabase) -> tuple[Finding, ...]:
    """One finding for each (vulnerability, package), the records about it merged."""
    merged: dict[tuple[str, str, str, str], Finding] = {}
    for package in packages:
        for finding in _of_package(package, database):
            name = (finding.vulnerability, package.ecosystem, package.name, package.version)
            merged[name] = _merge(merged[name], finding) if name in merged else finding
    ordered = sorted(merged.values(), key=lambda f: (-f.severity.rank, f.vulnerability, f.package.name))
    return tuple(ordered)


def _of_package(package: Package, database: AdvisoryDatabase) -> Iterable[Finding]:
    name, version = _looked_up(package)
    for advisory in database.advisories_for(package.ecosystem, name):
        hit = _evaluate(advisory.record, package.ecosystem, name, version)
        if hit is not None:
            yield from _findings_of(advisory, package, hit, database)


def _looked_up(package: Package) -> tuple[str, str]:
    """Distributions write about source packages, the others about what is installed."""
    if package.ecosystem.partition(":")[0] in DISTRIBUTIONS and package.source_name:
        return package.source_name, package.source_version or package.version
    return normal_name(package.ecosystem, package.name), package.version


def _evaluate(record: Mapping[str, Any], ecosystem: str, name: str, version: str) -> _Hit | None:
    """All affected entries about the package, taken together."""
    here = versions.key(ecosystem, version)
    hit = undetermined = False
    fixed: list[str] = []
    for item in record.get("affected", []):
        package = item.get("package", {}) if isinstance(item, dict) else {}
        if package.get("ecosystem") != ecosystem or normal_name(ecosystem, str(package.get("name"))) != name:
            continue
        if here is None:
            listed = version in item.get("versions", [])
            hit, undetermined = hit or listed, undetermined or not listed
            continue
        inside, unsure = _is_affected(item, ecosystem, here)
        hit, undetermined = hit or inside, undetermined or unsure
        fixed += _fixes(item, ecosystem, here)
    if hit:
        return _Hit(tuple(dict.fromkeys(fixed)), undetermined=False)
    return _Hit(tuple(dict.fromkeys(fixed)), undetermined=True) if undetermined else None


def _is_affected(item: Mapping[str, Any], ecosystem: str, here: versions.Key) -> tuple[bool, bool]:
    """(affected, can't be told)."""
    if any(
        versions.key(ecosystem, text) == here for text in item.get("versions", []) if isinstance(text, str)
    ):
        return True, False
    unsure = False
    for span in item.get("ranges", []):
        if span.get("type") == "GIT":
            continue  # commits, which an image does not tell
        inside = _in_range(span.get("events", []), ecosystem, here)
        if inside:
            return True, False
        unsure = unsure or inside is None
    return False, unsure


def _in_range(events: Iterable[Mapping[str, str]], ecosystem: str, here: versions.Key) -> bool | None:
    """OSV's algorithm over sorted events; ``None`` when a bound has no place in the order."""
    bounds: list[tuple[versions.Key, int, str]] = []
    for event in events:
        for kind, text in event.items():
            if kind not in {"introduced", "fixed", "last_affected", "limit"}:
                continue
            at = versions.LOWEST if kind == "introduced" and text == "0" else versions.key(ecosystem, text)
            if at is None:
                if kind == "limit":
                    continue
                return None
            bounds.append((at, 0 if kind == "introduced" else 1, kind))
    inside = False
    for at, _rank, kind in sorted(bounds, key=lambda bound: (bound[0], bound[1])):
        if kind == "introduced" and here >= at:
            inside = True
        elif (kind in {"fixed", "limit"} and here >= at) or (kind == "last_affected" and here > at):
            inside = False
    return inside


def _fixes(item: Mapping[str, Any], ecosystem: str, here: versions.Key) -> list[str]:
    """Fixed versions above the installed one, the nearest first."""
    found: list[tuple[versions.Key, str]] = []
    for span in item.get("ranges", []):
        if span.get("type") == "GIT":
            continue
        for event in span.get("events", []):
            text = event.get("fixed", "")
            at = versions.key(ecosystem, text)
            if at is not None and at > here:
                found.append((at, text))
    return [text for _at, text in sorted(found, key=lambda pair: pair[0])]


def _findings_of(
    advisory: Advisory, package: Package, hit: _Hit, database: AdvisoryDatabase
) -> Iterable[Finding]:
    record = advisory.record
    aliases = [text for text in record.get("aliases", []) if isinstance(text, str)]
    upstream = [text for text in record.get("upstream", []) if isinstance(text, str)]
    cves = sorted({name for name in (advisory.id, *aliases, *upstream) if name.startswith("CVE-")})
    severity, score = _severity(record, package, advisory, database)
    for identity in cves or [advisory.id]:
        others = {advisory.id, *aliases} - {identity}
        yield Finding(
            vulnerability=identity,
            aliases=tuple(sorted(name for name in others if not name.startswith("CVE-"))),
            package=package,
            severity=severity,
            score=score,
            fixed_versions=hit.fixed,
            title=str(record.get("summary", ""))[:MAX_TITLE_CHARACTERS],
            url=_url(record, identity),
            known_exploited=database.exploited(identity),
            undetermined=hit.undetermined,
        )


def _severity(
    record: Mapping[str, Any], package: Package, advisory: Advisory, database: AdvisoryDatabase
) -> tuple[Severity, float | None]:
    """The record's own word, the package's before the general one; else that of a record about the same."""
    own = _own_severity(record, package)
    if own is not None:
        return own
    aliases = [text for text in record.get("aliases", []) if isinstance(text, str)]
    for other in database.linked(advisory.id, aliases):
        found = _own_severity(other.record, package)
        if found is not None:
            return found
    return Severity.UNKNOWN, None


def _own_severity(record: Mapping[str, Any], package: Package) -> tuple[Severity, float | None] | None:
    mine = [
        item
        for item in record.get("affected", [])
        if isinstance(item, dict) and item.get("package", {}).get("ecosystem") == package.ecosystem
    ]
    for place in (*mine, record):
        scored = _scored(place.get("severity"))
        if scored is not None:
            return scored
    for place in (*mine, record):
        for key in ("database_specific", "ecosystem_specific"):
            details = place.get(key)
            if isinstance(details, dict):
                word = details.get("severity") or details.get("urgency")
                if isinstance(word, str) and word.lower() in _WORDS:
                    return _WORDS[word.lower()], None
    return None


def _scored(entries: Any) -> tuple[Severity, float | None] | None:
    """The newest kind of CVSS that can be computed; words of distributions as they are."""
    if not isinstance(entries, list):
        return None
    by_kind = {
        item["type"]: item.get("score") for item in entries if isinstance(item, dict) and "type" in item
    }
    for kind in ("CVSS_V3", "CVSS_V2"):
        score = base_score(kind, str(by_kind.get(kind, "")))
        if score is not None:
            return level(score), score
    word = str(by_kind.get("Ubuntu", "")).lower()
    return (_WORDS[word], None) if word in _WORDS else None


def _url(record: Mapping[str, Any], identity: str) -> str:
    for reference in record.get("references", []):
        if isinstance(reference, dict) and reference.get("type") == "ADVISORY":
            return str(reference.get("url", ""))[:MAX_TITLE_CHARACTERS]
    return f"https://osv.dev/vulnerability/{identity}"


def _merge(one: Finding, other: Finding) -> Finding:
    """Two records about one vulnerability in one package: the worse word, all fixes, every name."""
    worse, better = (one, other) if one.severity.rank >= other.severity.rank else (other, one)
    return Finding(
        vulnerability=worse.vulnerability,
        aliases=tuple(sorted({*one.aliases, *other.aliases})),
        package=worse.package,
        severity=worse.severity,
        score=worse.score if worse.score is not None else better.score,
        fixed_versions=tuple(dict.fromkeys((*worse.fixed_versions, *better.fixed_versions))),
        title=worse.title or better.title,
        url=worse.url,
        known_exploited=one.known_exploited or other.known_exploited,
        undetermined=one.undetermined and other.undetermined,
    )
