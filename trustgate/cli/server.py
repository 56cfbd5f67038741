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

        url = server if "://" in server else f"http://{server}"
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ConfigInvalid(f"{server!a} is not a server", hint="--server http://localhost:5080")
        credential = DockerConfig(os.environ, Path.home()).find(parts.netloc)
        self._client = ApiClient(f"{parts.scheme}://{parts.netloc}", credential)
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


def segment(text: str) -> str:
    """A name as one path segment."""
    return quote(text, safe="")
