"""Bodies of the JSON API, the token service and the pages: small, whole, and in time, before all else.

FastAPI reads a body before it asks who sends it, so the bound has to stand in front of it: otherwise whoever
can connect can fill the memory with JSON, or the disk with a form's file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from trustgate.api.exchange import BodyTooSlow, ClientGone, Message, Receive, Scope, Send, has_body, header
from trustgate.api.problem import problem_of
from trustgate.errors import BodyTooLarge

App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES: Final = 256 * 1024
"""The longest that anybody has a use for is an account with a few hundred grants."""
WITHIN_S: Final = 30.0
UPLOADS: Final = "/api/charts/"
"""Takes files: asks who sends them, and bounds them, itself."""


class SmallBodies:
    """``app`` behind a bound on bodies."""

    def __init__(self, app: App, *, max_bytes: int = MAX_BODY_BYTES, within_s: float = WITHIN_S) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope) or scope["path"].startswith(UPLOADS):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._whole(scope, receive)
        except ClientGone:
            return
        except (BodyTooLarge, BodyTooSlow) as exc:
            refusal = problem_of(exc)
            refusal.headers["connection"] = "close"  # the rest of the body is not read
            await refusal(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)

    async def _whole(self, scope: Scope, receive: Receive) -> bytes:
        """Raises ``BodyTooLarge``, ``BodyTooSlow``, ``ClientGone``."""
        announced = header(scope, "content-length")
        if announced.isdigit() and int(announced) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._within_s):
                return await self._gathered(receive)
        except TimeoutError as exc:
            raise BodyTooSlow(f"the body did not arrive within {self._within_s:g} seconds") from exc

    async def _gathered(self, receive: Receive) -> bytes:
        pieces = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            pieces += message.get("body", b"")
            more = message.get("more_body", False)
            if len(pieces) > self._max_bytes:
                raise self._too_large()
        return bytes(pieces)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body has more than {self._max_bytes} bytes", hint="send less at once")


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` as if nobody had read the body yet."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
