"""Each answer of ``severity``: findings, gaps, indexes, and what can't be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.policy import scenes
from tests.unit.policy.scenes import (
    LOST,
    UNSCANNED,
    finding,
    judge,
    only,
    policy,
    policy_set,
    report,
    severe,
    subject,
)
from trustgate.evidence.model import Known, Role
from trustgate.evidence.scan_report import ScanStatus, Severity
from trustgate.oci.digest import Digest
from trustgate.policy.document import PolicySet
from trustgate.policy.model import RuleOutcome, VerdictKind

ALLOW, WARN, DENY = VerdictKind.ALLOW, VerdictKind.WARN, VerdictKind.DENY
CRITICAL = "{severity: critical}"


def limited(thresholds: str = CRITICAL, rest: str = "", top: str = "") -> PolicySet:
    return policy_set(policy(severe(thresholds, rest=rest), top=top))


HIGH = finding("CVE-1", Severity.HIGH)
UNFIXED = finding("CVE-2", fixed=())
UNRANKED = finding("CVE-3", Severity.UNKNOWN)
KEV = finding("CVE-4", Severity.LOW, kev=True)


@pytest.mark.parametrize(
    ("thresholds", "rest", "scan", "expected", "code"),
    [
        (CRITICAL, "", report(finding()), DENY, "vulnerable"),
        (CRITICAL, "", report(), ALLOW, "below-thresholds"),
        (CRITICAL, "", report(HIGH), ALLOW, "below-thresholds"),
        ("{severity: high}", "", report(finding()), DENY, "vulnerable"),
        ("{severity: critical, fixable: true}", "", report(UNFIXED), ALLOW, "below-thresholds"),
        ("{severity: critical, fixable: false}", "", report(UNFIXED), DENY, "vulnerable"),
        ("{severity: critical, fixable: false}", "", report(finding()), ALLOW, "below-thresholds"),
        ("{kev: true}", "", report(KEV), DENY, "vulnerable"),
        ("{kev: true}", "", report(finding()), ALLOW, "below-thresholds"),
        ("{kev: true, severity: high}", "", report(KEV), ALLOW, "below-thresholds"),
        ("{severity: critical}, {kev: true}", "", report(KEV), DENY, "vulnerable"),
        (CRITICAL, "", report(UNRANKED), DENY, "vulnerable"),
        (CRITICAL, ", unknownSeverity: high", report(UNRANKED), ALLOW, "below-thresholds"),
        (CRITICAL, ", unknownSeverity: allow", report(UNRANKED), ALLOW, "below-thresholds"),
        (CRITICAL, "", report(finding(undetermined=True)), DENY, "undetermined"),
        (CRITICAL, "", report(finding("CVE-5", Severity.LOW, undetermined=True)), ALLOW, "below-thresholds"),
        (CRITICAL, "", report(finding(undetermined=True), finding("CVE-6")), DENY, "vulnerable"),
        (CRITICAL, "", UNSCANNED, DENY, "unscanned"),
        (CRITICAL, "", LOST, DENY, "scan-unreachable"),
        (CRITICAL, "", report(status=ScanStatus.PARTIAL, reason="limit"), DENY, "scan-partial"),
        (CRITICAL, "", report(finding(), status=ScanStatus.PARTIAL), DENY, "vulnerable"),
        (CRITICAL, "", report(status=ScanStatus.FAILED), DENY, "scan-failed"),
        (CRITICAL, "", report(status=ScanStatus.UNSUPPORTED), DENY, "unscannable"),
        (CRITICAL, "", report(packages=()), DENY, "no-packages"),
        (CRITICAL, "", report(covered=False), DENY, "not-covered"),
        (CRITICAL, ", onUnscanned: warn", UNSCANNED, WARN, "unscanned"),
        (CRITICAL, ", onUnscanned: allow", UNSCANNED, ALLOW, "unscanned-allowed"),
        (CRITICAL, ", onUnscanned: allow", report(packages=()), ALLOW, "no-packages-allowed"),
        (CRITICAL, ", onUnscanned: allow", report(finding(), covered=False), DENY, "vulnerable"),
        (CRITICAL, ", onUnscanned: allow", LOST, DENY, "scan-unreachable"),
        (
            CRITICAL,
            ", onUnscannable: allow",
            report(status=ScanStatus.UNSUPPORTED),
            ALLOW,
            "unscannable-allowed",
        ),
        (CRITICAL, ", onUnscannable: warn", report(status=ScanStatus.UNSUPPORTED), WARN, "unscannable"),
    ],
)
def test_one_image(thresholds: str, rest: str, scan: object, expected: VerdictKind, code: str) -> None:
    verdict = judge(limited(thresholds, rest), subject(scan=scan))
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


@pytest.mark.parametrize("scan", [LOST, report(finding(undetermined=True))])
def test_what_is_not_known_is_unknown(scan: object) -> None:
    verdict = judge(limited(), subject(scan=scan))
    assert only(verdict).outcome is RuleOutcome.UNKNOWN
    assert not verdict.cacheable
    assert judge(limited(top="onError: allow\n"), subject(scan=scan)).kind is ALLOW


def test_coverage_without_any_entry() -> None:
    known = report(covered=True)
    bare = Known(replace(known.value, coverage=(), packages=()))
    assert only(judge(limited(), subject(scan=bare))).reason_code == "no-packages"


def test_message_fix_and_violations() -> None:
    found = [
        finding("CVE-9", Severity.HIGH, fixed=("1.2",), name="zlib"),
        finding(),
        finding("CVE-0", fixed=()),
    ]
    result = only(judge(limited("{severity: high}"), subject(scan=report(*found))))
    assert result.message == "CVE-2026-1234 critical in openssl 3.0.11 (fixed in 3.0.14) and 2 more"
    assert result.fix == "rebuild with openssl >= 3.0.14, zlib >= 1.2"
    assert [one.subject for one in result.violations] == ["CVE-2026-1234", "CVE-0", "CVE-9"]
    assert result.violations[0].fixed == "3.0.14"
    only_unfixed = only(judge(limited(), subject(scan=report(UNFIXED))))
    assert only_unfixed.fix.startswith("no fixed version is known")
    assert "known exploited, low" in only(judge(limited("{kev: true}"), subject(scan=report(KEV)))).message
    assert "counted as critical" in only(judge(limited(), subject(scan=report(UNRANKED)))).message


def test_many_violations_are_counted() -> None:
    found = [finding(f"CVE-{number:03}", name=f"p{number}") for number in range(60)]
    result = only(judge(limited(), subject(scan=report(*found))))
    assert (len(result.violations), result.more_violations) == (50, 10)
    assert result.fix.endswith("and 58 more")
    undetermined = [finding(f"CVE-{number}", undetermined=True) for number in range(3)]
    assert only(judge(limited(), subject(scan=report(*undetermined)))).message.endswith("and 2 more")


# --- indexes, artifacts, signatures --------------------------------------------------------------


def image(scan: object, platform: str = "linux/amd64") -> scenes.SubjectEvidence:
    return subject(digest=scenes.CHILD, scan=scan, platform=platform)


def index(*children: scenes.SubjectEvidence, complete: bool = True) -> scenes.SubjectEvidence:
    parts = tuple(
        replace(one, digest=Digest.of(f"{number} of {one.digest}".encode()))
        for number, one in enumerate(children)
    )
    return subject(role=Role.INDEX, scan=UNSCANNED, children=parts, complete=complete)


SIGNATURE = subject(role=Role.SIGNATURE)
ATTESTATION = image(report(packages=()), "unknown/unknown")


@pytest.mark.parametrize(
    ("rest", "what", "expected", "code"),
    [
        ("", index(image(report()), image(report())), ALLOW, "below-thresholds"),
        ("", index(image(report()), image(report(finding()))), DENY, "vulnerable"),
        ("", index(image(report()), image(UNSCANNED)), DENY, "unscanned"),
        (", onUnscanned: warn", index(image(report()), image(UNSCANNED)), WARN, "unscanned"),
        (", onUnscanned: warn", index(image(report(finding())), image(UNSCANNED)), DENY, "vulnerable"),
        (", onUnscanned: allow", index(image(LOST), image(UNSCANNED)), DENY, "scan-unreachable"),
        ("", index(image(report()), complete=False), DENY, "incomplete-index"),
        ("", index(), DENY, "empty-index"),
        ("", index(SIGNATURE), DENY, "empty-index"),
        ("", index(index(image(report(finding())))), DENY, "vulnerable"),
        ("", index(image(report()), SIGNATURE), ALLOW, "below-thresholds"),
        ("", index(image(report()), ATTESTATION), ALLOW, "below-thresholds"),
        ("", index(ATTESTATION), DENY, "no-packages"),
        ("", ATTESTATION, DENY, "no-packages"),
        ("", subject(role=Role.ARTIFACT, scan=report()), DENY, "unscannable"),
        (", onUnscannable: allow", subject(role=Role.ARTIFACT), ALLOW, "unscannable-allowed"),
        ("", SIGNATURE, ALLOW, "is-signature"),
    ],
)
def test_other_roles(rest: str, what: scenes.SubjectEvidence, expected: VerdictKind, code: str) -> None:
    verdict = judge(limited(rest=rest), what)
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_violations_of_an_index_say_which_platform() -> None:
    both = index(image(report(finding()), "linux/arm64"), image(report(finding()), ""))
    where = [one.where for one in only(judge(limited(), both)).violations]
    assert where == ["linux/arm64", both.children[1].digest.short]
