"""Whole answers from memory: given while everything that they rest on is as it was, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.clocks import SetClock
from tests.unit.flows.test_verdict_cache import judged
from trustgate.api import hot
from trustgate.api.hot import MAX_AGE_S, MAX_BODY_BYTES, PROOF, HotPath, Message, Proof
from trustgate.ports import Revisions

DIGEST = "sha256:" + "a" * 64
MANIFEST = "/v2/shop/web/manifests/1"
BLOB = f"/v2/shop/web/blobs/{DIGEST}"


@dataclass
class Rig:
    """A counting application behind the fast path, and everything that an answer rests on."""

    clock: SetClock = field(default_factory=SetClock)
    vectors: dict[str, Revisions] = field(default_factory=dict)
    policies: object = field(default_factory=object)
    calls: int = 0
    observed: int = 0
    status: int = 200
    pieces: tuple[bytes, ...] = (b"body",)
    proofs: int = 1
    valid_until: datetime | None = None
    credential_until: datetime | None = None
    meanwhile: bool = False

    def __post_init__(self) -> None:
        self.path = HotPath(
            self._app, freshness=self, policies=lambda: self.policies, clock=self.clock, observe=self._observe
        )

    def vector(self, repository: str) -> Revisions:
        return self.vectors.get(repository, Revisions(1, 1, 1))

    def bump(self) -> None:
        was = self.vector("shop/web")
        self.vectors["shop/web"] = replace(was, repository=was.repository + 1)

    def _observe(self, *_: object) -> None:
        self.observed += 1

    async def _app(self, scope: Any, _receive: Any, send: Any) -> None:
        self.calls += 1
        if self.meanwhile:
            self.bump()
        verdict = judged(self.clock, valid_until=self.valid_until).verdict
        proof = Proof(verdict, self.credential_until)
        scope.get(PROOF, []).extend([proof] * self.proofs)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        for number, piece in enumerate(self.pieces, 1):
            more = number < len(self.pieces)
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    def ask(
        self,
        path: str = MANIFEST,
        *,
        method: str = "GET",
        query: bytes = b"",
        headers: Mapping[bytes, bytes] | tuple[tuple[bytes, bytes], ...] = ((b"authorization", b"a"),),
        kind: str = "http",
    ) -> list[Message]:
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        scope = {
            "type": kind,
            "method": method,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": pairs,
        }
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        asyncio.run(self.path(scope, receive, send))
        return sent

    def remembers(self, **asked: Any) -> bool:
        """Whether a second question is answered without the application."""
        first = self.ask(**asked)
        before = self.calls
        assert self.ask(**asked) == first
        return self.calls == before


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize("path", [MANIFEST, BLOB, f"/v2/shop/web/manifests/{DIGEST}"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pulls_are_remembered_and_counted(rig: Rig, path: str, method: str) -> None:
    assert rig.remembers(path=path, method=method)
    assert rig.observed == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"path": "/v2/"},
        {"path": "/v2/shop/web/tags/list"},
        {"path": f"/v2/shop/web/referrers/{DIGEST}"},
        {"path": "/v1/shop/web/manifests/1"},
        {"path": MANIFEST, "query": b"n=1"},
        {"path": MANIFEST, "method": "PUT"},
        {"path": MANIFEST, "method": "DELETE"},
        {"path": MANIFEST, "kind": "websocket"},
        {"path": BLOB, "headers": {b"authorization": b"a", b"range": b"bytes=0-1"}},
        {"path": MANIFEST, "headers": {b"authorization": b"a", b"if-none-match": b"*"}},
        {"path": MANIFEST, "headers": ((b"authorization", b"a"), (b"authorization", b"b"))},
        {"path": MANIFEST, "headers": ((b"authorization", b""), (b"authorization", b"b"))},
    ],
)
def test_everything_else_is_not(rig: Rig, asked: dict[str, Any]) -> None:
    assert not rig.remembers(**asked)


def test_an_answer_without_proof_or_with_two_is_not_kept(rig: Rig) -> None:
    for number in (0, 2):
        rig.proofs = number
        assert not rig.remembers()


@pytest.mark.parametrize("status", [206, 304, 401, 403, 404, 500])
def test_only_a_whole_yes_is_kept(rig: Rig, status: int) -> None:
    rig.status = status
    assert not rig.remembers()


@pytest.mark.parametrize("pieces", [(b"a", b"b"), (b"a", b"b", b"c"), (bytes(MAX_BODY_BYTES + 1),)])
def test_what_is_streamed_or_large_is_not_kept(rig: Rig, pieces: tuple[bytes, ...]) -> None:
    rig.pieces = pieces
    assert not rig.remembers()


@pytest.mark.parametrize(
    "other",
    [
        {"headers": ((b"authorization", b"b"),)},
        {"headers": ()},
        {"path": "/v2/shop/web/manifests/2"},
        {"path": "/v2/shop/other/manifests/1"},
        {"method": "HEAD"},
    ],
)
def test_nobody_gets_the_answer_to_another_question(rig: Rig, other: dict[str, Any]) -> None:
    rig.ask()
    rig.ask(**other)
    assert rig.calls == 2


def test_any_change_makes_it_stale(rig: Rig) -> None:
    rig.ask()
    rig.bump()
    rig.ask()
    assert rig.calls == 2
    rig.policies = object()
    rig.ask()
    assert rig.calls == 3


def test_what_is_stale_does_not_stay(rig: Rig) -> None:
    rig.ask()
    rig.bump()
    rig.status = 403
    rig.ask()
    assert not rig.path._entries


def test_a_change_while_the_application_answers_makes_it_stale_at_birth(rig: Rig) -> None:
    rig.meanwhile = True
    rig.ask()
    rig.meanwhile = False
    rig.ask()
    assert rig.calls == 2


def test_a_bound_on_age(rig: Rig) -> None:
    rig.ask()
    rig.clock.advance(MAX_AGE_S)
    rig.ask()
    assert rig.calls == 1
    rig.clock.advance(1)
    rig.ask()
    assert rig.calls == 2


@pytest.mark.parametrize("name", ["valid_until", "credential_until"])
def test_the_earlier_of_verdict_and_credential_ends_it(rig: Rig, name: str) -> None:
    late, soon = (rig.clock.now() + timedelta(seconds=seconds) for seconds in (50, 10))
    rig.valid_until = rig.credential_until = late
    setattr(rig, name, soon)
    rig.ask()
    rig.clock.advance(9)
    rig.ask()
    assert rig.calls == 1
    rig.clock.advance(1)
    rig.ask()
    assert rig.calls == 2


def test_a_clock_that_was_set_back_ends_it(rig: Rig) -> None:
    rig.ask()
    rig.clock.set_back(5)
    rig.ask()
    assert rig.calls == 2


def test_memory_is_bounded_by_number_and_by_bytes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "MAX_ENTRIES", 3)
    for number in range(10):
        rig.ask(f"/v2/shop/web/manifests/{number}")
    assert len(rig.path._entries) == 3
    each = 4 + len("/v2/shop/web/manifests/9") + len("a")
    assert rig.path._bytes == 3 * each
    monkeypatch.setattr(hot, "MAX_TOTAL_BYTES", 3 * each - 1)
    rig.ask("/v2/shop/web/manifests/x")
    assert (len(rig.path._entries), rig.path._bytes) == (2, 2 * each)
