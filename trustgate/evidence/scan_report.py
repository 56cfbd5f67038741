"""The report that every scanner is brought to: packages, findings, and what had no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trustgate.oci.digest import Digest


class Severity(StrEnum):
    """How bad; ``unknown`` has no rank of its own: policy says how to treat it."""

    UNKNOWN = "unknown"
    NONE = "none"
    NEGLIGIBLE = "negligible"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class ScanStatus(StrEnum):
    """``OK`` is the only status whose findings are the whole answer."""

    OK = "ok"
    PARTIAL = "partial"
    """A limit was met or a part could not be read: findings hold, their absence proves nothing."""
    UNSUPPORTED = "unsupported"
    """The scanner does not read this kind of artifact."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package. ``ecosystem`` is OSV's word, with the release: ``Debian:12``."""

    name: str
    version: str
    ecosystem: str
    purl: str
    source_name: str = ""
    source_version: str = ""
    layer: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability in one package. ``vulnerability`` is the CVE where there is one."""

    vulnerability: str
    aliases: tuple[str, ...]
    package: Package
    severity: Severity
    score: float | None
    """CVSS base score, 0 to 10, where the advisory has one."""
    fixed_versions: tuple[str, ...]
    title: str = ""
    url: str = ""
    known_exploited: bool = False
    undetermined: bool = False
    """The installed version could not be compared with the advisory's: not silence, not a hit."""

    @property
    def fixable(self) -> bool:
        return bool(self.fixed_versions)


@dataclass(frozen=True, slots=True)
class Coverage:
    """For one ecosystem: how many packages were found and whether there are advisories for it at all."""

    ecosystem: str
    packages: int
    covered: bool
    advisories_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScanFindings:
    """What a decision reads of a report. Packages are only counted: there may be hundreds of thousands."""

    scanner: str
    scanner_version: str
    status: ScanStatus
    reason: str
    packages: int
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]

    @property
    def covered(self) -> bool:
        """Every package that was found belongs to an ecosystem with advisories, and there is one at all.

        No packages and no data are states of their own: "nothing found" in either says nothing.
        """
        return bool(self.packages) and all(part.covered for part in self.coverage)


_WORST_FIRST = (ScanStatus.FAILED, ScanStatus.PARTIAL, ScanStatus.UNSUPPORTED, ScanStatus.OK)


def together(found: Sequence[ScanFindings]) -> ScanFindings:
    """What several scanners say of one manifest, of whom there is one at least: nobody's silence outweighs
    what another found, and nobody's answer stands in for one that is missing."""
    if len(found) == 1:
        return found[0]
    findings = {_weight(one): one for report in found for one in report.findings}
    reasons = [f"{report.scanner}: {report.reason}" for report in found if report.reason]
    return ScanFindings(
        scanner=", ".join(report.scanner for report in found),
        scanner_version=", ".join(report.scanner_version for report in found),
        status=min((report.status for report in found), key=_WORST_FIRST.index),
        reason="; ".join(reasons),
        packages=min(report.packages for report in found),
        findings=tuple(findings.values()),
        coverage=tuple(part for report in found for part in report.coverage),
    )


def _weight(finding: Finding) -> tuple[object, ...]:
    """All that a rule asks of it: where two scanners agree in that, they found one thing."""
    package = finding.package
    which = (finding.vulnerability, package.name, package.version)
    return *which, finding.severity, finding.fixable, finding.known_exploited, finding.undetermined


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one scanner found in one manifest."""

    scanner: str
    scanner_version: str
    subject: Digest
    scanned_at: datetime
    status: ScanStatus
    reason: str
    """For people; empty when the status is ``OK``."""
    database: str
    """Which generation of advisories was used; empty for none."""
    database_at: datetime | None
    os: str
    """``debian 12``; empty where no os-release was found."""
    packages: tuple[Package, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]

    @property
    def covered(self) -> bool:
        return self.reduced().covered

    def reduced(self) -> ScanFindings:
        """What a decision reads of it."""
        return ScanFindings(
            scanner=self.scanner,
            scanner_version=self.scanner_version,
            status=self.status,
            reason=self.reason,
            packages=len(self.packages),
            findings=self.findings,
            coverage=self.coverage,
        )
