"""A blob's bytes to the client: whole, or one range (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import Executor

from trustgate.api.exchange import Exchange, send_start
from trustgate.errors import RangeInvalid
from trustgate.flows.pull import ServedBlob

READ_BYTES = 256 * 1024
INLINE_BYTES = 64 * 1024
"""Blobs up to this size are read in the event loop: cheaper than a hop to a thread and back."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def send_blob(exchange: Exchange, served: ServedBlob, pool: Executor) -> None:
    """GET and HEAD: the same headers, and for GET the bytes. Raises ``RangeInvalid``."""
    blob = served.blob
    headers = [
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", str(blob.digest)),
        ("etag", f'"{blob.digest}"'),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-store"),
    ]
    if f'"{blob.digest}"' in exchange.header("if-none-match"):
        await exchange.reply(304, headers)
        return
    span = _wanted_range(exchange, blob.size, etag=f'"{blob.digest}"')
    start, end = span or (0, blob.size)
    headers.append(("content-length", str(end - start)))
    if span:
        headers.append(("content-range", f"bytes {start}-{end - 1}/{blob.size}"))
    descriptor = None if exchange.is_head else os.open(served.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        await send_start(exchange.send, 206 if span else 200, headers)
        if descriptor is None:
            await exchange.send({"type": "http.response.body", "body": b""})
        else:
            await _send_file(exchange, descriptor, start, end, pool)
    finally:
        if descriptor is not None:
            os.close(descriptor)


async def _send_file(exchange: Exchange, descriptor: int, start: int, end: int, pool: Executor) -> None:
    if end - start <= INLINE_BYTES:
        await exchange.send({"type": "http.response.body", "body": os.pread(descriptor, end - start, start)})
        return
    loop = asyncio.get_running_loop()
    position = start
    while position < end:
        wanted = min(READ_BYTES, end - position)
        piece = await loop.run_in_executor(pool, os.pread, descriptor, wanted, position)
        if not piece:
            raise OSError(f"the file ends at {position}, {end} bytes were announced")
        position += len(piece)
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": position < end})


def _wanted_range(exchange: Exchange, size: int, *, etag: str) -> tuple[int, int] | None:
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
