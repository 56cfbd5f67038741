"""Squashing layers: what upper layers hide, what links mean, and what hostile layers get."""

from __future__ import annotations

import contextlib
import gzip
import sys
import tarfile
import zlib
from pathlib import Path
from time import monotonic
from types import ModuleType
from types import SimpleNamespace as Space

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trustgate_scanners.embedded import layers, tar_stream, unpack
from trustgate_scanners.embedded.layers import Squashed, Want, Wishes, squash
from trustgate_scanners.embedded.readers import golang
from trustgate_scanners.embedded.tar_stream import Kind, TarStream
from trustgate_scanners.embedded.unpack import Budget, LayerProblem

from tests import images

WISHES = Wishes(
    want=lambda path, _size: Want.WHOLE if path.endswith((".db", "os-release")) else Want.NOTHING,
    extract=golang.extract,
    fixed_paths=("etc/os-release", "var/app.db"),
)


def _squashed(tmp_path: Path, *contents: bytes, deadline_s: float = 60.0) -> Squashed:
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"layer{number}"
        path.write_bytes(content)
        paths.append((f"layer{number}", path))
    return squash(paths, WISHES, deadline_s=deadline_s)


def _texts(image: Squashed) -> dict[str, str]:
    return {path: file.content.decode() for path, file in sorted(image.files.items())}


BELOW = {"a/x.db": "x", "a/b/y.db": "y", "c/z.db": "z"}


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ({"a/.wh.x.db": b""}, {"a/b/y.db", "c/z.db"}),
        ({".wh.a": b""}, {"c/z.db"}),
        ({"a/.wh..wh..opq": b""}, {"c/z.db"}),
        ({".wh..wh..opq": b""}, set()),
        ({"a/b/.wh..wh..opq": b""}, {"a/x.db", "c/z.db"}),
        ({"a": "a file in the folder's place"}, {"c/z.db"}),
        ({"a": images.symlink("c")}, {"c/z.db"}),
        ({"a": images.FOLDER}, {"a/x.db", "a/b/y.db", "c/z.db"}),
        ({"a/x.db": images.FOLDER}, {"a/b/y.db", "c/z.db"}),
        ({"c/z.db": images.DEVICE}, {"a/x.db", "a/b/y.db"}),
        ({"c/.wh.nothing": b""}, {"a/x.db", "a/b/y.db", "c/z.db"}),
        ({"../.wh.a": b"", "a/../../.wh.c": b""}, {"a/x.db", "a/b/y.db", "c/z.db"}),
    ],
)
def test_what_an_upper_layer_hides(tmp_path: Path, upper: images.Members, left: set[str]) -> None:
    image = _squashed(tmp_path, images.layer(BELOW), images.layer(upper))
    assert set(image.files) == left
    assert not image.problems


def test_whiteouts_speak_about_lower_layers_whatever_the_order(tmp_path: Path) -> None:
    new = [("a/x.db", "new"), ("a/.wh.x.db", b""), ("a/.wh..wh..opq", b"")]
    for members in (new, new[::-1]):
        image = _squashed(tmp_path, images.layer(BELOW), images.layer(members))
        assert _texts(image) == {"a/x.db": "new", "c/z.db": "z"}
        assert image.files["a/x.db"].layer == "layer1"


def test_the_last_member_of_a_name_counts(tmp_path: Path) -> None:
    image = _squashed(
        tmp_path, images.layer([("a.db", "1"), ("./a.db", "2"), ("/b.db", "1"), ("b.db", images.PIPE)])
    )
    assert _texts(image) == {"a.db": "2"}


# --- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["../usr/lib/os-release", "/usr/lib/os-release"])
def test_os_release_is_found_through_its_link_across_layers(tmp_path: Path, target: str) -> None:
    lower, upper = {"etc/os-release": images.symlink(target)}, {"usr/lib/os-release": "ID=debian"}
    for order in ((lower, upper), (upper, lower)):
        found = _squashed(tmp_path, *map(images.layer, order)).find("etc/os-release")
        assert found is not None
        assert found.content == b"ID=debian"


def test_links_lead_to_files_that_nobody_wanted_by_name(tmp_path: Path) -> None:
    image = _squashed(
        tmp_path,
        images.layer(
            {
                "opt/store/release": "ID=one",
                "opt/data/real": "rows",
                "etc/os-release": images.symlink("../opt/store/release"),
            }
        ),
        images.layer({"var": images.symlink("/opt/data"), "opt/data/app.db": images.symlink("real")}),
    )
    assert image.files["etc/os-release"].content == b"ID=one"
    assert image.files["opt/data/app.db"].content == b"rows"
    assert image.files["var/app.db"].content == b"rows"


