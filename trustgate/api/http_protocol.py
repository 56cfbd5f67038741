"""uvicorn's HTTP/1.1 protocol with three things changed, all on the outside of what it does.

A piece of a body goes on as it was read, and the next one waits in the socket until it is asked for: nothing
is copied together on the way. A refusal may name its reason in the status line (RFC 9112, section 4), which
is all that containerd before 2.3.3 shows of a refused tag (measured). The head of a request is bounded, in
bytes and in time: uvicorn would keep what comes before the empty line, for as long as it comes.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and headers; tokens and cookies of real clients stay under 20 KiB."""
HEAD_S: Final = 30.0
MAX_REASON_CHARACTERS: Final = 120
SET_REASON: Final = "trustgate.reason"
"""In ``scope["extensions"]``: call it with the phrase, before the answer begins."""
_REFUSAL: Final = b"HTTP/1.1 403 Forbidden\r\n"
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class RegistryProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_is_open = self._head_is_new = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_is_new = False
        super().data_received(data)
        if self._head_is_open:  # what it began in may hold the end of an earlier body, so it does not count
            self._head_goes_on(0 if self._head_is_new else len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_is_open = self._head_is_new = True
        self._head_bytes = 0

    def _head_goes_on(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > MAX_HEAD_BYTES:
            if self.cycle is None or self.cycle.response_complete:  # else it would land in another's answer
                self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_headers_complete(self) -> None:
        self._head_is_open = False
        self._stop_head_timer()
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None:
            extensions: dict[Any, Any] = self.scope.setdefault("extensions", {})
            extensions[SET_REASON] = _ReasonSetter(cycle)

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body
        else:  # of many small chunks; bytes would be copied whole for every one that comes
            if not isinstance(cycle.body, bytearray):
                cycle.body = bytearray(cycle.body)
            cycle.body += body
        if body:
            self.flow.pause_reading()  # until the application asks for more
        cycle.message_event.set()


class _ReasonSetter:
    """Puts a phrase on the status line of one answer."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle

    def __call__(self, phrase: str) -> None:
        clean = "".join(c for c in phrase[:MAX_REASON_CHARACTERS] if " " <= c <= "~")
        self._cycle.transport = _Reasoned(self._cycle.transport, clean.encode("ascii"))


class _Reasoned:
    """A transport that writes another first line for a refusal."""

    def __init__(self, transport: asyncio.Transport, phrase: bytes) -> None:
        self._transport = transport
        self._phrase = phrase

    def write(self, data: bytes) -> None:
        if data.startswith(_REFUSAL):
            data = b"HTTP/1.1 403 %b\r\n%b" % (self._phrase, data[len(_REFUSAL) :])
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
