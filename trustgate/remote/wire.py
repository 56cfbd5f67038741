"""Answers from other machines: read raw, bounded in bytes and in time, their failures in house words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from trustgate.errors import AnswerTooLarge, NotFound, Unauthorized, UpstreamFailed, UpstreamRefused

MAX_ERROR_BYTES: Final = 16 * 1024
GRACE_S: Final = 60.0
"""How long one answer may keep us waiting, whatever its size ..."""
SLOWEST_BYTES_PER_S: Final = 4096
"""... and how much it must bring after that."""
REGISTRY_UP: Final = "is the registry up?"
REGISTRY_ADDRESS: Final = "is this the address of an OCI registry?"
AGAIN: Final = "try again; if it stays so, whoever runs the registry has to look"
ALTERED: Final = "nothing was kept; try again, and if it stays so, something alters what the registry sends"


def pieces(answer: httpx.Response) -> Iterator[bytes]:
    """The body as it was sent, without decoding: digests are of these bytes, and nothing can unpack into
    more than was sent. Only waiting counts as time, what the reader does in between does not.
    """
    arriving = answer.iter_raw()
    waited, received = 0.0, 0
    while True:
        began = time.monotonic()
        piece = next(arriving, None)
        waited += time.monotonic() - began
        if piece is None:
            return
        received += len(piece)
        if waited > GRACE_S + received / SLOWEST_BYTES_PER_S:
            raise UpstreamFailed(
                f"{answer.url.host} sent {received} bytes in {waited:.0f} s, which is too slow to go on",
                hint=AGAIN,
            )
        yield piece


def bounded(answer: httpx.Response, max_bytes: int) -> bytes:
    whole = bytearray()
    for piece in pieces(answer):
        whole += piece
        if len(whole) > max_bytes:
            raise AnswerTooLarge(f"{answer.url.host} answered more than {max_bytes} bytes", hint=AGAIN)
    return bytes(whole)


def json_object(raw: bytes, what: str) -> dict[str, Any]:
    """Raises ``UpstreamFailed`` for anything but one JSON object."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise senseless(what, "it is not JSON") from exc
    if not isinstance(document, dict):
        raise senseless(what, "it is not a JSON object")
    return document


def senseless(what: str, why: str, hint: str = REGISTRY_ADDRESS) -> UpstreamFailed:
    return UpstreamFailed(f"{what}: the answer makes no sense ({why})", hint=hint)


def retry_after_s(answer: httpx.Response) -> float | None:
    """What ``Retry-After`` asks for, in seconds or as a date (RFC 9110, 10.2.3)."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal() and len(said) < 10:
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


@contextmanager
def closing(answer: httpx.Response) -> Iterator[None]:
    try:
        yield
    finally:
        answer.close()


@contextmanager
def translated(what: str, hint: str = REGISTRY_UP) -> Iterator[None]:
    """What can go wrong on the wire, as ``UpstreamFailed``."""
    try:
        yield
    except httpx.TimeoutException as exc:
        raise UpstreamFailed(f"{what}: no answer in time", hint=hint) from exc
    except httpx.HTTPError as exc:
        raise UpstreamFailed(f"{what}: {exc or type(exc).__name__}", hint=hint) from exc
    except (httpx.InvalidURL, ValueError, RecursionError) as exc:
        raise senseless(what, type(exc).__name__) from exc


def raise_for(answer: httpx.Response, host: str, what: str) -> None:
    """Nothing for a success, else the error that the status stands for, with the server's words."""
    if answer.is_success:
        return
    status = answer.status_code
    words = _error_words(answer)
    said = words or f"status {status}"
    if status == 404:
        raise NotFound(f"{what}: not found ({said})", hint="is the name right, and may you see it?")
    if status >= 500:
        raise UpstreamFailed(f"{what}: {host} answered {status} ({said})", hint=_when(answer))
    if status == 401:
        raise Unauthorized(f"{what}: {said}", hint=f"trustgate login {host}")
    message = words or f"{what}: {host} answered {status}"
    raise UpstreamRefused(message, detail=f"{status}", hint=_when(answer) if status == 429 else _REFUSED)


_REFUSED = "the registry understood and refused: its own words say why, whoever runs it can change it"


def _when(answer: httpx.Response) -> str:
    wait = retry_after_s(answer)
    return AGAIN if wait is None else f"try again in {wait:.0f} s"


def _error_words(answer: httpx.Response) -> str:
    """The server's words, one printable line; empty when it has none."""
    try:
        raw = b"" if answer.request.method == "HEAD" else bounded(answer, MAX_ERROR_BYTES)
        first = json.loads(raw)["errors"][0]
        text = f"{first.get('code', '')}: {first.get('message', '')}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, UpstreamFailed, RecursionError):
        return ""
    except httpx.HTTPError:
        return ""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:600]
