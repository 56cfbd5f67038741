"""A layer's bytes, unpacked as a stream: plain, gzip (RFC 1952), or zstd (RFC 8878) where Python has it.

Layers are foreign input. What is unpacked is counted against a budget for the whole image, and against the
packed bytes, while it is read.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Final

MAX_MEMBERS: Final = 1_000_000
MAX_UNPACKED_BYTES: Final = 20 * 1024**3
MAX_RATIO: Final = 400
"""Unpacked to packed bytes; real layers stay under 100. Counted after the first 64 MiB."""
RATIO_FREE_BYTES: Final = 64 * 1024**2
MAX_KEPT_BYTES: Final = 512 * 1024**2
PIECE_BYTES: Final = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_MODULES = ("compression.zstd", "backports.zstd")


class LayerProblem(Exception):
    """A layer could not be read to its end. The message says why."""


@dataclass(slots=True)
class Budget:
    """What is left for the whole image."""

    deadline: float
    members: int = MAX_MEMBERS
    unpacked: int = MAX_UNPACKED_BYTES
    kept: int = MAX_KEPT_BYTES

    def check_time(self) -> None:
        if monotonic() > self.deadline:
            raise LayerProblem("reading took too long")

    def spend_member(self) -> None:
        self.members -= 1
        if self.members < 0:
            raise LayerProblem(f"more than {MAX_MEMBERS} files")


def unpacked(path: Path, budget: Budget) -> Iterator[bytes]:
    """The layer's tar archive in pieces. Raises ``LayerProblem``."""
    try:
        with path.open("rb") as raw:
            yield from _metered(_pieces(raw), raw, budget)
    except FileNotFoundError as exc:
        raise LayerProblem("its bytes are not here (a foreign layer?)") from exc
    except OSError as exc:
        raise LayerProblem(f"its bytes can't be read: {exc.strerror or type(exc).__name__}") from exc


def _metered(pieces: Iterator[bytes], raw: IO[bytes], budget: Budget) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        budget.unpacked -= len(piece)
        budget.check_time()
        if budget.unpacked < 0:
            raise LayerProblem(f"the layers unpack to more than {MAX_UNPACKED_BYTES} bytes")
        if total > RATIO_FREE_BYTES and total > MAX_RATIO * max(1, raw.tell()):
            raise LayerProblem(f"it unpacks to more than {MAX_RATIO} times its size")
        yield piece


def _pieces(raw: IO[bytes]) -> Iterator[bytes]:
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(_GZIP_MAGIC):
        return _gunzipped(raw)
    if magic == _ZSTD_MAGIC:
        return _unzstd(raw)
    return iter(lambda: raw.read(PIECE_BYTES), b"")


def _gunzipped(raw: IO[bytes]) -> Iterator[bytes]:
    """Every member of the file, one after another; zeros may pad them (gzip's manual, "Advanced usage")."""
    engine, begun = zlib.decompressobj(_GZIP_WINDOW), False
    while packed := raw.read(PIECE_BYTES):
        piece = b""
        while packed or len(piece) == PIECE_BYTES:
            if not begun:
                packed = packed.lstrip(b"\0")
            begun = begun or bool(packed)
            try:
                piece = engine.decompress(packed, PIECE_BYTES)
            except zlib.error as exc:
                raise LayerProblem("the gzip stream is broken") from exc
            if piece:
                yield piece
            packed = engine.unconsumed_tail
            if engine.eof:
                packed, piece = engine.unused_data, b""
                engine, begun = zlib.decompressobj(_GZIP_WINDOW), False
    if begun:
        raise LayerProblem("the gzip stream is cut off")


def _unzstd(raw: IO[bytes]) -> Iterator[bytes]:
    for name in _ZSTD_MODULES:
        try:
            zstd = importlib.import_module(name)
        except ImportError:
            continue
        try:
            with zstd.open(raw) as stream:
                yield from iter(lambda: stream.read(PIECE_BYTES), b"")
        except (zstd.ZstdError, EOFError) as exc:
            raise LayerProblem("the zstd stream is broken or cut off") from exc
        return
    raise LayerProblem("zstd layers need Python 3.14 or the package backports.zstd")
