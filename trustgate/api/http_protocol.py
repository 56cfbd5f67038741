"""uvicorn's HTTP/1.1 protocol with two things changed, both on the outside of what it does.

Bodies arrive in pieces of up to a megabyte instead of 64 KiB: an upload costs a sixteenth of the hops. And
a refusal may name its reason in the status line (RFC 9112, section 4), which is all that containerd before
2.3.3 shows of a refused tag (measured).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BODY_WATER_MARK_BYTES: Final = 1024 * 1024
"""Reading pauses above this until the application has taken what is there."""
MAX_REASON_CHARACTERS: Final = 120
SET_REASON: Final = "trustgate.reason"
"""In ``scope["extensions"]``: call it with the phrase, before the answer begins."""
_REFUSAL: Final = b"HTTP/1.1 403 Forbidden\r\n"


class RegistryProtocol(HttpToolsProtocol):
    """One connection."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None:
            extensions: dict[Any, Any] = self.scope.setdefault("extensions", {})
            extensions[SET_REASON] = _ReasonSetter(cycle)

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > BODY_WATER_MARK_BYTES:
            self.flow.pause_reading()
        self.cycle.message_event.set()


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
