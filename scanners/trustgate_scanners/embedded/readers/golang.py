"""Go binaries: the build information that the linker leaves in them (inline format, since Go 1.18)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

from packageurl import PackageURL

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile

MIN_BINARY_BYTES: Final = 64
MAX_BINARY_BYTES: Final = 96 * 1024 * 1024
MAX_MODULE_TEXT_BYTES: Final = 4 * 1024 * 1024
_ELF = b"\x7fELF"
_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER_BYTES = 32
_INLINE_STRINGS = 0x2
_SENTINEL_BYTES = 16
_SKIPPED_SUFFIXES = (
    ".py",
    ".pyc",
    ".js",
    ".json",
    ".html",
    ".txt",
    ".md",
    ".h",
    ".png",
    ".gz",
    ".jar",
    ".zip",
)


def wants(path: str, size: int) -> bool:
    return MIN_BINARY_BYTES <= size <= MAX_BINARY_BYTES and may_be_binary(path)


def may_be_binary(path: str) -> bool:
    """Programs seldom have a suffix, and never one of these; shared libraries are ``.so``."""
    name = posixpath.basename(path)
    if path.startswith(("usr/share/", "var/lib/", "usr/include/", "lib/modules/", "usr/lib/locale/")):
        return False
    return not name.endswith(_SKIPPED_SUFFIXES) and (
        posixpath.splitext(name)[1] in {"", ".so", ".bin", ".exe"}
    )


def read(file: KeptFile) -> Iterator[Package]:
    """Modules and the standard library of one binary; nothing for any other file."""
    if not file.content.startswith(_ELF):
        return
    info = _build_info(file.content)
    if info is None:
        return
    version, modules = info
    if version.startswith("go"):
        yield _package(file, "stdlib", version.removeprefix("go").partition(" ")[0])
    for name, module_version in _modules(modules):
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


def _build_info(content: bytes) -> tuple[str, str] | None:
    """(Go version, module text); ``None`` for other programs and for the older pointer format."""
    start = content.find(_MAGIC)
    while start >= 0 and start % _ALIGNMENT:
        start = content.find(_MAGIC, start + 1)
    if start < 0 or len(content) < start + _HEADER_BYTES:
        return None
    if not content[start + 15] & _INLINE_STRINGS:
        return None
    version, position = _varint_string(content, start + _HEADER_BYTES)
    modules, _position = _varint_string(content, position)
    body = modules[_SENTINEL_BYTES:-_SENTINEL_BYTES] if len(modules) > 2 * _SENTINEL_BYTES else b""
    return version.decode("utf-8", "replace"), body.decode("utf-8", "replace")


def _varint_string(content: bytes, position: int) -> tuple[bytes, int]:
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
    return content[position : position + length], position + length


def _modules(text: str) -> Iterator[tuple[str, str]]:
    """``dep`` lines; a ``=>`` line replaces the one before it. ``(devel)`` has no version to compare."""
    pending: tuple[str, str] | None = None
    for line in text.splitlines():
        fields = line.split("\t")
        if fields[0] == "=>" and len(fields) >= 3:
            pending = (fields[1], fields[2])
            continue
        if pending is not None:
            yield pending
        pending = (fields[1], fields[2]) if fields[0] in {"dep", "mod"} and len(fields) >= 3 else None
        if pending is not None and pending[1] == "(devel)":
            pending = None
    if pending is not None:
        yield pending
