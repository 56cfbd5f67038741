"""What any scanner adapter has to pass.

Subclass ``ScannerSuite`` in your tests and give a fixture ``scanner``. Where the adapter knows advisories
that it can be tested with, give ``affected`` too: an image, and the vulnerabilities that must be found in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import images
from trustgate.evidence.report_json import report_from_json, report_to_json
from trustgate.scanning import Scanner, ScannerError, ScanReport, ScanRequest, ScanStatus

KINDS = {"timeout", "limit", "crash", "input"}


class ScannerSuite:
    """The adapter's page, as tests."""

    @pytest.fixture
    def scanner(self, tmp_path: Path) -> Scanner:
        raise NotImplementedError("a subclass gives the adapter")

    @pytest.fixture
    def affected(self) -> tuple[images.Image, Collection[str]]:
        """An image, and what must be found in it."""
        pytest.skip("the adapter names no image that it finds something in")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        made = tmp_path / "blobs"
        made.mkdir()
        return made

    def test_it_is_called_what_it_reports(self, scanner: Scanner, folder: Path) -> None:
        request = images.image(images.layer(images.debian(("acme", "1.0")))).request(folder)
        report = scanner.scan(request)
        assert (report.scanner, report.scanner_version) == (scanner.name, scanner.version)
        assert scanner.name
        assert scanner.version
        assert report.subject == request.manifest.digest
        assert report.scanned_at.tzinfo is not None

    def test_a_report_survives_the_store(self, scanner: Scanner, folder: Path) -> None:
        report = scanner.scan(images.image(images.layer(images.debian(("acme", "1.0")))).request(folder))
        assert report_from_json(json.loads(json.dumps(report_to_json(report)))) == report

    def test_the_generation_is_a_stable_name(self, scanner: Scanner) -> None:
        assert isinstance(scanner.generation(), str)
        assert scanner.generation() == scanner.generation()

    def test_it_finds_what_it_knows(
        self, scanner: Scanner, affected: tuple[images.Image, Collection[str]], folder: Path
    ) -> None:
        image, expected = affected
        report = scanner.scan(image.request(folder))
        assert report.status is ScanStatus.OK, report.reason
        assert set(expected) <= {finding.vulnerability for finding in report.findings}
        assert report.covered

    def test_no_packages_is_not_clean(self, scanner: Scanner, folder: Path) -> None:
        report = scanner.scan(images.image(images.layer({"hello": "x"})).request(folder))
        assert not report.covered

    @pytest.mark.parametrize(
        "config_type", ["application/vnd.cncf.helm.config.v1+json", "application/vnd.oci.empty.v1+json"]
    )
    def test_what_is_no_image_is_unsupported(self, scanner: Scanner, folder: Path, config_type: str) -> None:
        chart = images.image(b"a chart", config_type=config_type, layer_type="application/vnd.x.chart")
        assert scanner.scan(chart.request(folder)).status is ScanStatus.UNSUPPORTED

    @pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b\x08broken", b"\x28\xb5\x2f\xfdbroken"])
    def test_a_broken_layer_is_never_clean(self, scanner: Scanner, folder: Path, content: bytes) -> None:
        report = _asked(
            scanner, images.image(images.layer(images.debian(("a", "1"))), content).request(folder)
        )
        if content:
            assert report is None or report.status is not ScanStatus.OK

    def test_a_layer_that_is_elsewhere_is_never_clean(self, scanner: Scanner, folder: Path) -> None:
        image = images.image(images.layer(images.debian(("acme", "1.0"))))
        report = _asked(scanner, image.request(folder, without=[image.manifest.layers[0].digest]))
        assert report is None or report.status is not ScanStatus.OK

    def test_blobs_stay_as_they_are(self, scanner: Scanner, folder: Path) -> None:
        image = images.image(images.layer(images.debian(("acme", "1.0"))))
        request = image.request(folder)
        scanner.scan(request)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            digest.hex: content for digest, content in image.blobs.items()
        }

    def test_scans_may_run_side_by_side(self, scanner: Scanner, folder: Path) -> None:
        request = images.image(images.layer(images.debian(("acme", "1.0")))).request(folder)
        with ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(lambda _: scanner.scan(request), range(3)))
        assert reports[0] == reports[1] == reports[2]


def _asked(scanner: Scanner, request: ScanRequest) -> ScanReport | None:
    """A report, or ``None`` for a failure of a kind that the page allows."""
    try:
        return scanner.scan(request)
    except ScannerError as exc:
        failure = exc
    assert failure.kind in KINDS
    return None
