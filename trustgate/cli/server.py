"""Talk to a running server's JSON API, with the credential that docker would use for its host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click

from trustgate.errors import ConfigInvalid


class Api:
    """``/api/v1`` of one server. Raises ``UpstreamFailed``, ``UpstreamRefused``, ``NotFound``."""

    def __init__(self, server: str) -> None:
        from trustgate.remote.api_client import ApiClient
        from trustgate.remote.docker_config import DockerConfig

        base, host = server_address(server)
        credential = DockerConfig(os.environ, Path.home()).find(host)
        self._client = ApiClient(base, credential)
        click.get_current_context().call_on_close(self._client.close)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._client.call("GET", path, query=query)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._client.call("POST", path, body=body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._client.call("PUT", path, body=body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._client.call("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        self._client.call("DELETE", path)


def server_address(server: str) -> tuple[str, str]:
    """Base URL and host. A bare host is spoken to as a registry is: HTTPS, unless it is this machine."""
    from trustgate.remote.repository_session import is_loopback

    scheme = "http" if is_loopback(server.partition("/")[0]) else "https"
    try:
        parts = urlsplit(server if "://" in server else f"{scheme}://{server}")
        well_formed = parts.scheme in {"http", "https"} and parts.hostname and not parts.path.strip("/")
        _port = parts.port  # raises for what is no number
    except ValueError:
        well_formed = False
    if "@" in server:  # may hold a password: never repeated
        raise ConfigInvalid("--server holds a user name or password", hint="trustgate login keeps those")
    if not well_formed:
        raise ConfigInvalid(f"{server!a} is not a server", hint="--server http://localhost:5080")
    return f"{parts.scheme}://{parts.netloc}", parts.netloc


def segment(text: str) -> str:
    """A name as one path segment."""
    return quote(text, safe="")
