"""Pages for people, rendered on the server, without a line of JavaScript: home, setup, decisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from trustgate import __version__
from trustgate.api.decision_json import decision_to_json
from trustgate.errors import TooManyAttempts, TrustgateError
from trustgate.flows.first_start import FirstStart
from trustgate.flows.passwords import MIN_PASSWORD_CHARACTERS
from trustgate.ports import DecisionId, DecisionRecord, Decisions

Call = Callable[[Callable[[], Any]], Awaitable[Any]]

_WORDS = {"deny": "DENIED", "warn": "WARN", "allow": "ALLOWED"}
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def pages_router(
    *, decisions: Decisions, first_start: FirstStart, call: Call, base_url: Callable[[Request], str]
) -> APIRouter:
    """``/``, ``/setup/CODE``, ``/d/ID`` (HTML, or JSON by suffix or ``Accept``)."""
    router = APIRouter(include_in_schema=False)
    render = _renderer()
    stylesheet = (files("trustgate.api") / "static" / "page.css").read_bytes()

    @router.get("/static/page.css")
    async def style() -> Response:
        return Response(stylesheet, media_type="text/css", headers={"cache-control": "max-age=3600"})

    @router.get("/")
    async def home(request: Request) -> Response:
        host = base_url(request).partition("://")[2]
        lines = ["This is a container registry that verifies what it serves.", "Log in and push:"]
        command = f"docker login {host}\ndocker push {host}/shop/web:1"
        return render("message.html", title="trustgate", lines=lines, command=command)

    @router.get("/d/{decision}")
    async def decision(decision: str, request: Request) -> Response:
        wanted = decision.removesuffix(".json")
        record: DecisionRecord | None = await call(lambda: decisions.find(DecisionId(wanted)))
        as_json = decision.endswith(".json") or "application/json" in request.headers.get("accept", "")
        if record is None:
            return _unknown(render, as_json=as_json)
        document = decision_to_json(record, host=base_url(request).partition("://")[2])
        if as_json:
            return JSONResponse(document, headers=_HEADERS)
        against = [rule for rule in document["rules"] if rule["outcome"] in {"fail", "unknown"}]
        word = _WORDS[document["verdict"]]
        return render("decision.html", d=document, against=against, word=word, base_url=base_url(request))

    @router.get("/setup/{code}")
    async def setup(code: str) -> Response:
        if not first_start.is_open(code):
            return render(
                "message.html", status=404, title="This link is not valid", lines=_STALE, command=""
            )
        return render("setup.html", problem="", minimum=MIN_PASSWORD_CHARACTERS)

    @router.post("/setup/{code}")
    async def redeem(code: str, request: Request, password: Annotated[str, Form()]) -> Response:
        source = request.client.host if request.client else ""
        try:
            await call(lambda: first_start.redeem(code, password, source))
        except TrustgateError as exc:
            status = 429 if isinstance(exc, TooManyAttempts) else 400
            problem = f"{exc.message} ({exc.hint})"
            return render("setup.html", status=status, problem=problem, minimum=MIN_PASSWORD_CHARACTERS)
        lines = ["The password is set, and this link has done its work.", "Log in as admin:"]
        host = base_url(request).partition("://")[2]
        return render("message.html", title="Done", lines=lines, command=f"docker login -u admin {host}")

    return router


_STALE = [
    "It works once, for half an hour after the first start.",
    "Otherwise log in as admin with the password in the file initial-admin-password in the data directory.",
]
_UNKNOWN = [
    "It may have been removed, or the link was not copied whole.",
    "Pull again: a refusal is recorded each time something has changed, and its message has a new link.",
]


def _unknown(render: Callable[..., Response], *, as_json: bool) -> Response:
    if as_json:
        return JSONResponse({"title": "no such decision", "status": 404}, status_code=404, headers=_HEADERS)
    return render("message.html", status=404, title="There is no such decision", lines=_UNKNOWN, command="")


def _renderer() -> Callable[..., Response]:
    environment = Environment(
        loader=PackageLoader("trustgate.api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

    def render(template: str, *, status: int = 200, **values: Any) -> Response:
        text = environment.get_template(template).render(version=__version__, **values)
        return HTMLResponse(text, status_code=status, headers=_HEADERS)

    return render
