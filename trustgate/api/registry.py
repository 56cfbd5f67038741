"""The distribution API under ``/v2/``: route, authenticate, authorise, hand over; then one error writer.

A plain ASGI application. Specification: OCI distribution-spec 1.1.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from trustgate.api.content import Content
from trustgate.api.errors import document, error_body, new_request_id, row_of
from trustgate.api.exchange import (
    IDLE_S,
    ClientGone,
    Exchange,
    Receive,
    Scope,
    Send,
    has_body,
    header,
    send_reply,
)
from trustgate.api.http_protocol import SET_REASON
from trustgate.api.paths import Route, query, route
from trustgate.api.uploads import UploadRoutes
from trustgate.errors import Forbidden, TooManyAttempts, TrustgateError, Unauthorized, Unsupported
from trustgate.flows.access import Actor
from trustgate.flows.admit import Refused
from trustgate.flows.pull import PullFlow
from trustgate.flows.push import PushFlow, SourceOutOfScope
from trustgate.ports import Permission

log = logging.getLogger("trustgate.api")

Handler = Callable[[Exchange, Route], Awaitable[None]]
Authenticate = Callable[[str | None, str], Awaitable[Actor]]
"""(Authorization header, source address) to an actor. Raises ``Unauthorized``, ``TooManyAttempts``."""


class InsufficientScope(Unauthorized):
    """The token is sound, and does not hold what this request needs: ask for another."""

    code = "insufficient-scope"


class MethodNotAllowed(Unsupported):
    """The path exists, and does not take this method."""

    code = "method-not-allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method[:16]!a} is not supported here", hint=f"supported: {allowed}")
        self.allowed = allowed


class Registry:
    """The ASGI application for everything under ``/v2/``."""

    def __init__(
        self,
        *,
        push: PushFlow,
        pull: PullFlow,
        authenticate: Authenticate,
        pool: Executor,
        public_url: str,
        service: str,
        observe: Callable[[str, str, int], None],
        body_idle_s: float = IDLE_S,
    ) -> None:
        self._authenticate = authenticate
        self._public_url = public_url.rstrip("/")
        self._service = service
        self._observe = observe
        self._body_idle_s = body_idle_s
        content, uploads = Content(pull, push, pool), UploadRoutes(push, pool)
        self._handlers: dict[tuple[str, str], tuple[Permission | None, Handler]] = {
            ("ping", "GET"): (None, _ping),
            ("catalog", "GET"): (None, content.catalog),
            ("manifests", "GET"): ("pull", content.manifest),
            ("manifests", "PUT"): ("push", content.put_manifest),
            ("manifests", "DELETE"): ("delete", content.delete_manifest),
            ("blobs", "GET"): ("pull", content.blob),
            ("blobs", "DELETE"): ("delete", content.delete_blob),
            ("tags", "GET"): ("pull", content.tags),
            ("referrers", "GET"): ("pull", content.referrers),
            ("upload-begin", "POST"): ("push", uploads.begin),
            ("upload", "GET"): ("push", uploads.status),
            ("upload", "PATCH"): ("push", uploads.append),
            ("upload", "PUT"): ("push", uploads.finish),
            ("upload", "DELETE"): ("push", uploads.cancel),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = _Status(send)
        found: Route | None = None
        try:
            found = route(scope["raw_path"])
            await self._answer(found, scope, receive, status)
        except ClientGone:
            status.seen = status.seen or 499
        except TrustgateError as exc:
            await self._refuse(exc, found, scope, status)
        except Exception as exc:  # noqa: BLE001 - the top of a request: a surprise shows an id, and nothing of the inside
            await _surprise(exc, scope, status)
        self._observe(found.kind if found else "unknown", scope["method"], status.seen)

    async def _answer(self, found: Route, scope: Scope, receive: Receive, send: Send) -> None:
        actor = await self._authenticate(header(scope, "authorization") or None, _source(scope))
        method = scope["method"]
        handler = self._handlers.get((found.kind, "GET" if method == "HEAD" else method))
        if handler is None:
            raise MethodNotAllowed(method, self._methods(found))
        permission, handle = handler
        asked = query(scope["query_string"])
        exchange = Exchange(
            scope, receive, send, self._base_url(scope), asked, actor, idle_s=self._body_idle_s
        )
        _authorise(exchange, found, permission)
        await handle(exchange, found)

    async def _refuse(self, error: TrustgateError, found: Route | None, scope: Scope, send: _Status) -> None:
        if send.seen:
            log.warning("%s %s broke off: %s", scope["method"], scope["path"], error.message)
            return  # the missing bytes tell the client: the server closes what was not completed
        status, _code = row_of(error)
        headers = [("content-type", "application/json"), ("cache-control", "no-store")]
        if has_body(scope):  # it may not have been read: nobody waits for the rest of it
            headers.append(("connection", "close"))
        if isinstance(error, MethodNotAllowed):
            headers.append(("allow", error.allowed))
        if isinstance(error, Unauthorized):
            headers.append(("www-authenticate", self._challenge(error, found, scope)))
        if isinstance(error, TooManyAttempts):
            headers.append(("retry-after", str(error.retry_after_s)))
        if isinstance(error, Refused):
            _name_reason(scope, error)
            headers += decision_headers(error.decision, error.link)
        if status >= 500:
            log.error("%s %s: %s", scope["method"], scope["path"], error.message)
        await send_reply(send, status, headers, error_body(error))

    def _methods(self, found: Route) -> str:
        offered = [method for kind, method in self._handlers if kind == found.kind]
        return ", ".join((*offered, *(["HEAD"] if "GET" in offered else [])))

    def _challenge(self, error: Unauthorized, found: Route | None, scope: Scope) -> str:
        """RFC 6750, and Docker's token specification for ``service`` and ``scope``."""
        base = self._base_url(scope)
        parts = [f'realm="{base}/token"', f'service="{self._service}"']
        if found is not None and found.repository is not None:
            wanted = f"repository:{found.repository}:{_wanted(found, scope['method'])}"
            if isinstance(error, SourceOutOfScope):
                wanted += f" repository:{error.source}:pull"
            parts.append(f'scope="{wanted}"')
        elif found is not None and found.kind == "catalog":
            parts.append('scope="registry:catalog:*"')
        if isinstance(error, InsufficientScope | SourceOutOfScope):
            parts.append('error="insufficient_scope"')
        return "Bearer " + ",".join(parts)

    def _base_url(self, scope: Scope) -> str:
        if self._public_url:
            return self._public_url
        host = header(scope, "host")
        clean = host if host and all(c.isalnum() or c in ".-:[]" for c in host) else "localhost"
        return f"{scope['scheme']}://{clean}"


