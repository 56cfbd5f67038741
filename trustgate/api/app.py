"""Put the face together: ``/v2/`` by hand, everything else by FastAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from trustgate import __version__
from trustgate.api import problem
from trustgate.api.exchange import Receive, Scope, Send
from trustgate.api.notary import is_trust_path
from trustgate.api.small_bodies import SmallBodies

App = Callable[[Scope, Receive, Send], Any]


class Front:
    """``/v2`` goes to the registry, its ``_trust`` to Notary, lifespan and all else to FastAPI."""

    def __init__(self, registry: App, site: App, notary: App | None = None) -> None:
        self._registry = registry
        self._site = SmallBodies(site)
        self._notary = notary or registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/v2" or scope["path"].startswith("/v2/")):
            below = self._notary if is_trust_path(scope["path"]) else self._registry
            await below(scope, receive, send)
        else:
            await self._site(scope, receive, send)


def create_site(
    routers: Sequence[APIRouter], *, on_start: Callable[[], None], on_stop: Callable[[], None]
) -> FastAPI:
    """The FastAPI half. ``on_start`` and ``on_stop`` run workers beside it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> Any:
        on_start()
        try:
            yield
        finally:
            on_stop()

    site = FastAPI(
        title="trustgate",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    problem.install(site)
    for router in routers:
        site.include_router(router)
    return site
