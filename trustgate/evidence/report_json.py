"""Scan reports as JSON and back: what the store keeps and what ``-o json`` prints."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from trustgate.evidence.scan_report import Coverage, Finding, Package, ScanReport, ScanStatus, Severity
from trustgate.oci.digest import Digest

SCHEMA = 1


def report_to_json(report: ScanReport) -> dict[str, Any]:
    """Plain JSON values only."""
    document = asdict(report)
    document["schema"] = SCHEMA
    document["scanned_at"] = report.scanned_at.isoformat()
    document["database_at"] = report.database_at.isoformat() if report.database_at else None
    for part, coverage in zip(document["coverage"], report.coverage, strict=True):
        at = coverage.advisories_at
        part["advisories_at"] = at.isoformat() if at else None
    return document


def report_from_json(document: dict[str, Any]) -> ScanReport:
    """What ``report_to_json`` wrote. Raises ``ValueError``, ``KeyError``, ``TypeError``."""
    fields = dict(document)
    if fields.pop("schema") != SCHEMA:
        raise ValueError(f"scan report of schema {document['schema']!r}, expected {SCHEMA}")
    fields["subject"] = Digest(fields["subject"])
    fields["status"] = ScanStatus(fields["status"])
    fields["scanned_at"] = datetime.fromisoformat(fields["scanned_at"])
    fields["database_at"] = _moment(fields["database_at"])
    fields["packages"] = tuple(Package(**item) for item in fields["packages"])
    fields["findings"] = tuple(_finding(item) for item in fields["findings"])
    fields["coverage"] = tuple(_coverage(item) for item in fields["coverage"])
    return ScanReport(**fields)


def _finding(item: dict[str, Any]) -> Finding:
    fields = dict(item)
    fields["package"] = Package(**fields["package"])
    fields["severity"] = Severity(fields["severity"])
    fields["aliases"] = tuple(fields["aliases"])
    fields["fixed_versions"] = tuple(fields["fixed_versions"])
    return Finding(**fields)


def _coverage(item: dict[str, Any]) -> Coverage:
    return Coverage(**{**item, "advisories_at": _moment(item["advisories_at"])})


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
