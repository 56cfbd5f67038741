"""The files of a ``multipart/form-data`` body (RFC 7578), from a body that was read whole and bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from trustgate.errors import InvalidInput

MAX_PARTS: Final = 128
MAX_PART_HEADERS: Final = 16
MAX_HEADER_BYTES: Final = 4096


class MultipartInvalid(InvalidInput):
    """A body is not ``multipart/form-data``, or has more parts or longer headers than are read."""

    code = "multipart-invalid"


@dataclass(slots=True)
class _Reader:
    """What the parser calls while it walks over the body."""

    files: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    content: bytearray = field(default_factory=bytearray)
    ended: bool = False

    def on_part_begin(self) -> None:
        if len(self.files) >= MAX_PARTS:
            raise MultipartInvalid(f"the body has more than {MAX_PARTS} parts")
        self.headers, self.content = [], bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.name += data[start:end]
        self._bounded()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]
        self._bounded()

    def on_header_end(self) -> None:
        self.headers.append((bytes(self.name).lower(), bytes(self.value)))
        self.name, self.value = bytearray(), bytearray()
        self._bounded()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.content += data[start:end]

    def on_part_end(self) -> None:
        self.files.append((_file_name(self.headers), bytes(self.content)))

    def on_end(self) -> None:
        self.ended = True

    def _bounded(self) -> None:
        if len(self.name) + len(self.value) > MAX_HEADER_BYTES or len(self.headers) > MAX_PART_HEADERS:
            raise MultipartInvalid("a part of the body has more headers than are read")


def read_files(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """(file name, content) of every part; the name is empty where a part has none.

    Raises ``MultipartInvalid``.
    """
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise MultipartInvalid("the body is not multipart/form-data with a boundary")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.on_part_begin,
                "on_part_data": reader.on_part_data,
                "on_part_end": reader.on_part_end,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_end": reader.on_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as exc:
        raise MultipartInvalid("the body can't be read as multipart/form-data") from exc
    if not reader.ended:
        raise MultipartInvalid("the body ends before its last boundary")
    return reader.files


def _file_name(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"content-disposition":
            _kind, options = parse_options_header(value)
            return options.get(b"filename", b"").decode("utf-8", "backslashreplace")
    return ""
