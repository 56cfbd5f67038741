"""``/livez`` and ``/readyz``: for probes, and with ``?verbose`` for people; notary's own for its probes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from trustgate.errors import TrustgateError

Call = Callable[[Callable[[], Any]], Awaitable[Any]]
Check = Callable[[], str]
"""Returns what to say when it is well; raises ``TrustgateError`` when it is not."""


def health_router(checks: Mapping[str, Check], call: Call) -> APIRouter:
    """Live means: the process answers. Ready means: every check passes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> Response:
        return PlainTextResponse("ok\n")

    @router.get("/readyz")
    @router.get("/healthz")
    async def readyz(verbose: str | None = None) -> Response:
        lines, well = await call(lambda: _run(checks))
        text = "\n".join(lines) if verbose is not None or not well else "ok"
        return PlainTextResponse(f"{text}\n", status_code=200 if well else 503)

    @router.get("/_notary_server/health")
    async def notary_health() -> Response:
        lines, well = await call(lambda: _run(checks))
        failed = {"trustgate": "; ".join(line for line in lines if line.startswith("FAIL"))}
        return JSONResponse({} if well else failed, status_code=200 if well else 503)

    return router


def _run(checks: Mapping[str, Check]) -> tuple[list[str], bool]:
    lines: list[str] = []
    well = True
    for name, check in checks.items():
        try:
            lines.append(f"ok    {name}: {check()}")
        except TrustgateError as exc:
            well = False
            lines.append(f"FAIL  {name}: {exc.message}")
    return lines, well
