"""The embedded scanner: what it finds, what it calls clean, and what a foreign file can do to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trustgate_scanners.embedded.child import _COMMAND
from trustgate_scanners.embedded.layers import KeptFile, clean_path
from trustgate_scanners.embedded.readers import apk, dpkg, golang, node, osrelease, python
from trustgate_scanners.embedded.scanner import EmbeddedScanner

from tests import images
from tests.shared_files import shared
from tests.suites.scanner import ScannerSuite
from trustgate.oci import media
from trustgate.scanning import ScanContext, ScannerError, ScanReport, ScanStatus, Severity

Record = dict[str, Any]


@pytest.fixture
def scanner(tmp_path: Path) -> EmbeddedScanner:
    return EmbeddedScanner(ScanContext(tmp_path / "data", tmp_path / "tmp"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "blobs"
    made.mkdir()
    return made


def load(scanner: EmbeddedScanner, *records: Record, kev: Collection[str] = (), shrink: bool = False) -> None:
    home = scanner.context.temporary_directory
    home.mkdir(exist_ok=True)
    sources = [images.write_osv_zip(home / "advisories.zip", records)]
    if kev:
        sources.append(images.write_kev(home / "kev.json", kev))
    scanner.import_advisories(sources, progress=lambda *_: None, now=images.NOW, allow_shrink=shrink)


def scan(scanner: EmbeddedScanner, folder: Path, *members: images.Members) -> ScanReport:
    return scanner.scan(images.image(*map(images.layer, members)).request(folder))


def names(report: ScanReport) -> set[str]:
    return {f"{package.name} {package.version}" for package in report.packages}


class TestThePage(ScannerSuite):
    """What any adapter has to pass."""

    @pytest.fixture
    def scanner(self, tmp_path: Path) -> EmbeddedScanner:
        made = EmbeddedScanner(ScanContext(tmp_path / "data", tmp_path / "tmp"))
        load(made, images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("2.0")))
        return made

    @pytest.fixture
    def affected(self) -> tuple[images.Image, Collection[str]]:
        return images.image(images.layer(images.python_package("acme", "1.0"))), {"CVE-2026-1001"}


# --- packages --------------------------------------------------------------------------------------


def test_packages_of_every_kind(scanner: EmbeddedScanner, folder: Path) -> None:
    members: dict[str, Any] = {
        **images.debian(("openssl", "3.0.11-1"), ("bash", "5.2-1")),
        **images.python_package("Flask_Login", "0.6.3"),
        **images.npm_package("@babel/core", "7.0.0"),
        "app/package.json": b'{"name": "the-app-itself", "version": "1.0.0"}',
        "usr/local/bin/tool": images.go_program("dep\tgolang.org/x/net\tv0.1.0\th1:x\n", version="go1.22.1"),
    }
    report = scan(scanner, folder, members)
    assert (report.status, report.os) == (ScanStatus.OK, "debian 12")
    assert names(report) == {
        "openssl 3.0.11-1",
        "bash 5.2-1",
        "flask-login 0.6.3",
        "@babel/core 7.0.0",
        "golang.org/x/net v0.1.0",
        "stdlib 1.22.1",
    }


def test_alpine(scanner: EmbeddedScanner, folder: Path) -> None:
    report = scan(scanner, folder, images.alpine(("libcrypto3", "3.1.4-r5", "openssl")))
    (package,) = report.packages
    assert (package.ecosystem, package.source_name) == ("Alpine:v3.19", "openssl")


def test_a_removed_package_is_gone(scanner: EmbeddedScanner, folder: Path) -> None:
    upper = {
        "app/site-packages/.wh.acme-1.0.dist-info": images.WHITEOUT,
        **images.python_package("other", "2"),
    }
    assert names(scan(scanner, folder, images.python_package("acme", "1.0"), upper)) == {"other 2"}


def test_what_the_distribution_installed_is_the_distributions(scanner: EmbeddedScanner, folder: Path) -> None:
    files = images.python_package("requests", "2.28.1", "usr/lib/python3/dist-packages")
    (path,) = files
    members = {
        **images.debian(("python3-requests", "2.28.1-1"), source="requests"),
        "var/lib/dpkg/info/python3-requests.list": f"/.\n/{path}\n",
        **files,
    }
    assert names(scan(scanner, folder, members)) == {"python3-requests 2.28.1-1"}


@pytest.mark.parametrize("path", ["var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"])
def test_a_package_database_that_is_not_read_is_never_clean(
    scanner: EmbeddedScanner, folder: Path, path: str
) -> None:
    load(scanner, images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("0.5")))
    report = scan(scanner, folder, {path: b"x", **images.python_package("acme", "1.0")})
    assert report.status is ScanStatus.PARTIAL
    assert not report.covered


# --- not covered is not clean ------------------------------------------------------------------------


def test_without_advisories_nothing_is_covered(scanner: EmbeddedScanner, folder: Path) -> None:
    report = scan(scanner, folder, images.python_package("acme", "1.0"))
    assert [(part.ecosystem, part.covered) for part in report.coverage] == [("PyPI", False)]
    assert not report.covered


def test_one_ecosystem_without_advisories_is_enough(scanner: EmbeddedScanner, folder: Path) -> None:
    load(scanner, images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("0.5")))
    report = scan(scanner, folder, {**images.debian(("a", "1")), **images.python_package("acme", "1.0")})
    assert {part.ecosystem: part.covered for part in report.coverage} == {"Debian:12": False, "PyPI": True}
    assert not report.covered


# --- matching ----------------------------------------------------------------------------------------

TWO_BRANCHES = [{"introduced": "1.0"}, {"fixed": "1.1"}, {"introduced": "2.0"}, {"fixed": "2.1"}]


@pytest.mark.parametrize(
    ("events", "version", "hit"),
    [
        (images.until("2.0"), "1.9", True),
        (images.until("2.0"), "2.0", False),
        (images.until("2.0"), "0.0.0.dev1", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.5", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.5.1", False),
        (TWO_BRANCHES, "2.0.5", True),
        (TWO_BRANCHES, "1.1", False),
        (TWO_BRANCHES, "0.9", False),
        ([{"fixed": "2.1"}, {"introduced": "0"}], "2.2", False),
        ([{"introduced": "0"}], "999", True),
    ],
)
def test_ranges(
    scanner: EmbeddedScanner, folder: Path, events: Sequence[Mapping[str, str]], version: str, hit: bool
) -> None:
    load(scanner, images.advisory("CVE-2026-1001", "PyPI", "acme", events))
    assert bool(scan(scanner, folder, images.python_package("acme", version)).findings) is hit


def test_listed_versions_are_compared_as_versions(scanner: EmbeddedScanner, folder: Path) -> None:
    record = images.advisory("CVE-2026-1001", "PyPI", "acme", [{"introduced": "5"}, {"fixed": "6"}])
    record["affected"][0]["versions"] = ["1.0"]
    load(scanner, record)
    (finding,) = scan(scanner, folder, images.python_package("acme", "1.0.0")).findings
    assert finding.fixed_versions == ("6",)


@pytest.mark.parametrize(
    ("version", "hit"), [("v0.0.0-20220101000000-bb", True), ("v0.0.0-20240101000000-cc", False)]
)
def test_pseudo_versions_of_go_lie_after_nothing(
    scanner: EmbeddedScanner, folder: Path, version: str, hit: bool
) -> None:
    """``introduced: 0`` is before everything, also before v0.0.0-2022…"""
    events = images.until("0.0.0-20230101000000-aa")
    load(scanner, images.advisory("GO-2026-0001", "Go", "example.com/m", events, kind="SEMVER"))
    members = {"usr/bin/app": images.go_program(f"dep\texample.com/m\t{version}\n")}
    assert bool(scan(scanner, folder, members).findings) is hit


def test_a_version_outside_the_order_is_undetermined_and_not_silence(
    scanner: EmbeddedScanner, folder: Path
) -> None:
    load(scanner, images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("2.0")))
    report = scan(scanner, folder, images.python_package("acme", "not-a-version"))
    assert [finding.undetermined for finding in report.findings] == [True]


def test_distributions_are_matched_by_source_package_and_release(
    scanner: EmbeddedScanner, folder: Path
) -> None:
    load(
        scanner,
        images.advisory(
            "DEBIAN-CVE-2026-1001",
            "Debian:12",
            "openssl",
            images.until("3.0.14-1"),
            upstream=["CVE-2026-1001"],
        ),
        images.advisory("DEBIAN-CVE-2026-1002", "Debian:11", "openssl", images.until("9")),
    )
    report = scan(scanner, folder, images.debian(("libssl3", "3.0.11-1"), source="openssl"))
    assert [(f.vulnerability, f.fixed_versions) for f in report.findings] == [
        ("CVE-2026-1001", ("3.0.14-1",))
    ]


def test_the_cve_is_the_name_and_severity_comes_from_who_knows_it(
    scanner: EmbeddedScanner, folder: Path
) -> None:
    rated = [{"type": "CVSS_V3", "score": images.CRITICAL}]
    load(
        scanner,
        images.advisory(
            "PYSEC-2026-1",
            "PyPI",
            "acme",
            images.until("2"),
            aliases=["CVE-2026-1001", "GHSA-aaaa-bbbb-cccc"],
        ),
        images.advisory(
            "GHSA-aaaa-bbbb-cccc",
            "PyPI",
            "acme",
            images.until("3"),
            aliases=["CVE-2026-1001"],
            severity=rated,
        ),
    )
    (finding,) = scan(scanner, folder, images.python_package("acme", "1.0")).findings
    assert (finding.vulnerability, finding.severity, finding.score) == (
        "CVE-2026-1001",
        Severity.CRITICAL,
        9.8,
    )
    assert {"PYSEC-2026-1", "GHSA-aaaa-bbbb-cccc"} <= set(finding.aliases)


def test_known_exploited(scanner: EmbeddedScanner, folder: Path) -> None:
    record = images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("2"))
    load(scanner, record, kev=["CVE-2026-1001"])
    (finding,) = scan(scanner, folder, images.python_package("acme", "1.0")).findings
    assert finding.known_exploited


def test_withdrawn_advisories_are_gone(scanner: EmbeddedScanner, folder: Path) -> None:
    withdrawn = images.advisory(
        "CVE-2026-1001", "PyPI", "acme", images.until("2"), withdrawn="2026-01-01T00:00:00Z"
    )
    load(scanner, withdrawn, images.advisory("CVE-2026-1002", "PyPI", "other", images.until("2")))
    assert not scan(scanner, folder, images.python_package("acme", "1.0")).findings


# --- importing ---------------------------------------------------------------------------------------


def simple(identity: str, ecosystem: str = "PyPI", name: str = "acme") -> Record:
    return images.advisory(identity, ecosystem, name, images.until("2"))


def test_a_source_replaces_its_ecosystem_and_no_other(scanner: EmbeddedScanner) -> None:
    load(scanner, simple("A"), simple("B", "npm"))
    first = scanner.generation()
    load(scanner, simple("C"))
    status = scanner.database_status()
    assert status is not None
    assert status.records == {"PyPI": 1, "npm": 1}
    assert scanner.generation() not in {"", first}


def test_a_source_that_lost_most_of_its_records_is_refused(scanner: EmbeddedScanner) -> None:
    load(scanner, *[simple(f"A-{number}", name=f"p{number}") for number in range(10)])
    before = scanner.generation()
    with pytest.raises(ScannerError, match="shrink"):
        load(scanner, simple("A-1"))
    assert scanner.generation() == before
    load(scanner, simple("A-1"), shrink=True)
    assert scanner.generation() != before


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 broken", b"{}", b"[]", b'{"vulnerabilities": []}', b"\xff\xfe", b"[" * 10_000],
)
def test_files_that_are_no_advisories(scanner: EmbeddedScanner, tmp_path: Path, content: bytes) -> None:
    load(scanner, simple("A"))
    before = scanner.generation()
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ScannerError):
        scanner.import_advisories([path], progress=lambda *_: None, now=images.NOW)
    assert scanner.generation() == before


def test_real_advisories(scanner: EmbeddedScanner, folder: Path) -> None:
    sources = [
        shared("advisories", name) for name in ("PyPI-2024-10.zip", "Go-2026-08.zip", "kev-2025-08.json")
    ]
    status = scanner.import_advisories(sources, progress=lambda *_: None, now=images.NOW)
    assert status.records["PyPI"] > 2500
    assert status.records["Go"] > 4000
    assert status.known_exploited > 1300
    members = {
        **images.python_package("django", "3.2.0"),
        "usr/bin/app": images.go_program("dep\tgolang.org/x/crypto\tv0.1.0\n", version="go1.20.1"),
    }
    report = scan(scanner, folder, members)
    assert report.covered
    found = {
        name: {f.vulnerability: f for f in report.findings if f.package.name == name}
        for name in ("django", "golang.org/x/crypto", "stdlib")
    }
    assert all(len(findings) >= 3 for findings in found.values())
    assert "3.2.4" in found["django"]["CVE-2021-33203"].fixed_versions


# --- the confined child ------------------------------------------------------------------------------


def test_a_bomb_is_stopped(scanner: EmbeddedScanner, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    images.bomb(path, 256 * 1024 * 1024)
    report = scanner.scan(images.layer_request(path, folder))
    assert report.status is ScanStatus.PARTIAL
    assert "times its size" in report.reason


def test_time_runs_out(scanner: EmbeddedScanner, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "many"
    images.many_members(path, 100_000)
    with pytest.raises(ScannerError, match="took more than") as caught:
        scanner.scan(images.layer_request(path, folder, deadline_s=0.05))
    assert caught.value.kind == "timeout"


def test_a_child_that_dies_is_a_crash(
    scanner: EmbeddedScanner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = (_COMMAND[0], "-c", "import os, sys; sys.stdin.read(); os.abort()")
    monkeypatch.setattr("trustgate_scanners.embedded.child._COMMAND", dying)
    with pytest.raises(ScannerError) as caught:
        scan(scanner, folder, {})
    assert caught.value.kind == "crash"


@pytest.mark.parametrize(
    ("says", "kind"), [("[]", "crash"), ("{", "crash"), ('{"limit": "x"}', "limit"), ("x" * 1000, "limit")]
)
def test_a_child_that_talks_nonsense(
    scanner: EmbeddedScanner, folder: Path, monkeypatch: pytest.MonkeyPatch, says: str, kind: str
) -> None:
    odd = (_COMMAND[0], "-c", f"import sys; sys.stdin.read(); print({says!r}, end='')")
    monkeypatch.setattr("trustgate_scanners.embedded.child._COMMAND", odd)
    request = images.image(images.layer({})).request(folder)
    object.__setattr__(request, "max_report_bytes", 500)
    with pytest.raises(ScannerError) as caught:
        scanner.scan(request)
    assert caught.value.kind == kind


# --- readers -----------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_readers_raise_nothing_but_value_error(content: bytes) -> None:
    file = KeptFile("x", content, "layer")
    program = KeptFile("x", b"\xff Go buildinf:" + content, "layer")
    for read in (
        lambda: osrelease.read(content),
        lambda: list(dpkg.read(file, "Debian:12")),
        lambda: list(apk.read(file, "Alpine:v3.19")),
        lambda: list(python.read(file)),
        lambda: list(node.read(file)),
        lambda: list(golang.read(program)),
    ):
        try:
            read()
        except ValueError:
            continue


@given(st.text(max_size=100))
def test_a_clean_path_never_leaves(name: str) -> None:
    path = clean_path(name)
    assert path is None or not (path.startswith(("/", "../")) or path == "..")


def test_the_media_type_of_docker_is_an_images(scanner: EmbeddedScanner, folder: Path) -> None:
    made = images.image(images.layer({}), config_type=media.DOCKER_CONFIG)
    assert scanner.scan(made.request(folder)).status is ScanStatus.OK