class _Status:
    """``send`` that remembers whether an answer has begun, and with which status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.seen = 0

    async def __call__(self, message: object) -> None:
        if isinstance(message, dict) and message["type"] == "http.response.start":
            self.seen = message["status"]
        await self._send(message)  # type: ignore[arg-type]  # passed on as it came


async def _ping(exchange: Exchange, _found: Route) -> None:
    """The client asks whether this is a registry, and learns how to log in."""
    if exchange.actor.is_anonymous and not exchange.header("authorization"):
        raise Unauthorized("log in to use this registry", hint="docker login HOST")
    await exchange.reply(200, [("content-type", "application/json")], b"{}")


def _authorise(exchange: Exchange, found: Route, permission: Permission | None) -> None:
    """Raise unless the presented credential allows it. Speaks before policy, and leaks no existence."""
    actor = exchange.actor
    if found.kind == "catalog":
        if actor.may_list_catalog:
            return
    elif permission is None or found.repository is None:
        return
    else:
        allowed = actor.may(permission, found.repository)
        if allowed or (exchange.is_head and actor.may("push", found.repository)):
            return
    if actor.is_anonymous:
        raise Unauthorized("authentication is required", hint="docker login HOST")
    if actor.scope is not None:
        raise InsufficientScope("the token does not allow this", hint="your account may lack the permission")
    raise Forbidden("requested access to the resource is denied", hint="ask an administrator for a grant")


def _wanted(found: Route, method: str) -> str:
    if method == "DELETE" and found.kind in {"manifests", "blobs"}:
        return "delete"
    return "pull" if method in {"GET", "HEAD"} and found.kind != "upload" else "pull,push"


def _source(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _name_reason(scope: Scope, error: Refused) -> None:
    """On the status line too, where the server can: some clients show nothing else."""
    set_reason = scope.get("extensions", {}).get(SET_REASON)
    if set_reason is not None and error.reason_phrase:
        set_reason(error.reason_phrase)


def decision_headers(decision: str, link: str) -> list[tuple[str, str]]:
    """How a program finds the decision behind an answer."""
    headers = [("trustgate-decision", decision)]
    return [*headers, ("link", f'<{link}>; rel="describedby"')] if link else headers


async def _surprise(error: Exception, scope: Scope, send: _Status) -> None:
    request_id = new_request_id()
    log.error("request %s: %s %s failed", request_id, scope["method"], scope["path"], exc_info=error)
    if send.seen:
        return
    headers = [("content-type", "application/json"), ("x-request-id", request_id), ("connection", "close")]
    message = f"internal error; the server's log has it under request {request_id}"
    await send_reply(send, 500, headers, document("UNKNOWN", message))