def test_hard_links_share_content_also_when_their_twin_goes(tmp_path: Path) -> None:
    image = _squashed(
        tmp_path,
        images.layer(
            [("store/ab12", "one"), ("app/a.db", images.hard_link("store/ab12")), ("low.db", "low")]
        ),
        images.layer({"store/.wh.ab12": b"", "high.db": images.hard_link("low.db"), ".wh.low.db": b""}),
    )
    assert _texts(image) == {"app/a.db": "one", "high.db": "low"}


@pytest.mark.parametrize("target", ["../../secret.db", "/../secret.db", "a.db", "nowhere.db", "loop.db"])
def test_links_out_of_the_image_or_to_nothing_are_ignored(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret.db").write_text("of the host")
    for make in (images.symlink, images.hard_link):
        image = _squashed(tmp_path, images.layer({"a.db": make(target), "loop.db": images.symlink("a.db")}))
        assert image.files == {}
        assert image.find("a.db") is None
        assert not image.problems


# --- what archives look like -----------------------------------------------------------------------


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_every_length(tmp_path: Path, style: int) -> None:
    long = "d" * 90 + "/" + "e" * 60 + "/ü.db"
    members = {long: "1", "ü.db": "2", "x.db": "3"}
    if style != tarfile.USTAR_FORMAT:
        members["f" * 300 + ".db"] = "4"
    image = _squashed(tmp_path, gzip.compress(images.tar(members, style=style)))
    assert _texts(image) == dict(sorted(members.items()))


def test_against_the_standard_library(tmp_path: Path) -> None:
    members = {f"{n}/f{n * 37 % 91}.db": "x" * (n * 61 % 2000) for n in range(120)}
    content = images.tar(members)
    for size in (1, 7, 512, 100_000):
        budget = Budget(deadline=monotonic() + 60)
        stream = TarStream(images.pieces(content, size), budget)
        assert {m.name: stream.read(m.size).decode() for m in stream} == members


def test_plain_concatenated_and_padded(tmp_path: Path) -> None:
    content = images.tar({"a.db": "x" * 3000})
    for packed in (
        content,
        gzip.compress(content[:700]) + gzip.compress(content[700:]),
        gzip.compress(content) + bytes(1000),
        gzip.compress(content[:512]) + bytes(10) + gzip.compress(content[512:]),
    ):
        image = _squashed(tmp_path, packed)
        assert (list(image.files), image.problems) == (["a.db"], [])


@pytest.mark.parametrize("cut", [5, 20, 200, -20, -9, -1])
def test_a_truncated_gzip_is_told_and_findings_hold(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(images.tar({"a.db": "x", "zz": bytes(range(256)) * 50}), 9)
    image = _squashed(tmp_path, packed[:cut], images.layer({"b.db": "y"}))
    assert len(image.problems) == 1
    assert "layer0" in image.problems[0]
    assert "b.db" in image.files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a tar at all", "cut off"),
        (b"x" * 1024, "not a sound archive"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 60, "gzip stream is broken"),
        (images.tar({"a.db": "x"})[:700], "cut off"),
        (images.tar({"a.db": "x"})[:1024] + b"y" * 512, "not a sound archive"),
        (images.tar({"a.db": "x"})[:1024] + bytes(512) + b"y" * 512, "end mark"),
    ],
)
def test_broken_archives_are_told(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in _squashed(tmp_path, content).problems[0]


def test_a_layer_that_is_not_here(tmp_path: Path) -> None:
    image = squash([("gone", tmp_path / "gone"), ("folder", tmp_path)], WISHES, deadline_s=9)
    assert ["not here" in image.problems[0], "can't be read" in image.problems[1]] == [True, True]


def test_zstd_without_and_with_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = b"\x28\xb5\x2f\xfd" + zlib.compress(images.tar({"a.db": "x"}))
    monkeypatch.setattr(unpack, "_ZSTD_MODULES", ("no.such.module",))
    assert "backports.zstd" in _squashed(tmp_path, packed).problems[0]
    fake = ModuleType("a_zstd")
    monkeypatch.setitem(sys.modules, "a_zstd", fake)
    monkeypatch.setattr(unpack, "_ZSTD_MODULES", ("no.such.module", "a_zstd"))
    fake.ZstdError = zlib.error  # type: ignore[attr-defined]
    fake.open = _Inflated  # type: ignore[attr-defined]
    assert list(_squashed(tmp_path, packed).files) == ["a.db"]
    assert "zstd stream is broken" in _squashed(tmp_path, packed[:4] + b"nonsense").problems[0]


class _Inflated:
    """Stands in for a zstd module: the magic word, then deflate."""

    def __init__(self, raw: object) -> None:
        self._raw = raw

    def __enter__(self) -> Space:
        content = zlib.decompress(self._raw.read()[4:])  # type: ignore[attr-defined]
        pieces = iter([content, b""])
        return Space(read=lambda _size: next(pieces))

    def __exit__(self, *_exc: object) -> None: ...


# --- limits ----------------------------------------------------------------------------------------


def test_a_million_members_and_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real limit is tried in the scanner's tests, in its own process."""
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 3000)
    images.many_members(tmp_path / "many", 3001)
    budget = Budget(deadline=monotonic() + 60, members=3000)
    with pytest.raises(LayerProblem, match="more than 3000 files"):
        list(TarStream(unpack.unpacked(tmp_path / "many", budget), budget))


