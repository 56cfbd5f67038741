"""Go binaries: the build information that the linker leaves in them (inline format, since Go 1.18).

Programs are large, so they are searched as a stream, and only the build information is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from packageurl import PackageURL

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile, Read

MIN_BINARY_BYTES: Final = 64
MAX_MODULE_TEXT_BYTES: Final = 4 * 1024 * 1024
MAX_CANDIDATES: Final = 64
PIECE_BYTES: Final = 256 * 1024
_ELF = b"\x7fELF"
_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER_BYTES = 32
_FLAGS_AT = 15
_INLINE_STRINGS = 0x2
_LOOKED_AHEAD_BYTES = _HEADER_BYTES + 2 * MAX_MODULE_TEXT_BYTES
_SENTINEL_BYTES = 16
_DEVELOPMENT = "(devel)"
_TOOLCHAIN = re.compile(
    r"(?P<release>[0-9]+\.[0-9]+)(?P<patch>\.[0-9]+)?(?:(?P<stage>rc|beta)(?P<number>[0-9]+))?"
)


def extract(read: Read) -> bytes | None:
    """The build information of an ELF program, from its magic word on; ``None`` for every other file.

    A candidate that makes no sense is passed over: a program that reads build information carries the
    magic word as a constant. When none makes sense, the first is kept, and ``read`` says what is wrong.
    """
    if read(len(_ELF)) != _ELF:
        return None
    held = bytearray(_ELF)
    first: bytes | None = None
    for _ in range(MAX_CANDIDATES):
        at = _next_candidate(held, read)
        if at < 0:
            return first
        while len(held) - at < _LOOKED_AHEAD_BYTES and (piece := read(PIECE_BYTES)):
            held += piece
        end = _end_of_information(held, at)
        if end is not None:
            return bytes(held[at:end])
        if first is None and _is_plausible(held, at):
            first = bytes(held[at : at + _HEADER_BYTES])
        del held[: at + _ALIGNMENT]
    return first


def _next_candidate(held: bytearray, read: Read) -> int:
    """Where the next aligned magic word begins in ``held``; -1 at the end. ``held`` begins at a multiple
    of the alignment, and what can't hold a magic word any more is dropped from it."""
    while True:
        at = held.find(_MAGIC)
        while at >= 0 and at % _ALIGNMENT:
            at = held.find(_MAGIC, at + 1)
        if at >= 0:
            return at
        del held[: max(0, len(held) // _ALIGNMENT - 1) * _ALIGNMENT]
        piece = read(PIECE_BYTES)
        if not piece:
            return -1
        held += piece


def _is_plausible(held: bytearray, at: int) -> bool:
    """Pointer size and flags that a linker writes."""
    return len(held) - at >= _HEADER_BYTES and held[at + 14] in {0, 4, 8} and held[at + _FLAGS_AT] <= 3


def _end_of_information(held: bytearray, at: int) -> int | None:
    if not _is_plausible(held, at) or not held[at + _FLAGS_AT] & _INLINE_STRINGS:
        return None
    try:
        version, position = _varint_string(held, at + _HEADER_BYTES)
        _modules_text, end = _varint_string(held, position)
    except ValueError:
        return None
    return end if version.startswith((b"go", b"devel")) else None


def read(file: KeptFile) -> Iterator[Package]:
    """Modules and the standard library of one program. Raises ``ValueError``."""
    content = file.content
    if not content.startswith(_MAGIC) or len(content) < _HEADER_BYTES:
        raise ValueError("not Go build information")
    if not content[_FLAGS_AT] & _INLINE_STRINGS:
        raise ValueError("a program built with Go before 1.18: its modules can't be read")
    version, position = _varint_string(content, _HEADER_BYTES)
    modules, _position = _varint_string(content, position)
    yield _package(file, "stdlib", _toolchain(version.decode("utf-8", "replace")))
    body = modules[_SENTINEL_BYTES:-_SENTINEL_BYTES] if len(modules) > 2 * _SENTINEL_BYTES else b""
    for name, module_version in _modules(body.decode("utf-8", "replace")):
        yield _package(file, name, module_version)


def _package(file: KeptFile, name: str, version: str) -> Package:
    namespace, slash, base = name.rpartition("/")
    return Package(
        name=name,
        version=version,
        ecosystem="Go",
        purl=PackageURL("golang", namespace if slash else None, base, version).to_string(),
        layer=file.layer,
        path=file.path,
    )


def _toolchain(text: str) -> str:
    """``go1.22rc1 X:…`` as the semantic version 1.22.0-rc.1; words of vendors behind it do not count."""
    found = _TOOLCHAIN.match(text.removeprefix("go"))
    if not text.startswith("go") or found is None:
        return text
    version = found["release"] + (found["patch"] or ".0")
    return f"{version}-{found['stage']}.{found['number']}" if found["stage"] else version


def _varint_string(content: bytes | bytearray, position: int) -> tuple[bytes, int]:
    length = shift = 0
    while True:
        if position >= len(content) or shift > 35:
            raise ValueError("the Go build information is cut off")
        byte = content[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if length > MAX_MODULE_TEXT_BYTES or position + length > len(content):
        raise ValueError("the Go build information is cut off")
    return bytes(content[position : position + length]), position + length


def _modules(text: str) -> Iterator[tuple[str, str]]:
    """``mod`` and ``dep`` lines; a ``=>`` line replaces the one before it.

    A module that was built from a folder has no version: ``(devel)`` has no place in any order, so that
    its advisories become undetermined findings.
    """
    pending: tuple[str, str] | None = None
    for line in text.splitlines():
        fields = line.split("\t")
        if fields[0] == "=>" and pending is not None and len(fields) >= 2:
            version = fields[2] if len(fields) >= 3 else ""
            pending = (fields[1], version) if version else (pending[0], _DEVELOPMENT)
            continue
        if pending is not None:
            yield pending
        is_module = fields[0] in {"dep", "mod"} and len(fields) >= 2 and fields[1]
        pending = (fields[1], (fields[2] if len(fields) >= 3 else "") or _DEVELOPMENT) if is_module else None
    if pending is not None:
        yield pending
