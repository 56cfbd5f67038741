"""``trustgate scan``."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import data_option, output_option, plain_http_option
from trustgate.cli.output import emit_json, note, question, table
from trustgate.evidence.scan_report import Finding, ScanReport, ScanStatus, Severity

_LEVELS = [str(level) for level in Severity]


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@click.option("--fail-on", type=click.Choice(_LEVELS), help="Exit 1 for a finding of this level or worse.")
@click.option("--fixable", is_flag=True, help="Count findings that have a fix only.")
@click.option("--all", "show_all", is_flag=True, help="Show findings below medium too.")
@data_option
@plain_http_option
@output_option
def scan(
    image: str,
    fail_on: str | None,
    fixable: bool,
    show_all: bool,
    data: Path,
    plain_http: bool,
    output: str,
) -> None:
    """Find known vulnerabilities in an image. Without advisories for what is in it, the exit code is 3.

    \b
      trustgate scan localhost:5080/shop/web:1
      trustgate scan oci-layout:./image:1 --fail-on high --fixable
    """
    from trustgate.cli.db import scanner
    from trustgate.cli.images import open_place
    from trustgate.evidence.report_json import report_to_json
    from trustgate.flows.scan import scan_manifest

    place = open_place(image, plain_http=plain_http)
    adapter = scanner(data)
    with question(), tempfile.TemporaryDirectory(prefix="trustgate-scan-") as folder:
        reports = [scan_manifest(adapter, request) for request in _requests(place, Path(folder))]
    if output == "json":
        emit_json("scan/1", {"image": image, "reports": [report_to_json(report) for report in reports]})
    else:
        for report in reports:
            _show(place.at(report.subject), report, show_all)
    raise click.exceptions.Exit(_code(reports, fail_on, fixable))


def _requests(place: Any, folder: Path) -> Any:
    """One request for the image, or for each platform of an index."""
    from trustgate.flows.fetch import scan_requests

    return scan_requests(
        place.source, place.target, folder, now=datetime.now(UTC), repository=place.repository
    )


def _code(reports: list[ScanReport], fail_on: str | None, fixable: bool) -> int:
    """1 for what is known to be bad, 3 for what may be: no rank, no comparable version, no advisories."""
    findings = [f for report in reports for f in report.findings if f.fixable or not fixable]
    doubtful = []
    if fail_on:
        reached = [f for f in findings if _reaches(f, Severity(fail_on))]
        doubtful = [f for f in reached if f.undetermined or f.severity.rank < Severity(fail_on).rank]
        if len(doubtful) < len(reached):
            return 1
    if doubtful:
        note(f"{len(doubtful)} findings have no rank or no comparable version: they may be {fail_on}")
    whole = bool(reports) and all(r.status is ScanStatus.OK and r.covered for r in reports)
    return 0 if whole and not doubtful else 3


def _reaches(finding: Finding, level: Severity) -> bool:
    """Whether it is, or may be, of that level: nobody ranked it, then it may."""
    return finding.severity is Severity.UNKNOWN or finding.severity.rank >= level.rank


def _show(name: str, report: ScanReport, show_all: bool) -> None:
    head = f"{name}  {len(report.packages)} packages  {report.os}  advisories {report.database or 'none'}"
    click.echo(head)
    shown = [f for f in report.findings if show_all or _reaches(f, Severity.MEDIUM)]
    rows = [
        [
            str(f.severity),
            f.vulnerability,
            f"{f.package.name} {f.package.version}",
            ", ".join(f.fixed_versions[:3]),
            " ".join(
                filter(None, ("KEV" if f.known_exploited else "", "undetermined" if f.undetermined else ""))
            ),
        ]
        for f in shown
    ]
    table(["SEVERITY", "ID", "PACKAGE", "FIXED IN", "NOTE"], rows)
    for part in report.coverage:
        if not part.covered:
            note(f"not covered: {part.packages} packages of {part.ecosystem} (no advisories are loaded)")
    if not report.packages:
        note("no packages were found: nothing can be said about this image")
    if report.reason:
        note(f"{report.status}: {report.reason}")
    hidden = len(report.findings) - len(shown)
    note(f"{len(report.findings)} findings" + (f", {hidden} below medium hidden (--all)" if hidden else ""))
