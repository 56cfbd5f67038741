"""Sockets and uvicorn: bind first, so that a busy port is told before anything else begins."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from trustgate.api.http_protocol import RegistryProtocol
from trustgate.errors import ConfigInvalid

BACKLOG = 2048
DRAIN_S = 10
KEEP_ALIVE_S = 75
NEXT_PORTS = 20


@dataclass(frozen=True, slots=True)
class Listener:
    """An application on a socket that is bound already."""

    app: Any
    sock: socket.socket
    tls_cert: Path | None = None
    tls_key: Path | None = None


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``ConfigInvalid``."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = _listening(family, host, port)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ConfigInvalid(
                f"port {port} on {host} is in use", hint=f"try --port {_next_free(family, host, port)}"
            ) from exc
        raise ConfigInvalid(
            f"can't listen on {host}:{port}: {exc.strerror or exc}", hint="check --host and --port"
        ) from exc
    sock.set_inheritable(False)
    return sock


def _listening(family: int, host: str, port: int) -> socket.socket:
    """Left open only when it listens. Raises ``OSError``."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _next_free(family: int, host: str, port: int) -> int:
    for candidate in range(port + 1, min(port + NEXT_PORTS, 65536)):
        with suppress(OSError):
            _listening(family, host, candidate).close()
            return candidate
    return 0


def run(listeners: Sequence[Listener], *, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way, for at most ten seconds.

    The first listener carries the application whose lifespan counts, and takes the signals.
    """
    import uvloop

    uvloop.run(_run(listeners, on_ready))


async def _run(listeners: Sequence[Listener], on_ready: Callable[[], None]) -> None:
    main, *others = (_server(listener, first=number == 0) for number, listener in enumerate(listeners))
    side = [
        asyncio.create_task(server.serve(sockets=[listener.sock]))
        for server, listener in zip(others, listeners[1:], strict=True)
    ]
    watch = asyncio.create_task(_when_ready(main, on_ready))
    await main.serve(sockets=[listeners[0].sock])
    watch.cancel()
    for server in others:
        server.should_exit = True
    await asyncio.gather(*side, return_exceptions=True)


async def _when_ready(server: uvicorn.Server, on_ready: Callable[[], None]) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has a flag and no event
        await asyncio.sleep(0.005)
    on_ready()


class _Quiet(uvicorn.Server):
    """A server beside the main one: it leaves the signals alone."""

    def install_signal_handlers(self) -> None:
        return

    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def _server(listener: Listener, *, first: bool) -> uvicorn.Server:
    config = uvicorn.Config(
        listener.app,
        loop="uvloop",
        http=RegistryProtocol,
        ws="none",
        lifespan="on" if first else "off",
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        ssl_certfile=str(listener.tls_cert) if listener.tls_cert else None,
        ssl_keyfile=str(listener.tls_key) if listener.tls_key else None,
    )
    return uvicorn.Server(config) if first else _Quiet(config)
