"""What never ends, or is larger than anybody needs: bounded before anyone asks who sends it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from threading import Event
from time import monotonic
from typing import Any

import pytest

from tests.unit.api.registry.rig import PUSHER, WAIT_S, Wire
from trustgate.api import http_protocol
from trustgate.api.exchange import Receive, Scope, Send
from trustgate.api.http_protocol import MAX_HEAD_BYTES
from trustgate.api.small_bodies import MAX_BODY_BYTES, SmallBodies

PIECE = b"a" * 65536
FORM = "application/x-www-form-urlencoded"
BEGUN = {
    "a path": b"GET /",
    "a header": b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx: ",
    "a header's name": b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx",
}


@pytest.fixture
def held(wire: Wire) -> Iterator[socket.socket]:
    name, _, port = wire.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=WAIT_S) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """Everything until the other side closes, also when it closes hard."""
    got = bytearray()
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return bytes(got)


def send_without_end(connection: socket.socket, begun: bytes, piece: bytes = PIECE) -> int:
    """How much the other side takes."""
    sent = len(begun)
    connection.sendall(begun)
    try:
        while sent < 256 * MAX_HEAD_BYTES:
            connection.sendall(piece)
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


@pytest.mark.parametrize("what", BEGUN)
def test_a_head_that_never_ends(held: socket.socket, what: str) -> None:
    assert send_without_end(held, BEGUN[what]) < 256 * MAX_HEAD_BYTES


def test_headers_without_number(held: socket.socket) -> None:
    assert send_without_end(held, b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 10_000) < 256 * MAX_HEAD_BYTES


def test_a_head_just_too_large_is_told(held: socket.socket) -> None:
    held.sendall(b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx: ")
    Event().wait(0.1)  # it arrives alone: the piece in which a head begins is not counted
    held.sendall(b"a" * (MAX_HEAD_BYTES + 1))
    assert received(held).startswith(b"HTTP/1.1 431 ")


def test_a_large_head_is_read(wire: Wire) -> None:
    answer = wire.ask("GET", "/v2/", headers={"x": "a" * (MAX_HEAD_BYTES // 2)})
    assert answer.status == 200


def test_a_head_may_begin_in_the_piece_that_ends_a_body(wire: Wire, held: socket.socket) -> None:
    """A pipelined request: what came before it is not held against it."""
    body = b"layer" * MAX_HEAD_BYTES
    both = f"host: x\r\nauthorization: {PUSHER}\r\n"
    first = f"PATCH {wire.begin()} HTTP/1.1\r\n{both}content-length: {len(body)}\r\n\r\n".encode()
    held.sendall(first + body[:1])
    held.sendall(body[1:] + b"GET /v2/ HTTP/1.1\r\n")
    held.sendall(f"{both}connection: close\r\n\r\n".encode())
    got = received(held)
    assert got.startswith(b"HTTP/1.1 202 ")
    assert b"HTTP/1.1 200 OK" in got


@pytest.mark.parametrize("sent", [b"", b"GET /v2/ HTTP/1.1\r\nhost: "])
def test_a_head_that_does_not_come(wire: Wire, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.3)
    name, _, port = wire.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=WAIT_S) as connection:
        began = monotonic()
        connection.sendall(sent)
        assert received(connection) == b""
        assert monotonic() - began < WAIT_S / 2


def test_a_second_head_that_does_not_come(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.3)
    name, _, port = wire.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=WAIT_S) as connection:
        connection.sendall(f"GET /v2/ HTTP/1.1\r\nhost: x\r\nauthorization: {PUSHER}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /v2/ HTTP/1.1\r\n")
        assert received(connection) == b""


def test_a_slow_answer_is_not_a_late_head(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.2)
    upload = wire.begin()

    def slowly() -> Iterator[bytes]:
        for _ in range(4):
            yield b"piece"
            Event().wait(0.15)

    answer = wire.ask("PATCH", upload, body=slowly())
    assert answer.status == 202


# --- bodies outside of /v2 -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FORM, "application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large(held: socket.socket, kind: str, announced: bool) -> None:
    """The token service takes forms from anybody."""
    length = b"content-length: 300000000" if announced else b"transfer-encoding: chunked"
    held.sendall(
        b"POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: %s\r\n%s\r\n\r\n" % (kind.encode(), length)
    )
    if not announced:
        piece = b"%x\r\n%s\r\n" % (MAX_BODY_BYTES // 2, b"a" * (MAX_BODY_BYTES // 2))
        held.sendall(piece + piece + b"1\r\na\r\n")
    got = received(held)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"body-too-large" in got
    assert b"connection: close" in got


def test_the_largest_body_is_read(wire: Wire) -> None:
    body = b"grant_type=x&username=" + b"a" * (MAX_BODY_BYTES - 22)
    answer = wire.ask("POST", "/token", by=None, body=body, headers={"content-type": FORM})
    assert answer.status == 400
    assert b"unsupported_grant_type" in answer.body


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def _asked(messages: list[dict[str, Any]], *, within_s: float = 5, path: str = "/token") -> list[Any]:
    """What comes of these messages, over a body that then stops coming."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        raise AssertionError("nobody waits that long")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "headers": headers, "method": "POST", "path": path}
    asyncio.run(SmallBodies(_echo, within_s=within_s)(scope, receive, send))
    return sent


def test_a_body_comes_whole() -> None:
    pieces = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
    ]
    assert _asked(pieces)[1]["body"] == b"ab"


def test_uploads_of_charts_bound_themselves() -> None:
    piece = {"type": "http.request", "body": b"a" * (MAX_BODY_BYTES + 1)}
    assert _asked([dict(piece)])[0]["status"] == 413
    assert len(_asked([dict(piece)], path="/api/charts/shop/charts")[1]["body"]) > MAX_BODY_BYTES


def test_a_body_that_stops_coming() -> None:
    sent = _asked([{"type": "http.request", "body": b"a", "more_body": True}], within_s=0.05)
    assert sent[0]["status"] == 400
    assert b"did not arrive within" in sent[1]["body"]


def test_a_client_that_goes_away_is_not_answered() -> None:
    assert _asked([{"type": "http.disconnect"}]) == []
