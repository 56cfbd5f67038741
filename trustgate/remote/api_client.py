"""A client of trustgate's own JSON API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from trustgate.errors import (
    ConfigInvalid,
    NotFound,
    TrustgateError,
    Unauthorized,
    UpstreamFailed,
    UpstreamRefused,
)
from trustgate.remote import tls
from trustgate.remote.docker_config import Credential
from trustgate.remote.wire import bounded

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 60.0
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}
_REFUSED: Final = "the server understood and refused: ask whoever runs it"


_KINDS: Final[Mapping[int, type[TrustgateError]]] = {
    400: ConfigInvalid,
    401: Unauthorized,
    404: NotFound,
    409: ConfigInvalid,
    422: ConfigInvalid,
}


class ApiClient:
    """One server."""

    def __init__(self, base_url: str, credential: Credential | None) -> None:
        self._base = base_url
        auth = httpx.BasicAuth(credential.username, credential.secret) if credential else None
        self._http = httpx.Client(auth=auth, timeout=TIMEOUT_S, headers=_HEADERS, verify=tls.context())

    def close(self) -> None:
        self._http.close()

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> tuple[httpx.Response, dict[str, Any]]:
        with self._http.stream(method, self._base + path, params=query, json=body) as answer:
            raw = bounded(answer, MAX_ANSWER_BYTES)
        document = json.loads(raw) if raw else {}
        if not isinstance(document, dict):
            raise UpstreamFailed(f"{self._base} is not a trustgate server", hint="check --server")
        return answer, document

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Raises ``UpstreamFailed``, ``UpstreamRefused``, ``NotFound``, ``Unauthorized``, with the server's
        own words; ``ConfigInvalid`` for what was asked wrongly."""
        try:
            answer, document = self._ask(method, path, query, body)
        except httpx.HTTPError as exc:
            raise UpstreamFailed(
                f"{self._base} does not answer: {exc or type(exc).__name__}",
                hint="is the server running, and is --server right?",
            ) from exc
        except (httpx.InvalidURL, ValueError, RecursionError) as exc:
            raise UpstreamFailed(f"{self._base} is not a trustgate server", hint="check --server") from exc
        if answer.is_success:
            return document
        said = str(document.get("detail") or f"status {answer.status_code}")
        hint = str(document.get("hint", ""))
        if answer.status_code == 401:
            hint = f"log in first: trustgate login {self._base.partition('://')[2]}"
        elif not hint:
            hint = "the server's log says more" if answer.status_code >= 500 else _REFUSED
        failed = UpstreamFailed if answer.status_code >= 500 else UpstreamRefused
        raise _KINDS.get(answer.status_code, failed)(said, hint=hint)
