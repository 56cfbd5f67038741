"""``severity``: what the scanners found, against thresholds. A missing answer is never a good one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from trustgate.evidence.model import Absent, Known, Role, Unreachable
from trustgate.evidence.scan_report import Finding, ScanFindings, ScanStatus, Severity
from trustgate.oci.digest import Digest
from trustgate.policy.checks.answer import HOST, Answer, failed, passed, unknown
from trustgate.policy.model import Evidence, Request, SubjectEvidence, Violation
from trustgate.policy.rules import MODE_OF, SeverityLimit, Threshold
from trustgate.policy.rules import Answer as Word

ATTESTATION_PLATFORM: Final = "unknown/unknown"
"""How BuildKit marks the provenance that it puts beside the platforms of an index."""
MAX_FIXES: Final = 2
_RANK: Final = {severity: severity.rank for severity in Severity}
_SCAN_FIX: Final = "scan it: trustgate scan "
_ONE_BY_ONE: Final = "pull its platforms by their digests, or push an index of fewer or smaller images"


@dataclass(frozen=True, slots=True)
class _Gap:
    """Why there is no answer for some manifest, and what the policy says about that."""

    answer: Word
    code: str
    message: str


@dataclass(slots=True)
class _Tally:
    """What was found over all manifests that are judged."""

    violations: list[tuple[Finding, Severity, str]]
    undetermined: list[tuple[Finding, str]]
    gaps: list[_Gap]
    unreachable: list[Unreachable]
    seen: set[Digest]
    judged: int = 0


def check_severity(check: SeverityLimit, request: Request, evidence: Evidence) -> Answer:
    """The worst over the manifest, or over all children of an index."""
    if evidence.subject.role is Role.SIGNATURE:
        return passed("is-signature", "a signature holds nothing that could be scanned")
    tally = _Tally([], [], [], [], set())
    _look(check, evidence.subject, tally, "")
    return _answer(request, tally)


def _look(check: SeverityLimit, subject: SubjectEvidence, tally: _Tally, where: str) -> None:
    match subject.role:
        case Role.INDEX:
            _look_at_children(check, subject, tally)
        case Role.IMAGE:
            _look_at_scan(check, subject, tally, where)
        case Role.ARTIFACT:
            what = f"{subject.media_type or 'this kind of artifact'} can't be scanned"
            tally.gaps.append(_Gap(check.on_unscannable, "unscannable", what))
        case Role.SIGNATURE:
            pass  # inside an index, beside what it signs
        case _ as never:
            assert_never(never)


def _look_at_children(check: SeverityLimit, index: SubjectEvidence, tally: _Tally) -> None:
    if not index.complete:
        message = "not every manifest of the index is held here"
        tally.gaps.append(_Gap(check.on_unscanned, "incomplete-index", message))
    # An attestation is left out here only beside real platforms; a pull of it is judged like any other.
    platforms = [child for child in index.children if child.platform != ATTESTATION_PLATFORM]
    judged = platforms or index.children
    if not any(child.role is not Role.SIGNATURE for child in judged):
        tally.gaps.append(_Gap(check.on_unscanned, "empty-index", "the index names nothing that was scanned"))
    for child in judged:
        if child.digest not in tally.seen:  # whatever lists it, it holds the same
            tally.seen.add(child.digest)
            _look(check, child, tally, child.platform or child.digest.short)


def _look_at_scan(check: SeverityLimit, subject: SubjectEvidence, tally: _Tally, where: str) -> None:
    match subject.scan:
        case Unreachable() as lost:
            tally.unreachable.append(lost)
        case Absent(why):
            tally.gaps.append(_Gap(check.on_unscanned, "unscanned", f"not scanned: {why}"))
        case Known(report):
            tally.judged += 1
            _weigh(check, report, tally, where)
            gap = _gap(check, report)
            if gap is not None:
                tally.gaps.append(gap)
        case _ as never:
            assert_never(never)


def _gap(check: SeverityLimit, report: ScanFindings) -> _Gap | None:
    """Why the report's silence says nothing; ``None`` when it does."""
    match report.status:
        case ScanStatus.UNSUPPORTED:
            return _Gap(check.on_unscannable, "unscannable", f"can't be scanned: {report.reason}")
        case ScanStatus.FAILED:
            return _Gap(check.on_unscanned, "scan-failed", f"the scan failed: {report.reason}")
        case ScanStatus.PARTIAL:
            return _Gap(check.on_unscanned, "scan-partial", f"the scan is not complete: {report.reason}")
        case ScanStatus.OK:
            pass
    if not report.packages:
        return _Gap(check.on_unscanned, "no-packages", "the scan found no packages, which says nothing")
    if not report.covered:
        without = ", ".join(part.ecosystem for part in report.coverage if not part.covered)
        message = f"there are no advisories for {without or 'what it holds'}"
        return _Gap(check.on_unscanned, "not-covered", message)
    return None