def test_a_bomb_is_stopped_by_its_ratio(tmp_path: Path) -> None:
    images.bomb(tmp_path / "bomb", 128 * 1024**2)
    began = monotonic()
    image = squash([("bomb", tmp_path / "bomb")], WISHES, deadline_s=60)
    assert "times its size" in image.problems[0]
    assert monotonic() - began < 20


def test_the_unpacked_total_is_bounded(tmp_path: Path) -> None:
    budget = Budget(deadline=monotonic() + 60, unpacked=2048)
    (tmp_path / "l").write_bytes(images.layer({"a.db": "x" * 3000}))
    with pytest.raises(LayerProblem, match="unpack to more than"):
        list(unpack.unpacked(tmp_path / "l", budget))


def test_the_deadline_is_kept_and_what_was_found_stays(tmp_path: Path) -> None:
    image = _squashed(tmp_path, images.layer({"a.db": "x"}), deadline_s=-1)
    assert "took too long" in image.problems[0]


def test_files_too_large_to_keep_hide_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_KEPT_FILE_BYTES", 10)
    image = _squashed(tmp_path, images.layer({"a.db": "x" * 11, "b.db": "y"}))
    assert (list(image.files), len(image.problems)) == (["b.db"], 1)


@pytest.mark.parametrize("name", ["a/" * 200 + "x.db", "a" * 5000 + ".db"])
def test_absurd_paths_are_told(tmp_path: Path, name: str) -> None:
    image = _squashed(tmp_path, images.layer({name: "x", "b.db": "y"}))
    assert (list(image.files), len(image.problems)) == (["b.db"], 1)


def test_paths_out_of_the_image_are_ignored(tmp_path: Path) -> None:
    image = _squashed(tmp_path, images.layer({"../a.db": "x", "a/../../b.db": "x", "/c.db": "y", "..": "x"}))
    assert _texts(image) == {"c.db": "y"}


def _header(flag: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = flag, size
    return info.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_header(b"x", tar_stream.MAX_EXTENDED_HEADER_BYTES + 1), "extended header has"),
        (_header(b"L", 8**11 - 1), "extended header has"),
        ((_header(b"x", 0)) * 40, "more than 16 extended headers"),
        (_header(b"x", 0), "at the end of the archive"),
        (_header(b"x", 5) + b"rubbi".ljust(512, b"\0"), "pax header is broken"),
        (_header(b"x", 6) + b"9 a=b\n".ljust(512, b"\0"), "pax header is broken"),
        (_header(b"x", 12) + b"12 size=-12\n".ljust(512, b"\0") + _header(b"0", 0), "size is"),
        (_header(b"0", 8**11 - 1), "cut off"),
    ],
)
def test_hostile_headers(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in _squashed(tmp_path, content).problems[0]


def test_devices_and_pipes_are_no_files(tmp_path: Path) -> None:
    budget = Budget(deadline=monotonic() + 60)
    content = images.tar({"d": images.DEVICE, "p": images.PIPE, "f": images.FOLDER, "s": images.symlink("x")})
    assert [m.kind for m in TarStream(iter([content]), budget)] == [
        Kind.OTHER,
        Kind.OTHER,
        Kind.FOLDER,
        Kind.SYMLINK,
    ]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000) | st.lists(st.binary(min_size=512, max_size=512), max_size=4).map(b"".join))
def test_any_bytes_give_members_or_a_problem(content: bytes) -> None:
    budget = Budget(deadline=monotonic() + 60)
    try:
        for _ in TarStream(iter([content]), budget):
            pass
    except LayerProblem:
        pass


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_gives_members_or_a_problem(data: st.DataObject) -> None:
    content = bytearray(images.tar({"ü" * 80 + ".db": "x" * 600, "l": images.symlink("y" * 200)}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        for _ in TarStream(images.pieces(bytes(content), 700), Budget(deadline=monotonic() + 60)):
            pass
    except LayerProblem:
        pass


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_gzip_tail_gives_pieces_or_a_problem(tail: bytes) -> None:
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile() as file:
        file.write(gzip.compress(b"abc") + tail)
        file.flush()
        with contextlib.suppress(LayerProblem):
            assert b"".join(unpack.unpacked(Path(file.name), Budget(deadline=monotonic() + 60))).startswith(
                b"abc"
            )
