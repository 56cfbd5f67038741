"""An end for a whole exchange over HTTP. A read has a timeout of its own, and a peer that sends a byte now
and then keeps every one of them: at the end the connection is shut down, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Timer
from typing import Any, Final

_CONNECTED: Final = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


@dataclass(slots=True)
class Ending:
    """``extensions`` go into the request that is to end."""

    over: bool = False
    _socket: socket.socket | None = field(default=None, repr=False)

    @property
    def extensions(self) -> Mapping[str, Callable[[str, Mapping[str, Any]], None]]:
        return {"trace": self._seen}

    def _seen(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore tells what it does (its documentation, "Request extensions", ``trace``)."""
        if event in _CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")
            if self.over:
                self._shut()

    def end(self) -> None:
        self.over = True
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def ending(seconds: float) -> Iterator[Ending]:
    """For one request on a connection of its own."""
    made = Ending()
    timer = Timer(max(seconds, 0.0), made.end)
    timer.daemon = True
    timer.start()
    try:
        yield made
    finally:
        timer.cancel()
