"""One HTTP exchange: what was asked, who asks, and how to answer. No decision is made in here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from trustgate.errors import ManifestTooLarge, SizeInvalid
from trustgate.flows.access import Actor

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

IDLE_S = 60.0
"""A body that brings nothing for this long is given up; what has arrived is kept."""
WHOLE_BODY_S = 300.0
"""A manifest has to arrive within this time, however steadily it drips."""
_ALWAYS = ((b"docker-distribution-api-version", b"registry/2.0"), (b"x-content-type-options", b"nosniff"))


class ClientGone(Exception):
    """The connection closed in the middle of a body: nobody is left to answer."""


class BodyTooSlow(SizeInvalid):
    """A request's body stopped coming, or came too slowly."""

    code = "body-too-slow"


@dataclass(slots=True)
class Exchange:
    """A request and the way back."""

    scope: Scope = field(repr=False)
    receive: Receive = field(repr=False)
    send: Send = field(repr=False)
    base_url: str
    query: list[tuple[str, str]]
    actor: Actor
    idle_s: float = IDLE_S

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def is_head(self) -> bool:
        return self.method == "HEAD"

    def header(self, name: str) -> str:
        """The header's value, empty when it is not there."""
        return header(self.scope, name)

    def asked(self, name: str) -> str | None:
        """The last value of a query field."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def all_asked(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]

    async def reply(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        """Send a whole answer."""
        await send_reply(self.send, status, headers, body)

    async def body_chunk(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether more follows. Raises ``ClientGone``, ``BodyTooSlow``."""
        try:
            async with asyncio.timeout(self.idle_s):
                message = await self.receive()
        except TimeoutError as exc:
            raise BodyTooSlow(f"the body brought nothing for {self.idle_s:g} seconds") from exc
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message.get("body", b""), message.get("more_body", False)

    async def whole_body(self, max_bytes: int) -> bytes:
        """The body, read no further than ``max_bytes``.

        Raises ``ManifestTooLarge``, ``ClientGone``, ``BodyTooSlow``.
        """
        announced = self.header("content-length")
        if announced.isdigit() and int(announced) > max_bytes:
            raise ManifestTooLarge(
                f"the manifest has {announced[:20]} bytes, at most {max_bytes} are accepted"
            )
        try:
            async with asyncio.timeout(WHOLE_BODY_S):
                return await self._gathered(max_bytes)
        except TimeoutError as exc:
            raise BodyTooSlow(f"the manifest did not arrive within {WHOLE_BODY_S:g} seconds") from exc

    async def _gathered(self, max_bytes: int) -> bytes:
        pieces = bytearray()
        more = True
        while more:
            piece, more = await self.body_chunk()
            pieces += piece
            if len(pieces) > max_bytes:
                raise ManifestTooLarge(f"the manifest has more than {max_bytes} bytes")
        return bytes(pieces)


def header(scope: Scope, name: str) -> str:
    """The header's value, empty when it is not there."""
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == wanted), "")


async def send_reply(send: Send, status: int, headers: Headers = (), body: bytes = b"") -> None:
    """A whole answer with its length, and the headers that every answer of the registry has."""
    await send_start(send, status, (*headers, ("content-length", str(len(body)))))
    await send({"type": "http.response.body", "body": body})


async def send_start(send: Send, status: int, headers: Headers) -> None:
    """Status and headers; the body follows in pieces."""
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": [*_ALWAYS, *encoded]})


def has_body(scope: Scope) -> bool:
    """Whether the client announced a body."""
    return bool(header(scope, "transfer-encoding")) or header(scope, "content-length") not in {"", "0"}
