"""The embedded scanner at its largest limits: too slow for the unit suite."""

from __future__ import annotations

from pathlib import Path

from trustgate_scanners.embedded.scanner import EmbeddedScanner

from tests import images
from trustgate.scanning import ScanContext, ScanStatus


def test_a_million_files_end_in_a_partial_report(tmp_path: Path) -> None:
    scanner = EmbeddedScanner(ScanContext(tmp_path / "data", tmp_path / "tmp"))
    folder = tmp_path / "blobs"
    folder.mkdir()
    path = tmp_path / "many"
    images.many_members(path, 1_000_001)
    report = scanner.scan(images.layer_request(path, folder, deadline_s=100))
    assert report.status is ScanStatus.PARTIAL
    assert "1000000 files" in report.reason
