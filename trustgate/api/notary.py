"""Notary v1 on the wire: ``/v2/<gun>/_trust/…``, as docker and notary ask for it.

A plain ASGI application beside the registry's, under the same users, tokens and challenges. No repository can
be named ``_trust`` (a name begins with a letter or digit), so the paths of the two never meet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final, Literal, TypeVar, cast

from trustgate.api.errors import new_request_id, printable, row_of
from trustgate.api.exchange import (
    ClientGone,
    Exchange,
    Receive,
    Scope,
    Send,
    has_body,
    header,
    send_reply,
)
from trustgate.api.multipart import MultipartInvalid, read_files
from trustgate.api.paths import query
from trustgate.errors import (
    Forbidden,
    InvalidInput,
    ManifestTooLarge,
    NotFound,
    TooManyAttempts,
    TrustgateError,
    Unauthorized,
)
from trustgate.evidence.notary.fields import is_role
from trustgate.flows.access import Actor
from trustgate.flows.admit import Gate, Refused
from trustgate.flows.notary import (
    GunInvalid,
    Publishing,
    TrustDataUnknown,
    TrustFlow,
    TrustUpdateRefused,
)
from trustgate.flows.notary_arrivals import whose
from trustgate.oci.names import RepositoryName
from trustgate.ports import Permission, ServerRole, TrustChange

log = logging.getLogger("trustgate.api")
T = TypeVar("T")

MAX_UPLOAD_BYTES: Final = 32 * 1024 * 1024
MAX_PATH_BYTES: Final = 4096
CONSISTENT_S: Final = 30 * 24 * 3600
CURRENT_S: Final = 5 * 60
"""How long notary lets its answers be kept: those named by checksum or version, and the current ones."""
TRUST_MARK: Final = "/_trust/"

Kind = Literal["update", "delete", "current", "checksum", "version", "key", "feed", "feed-of-all"]
Authenticate = Callable[[str | None, str], Awaitable[Actor]]

_CHECKSUM = re.compile(r"(?P<role>.+)\.(?P<sum>[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})\.json")
_VERSION = re.compile(r"(?P<version>[0-9]{1,16})\.(?P<role>.+)\.json")
_CURRENT = re.compile(r"(?P<role>.+)\.json")
_KEY = re.compile(r"(?P<role>snapshot|timestamp)\.key")
_ALL: Final[tuple[Permission, ...]] = ("pull", "push", "delete")
_NEEDS: Final[Mapping[tuple[str, Kind], tuple[str, tuple[Permission, ...]]]] = {
    ("GET", "current"): ("pull", ("pull",)),
    ("GET", "checksum"): ("pull", ("pull",)),
    ("GET", "version"): ("pull", ("pull",)),
    ("GET", "feed"): ("pull", ("pull",)),
    ("GET", "feed-of-all"): ("*", ()),
    ("GET", "key"): ("push,pull", ("push", "pull")),
    ("POST", "update"): ("push,pull", ("push", "pull")),
    ("POST", "key"): ("*", _ALL),
    ("DELETE", "update"): ("*", _ALL),
}
"""What notary's own server asks for: the words of the scope, and our permissions."""
_CODES: Final[Mapping[type[TrustgateError], tuple[int, str]]] = {
    TrustDataUnknown: (404, "METADATA_NOT_FOUND"),
    NotFound: (404, "METADATA_NOT_FOUND"),
    GunInvalid: (400, "INVALID_GUN"),
    MultipartInvalid: (400, "MALFORMED_UPLOAD"),
    ManifestTooLarge: (413, "MALFORMED_UPLOAD"),
    InvalidInput: (400, "INVALID_PARAMETERS"),
    Refused: (400, "DENIED"),
}
"""Of a 403 notary's library says "unable to reach trust server", and shows nothing of what it was told."""


@dataclass(frozen=True, slots=True)
class TrustRoute:
    """What a path names."""

    kind: Kind
    gun: str = ""
    role: str = ""
    checksum: str = ""
    version: int | None = None


def is_trust_path(path: str) -> bool:
    """Whether a path below ``/v2/`` is Notary's."""
    return TRUST_MARK in path


def trust_route(raw_path: bytes) -> TrustRoute:
    """Raises ``NotFound``."""
    path = re.sub("%3[aA]", ":", raw_path[: MAX_PATH_BYTES + 1].decode("latin-1"))
    before, _mark, rest = path.rpartition(TRUST_MARK)
    gun = before.removeprefix("/v2").removeprefix("/")
    if len(raw_path) <= MAX_PATH_BYTES and "%" not in path:
        if rest == "changefeed":
            return TrustRoute("feed", gun) if gun else TrustRoute("feed-of-all")
        if gun and rest == "tuf/":
            return TrustRoute("update", gun)
        if gun and rest.startswith("tuf/"):
            found = _file_route(gun, rest.removeprefix("tuf/"))
            if found is not None:
                return found
    raise NotFound(f"there is nothing at {path[:120]!a}")


