"""The fast path of pulls: a whole answer from memory, while nothing that it rests on has changed.

It stands in front of the application as a plain ASGI callable and decides nothing. An answer is kept only
when the application says what it rests on (``Proof``), under the revisions that were read *before* the
application ran, so a change in between makes it stale at birth. The key holds the credential that was
presented, byte for byte: nobody gets an answer that was given to somebody else.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trustgate.policy.model import Verdict
from trustgate.ports import Clock, Freshness, Revisions

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_ENTRIES: Final = 20_000
MAX_BODY_BYTES: Final = 256 * 1024
"""Larger manifests are rare, and cost more to send than to look up."""
MAX_TOTAL_BYTES: Final = 128 * 1024 * 1024
MAX_AGE_S: Final = 60.0
PROOF: Final = "trustgate.proof"
"""Where the application leaves its ``Proof``: a list in the ASGI scope."""

_CONDITIONS = frozenset({b"if-none-match", b"if-match", b"range", b"if-range", b"if-modified-since"})
_CONTENT = re.compile(rb"/(?:manifests/[^/]+|blobs/sha(?:256|512):[0-9a-f]+)\Z")
_Key = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Proof:
    """What an allowing answer rests on, beside the revisions: its verdict, and two moments."""

    verdict: Verdict | None
    """``None`` where no rule could have refused."""
    credential_until: datetime | None
    """When the presented credential expires; ``None`` for nobody's or for one that does not."""

    @property
    def verdict_until(self) -> datetime | None:
        return self.verdict.valid_until if self.verdict else None


@dataclass(frozen=True, slots=True)
class _Entry:
    start: Message = field(repr=False)
    body: Message = field(repr=False)
    repository: str
    vector: Revisions
    policies: object
    until: datetime | None
    at: datetime
    at_monotonic: float
    verdict: Verdict | None = field(repr=False)
    size: int
    """Of the body and the key: credentials may be long."""


class HotPath:
    """``app`` with a memory for pulls of manifests and small blobs."""

    def __init__(
        self,
        app: App,
        *,
        freshness: Freshness,
        policies: Callable[[], object],
        clock: Clock,
        observe: Callable[[Verdict, float, bool], None],
    ) -> None:
        self._app = app
        self._freshness = freshness
        self._policies = policies
        self._clock = clock
        self._observe = observe
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        entry = self._entries.get(key)
        if entry is not None and self._fresh(entry):
            if entry.verdict is not None:
                self._observe(entry.verdict, 0.0, True)
            await send(entry.start)
            await send(entry.body)
            return
        if entry is not None:
            self._drop(key)
        await self._learn(key, scope, receive, send)

    def _fresh(self, entry: _Entry) -> bool:
        if self._freshness.vector(entry.repository) != entry.vector:
            return False
        if self._policies() is not entry.policies:
            return False
        if self._clock.monotonic() - entry.at_monotonic > MAX_AGE_S:
            return False
        now = self._clock.now()
        return now >= entry.at and (entry.until is None or now < entry.until)

    async def _learn(self, key: _Key, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and keep the answer when it says that it may be kept."""
        repository = _repository(key[1])
        vector = self._freshness.vector(repository)  # first: see the docstring above
        policies = self._policies()
        at, at_monotonic = self._clock.now(), self._clock.monotonic()
        proofs: list[Proof] = []
        scope[PROOF] = proofs
        seen: list[Message] = []

        async def watch(message: Message) -> None:
            if len(seen) < 3:
                seen.append(message)
            await send(message)

        await self._app(scope, receive, watch)
        if len(proofs) != 1 or not _whole(seen):
            return
        start, body = seen[0], seen[1]
        entry = _Entry(
            start=start,
            body=body,
            repository=repository,
            vector=vector,
            policies=policies,
            until=_earliest(proofs[0].verdict_until, proofs[0].credential_until),
            at=at,
            at_monotonic=at_monotonic,
            verdict=proofs[0].verdict,
            size=len(body.get("body", b"")) + len(key[1]) + len(key[2]),
        )
        self._keep(key, entry)

    def _keep(self, key: _Key, entry: _Entry) -> None:
        if len(entry.body.get("body", b"")) > MAX_BODY_BYTES:
            return
        self._drop(key)
        self._entries[key] = entry
        self._bytes += entry.size
        while len(self._entries) > MAX_ENTRIES or self._bytes > MAX_TOTAL_BYTES:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size


def _key(scope: Scope) -> _Key | None:
    """What identifies an answer; ``None`` for requests that are not a plain manifest pull."""
    if scope["type"] != "http" or scope["query_string"]:
        return None
    method: str = scope["method"]
    path: bytes = scope["raw_path"]
    if (method not in {"GET", "HEAD"}) or not path.startswith(b"/v2/") or _CONTENT.search(path) is None:
        return None
    credential = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if credential is not None:
                return None
            credential = value
        elif name in _CONDITIONS:
            return None
    return method, path, credential or b""


def _repository(path: bytes) -> str:
    found = _CONTENT.search(path)
    return path[len(b"/v2/") : found.start() if found else None].decode("latin-1")


def _whole(seen: list[Message]) -> bool:
    """One start with 200 and one body: anything else is streamed, and is not kept."""
    return (
        len(seen) == 2
        and seen[0]["type"] == "http.response.start"
        and seen[0]["status"] == 200
        and seen[1]["type"] == "http.response.body"
        and not seen[1].get("more_body", False)
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