def _weigh(check: SeverityLimit, report: ScanFindings, tally: _Tally, where: str) -> None:
    for finding in report.findings:
        severity = check.unranked if finding.severity is Severity.UNKNOWN else finding.severity
        if severity is None or not any(_hits(line, finding, severity) for line in check.thresholds):
            continue
        if finding.undetermined:
            tally.undetermined.append((finding, where))
        else:
            tally.violations.append((finding, severity, where))


def _hits(line: Threshold, finding: Finding, severity: Severity) -> bool:
    return (
        (line.least is None or _RANK[severity] >= _RANK[line.least])
        and (line.fixable is None or finding.fixable == line.fixable)
        and (finding.known_exploited or not line.known_exploited)
    )


# --- the answer ----------------------------------------------------------------------------------


def _answer(request: Request, tally: _Tally) -> Answer:
    """What is known to be bad comes first, then what could not be asked, then what the policy lets pass."""
    if tally.violations:
        return _vulnerable(tally)
    denied = _first_gap(tally, "deny")
    if denied is not None:
        return _from_gap(denied, request)
    return _unanswered(tally) or _let_pass(request, tally)


def _first_gap(tally: _Tally, answer: Word) -> _Gap | None:
    return next((gap for gap in tally.gaps if gap.answer == answer), None)


def _unanswered(tally: _Tally) -> Answer | None:
    beyond = next((lost for lost in tally.unreachable if lost.beyond), None)
    if beyond is not None:
        return unknown("scan-too-large", beyond.why, _ONE_BY_ONE, is_error=False)
    if tally.unreachable:
        why = tally.unreachable[0].why
        return unknown("scan-unreachable", f"the scan report can't be read: {why}", "try again")
    if tally.undetermined:
        return _undetermined(tally)
    if not tally.judged and not tally.gaps:
        return unknown("nothing-judged", "there is nothing that could be judged")
    return None


def _let_pass(request: Request, tally: _Tally) -> Answer:
    warned = _first_gap(tally, "warn")
    if warned is not None:
        return _from_gap(warned, request)
    allowed = _first_gap(tally, "allow")
    if allowed is not None:
        return passed(f"{allowed.code}-allowed", f"{allowed.message}; the policy allows that")
    return passed("below-thresholds", "no finding reaches a threshold")


def _from_gap(gap: _Gap, request: Request) -> Answer:
    fix = f"{_SCAN_FIX}{HOST}{request.repository}@{request.digest}"
    if gap.code in ("unscannable", "no-packages", "not-covered"):
        fix = "no scanner here can judge it: ask the policy's owner"
    elif gap.code in ("incomplete-index", "empty-index"):
        fix = "push every platform of the index"
    return failed(gap.code, gap.message, fix=fix, at_most=MODE_OF.get(gap.answer, "audit"))


def _undetermined(tally: _Tally) -> Answer:
    finding, _ = tally.undetermined[0]
    rest = _more(len(tally.undetermined) - 1)
    package = finding.package
    return unknown(
        "undetermined",
        f"{finding.vulnerability} may be in {package.name} {package.version}: the versions can't be "
        f"compared{rest}",
        "look at the finding, and ask the policy's owner",
    )


def _vulnerable(tally: _Tally) -> Answer:
    worst = sorted(tally.violations, key=_badness)
    finding, severity, _ = worst[0]
    return failed(
        "vulnerable",
        f"{finding.vulnerability} {_level(finding, severity)} in {finding.package.name} "
        f"{finding.package.version}{_fixed_in(finding)}{_more(len(worst) - 1)}",
        fix=_rebuild([finding for finding, _, _ in worst]),
        violations=[_violation(*one) for one in worst],
    )


def _badness(one: tuple[Finding, Severity, str]) -> tuple[object, ...]:
    finding, severity, where = one
    return (
        not finding.known_exploited,
        -_RANK[severity],
        not finding.fixable,
        -(finding.score or 0.0),
        finding.vulnerability,
        finding.package.name,
        finding.package.version,
        where,
    )


def _level(finding: Finding, severity: Severity) -> str:
    counted = f"unranked (counted as {severity})" if finding.severity is Severity.UNKNOWN else str(severity)
    return f"known exploited, {counted}" if finding.known_exploited else counted


def _fixed_in(finding: Finding) -> str:
    return f" (fixed in {finding.fixed_versions[0]})" if finding.fixable else ""


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _violation(finding: Finding, severity: Severity, where: str) -> Violation:
    return Violation(
        subject=finding.vulnerability,
        package=finding.package.name,
        installed=finding.package.version,
        fixed=finding.fixed_versions[0] if finding.fixable else "",
        severity=str(severity),
        where=where,
    )


def _rebuild(findings: list[Finding]) -> str:
    needed = list(dict.fromkeys(_needed(findings)))
    if not needed:
        return "no fixed version is known: replace the package, or ask the policy's owner"
    return f"rebuild with {', '.join(needed[:MAX_FIXES])}{_more(len(needed) - MAX_FIXES)}"


def _needed(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.fixable:
            yield f"{finding.package.name} >= {finding.fixed_versions[0]}"