def _file_route(gun: str, name: str) -> TrustRoute | None:
    if match := _KEY.fullmatch(name):
        return TrustRoute("key", gun, match["role"])
    if (match := _CHECKSUM.fullmatch(name)) and is_role(match["role"]):
        return TrustRoute("checksum", gun, match["role"], checksum=match["sum"].lower())
    if (match := _VERSION.fullmatch(name)) and is_role(match["role"]):
        return TrustRoute("version", gun, match["role"], version=int(match["version"]))
    if (match := _CURRENT.fullmatch(name)) and is_role(match["role"]):
        return TrustRoute("current", gun, match["role"])
    return None


class NotaryServer:
    """The ASGI application."""

    def __init__(
        self,
        *,
        flow: TrustFlow,
        gate: Gate,
        authenticate: Authenticate,
        anonymous: Callable[[], Actor],
        pool: Executor,
        public_url: str,
        service: str,
        observe: Callable[[str, str, int], None],
    ) -> None:
        self._flow = flow
        self._gate = gate
        self._authenticate = authenticate
        self._anonymous = anonymous
        self._pool = pool
        self._public_url = public_url.rstrip("/")
        self._service = service
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered: list[int] = []

        async def watch(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])
            await send(message)

        route: TrustRoute | None = None
        try:
            route = trust_route(scope["raw_path"])
            await self._answer(route, scope, receive, watch)
        except ClientGone:
            answered.append(499)
        except TrustgateError as exc:
            await self._refuse(exc, route, scope, watch)
        except Exception:  # the top of a request: a surprise shows an id, and nothing of the inside
            request_id = new_request_id()
            log.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if not answered:
                message = f"internal error; the server's log has it under request {request_id}"
                await _send_error(watch, 500, "UNKNOWN", message, None, [("x-request-id", request_id)])
        self._observe("trust", scope["method"], answered[0] if answered else 499)

    async def _answer(self, route: TrustRoute, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        actor = await self._authenticate(header(scope, "authorization") or None, client[0] if client else "")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        needs = _NEEDS.get((method, route.kind))
        if needs is None:
            raise NotFound(f"{scope['method'][:16]!a} is not offered here")
        repository = self._flow.repository(route.gun) if route.gun else None
        _authorise(actor, repository, needs[1])
        exchange = Exchange(scope, receive, send, self._base_url(scope), query(scope["query_string"]), actor)
        match (method, route.kind):
            case ("GET", "feed" | "feed-of-all"):
                await self._feed(exchange, route)
            case ("GET", "key"):
                await self._key(exchange, route, self._flow.key)
            case ("POST", "key"):
                await self._key(exchange, route, self._flow.rotate_key)
            case ("POST", _):
                await self._publish(exchange, route)
            case ("DELETE", _):
                await self._call(lambda: self._flow.delete(route.gun))
                await exchange.reply(200, _NO_STORE)
            case _:
                await self._file(exchange, route)

    async def _file(self, exchange: Exchange, route: TrustRoute) -> None:
        found = await self._call(
            lambda: self._flow.read(route.gun, route.role, checksum=route.checksum, version=route.version)
        )
        # a cache between may give to others only what anybody may have
        repository = self._flow.repository(route.gun)
        anybody = await self._call(lambda: self._anonymous().may("pull", repository))
        headers = _kept_for(route, found.stored_at, public=anybody)
        await exchange.reply(200, headers, found.file.raw)

    async def _key(
        self, exchange: Exchange, route: TrustRoute, give: Callable[[str, ServerRole], Any]
    ) -> None:
        key = await self._call(lambda: give(route.gun, cast("ServerRole", route.role)))
        await exchange.reply(200, _NO_STORE, json.dumps(key.as_json()).encode())

    async def _publish(self, exchange: Exchange, route: TrustRoute) -> None:
        body = await exchange.whole_body(MAX_UPLOAD_BYTES)
        kind = exchange.header("content-type")

        def admit(what: Publishing) -> None:
            self._gate.publish(what.repository, what.digest, exchange.actor, whose(what))

        await self._call(lambda: self._flow.publish(route.gun, read_files(kind, body), admit=admit))
        await exchange.reply(200, _NO_STORE)

    async def _feed(self, exchange: Exchange, route: TrustRoute) -> None:
        asked = exchange.asked("records") or "0"
        try:
            records = int(asked)
        except ValueError as exc:
            raise InvalidInput(f"invalid records parameter: {asked[:20]!a}") from exc
        change_id = exchange.asked("change_id") or ""
        changes = await self._call(lambda: self._flow.changes(route.gun, change_id, records))
        document = {"count": len(changes), "records": [_change(change) for change in changes]}
        await exchange.reply(200, _NO_STORE, json.dumps(document).encode())

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _refuse(
        self, error: TrustgateError, route: TrustRoute | None, scope: Scope, send: Send
    ) -> None:
        status, code = _row(error)
        detail: object = error.hint or None
        message = error.message
        if isinstance(error, TrustUpdateRefused):
            message, detail = error.refusal.message, error.refusal.detail
        if isinstance(error, Refused):  # in the one shape of which notary's library shows the text
            detail = {"Name": "ErrValidation", "Error": {"Msg": error.message}}
        headers = []
        if has_body(scope):  # it may not have been read
            headers.append(("connection", "close"))
        if isinstance(error, Unauthorized):
            headers.append(("www-authenticate", self._challenge(route, scope)))
        if isinstance(error, TooManyAttempts):
            headers.append(("retry-after", str(error.retry_after_s)))
        if status >= 500:
            log.error("%s %s: %s", scope["method"], scope["path"], error.message)
            message, detail = "the server can't do this now; its log says why", None
        await _send_error(send, status, code, message, detail, headers)

    def _challenge(self, route: TrustRoute | None, scope: Scope) -> str:
        """Docker's token specification, with the scope that notary's own server asks for."""
        parts = [f'realm="{self._base_url(scope)}/token"', f'service="{self._service}"']
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        needs = _NEEDS.get((method, route.kind)) if route else None
        if route is not None and needs is not None:
            name = f"repository:{route.gun}:{needs[0]}" if route.gun else "registry:catalog:*"
            parts.append(f'scope="{name}"')
        return "Bearer " + ",".join(parts)

    def _base_url(self, scope: Scope) -> str:
        if self._public_url:
            return self._public_url
        host = header(scope, "host")
        clean = host if host and all(c.isalnum() or c in ".-:[]" for c in host) else "localhost"
        return f"{scope['scheme']}://{clean}"


_NO_STORE = (("content-type", "application/json"), ("cache-control", "max-age=0, no-cache, no-store"))


def _authorise(actor: Actor, repository: RepositoryName | None, permissions: tuple[Permission, ...]) -> None:
    """Raise unless the credential allows it; before anything is looked up."""
    if repository is None:
        allowed = actor.may_list_catalog
    else:
        allowed = all(actor.may(permission, repository) for permission in permissions)
    if allowed:
        return
    if actor.is_anonymous or actor.scope is not None:
        raise Unauthorized("authentication is required", hint="docker login HOST")
    raise Forbidden("requested access to the resource is denied", hint="ask an administrator for a grant")


def _kept_for(route: TrustRoute, stored_at: datetime, *, public: bool) -> list[tuple[str, str]]:
    """Notary's ``Cache-Control``, but ``private`` where not everybody may read it."""
    age, end = (CURRENT_S, ", must-revalidate") if route.kind == "current" else (CONSISTENT_S, "")
    shared = f"public, max-age={age}, s-maxage={age}" if public else f"private, max-age={age}"
    return [
        ("content-type", "application/json"),
        ("cache-control", shared + end),
        ("last-modified", format_datetime(stored_at, usegmt=True)),
    ]


def _change(change: TrustChange) -> dict[str, object]:
    return {
        "ID": str(change.id),
        "CreatedAt": change.at.isoformat().replace("+00:00", "Z"),
        "GUN": change.gun,
        "Version": change.version,
        "SHA256": change.sha256,
        "Category": change.category,
    }


def _row(error: TrustgateError) -> tuple[int, str]:
    """(status, notary's code) for an error."""
    if isinstance(error, TrustUpdateRefused):
        return 400, error.refusal.code
    for ancestor in type(error).__mro__:
        if ancestor in _CODES:
            return _CODES[ancestor]
    return row_of(error)


async def _send_error(
    send: Send, status: int, code: str, message: str, detail: object, headers: list[tuple[str, str]]
) -> None:
    shown = printable(detail) if isinstance(detail, str) else detail
    body = json.dumps({"errors": [{"code": code, "message": printable(message), "detail": shown}]})
    fixed = [("content-type", "application/json"), ("cache-control", "no-store")]
    await send_reply(send, status, [*fixed, *headers], body.encode())
