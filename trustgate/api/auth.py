"""The token service: Docker's GET, and OAuth2's POST (distribution "Token Authentication" specifications)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from trustgate.api.errors import document, error_body, row_of
from trustgate.errors import TooManyAttempts, TrustgateError, Unauthorized
from trustgate.flows.access import Actor
from trustgate.flows.identity import Identity
from trustgate.flows.tokens import LIFETIME_S, Tokens, grant, read_scopes

Call = Callable[[Callable[[], Any]], Awaitable[Any]]


def authenticator(identity: Identity, call: Call) -> Callable[[str | None, str], Awaitable[Actor]]:
    """(Authorization header, source address) to an actor; what was verified a moment ago costs no thread."""

    async def authenticate(authorization: str | None, source: str) -> Actor:
        found = identity.remembered(authorization)
        if found is not None:
            return found
        actor: Actor = await call(lambda: identity.authenticate(authorization, source))
        return actor

    return authenticate


def token_router(
    identity: Identity, tokens: Tokens, call: Call, *, own_hosts: frozenset[str] = frozenset()
) -> APIRouter:
    """``GET /token`` and ``POST /token``. ``call`` runs blocking work in the pool."""
    router = APIRouter()

    def answer(actor: Actor, scopes: list[str]) -> dict[str, Any]:
        access = tuple(
            item for item in grant(read_scopes(scopes, own_hosts=own_hosts), actor) if item.actions
        )
        token, expires = tokens.issue(actor.caller.name, access, service=identity.service)
        issued = expires.timestamp() - LIFETIME_S
        return {
            "token": token,
            "access_token": token,
            "expires_in": LIFETIME_S,
            "issued_at": _rfc3339(issued),
            "scope": " ".join(f"{a.type}:{a.name}:{','.join(a.actions)}" for a in access),
        }

    @router.get("/token", summary="A token for docker and other clients", operation_id="getToken")
    async def get_token(
        request: Request,
        scope: Annotated[list[str] | None, Query()] = None,
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        try:
            if authorization and not authorization.lower().startswith("basic "):
                raise Unauthorized("a token is given for a password, not for another token")
            source = request.client.host if request.client else ""
            actor = await call(lambda: identity.authenticate(authorization, source))
            return _json(await call(lambda: answer(actor, scope or [])))
        except TrustgateError as exc:
            return _refused(exc)

    @router.post("/token", summary="A token, the OAuth2 way", operation_id="postToken")
    async def post_token(
        request: Request,
        grant_type: Annotated[str, Form()],
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        scope: Annotated[str, Form()] = "",
    ) -> Response:
        if grant_type != "password":
            text = f"grant type {grant_type[:40]!a} is not offered: use password"
            return JSONResponse(
                {"error": "unsupported_grant_type", "error_description": text}, status_code=400
            )
        source = request.client.host if request.client else ""
        try:
            actor = await call(lambda: identity.log_in(username, password, source))
            return _json(await call(lambda: answer(actor, [scope])))
        except TrustgateError as exc:
            return _refused(exc)

    return router


def _json(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, headers={"cache-control": "no-store"})


def _refused(error: TrustgateError) -> Response:
    status, code = row_of(error)
    headers = {"cache-control": "no-store"}
    if isinstance(error, TooManyAttempts):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Basic realm="trustgate"'
    body = document(code, "internal error") if status >= 500 else error_body(error)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
