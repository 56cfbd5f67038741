"""Whether bytes open as a layer: what a container engine would unpack can't be a document beside an image.

JSON has room for a tar header (every field of a header may be printable), so "it parses" is not enough: one
file can be a signature to us and a root file system to a client that does not look at media types.
"""

from __future__ import annotations

import re
from typing import Final

_COMPRESSED: Final = re.compile(
    rb"\x1f\x8b|\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18|\xfd7zXZ|BZh|\x04\x22\x4d\x18", re.DOTALL
)
"""gzip, zstd (or a frame that it skips), xz, bzip2, lz4."""
_BLOCK: Final = 512
_CHECKSUM: Final = slice(148, 156)
_OCTAL: Final = re.compile(rb"[ \0]*([0-7]+)")


def opens_as_layer(raw: bytes) -> bool:
    """Whether ``raw`` begins like a tar archive, or like something compressed."""
    return _COMPRESSED.match(raw) is not None or _has_tar_header(raw[:_BLOCK])


def _has_tar_header(block: bytes) -> bool:
    """By the header's checksum, the one thing that every reader of tar insists on (POSIX ustar, v7)."""
    if len(block) < _BLOCK:
        return False
    said = _OCTAL.match(block[_CHECKSUM])
    if said is None:
        return False
    blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    signed = sum(byte - 256 if byte > 127 else byte for byte in blank)  # as some old writers did
    return int(said[1], 8) in (sum(blank), signed)
