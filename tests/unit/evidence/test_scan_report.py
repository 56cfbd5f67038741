"""Reports: what counts as covered, and that they come back as they were kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy import scenes
from trustgate.evidence.report_json import report_from_json, report_to_json
from trustgate.evidence.scan_report import (
    Coverage,
    Finding,
    Package,
    ScanReport,
    ScanStatus,
    Severity,
    together,
)
from trustgate.oci.digest import Digest

_TEXT = st.text(max_size=12)
_TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
_PACKAGES = st.builds(Package, *[_TEXT] * 8)
_FINDINGS = st.builds(
    Finding,
    vulnerability=_TEXT,
    aliases=st.tuples(_TEXT),
    package=_PACKAGES,
    severity=st.sampled_from(Severity),
    score=st.none() | st.floats(0, 10),
    fixed_versions=st.tuples() | st.tuples(_TEXT),
    title=_TEXT,
    url=_TEXT,
    known_exploited=st.booleans(),
    undetermined=st.booleans(),
)
_REPORTS = st.builds(
    ScanReport,
    scanner=_TEXT,
    scanner_version=_TEXT,
    subject=st.just(Digest.of(b"x")),
    scanned_at=st.datetimes(timezones=st.just(UTC)),
    status=st.sampled_from(ScanStatus),
    reason=_TEXT,
    database=_TEXT,
    database_at=_TIMES,
    os=_TEXT,
    packages=st.lists(_PACKAGES, max_size=3).map(tuple),
    findings=st.lists(_FINDINGS, max_size=3).map(tuple),
    coverage=st.lists(st.builds(Coverage, _TEXT, st.integers(), st.booleans(), _TIMES), max_size=3).map(
        tuple
    ),
)


@given(_REPORTS)
def test_there_and_back(report: ScanReport) -> None:
    assert report_from_json(report_to_json(report)) == report


@given(_REPORTS)
def test_another_schema_is_refused(report: ScanReport) -> None:
    with pytest.raises(ValueError, match="schema"):
        report_from_json({**report_to_json(report), "schema": 2})


@given(_REPORTS)
def test_covered_needs_packages_and_every_ecosystem(report: ScanReport) -> None:
    assert report.covered == (bool(report.packages) and all(part.covered for part in report.coverage))


def test_ranks_and_fixes() -> None:
    assert Severity.CRITICAL.rank > Severity.HIGH.rank > Severity.NONE.rank > Severity.UNKNOWN.rank
    package = Package("x", "1", "PyPI", "pkg:pypi/x@1")
    finding = Finding("CVE-1", (), package, Severity.LOW, None, ())
    assert not finding.fixable


@given(st.lists(_REPORTS, min_size=1, max_size=3))
def test_no_scanner_speaks_for_another(reports: list[ScanReport]) -> None:
    """Order is nothing; whatever one of them found stays, and silence counts only where all of them are."""
    found = [report.reduced() for report in reports]
    both, turned = together(found), together(found[::-1])
    assert {one.vulnerability for one in both.findings} == {
        one.vulnerability for report in reports for one in report.findings
    }
    assert len(both.findings) == len(turned.findings)
    assert (both.status, both.covered, both.packages) == (turned.status, turned.covered, turned.packages)
    assert (both.status is ScanStatus.OK) == all(report.status is ScanStatus.OK for report in reports)
    assert both.covered == all(report.covered for report in reports)


def test_two_scanners_that_differ() -> None:
    clean = scenes.report().value
    bad = replace(scenes.report(scenes.finding()).value, scanner="other")
    milder = replace(bad, findings=(scenes.finding(severity=Severity.LOW, fixed=()),))
    assert together([bad, milder]).findings == (*bad.findings, *milder.findings)
    assert together([bad, bad]).findings == bad.findings
    failed = replace(clean, status=ScanStatus.FAILED, reason="no network", packages=0)
    for order in ([clean, failed], [failed, clean]):
        assert (together(order).status, together(order).packages) == (ScanStatus.FAILED, 0)
        assert together(order).reason == f"{clean.scanner}: no network"
