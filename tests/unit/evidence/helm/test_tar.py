"""Archives: read as tar and helm read them, in constant memory, and refused where readers could differ."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import openpgp_world as world
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.evidence.helm.tar import BLOCK, MAX_EXTENSION_BYTES, Member, read_members

END = bytes(2 * BLOCK)


class Bytes(io.BytesIO):
    """A source; ``read`` as a reader of gzip has it."""


def header(name: bytes, size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """Of POSIX ustar, unless ``magic`` says otherwise; ``size_field`` replaces the size."""
    raw = bytearray(BLOCK)
    raw[: len(name)] = name
    raw[100:108] = b"0000644\0"
    raw[124:136] = fields.get("size_field", b"%011o\0" % size)
    raw[156:157] = kind
    raw[257:265] = fields.get("magic", b"ustar\x0000")
    prefix = fields.get("prefix", b"")
    raw[345 : 345 + len(prefix)] = prefix
    trailer = fields.get("trailer", b"")
    raw[BLOCK - len(trailer) : BLOCK] = trailer
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def file(name: bytes, content: bytes = b"", **fields: bytes) -> bytes:
    return header(name, len(content), **fields) + padded(content)


def record(text: bytes) -> bytes:
    """One of an extended header, with its own length in front."""
    length = len(text) + 3
    while len(str(length)) + len(text) + 2 != length:
        length += 1
    return b"%d %s\n" % (length, text)


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    content = b"".join(map(record, records))
    return header(b"pax", len(content), kind) + padded(content)


def long_name(name: bytes) -> bytes:
    return header(b"././@LongLink", len(name) + 1, b"L", magic=b"ustar  \0") + padded(name + b"\0")


def members(raw: bytes) -> list[tuple[str, bytes]]:
    return [(one.name, content) for one, content in read_members(Bytes(raw), lambda _one: True)]


def refusal(raw: bytes) -> str:
    with pytest.raises(HelmRefused) as caught:
        members(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (file(b"a/b", b"x"), [("a/b", b"x")]),
        (file(b"a/b", b"x") + END, [("a/b", b"x")]),
        (file(b"a/b", b"x") + END * 9, [("a/b", b"x")]),
        (file(b"b", prefix=b"a/a"), [("a/a/b", b"")]),
        (file(b"b", prefix=b"a/a", magic=b"ustar  \0"), [("b", b"")]),
        (header(b"a/", kind=b"5"), [("a", b"")]),
        (file(b"a", b"y" * BLOCK, kind=b"\0"), [("a", b"y" * BLOCK)]),
        (pax(b"path=p/q", b"mtime=1.5") + file(b"short"), [("p/q", b"")]),
        (pax(b"mtime=1") + file(b"short"), [("short", b"")]),
        (pax(b"path=a", b"path=b") + file(b"short"), [("b", b"")]),
        (long_name(b"n" * 300) + file(b"short") + file(b"next"), [("n" * 300, b""), ("next", b"")]),
        (pax(b"comment=of git", b"path=of nobody", kind=b"g") + file(b"a"), [("a", b"")]),
        (b"", []),
        (END, []),
    ],
)
def test_what_is_read(raw: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert members(raw) == expected


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (file(b"a", b"x")[:-1], "cut off"),
        (file(b"a") + b"x", "cut off"),
        (header(b"a", 1), "cut off"),
        (file(b"a") + bytes(BLOCK) + file(b"b"), "goes on behind its end"),
        (file(b"a").replace(b"a", b"b", 1), "a header is damaged"),
        (header(b"a", size_field=b"-0000000001\0"), "size is no octal number"),
        (header(b"a", size_field=b"\xff" * 12), "size is no octal number"),
        (header(b"a", size_field=b"00000000089\0"), "size is no octal number"),
        (header(b"a", size_field=bytes(12)), "size is no octal number"),
        (header(b"a", kind=b"1"), "neither a file nor a folder"),
        (header(b"a", kind=b"2"), "neither a file nor a folder"),
        (header(b"a", kind=b"S"), "neither a file nor a folder"),
        (header(b"a", kind=b"7"), "neither a file nor a folder"),
        (header(b"a/", 1, b"5") + padded(b"x"), "has content"),
        (file(b"a", trailer=b"tar\0"), "of star"),
        (pax(b"path=a") + pax(b"path=b") + file(b"c"), "two extended headers"),
        (long_name(b"a") + pax(b"path=b") + file(b"c"), "two extended headers"),
        (long_name(b"a") * 1000 + file(b"c"), "two extended headers"),
        (pax(b"path=a"), "ends behind an extended header"),
        (pax(b"size=1") + file(b"a"), "gives the size of a file"),
        (pax(b"GNU.sparse.major=1") + file(b"a"), "gives the size of a file"),
        (pax(b"path=") + file(b"a"), "whose path is none"),
        (pax(b"path=a\0b") + file(b"a"), "whose path is none"),
        (pax(b"path=\xff") + file(b"a"), "not UTF-8"),
        (pax(b"path") + file(b"a"), "can't be read"),
        (pax(b"=a") + file(b"a"), "can't be read"),
        (header(b"pax", 9, b"x") + padded(b"99 path=a") + file(b"a"), "can't be read"),
        (header(b"pax", 3, b"x") + padded(b"3 =") + file(b"a"), "can't be read"),
        (header(b"pax", 9, b"x") + padded(b"-9 path=a") + file(b"a"), "can't be read"),
        (header(b"pax", 2, b"x") + padded(b"0 ") + file(b"a"), "can't be read"),
        (pax(b"comment=" + b"x" * MAX_EXTENSION_BYTES) + file(b"a"), "a header of more than"),
        (pax(b"comment=" + b"x" * MAX_EXTENSION_BYTES, kind=b"g") + file(b"a"), "a header of more than"),
    ],
)
def test_what_is_refused(raw: bytes, why: str) -> None:
    assert why in refusal(raw)


def test_global_headers_and_members_cost_no_memory() -> None:
    """Copied into each of 20,000 members, as the library does it, these took gigabytes."""
    keys = pax(*(b"k%d=v" % number for number in range(5000)), kind=b"g")
    text = world.CHART_YAML.encode()
    many = b"".join(file(b"web/%d" % number) for number in range(10_000))
    package = gzip.compress(keys + file(b"web/Chart.yaml", text) + many + END)
    tracemalloc.start()
    assert read_chart(package).metadata.name == "web"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


names = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=300
).filter(lambda name: not name.endswith("/"))  # which the library takes off, of a file's name too


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(names, st.binary(max_size=1500)), max_size=6),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_it_reads_what_the_library_reads(files: list[tuple[str, bytes]], form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as archive:
        theirs = [(one.name, one.size) for one in archive]
    ours = members(buffer.getvalue())
    assert [(name, len(content)) for name, content in ours] == theirs
    assert [content for _, content in ours] == [content for _, content in files]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=20)), max_size=5))
def test_no_edit_raises_anything_else(edits: list[tuple[int, bytes]]) -> None:
    raw = bytearray(
        pax(b"path=a/b", kind=b"g") + pax(b"path=a/b") + file(b"c", b"x" * 600) + long_name(b"d") + END
    )
    for place, piece in edits:
        raw[place : place + len(piece)] = piece
    kept: Callable[[Member], bool] = lambda one: one.size < BLOCK  # noqa: E731 - a value of the test
    try:
        list(read_members(Bytes(bytes(raw)), kept))
    except HelmRefused:
        return
