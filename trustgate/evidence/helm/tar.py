"""The members of a chart's tar archive, one header at a time, as Go's ``archive/tar`` and so helm reads them.

The library keeps every member, copies global headers into each, and follows a chain of extension headers by
recursion: a package of 250 KB took gigabytes. Forms that two readers could take differently are refused:
sizes out of extension headers, sparse files, several extension headers before one member, more data behind
the end (POSIX.1-2024, pax; GNU tar manual, "Basic Tar Format").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused

BLOCK: Final = 512
MAX_EXTENSION_BYTES: Final = 64 * 1024
"""Of the header before a member that holds its long name, or the like."""
_FILE, _FOLDER, _LONG_NAME, _PAX, _GLOBAL_PAX = b"0", b"5", b"L", b"x", b"g"
_OLD_FILE = b"\0"
_CHECKSUM: Final = slice(148, 156)


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a folder; ``size`` in bytes. Folders have no slash at the end."""

    name: str
    size: int
    is_folder: bool


class Source(Protocol):
    """Where the archive's bytes come from."""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end. Raises ``HelmRefused``."""
        ...


def read_members(source: Source, wanted: Callable[[Member], bool]) -> Iterator[tuple[Member, bytes]]:
    """Every member, with the content of those that are wanted. Raises ``HelmRefused``."""
    extended: str | None = None
    while header := _header(source):
        kind, size = header[156:157], _size(header)
        if kind == _GLOBAL_PAX:  # Go gives it out as a member of its own, and helm goes on to the next
            _extension(source, size)
            continue
        if kind in {_LONG_NAME, _PAX}:
            if extended is not None:
                raise HelmRefused("the chart's archive has two extended headers before one file")
            raw = _extension(source, size)
            extended = _pax_name(raw) if kind == _PAX else _text(raw.partition(b"\0")[0])
            continue
        member = _member(header, kind, size, extended or "")
        extended = None
        yield member, _content(source, size, keep=wanted(member))
    if extended is not None:
        raise HelmRefused("the chart's archive ends behind an extended header")
    _check_end(source)


def _header(source: Source) -> bytes:
    """The next one; empty at the end, which is a block of zeros or the end of all bytes."""
    raw = source.read(BLOCK)
    if len(raw) not in {0, BLOCK}:
        raise HelmRefused("the chart's archive is cut off")
    if not raw.strip(b"\0"):
        return b""
    stated = _octal(raw[_CHECKSUM], "checksum")
    if stated != sum(raw) - sum(raw[_CHECKSUM]) + 8 * ord(" "):
        raise HelmRefused("the chart is not a tar archive in gzip: a header is damaged")
    return raw


def _check_end(source: Source) -> None:
    while piece := source.read(64 * 1024):
        if piece.strip(b"\0"):
            raise HelmRefused("the chart's archive goes on behind its end")


def _member(header: bytes, kind: bytes, size: int, long_name: str) -> Member:
    name = long_name or _name(header)
    if kind not in {_FILE, _OLD_FILE, _FOLDER}:
        raise HelmRefused(f"the chart holds {name[:60]!a}, which is neither a file nor a folder")
    if kind == _FOLDER and size:
        raise HelmRefused(f"the chart's folder {name[:60]!a} has content")
    is_folder = kind == _FOLDER
    return Member(name.removesuffix("/") if is_folder else name, size, is_folder)


def _name(header: bytes) -> str:
    """POSIX archives may hold the beginning of a long name in another field."""
    name, magic = header[:100].partition(b"\0")[0], header[257:265]
    if magic == b"ustar\x0000":
        if header[508:512] == b"tar\0":
            raise HelmNotUnderstood("the chart's archive is of star, whose headers are not read here")
        prefix = header[345:500].partition(b"\0")[0]
        name = prefix + b"/" + name if prefix else name
    return _text(name)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _size(header: bytes) -> int:
    return _octal(header[124:136], "size")


def _octal(field: bytes, what: str) -> int:
    text = field.strip(b" \0")
    if not text.isdigit() or b"8" in text or b"9" in text:
        raise HelmRefused(f"the chart is not a tar archive in gzip: a header's {what} is no octal number")
    return int(text, 8)


def _extension(source: Source, size: int) -> bytes:
    if size > MAX_EXTENSION_BYTES:
        raise HelmRefused(f"the chart's archive has a header of more than {MAX_EXTENSION_BYTES} bytes")
    return _content(source, size, keep=True)


def _content(source: Source, size: int, *, keep: bool) -> bytes:
    """What stands behind a header, up to the end of its last block; only read past when it is not kept."""
    left = size + -size % BLOCK
    kept = bytearray()
    while left:
        piece = source.read(min(left, 64 * 1024))
        if not piece:
            raise HelmRefused("the chart's archive is cut off")
        left -= len(piece)
        if keep:
            kept += piece
    return bytes(kept[:size])


def _pax_name(raw: bytes) -> str:
    """``path`` of the records ``LENGTH KEY=VALUE``; empty when there is none."""
    name = ""
    while raw:
        digits, _space, _rest = raw.partition(b" ")
        if not digits.isdigit() or len(digits) > len(str(MAX_EXTENSION_BYTES)):
            raise HelmRefused("the chart's archive has an extended header that can't be read")
        record, raw = raw[: int(digits)], raw[int(digits) :]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != int(digits) or record[-1:] != b"\n" or not equals or not key:
            raise HelmRefused("the chart's archive has an extended header that can't be read")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise HelmRefused("the chart's archive gives the size of a file in an extended header")
        if key == b"path":
            name = _pax_path(value)
    return name


def _pax_path(value: bytes) -> str:
    """Raises ``HelmRefused`` for what Go refuses, and for what two readers take differently."""
    if b"\0" in value or not value:
        raise HelmRefused("the chart's archive has an extended header whose path is none")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise HelmRefused("the chart's archive has an extended header that is not UTF-8") from exc
