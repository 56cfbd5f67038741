"""Members of a tar archive, from a stream: ustar, pax, GNU's long names (POSIX.1-2024, GNU tar manual).

The standard library's reader ends silently at a header that it can't read, and reads extended headers of any
size into memory. Here both are problems: an archive is read to its end, or the reader says why not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from trustgate_scanners.embedded.unpack import Budget, LayerProblem

MAX_EXTENDED_HEADER_BYTES: Final = 1024 * 1024
MAX_EXTENDED_HEADERS: Final = 16
"""In front of one member; real archives have at most three."""
MAX_SPARSE_BLOCKS: Final = 10_000
_BLOCK = 512
_ZEROS = bytes(_BLOCK)


class Kind(Enum):
    """What a member is, as far as a scanner cares."""

    FILE = auto()
    HARD_LINK = auto()
    SYMLINK = auto()
    FOLDER = auto()
    OTHER = auto()
    """Devices, pipes: they hide what was in their place, and are never read."""


@dataclass(slots=True)
class Member:
    """One member. ``name`` and ``target`` are as the archive has them: not checked yet."""

    name: str
    kind: Kind
    size: int
    target: str
    sparse: bool = False


_KINDS = {b"1": Kind.HARD_LINK, b"2": Kind.SYMLINK, b"5": Kind.FOLDER}
_WITHOUT_CONTENT = frozenset(b"123456")


class TarStream:
    """Iterate for the members; ``read`` gives content of the one that came last."""

    def __init__(self, pieces: Iterator[bytes], budget: Budget) -> None:
        self._pieces = pieces
        self._budget = budget
        self._buffer = b""
        self._at = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        while (header := self._next_header()) is not None:
            self._budget.spend_member()
            yield self._member(header)
        for _ in self._pieces:
            pass  # what is packed after the archive still has to be sound

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of the current member's content; empty at its end."""
        piece = self._take(min(size, self._left))
        self._left -= len(piece)
        return piece

    # --- headers ---------------------------------------------------------------------------------

    def _member(self, header: bytes) -> Member:
        extended: dict[str, str] = {}
        for _ in range(MAX_EXTENDED_HEADERS):
            flag = header[156:157]
            if flag not in b"xXgLK" or not flag:
                return self._plain(header, extended)
            self._extend(header, flag, extended)
            following = self._next_header()
            if following is None:
                raise LayerProblem("an extended header stands at the end of the archive")
            header = following
        raise LayerProblem(f"more than {MAX_EXTENDED_HEADERS} extended headers for one file")

    def _extend(self, header: bytes, flag: bytes, extended: dict[str, str]) -> None:
        size = _number(header[124:136])
        self._begin_content(size)
        if flag == b"g":
            return  # container runtimes do not apply global headers
        if size > MAX_EXTENDED_HEADER_BYTES:
            raise LayerProblem(f"an extended header has {size} bytes")
        content = self._all_content()
        if flag in b"LK":
            extended["path" if flag == b"L" else "linkpath"] = _text(content)
        else:
            _read_pax(content, extended)

    def _plain(self, header: bytes, extended: dict[str, str]) -> Member:
        flag = header[156:157]
        name = extended.get("path") or extended.get("GNU.sparse.name") or _name(header)
        size = _decimal(extended["size"]) if "size" in extended else _number(header[124:136])
        sparse = flag == b"S" or any(key.startswith("GNU.sparse.") for key in extended)
        if flag == b"S":
            self._skip_sparse_map(header)
        kind = _KINDS.get(flag, Kind.OTHER if flag in b"346" and flag else Kind.FILE)
        if kind is Kind.FILE and name.endswith("/"):
            kind = Kind.FOLDER  # how archives older than ustar mark a folder
        self._begin_content(0 if header[156] in _WITHOUT_CONTENT else size)
        target = extended.get("linkpath") or _text(header[157:257])
        return Member(extended.get("GNU.sparse.name") or name, kind, size, target, sparse)

    def _skip_sparse_map(self, header: bytes) -> None:
        more = header[482]
        for _ in range(MAX_SPARSE_BLOCKS):
            if not more:
                return
            more = self._exactly(_BLOCK)[504]
        raise LayerProblem("a sparse file's map has no end")

    def _next_header(self) -> bytes | None:
        """A header whose checksum is right; ``None`` at the end of the archive."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        header = self._take(_BLOCK)
        if not header:
            return None
        if header == _ZEROS:
            if self._take(_BLOCK) not in {b"", _ZEROS}:
                raise LayerProblem("not a sound archive: something follows half an end mark")
            return None
        if len(header) < _BLOCK:
            raise LayerProblem("the archive is cut off")
        stated = _number(header[148:156])
        if stated != sum(header) - sum(header[148:156]) + 8 * 32:
            raise LayerProblem("not a sound archive: a header's checksum is wrong")
        return header

    # --- bytes -----------------------------------------------------------------------------------

    def _begin_content(self, size: int) -> None:
        self._left, self._padding = size, -size % _BLOCK

    def _all_content(self) -> bytes:
        content = self._exactly(self._left)
        self._left = 0
        return content

    def _exactly(self, size: int) -> bytes:
        piece = self._take(size)
        if len(piece) != size:
            raise LayerProblem("the archive is cut off")
        return piece

    def _take(self, size: int) -> bytes:
        """``size`` bytes, or fewer at the end."""
        end = self._at + size
        if end <= len(self._buffer):
            piece = self._buffer[self._at : end]
            self._at = end
            return piece
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        self._buffer, self._at = b"", 0
        while have < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            wanted = size - have
            parts.append(piece[:wanted])
            if len(piece) > wanted:
                self._buffer, self._at = piece, wanted
            have += min(len(piece), wanted)
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        self._at += size
        while self._at > len(self._buffer):
            piece = next(self._pieces, b"")
            if not piece:
                raise LayerProblem("the archive is cut off")
            self._at -= len(self._buffer)
            self._buffer = piece


def _name(header: bytes) -> str:
    prefix = header[345:500] if header[257:263] == b"ustar\0" else b""
    name = _text(header[:100])
    return f"{_text(prefix)}/{name}" if prefix.strip(b"\0") else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """Octal, or base 256 when the first bit is set (GNU)."""
    if field[0] & 0x80:
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as exc:
        raise LayerProblem("not a sound archive: a header's number is none") from exc


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise LayerProblem(f"a file's size is {text[:20]!a}")
    return int(text)


def _read_pax(content: bytes, extended: dict[str, str]) -> None:
    """``<length> <key>=<value>\\n`` records; the length counts itself."""
    position = 0
    while position < len(content):
        digits, space, _rest = content[position : position + 20].partition(b" ")
        if not space or not digits.isdigit():
            raise LayerProblem("a pax header is broken")
        end = position + int(digits)
        key, equals, value = content[position + len(digits) + 1 : end].partition(b"=")
        if not equals or end > len(content) or not value.endswith(b"\n"):
            raise LayerProblem("a pax header is broken")
        extended[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
        position = end
