"""A blob's bytes to the client: whole, or one range (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import Executor

from trustgate.api.errors import error_body
from trustgate.api.exchange import Exchange, send_start
from trustgate.errors import BlobUnknown, RangeInvalid, StorageUnavailable
from trustgate.flows.pull import ServedBlob

READ_BYTES = 256 * 1024
INLINE_BYTES = 64 * 1024
"""Blobs up to this size are read in the event loop: cheaper than a hop to a thread and back."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PATHSEND = "http.response.pathsend"
"""The ASGI extension by which a server sends a file by itself."""

Span = tuple[int, int]
"""First byte, and the one after the last."""


async def send_blob(exchange: Exchange, served: ServedBlob, pool: Executor) -> None:
    """GET and HEAD: the same headers, and for GET the bytes.

    Raises ``BlobUnknown``, ``StorageUnavailable``.
    """
    blob = served.blob
    headers = [
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", str(blob.digest)),
        ("etag", f'"{blob.digest}"'),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-store"),
    ]
    if _unchanged(exchange.header("if-none-match"), f'"{blob.digest}"'):
        await exchange.reply(304, headers)
        return
    if exchange.is_head:  # RFC 9110, section 14.2: only GET has ranges
        await send_start(exchange.send, 200, (*headers, ("content-length", str(blob.size))))
        await exchange.send({"type": "http.response.body", "body": b""})
        return
    try:
        span = _wanted_range(exchange, blob.size, etag=f'"{blob.digest}"')
    except RangeInvalid as exc:
        headers = [("content-type", "application/json"), ("content-range", f"bytes */{blob.size}")]
        await exchange.reply(416, headers, error_body(exc))
        return
    await _send_bytes(exchange, served, span, headers, pool)


async def _send_bytes(
    exchange: Exchange, served: ServedBlob, span: Span | None, headers: list[tuple[str, str]], pool: Executor
) -> None:
    start, end = span or (0, served.blob.size)
    headers.append(("content-length", str(end - start)))
    if span:
        headers.append(("content-range", f"bytes {start}-{end - 1}/{served.blob.size}"))
    elif _PATHSEND in exchange.scope.get("extensions", {}):
        await send_start(exchange.send, 200, headers)
        await exchange.send({"type": _PATHSEND, "path": str(served.path)})
        return
    descriptor = _opened(served)
    try:
        await send_start(exchange.send, 206 if span else 200, headers)
        await _send_file(exchange, descriptor, start, end, pool)
    finally:
        os.close(descriptor)


def _opened(served: ServedBlob) -> int:
    try:
        return os.open(served.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as exc:
        raise BlobUnknown(f"the bytes of {served.blob.digest} are gone", hint="push the blob again") from exc
    except OSError as exc:
        raise StorageUnavailable(f"could not open {served.blob.digest}: {exc.strerror}") from exc


def _unchanged(condition: str, etag: str) -> bool:
    return any(part.strip().removeprefix("W/") in {etag, "*"} for part in condition.split(","))


async def _send_file(exchange: Exchange, descriptor: int, start: int, end: int, pool: Executor) -> None:
    if end - start <= INLINE_BYTES:
        await exchange.send({"type": "http.response.body", "body": os.pread(descriptor, end - start, start)})
        return
    loop = asyncio.get_running_loop()
    position = start
    while position < end:
        wanted = min(READ_BYTES, end - position)
        piece = _read_if_cached(descriptor, wanted, position)
        if piece is None:
            piece = await loop.run_in_executor(pool, os.pread, descriptor, wanted, position)
        if not piece:
            raise OSError(f"the file ends at {position}, {end} bytes were announced")
        position += len(piece)
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": position < end})


def _read_if_cached(descriptor: int, wanted: int, position: int) -> bytes | None:
    """Bytes that the page cache holds: no hop to a thread. ``None`` when the disk would have to be asked."""
    buffer = bytearray(wanted)
    try:
        got = os.preadv(descriptor, [buffer], position, os.RWF_NOWAIT)
    except OSError:  # EAGAIN: not cached; EOPNOTSUPP: not this filesystem
        return None
    return bytes(memoryview(buffer)[:got]) if got else None


def _wanted_range(exchange: Exchange, size: int, *, etag: str) -> Span | None:
    """(start, end) of the one range that was asked for; several ranges, or a stale ``If-Range``: none."""
    text = exchange.header("range")
    condition = exchange.header("if-range")
    if not text or (condition and condition != etag):
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or start >= end:
        raise RangeInvalid(f"the range {text[:60]!a} lies outside the blob's {size} bytes")
    return start, end
