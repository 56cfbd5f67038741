"""Packages: read to their end within limits, and only what is in one folder and a file."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import openpgp_world as world
from trustgate.evidence.helm import chart as room
from trustgate.evidence.helm.chart import MAX_CHART_BYTES, MAX_DOCUMENT_BYTES, read_chart
from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused
from trustgate.oci.digest import Digest

GOOD = world.package()
few = settings(max_examples=200, deadline=None)


def refusal(package: bytes) -> str:
    with pytest.raises(HelmRefused) as caught:
        read_chart(package)
    return str(caught.value)


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


def test_a_chart() -> None:
    chart = read_chart(GOOD)
    assert (chart.digest, chart.size) == (Digest.of(GOOD), len(GOOD))
    assert chart.metadata.file_name == "web-1.2.3.tgz"


def test_folders_and_long_names() -> None:
    folder = tarfile.TarInfo("web/")
    folder.type = tarfile.DIRTYPE
    long = tarfile.TarInfo(f"web/{'x' * 180}/{'y' * 180}")
    made = tarfile.TarInfo("web/Chart.yaml")
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        package = tar((folder, b""), (long, b"a"), (made, world.CHART_YAML.encode()), form=kind)
        assert read_chart(package).metadata.name == "web"


@pytest.mark.parametrize("name", ["./web/Chart.yaml", "./Chart.yaml", "./Chart.yaml/Chart.yaml"])
def test_names_with_a_dot_in_front_are_refused(name: str) -> None:
    """helm finds no Chart.yaml behind one, or another than we would."""
    made = tarfile.TarInfo(name)
    assert "a file with the name" in refusal(tar((made, world.CHART_YAML.encode())))


def test_nested_charts_do_not_count() -> None:
    files = {
        "web/charts/db/Chart.yaml": "name: db\nversion: 9.9.9\n",
        "web/Chart.yaml": world.CHART_YAML,
        "web/charts/Chart.yaml/x": "y",
    }
    assert read_chart(world.package(files)).metadata.version == "1.2.3"


def test_requirements_of_the_first_api_version() -> None:
    old = "name: web\nversion: 1.2.3\napiVersion: v1\n"
    files = {"web/Chart.yaml": old, "web/requirements.yaml": "dependencies:\n- name: db\n"}
    assert read_chart(world.package(files)).metadata.fields["dependencies"] == [{"name": "db"}]
    new = {**files, "web/Chart.yaml": world.CHART_YAML}
    assert "dependencies" not in read_chart(world.package(new)).metadata.fields
    for text, base in (
        ("name: other\n", old),
        ("dependencies: []\n", old + "dependencies: []\n"),
        ("- a\n", old),
    ):
        files = {"web/Chart.yaml": base, "web/requirements.yaml": text}
        assert "requirements.yaml" in refusal(world.package(files))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"web/values.yaml": "a: 1"}, "has no Chart.yaml"),
        ({}, "has no Chart.yaml"),
        ({"Chart.yaml": world.CHART_YAML}, "has no Chart.yaml"),
        ({"web/chart.yaml": world.CHART_YAML}, "has no Chart.yaml"),
        ({"web/Chart.yaml": world.CHART_YAML, "other/x": "y"}, "in one folder"),
        ({"web/Chart.yaml": world.CHART_YAML, "web/../x": "y"}, "a file with the name"),
        ({"web/Chart.yaml": world.CHART_YAML, "web//x": "y"}, "a file with the name"),
        ({"web/./Chart.yaml": world.CHART_YAML}, "a file with the name"),
        ({"/web/Chart.yaml": world.CHART_YAML}, "a file with the name"),
        ({"web\\Chart.yaml": world.CHART_YAML}, "a file with the name"),
        ({"web/Chart.yaml": b"\xff"}, "is not UTF-8"),
        ({"web/Chart.yaml": "a"}, "not a mapping"),
        ({"web/Chart.yaml": "#" * (MAX_DOCUMENT_BYTES + 1)}, "has more than"),
    ],
)
def test_other_contents_are_refused(files: dict[str, str | bytes], why: str) -> None:
    assert why in refusal(world.package(files))


def test_two_files_of_a_name_and_links_are_refused() -> None:
    one, two = tarfile.TarInfo("web/Chart.yaml"), tarfile.TarInfo("web/Chart.yaml")
    text = world.CHART_YAML.encode()
    assert "two files Chart.yaml" in refusal(tar((one, text), (two, text)))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        link = tarfile.TarInfo("web/link")
        link.type, link.linkname = kind, "Chart.yaml"
        assert "neither a file nor a folder" in refusal(tar((one, text), (link, b"")))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda good: b"", "not a tar archive in gzip"),
        (lambda good: b"PK\x03\x04", "not a tar archive in gzip"),
        (gzip.decompress, "not a tar archive in gzip"),
        (lambda good: gzip.compress(b"no tar" * 200), "not a tar archive in gzip"),
        (lambda good: good[: len(good) // 2], ""),
        (lambda good: good[:-1], "cut off"),
        (lambda good: good[:-8] + bytes(8), "not a tar archive in gzip"),
        (lambda good: good + b"x", "data after its gzip stream"),
        (lambda good: good + gzip.compress(b"x"), "data after its gzip stream"),
        (lambda good: gzip.compress(gzip.decompress(good)[:700]), ""),
    ],
)
def test_broken_packages_are_refused(edit: Callable[[bytes], bytes], why: str) -> None:
    assert why in refusal(edit(GOOD))


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = tarfile.TarInfo("web/zeros")
    assert "unpacks to more than it may" in refusal(tar((zeros, bytes(8 * 1024 * 1024))))
    monkeypatch.setattr(room, "MAX_UNPACKED_BYTES", 100_000)
    assert "unpacks to more than it may" in refusal(tar((zeros, os.urandom(200_000))))
    monkeypatch.setattr(room, "MAX_MEMBERS", 1)
    assert "more than 1 files" in refusal(GOOD)


def test_a_large_package_is_not_read() -> None:
    with pytest.raises(HelmNotUnderstood):
        read_chart(bytes(MAX_CHART_BYTES + 1))


@few
@given(st.binary(max_size=600))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for package in (raw, gzip.compress(raw)):
        with pytest.raises(HelmRefused):
            read_chart(package)


@few
@given(st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=6)), max_size=4))
def test_edited_archives_are_read_or_refused(edits: list[tuple[int, bytes]]) -> None:
    plain = gzip.decompress(GOOD)
    for at, put in edits:
        plain = plain[:at] + put + plain[at + len(put) :]
    try:
        read_chart(gzip.compress(plain))
    except HelmRefused:
        return
