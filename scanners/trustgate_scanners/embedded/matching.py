"""Which advisories speak about the installed packages, one finding for each vulnerability of a package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from trustgate.scanning import Coverage, Finding, Package, Severity
from trustgate_scanners.embedded.database import AdvisoryDatabase
from trustgate_scanners.embedded.osv_record import Advisory, normal_name
from trustgate_scanners.embedded.packages import is_system
from trustgate_scanners.embedded.ranges import Hit, judge
from trustgate_scanners.embedded.severities import Rating, rate

MAX_ALIAS_HOPS = 3
MAX_GROUP = 64
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}(?![0-9])")
_BY_PACKAGE_NAME = frozenset({"Wolfi", "Chainguard"})
"""Distributions whose records name the package itself; the others name its source."""
_UNRATED: Rating = (Severity.UNKNOWN, None)


def coverage(
    packages: Iterable[Package], unread_system: str, database: AdvisoryDatabase | None
) -> tuple[Coverage, ...]:
    """For every ecosystem that was found: are there advisories for it at all?

    A distribution whose packages could not be read is not covered, whatever else was found.
    """
    counts: dict[str, int] = {}
    for package in packages:
        counts[package.ecosystem] = counts.get(package.ecosystem, 0) + 1
    if unread_system:
        counts.setdefault(unread_system, 0)
    found = []
    for ecosystem, number in sorted(counts.items()):
        at = database.covers(ecosystem) if database and ecosystem != unread_system else None
        found.append(Coverage(ecosystem, number, at is not None, at))
    return tuple(found)


def findings(packages: Iterable[Package], database: AdvisoryDatabase) -> tuple[Finding, ...]:
    """One finding for each (vulnerability, package), the records about it merged."""
    matcher = _Matcher(database)
    merged: dict[tuple[str, str, str, str], Finding] = {}
    for package in packages:
        for finding in matcher.findings_in(package):
            name = (finding.vulnerability, package.ecosystem, package.name, package.version)
            merged[name] = _merge(merged[name], finding) if name in merged else finding
    ordered = sorted(merged.values(), key=lambda f: (-f.severity.rank, f.vulnerability, f.package.name))
    return tuple(ordered)


def cves_of(advisory: Advisory) -> list[str]:
    """The CVEs that a record is about by its own words."""
    return sorted({found[0] for name in (advisory.id, *advisory.aliases) if (found := _CVE.match(name))})


def _upstream_cves(advisory: Advisory) -> list[str]:
    return sorted({found[0] for name in advisory.upstream if (found := _CVE.match(name))})


class _Matcher:
    """Remembers what was looked up for one image: its packages share most of it."""

    def __init__(self, database: AdvisoryDatabase) -> None:
        self._database = database
        self._linked: dict[str, list[Advisory]] = {}
        self._identities: dict[str, tuple[str, ...]] = {}

    def findings_in(self, package: Package) -> Iterator[Finding]:
        name, version = _looked_up(package)
        for advisory in self._database.advisories_for(package.ecosystem, name):
            mine = (a for a in advisory.affected if (a.ecosystem, a.name) == (package.ecosystem, name))
            hit = judge(mine, package.ecosystem, version)
            if hit is not None:
                yield from self._findings_of(advisory, package, name, hit)

    def _findings_of(self, advisory: Advisory, package: Package, name: str, hit: Hit) -> Iterator[Finding]:
        for identity in self._identities_of(advisory, package):
            severity, score = self._rating(advisory, identity, package.ecosystem, name)
            others = {advisory.id, *advisory.aliases} - {identity}
            yield Finding(
                vulnerability=identity,
                aliases=tuple(sorted(other for other in others if not other.startswith("CVE-"))),
                package=package,
                severity=severity,
                score=score,
                fixed_versions=hit.fixed,
                title=advisory.title,
                url=advisory.url or f"https://osv.dev/vulnerability/{advisory.id}",
                known_exploited=self._database.exploited(identity),
                undetermined=hit.undetermined,
            )

    def _identities_of(self, advisory: Advisory, package: Package) -> tuple[str, ...]:
        known = self._identities.get(advisory.id)
        if known is None:
            known = self._identities[advisory.id] = tuple(self._names_of(advisory, package))
        return known

    def _names_of(self, advisory: Advisory, package: Package) -> list[str]:
        """The CVE where there is one, one finding for each; else what the most databases would call it.

        A distribution's bundle of several upstream CVEs is taken apart; elsewhere ``upstream`` names the
        vulnerability only when it names exactly one.
        """
        upstream = _upstream_cves(advisory)
        if own := cves_of(advisory):
            return own
        if len(upstream) == 1 or (upstream and is_system(package)):
            return upstream
        names = [advisory.id, *advisory.aliases]
        seen = set(names)
        for _ in range(MAX_ALIAS_HOPS):
            near = [other for name in names for other in self._named(name)]
            if found := sorted({cve for other in near for cve in cves_of(other)}):
                return found
            names = [name for other in near for name in (other.id, *other.aliases) if name not in seen]
            seen.update(names)
            if not names or len(seen) > MAX_GROUP:
                break
        return [min((name for name in seen if name.startswith("GHSA-")), default=advisory.id)]

    def _named(self, name: str) -> list[Advisory]:
        if name not in self._linked:
            self._linked[name] = self._database.linked(name)
        return self._linked[name]

    def _rating(self, advisory: Advisory, identity: str, ecosystem: str, name: str) -> Rating:
        """The record's own word; else that of a record about this vulnerability and no other."""
        own = rate(advisory, ecosystem, name)
        if own is not None:
            return own
        related = [
            other for word in (identity, advisory.id, *advisory.aliases) for other in self._named(word)
        ]
        for other in sorted(
            related, key=lambda other: (other.id != identity, not other.id.startswith("GHSA-"))
        ):
            about = {*cves_of(other), *_upstream_cves(other)}
            found = rate(other, ecosystem, name) if about <= {identity} else None
            if found is not None:
                return found
        return _UNRATED


def _looked_up(package: Package) -> tuple[str, str]:
    """Distributions write about source packages, the others about what is installed."""
    family = package.ecosystem.partition(":")[0]
    if is_system(package) and family not in _BY_PACKAGE_NAME and package.source_name:
        return package.source_name, package.source_version or package.version
    return normal_name(package.ecosystem, package.name), package.version


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
