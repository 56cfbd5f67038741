"""A certificate authority's web server on loopback: OCSP and CRLs, to be broken answer by answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from types import TracebackType
from typing import Self

Body = bytes | Iterable[bytes]
Page = Callable[[bytes], tuple[int, Body]]
"""The request's body in, status and body out."""


class SimulatedAuthority:
    """``pages`` by path; what was asked is in ``seen``. A GET below a page's path is that page (OCSP)."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        simulator = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["content-length"])))

            def _answer(self, body: bytes) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                simulator.seen.append((self.command, self.path, headers))
                known = [path for path in simulator.pages if self.path.startswith(path)]
                status, content = simulator.pages[max(known, key=len)](body) if known else (404, b"")
                with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
                    self._send(status, content)

            def _send(self, status: int, content: Body) -> None:
                self.send_response(status)
                for name, value in simulator.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in [content] if isinstance(content, bytes) else content:
                    self.wfile.write(piece)
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = "localhost") -> str:
        return f"http://{host}:{self.port}{path}"

    def put(self, path: str, content: Body, status: int = 200) -> None:
        self.pages[path] = lambda _: (status, content)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def slow_head(every_s: float) -> Iterator[int]:
    """The port of a server whose answers never get behind their head, a byte at a time."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(b"HTTP/1.1 200 OK\r\n")
                for piece in drip(b"x", every_s):
                    self.request.sendall(piece)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def drip(piece: bytes, every_s: float) -> Iterable[bytes]:
    """The piece over and over, slowly."""
    while True:
        time.sleep(every_s)
        yield piece
