"""A client of trustgate's own JSON API."""

from __future__ import annotations

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
from trustgate.remote.docker_config import Credential

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 60.0


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
        self._http = httpx.Client(auth=auth, timeout=TIMEOUT_S, headers={"accept": "application/json"})

    def close(self) -> None:
        self._http.close()

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
            answer = self._http.request(method, self._base + path, params=query, json=body)
            document = answer.json() if answer.content and len(answer.content) <= MAX_ANSWER_BYTES else {}
        except httpx.HTTPError as exc:
            raise UpstreamFailed(
                f"{self._base} does not answer: {exc or type(exc).__name__}",
                hint="is the server running, and is --server right?",
            ) from exc
        except ValueError as exc:
            raise UpstreamFailed(f"{self._base} is not a trustgate server", hint="check --server") from exc
        if answer.is_success:
            return dict(document)
        said = str(document.get("detail") or f"status {answer.status_code}")
        hint = str(document.get("hint", ""))
        if answer.status_code == 401:
            hint = f"log in first: trustgate login {self._base.partition('://')[2]}"
        failed = UpstreamFailed if answer.status_code >= 500 else UpstreamRefused
        raise _KINDS.get(answer.status_code, failed)(said, hint=hint)
