"""Names and https for simulators on loopback: what the client asks of a name is asked of its simulator."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx

from tests.simulators.registry import SimulatedRegistry

_TLS = ssl.create_default_context()


def loopback() -> httpx.HTTPTransport:
    """The wire as it is; the authorities are read once, which takes longer than most tests."""
    return httpx.HTTPTransport(verify=_TLS)


class Wires(httpx.BaseTransport):
    """``{"https://registry.test": simulator}``; other names do not resolve."""

    def __init__(self, names: Mapping[str, SimulatedRegistry]) -> None:
        self._names = {httpx.URL(name): simulator for name, simulator in names.items()}
        self._wire = loopback()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        place = httpx.URL(scheme=request.url.scheme, host=request.url.host, port=request.url.port)
        simulator = self._names.get(place)
        if simulator is None:
            raise httpx.ConnectError(f"{place} does not resolve", request=request)
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=simulator.port)
        sent = httpx.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        return self._wire.handle_request(sent)

    def close(self) -> None:
        self._wire.close()
