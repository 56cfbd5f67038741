"""Load on one socket or many, and what it cost the server: its own CPU time, from the kernel's accounting."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

RECEIVE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: wall seconds, server CPU seconds, and how much was done."""

    wall_s: float
    cpu_s: float
    units: float

    @property
    def cpu_us(self) -> float:
        """Server CPU microseconds a unit."""
        return self.cpu_s / self.units * 1e6

    @property
    def rate(self) -> float:
        """Units a second, by wall clock."""
        return self.units / self.wall_s


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all its threads and children, in seconds."""
    total = 0.0
    for process in (pid, *_children(pid)):
        for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0]) / 1e9
    return total


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def requests(host: str, pid: int, head: bytes, connections: int, seconds: float) -> Figure:
    """The same request again and again on ``connections`` connections."""
    expected = _answer_length(host, head)
    before, began = cpu_seconds(pid), time.monotonic()
    done = uvloop.run(_drive(host, head, expected, connections, seconds))
    return Figure(time.monotonic() - began, cpu_seconds(pid) - before, done)


def _answer_length(host: str, head: bytes) -> int:
    """Bytes of one answer; the first few warm the server's memory."""
    name, port = host.rsplit(":", 1)
    length = 0
    for _ in range(20):
        with socket.create_connection((name, int(port))) as sock:
            sock.sendall(head)
            sock.settimeout(0.3)
            received = b""
            try:
                while piece := sock.recv(RECEIVE_BYTES):
                    received += piece
            except TimeoutError:
                pass
            if b" 200 " not in received.split(b"\r\n", 1)[0]:
                raise AssertionError(received[:400])
            if length == len(received):
                return length
            length = len(received)
    return length


class _Client(asyncio.Protocol):
    def __init__(self, head: bytes, expected: int, deadline: float, done: asyncio.Future[int]) -> None:
        self._head, self._expected, self._deadline, self._done = head, expected, deadline, done
        self._seen = self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._head)  # type: ignore[attr-defined]  # a stream transport

    def data_received(self, data: bytes) -> None:
        self._seen += len(data)
        if self._seen < self._expected:
            return
        self._seen -= self._expected
        self._count += 1
        if time.monotonic() < self._deadline:
            self._transport.write(self._head)  # type: ignore[attr-defined]  # as above
        else:
            self._transport.close()
            self._done.set_result(self._count)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))


async def _drive(host: str, head: bytes, expected: int, connections: int, seconds: float) -> int:
    loop = asyncio.get_running_loop()
    name, port = host.rsplit(":", 1)
    deadline = time.monotonic() + seconds
    waiting = []
    for _ in range(connections):
        done: asyncio.Future[int] = loop.create_future()
        await loop.create_connection(lambda d=done: _Client(head, expected, deadline, d), name, int(port))  # type: ignore[misc]  # bound at once
        waiting.append(done)
    return sum(await asyncio.gather(*waiting))


def download(host: str, pid: int, head: bytes, size: int) -> Figure:
    """One large body, thrown away as cheaply as possible."""
    name, port = host.rsplit(":", 1)
    before, began = cpu_seconds(pid), time.monotonic()
    with socket.create_connection((name, int(port))) as sock:
        sock.sendall(head)
        left = size
        while left > 0:
            got = sock.recv_into(bytearray(RECEIVE_BYTES), RECEIVE_BYTES, socket.MSG_TRUNC)
            if not got:
                break
            left -= got
    return Figure(time.monotonic() - began, cpu_seconds(pid) - before, size / 2**30)


def upload(host: str, pid: int, repository: str, content: Path, headers: dict[str, str]) -> Figure:
    """POST, PATCH as a stream (what docker sends), PUT: until the server says that it is durable."""
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    before, began = cpu_seconds(pid), time.monotonic()
    place = _ask(host, "POST", f"/v2/{repository}/blobs/uploads/", headers)
    with content.open("rb") as file:
        place = _stream(host, place, headers, file, content.stat().st_size)
    joint = "&" if urlsplit(place).query else "?"
    _ask(host, "PUT", f"{place}{joint}digest=sha256:{digest}", headers)
    return Figure(time.monotonic() - began, cpu_seconds(pid) - before, content.stat().st_size / 2**30)


def _ask(host: str, method: str, place: str, headers: dict[str, str], body: object = None) -> str:
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request(method, _path(place), body=body, headers=headers)  # type: ignore[arg-type]  # bytes or nothing
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in {201, 202}, (method, answer.status, text[:300])
    connection.close()
    return answer.getheader("location") or ""


def _stream(host: str, place: str, headers: dict[str, str], file: object, size: int) -> str:
    connection = http.client.HTTPConnection(host, timeout=300, blocksize=RECEIVE_BYTES)
    connection.putrequest("PATCH", _path(place))
    for name, value in {**headers, "content-length": str(size)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock is not None
    connection.sock.sendfile(file)  # type: ignore[arg-type]  # an open binary file
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 202, answer.status
    connection.close()
    return answer.getheader("location") or place


def _path(place: str) -> str:
    parts = urlsplit(place)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
