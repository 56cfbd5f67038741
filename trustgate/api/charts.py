"""The classic chart repository: what ``helm repo add`` reads, and what ``helm cm-push`` writes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.types import Message

from trustgate.api.errors import printable, row_of
from trustgate.api.exchange import WHOLE_BODY_S, BodyTooSlow
from trustgate.api.http_protocol import SET_REASON
from trustgate.api.registry import Authenticate, decision_headers
from trustgate.errors import BlobTooLarge, InvalidInput, TooManyAttempts, TrustgateError, Unauthorized
from trustgate.evidence.helm.chart import MAX_CHART_BYTES
from trustgate.evidence.helm.clear_sign import MAX_PROVENANCE_BYTES
from trustgate.evidence.helm.metadata import ChartMetadata
from trustgate.flows.access import Actor
from trustgate.flows.admit import Admission, Refused
from trustgate.flows.chart_index import index_document
from trustgate.flows.charts import PROVENANCE, ChartFlow
from trustgate.ports import Clock

Call = Callable[[Callable[[], Any]], Awaitable[Any]]
Who = Callable[[Request], Awaitable[Actor]]

MAX_UPLOAD_BYTES: Final = MAX_CHART_BYTES + MAX_PROVENANCE_BYTES + 64 * 1024
"""A chart, its provenance, and what a multipart form puts around them."""
MAX_PARTS: Final = 8
MAX_UPLOADS_AT_ONCE: Final = 8
"""Bodies that are held in memory together; further ones wait before the first byte is read."""
NO_STORE: Final = {"cache-control": "no-store"}

log = logging.getLogger("trustgate.api")


def charts_router(flow: ChartFlow, authenticate: Authenticate, clock: Clock, call: Call) -> APIRouter:
    """``/charts/PROJECT`` and ``/api/charts/PROJECT``. ``call`` runs blocking work in the pool."""
    router = APIRouter()

    async def actor(request: Request) -> Actor:
        source = request.client.host if request.client else ""
        return await authenticate(request.headers.get("authorization"), source)

    router.include_router(_reading(flow, actor, clock, call))
    router.include_router(_uploading(flow, actor, call))
    return router


def _reading(flow: ChartFlow, actor: Who, clock: Clock, call: Call) -> APIRouter:
    """What ``helm repo add`` and ``helm pull`` ask for."""
    router = APIRouter()

    @router.head("/charts/{project}/index.yaml", include_in_schema=False)
    @router.get(
        "/charts/{project}/index.yaml",
        operation_id="getChartIndex",
        summary="The index of a project's charts",
    )
    async def index(request: Request, project: str) -> Response:
        try:
            who = await actor(request)
            body = await call(lambda: _index_body(flow, project, who, clock))
        except TrustgateError as exc:
            return _refused(request, exc)
        return Response(body, media_type="application/yaml", headers=NO_STORE)

    @router.head("/charts/{project}/{file_name}", include_in_schema=False)
    @router.get(
        "/charts/{project}/{file_name}",
        operation_id="getChartFile",
        summary="A chart's package, or its provenance",
    )
    async def file(request: Request, project: str, file_name: str) -> Response:
        return await served_file(request, project, "", file_name)

    @router.head("/charts/{project}/{chart}/{file_name}", include_in_schema=False)
    @router.get(
        "/charts/{project}/{chart}/{file_name}",
        operation_id="getFileOfChart",
        summary="The same, at the address that the index gives",
    )
    async def file_of(request: Request, project: str, chart: str, file_name: str) -> Response:
        return await served_file(request, project, chart, file_name)

    async def served_file(request: Request, project: str, chart: str, file_name: str) -> Response:
        try:
            who = await actor(request)
            served = await call(lambda: flow.file(project, file_name, who, chart=chart))
        except TrustgateError as exc:
            return _refused(request, exc)
        kind = "text/plain; charset=utf-8" if file_name.endswith(PROVENANCE) else "application/gzip"
        headers = {**NO_STORE, **_warning(served.admission), "x-content-type-options": "nosniff"}
        return FileResponse(served.blob.path, media_type=kind, headers=headers)

    return router


def _uploading(flow: ChartFlow, actor: Who, call: Call) -> APIRouter:
    """What ``helm cm-push`` sends."""
    router = APIRouter()
    places = asyncio.Semaphore(MAX_UPLOADS_AT_ONCE)

    async def uploaded(request: Request, project: str, store: _Store) -> Response:
        try:
            who = await actor(request)
            flow.check_uploader(project, who)  # before the body is read
            async with places:
                parts = await _parts(request)
                force = "force" in request.query_params
                metadata: ChartMetadata = await call(lambda: store(parts, who, force))
        except TrustgateError as exc:
            return _refused(request, exc)
        content = {"saved": True, "name": metadata.name, "version": metadata.version}
        return JSONResponse(content, status_code=201, headers=NO_STORE)

    @router.post("/api/charts/{project}/charts", operation_id="uploadChart", summary="Upload a chart")
    async def upload(request: Request, project: str) -> Response:
        return await uploaded(request, project, _uploader(flow, project))

    @router.post("/api/charts/{project}/prov", operation_id="uploadProvenance", summary="Add a provenance")
    async def add_provenance(request: Request, project: str) -> Response:
        return await uploaded(request, project, _adder(flow, project))

    return router


def _index_body(flow: ChartFlow, project: str, actor: Actor, clock: Clock) -> str:
    """JSON is YAML, is read faster, and leaves no doubt about what is a text."""
    return json.dumps(index_document(flow.index(project, actor), generated=clock.now()))


_Parts = Mapping[str, bytes]
_Store = Callable[[_Parts, Actor, bool], ChartMetadata]


def _uploader(flow: ChartFlow, project: str) -> _Store:
    def store(parts: _Parts, actor: Actor, force: bool) -> ChartMetadata:
        package = parts.get("chart") or parts.get("")
        if package is None:
            raise InvalidInput("the form has no field 'chart'", hint="curl -F chart=@NAME-VERSION.tgz")
        return flow.upload(project, package, parts.get("prov"), actor, force=force)

    return store


def _adder(flow: ChartFlow, project: str) -> _Store:
    def store(parts: _Parts, actor: Actor, force: bool) -> ChartMetadata:
        provenance = parts.get("prov") or parts.get("")
        if provenance is None:
            raise InvalidInput("the form has no field 'prov'", hint="curl -F prov=@NAME-VERSION.tgz.prov")
        return flow.add_provenance(project, provenance, actor, force=force)

    return store


async def _parts(request: Request) -> _Parts:
    """The form's files by name; a body that is no form stands under the empty name.

    Raises ``InvalidInput``, ``BlobTooLarge``, ``BodyTooSlow``.
    """
    limited = Request(request.scope, _Limited(request.receive))
    try:
        async with asyncio.timeout(WHOLE_BODY_S):
            if not request.headers.get("content-type", "").startswith("multipart/form-data"):
                return {"": await limited.body()}
            async with limited.form(max_files=MAX_PARTS, max_fields=MAX_PARTS) as form:
                files = [(key, value) for key, value in form.multi_items() if isinstance(value, UploadFile)]
                if len({key for key, _ in files}) != len(files):
                    raise InvalidInput("the form has a file twice")
                return {key: await value.read() for key, value in files}
    except TimeoutError as exc:
        raise BodyTooSlow(f"the chart did not arrive within {WHOLE_BODY_S:g} seconds") from exc
    except (MultiPartException, HTTPException, LookupError, UnicodeError) as exc:
        raise InvalidInput("the multipart form can't be read") from exc


class _Limited:
    """A request's body, up to a size."""

    def __init__(self, receive: Callable[[], Awaitable[Message]]) -> None:
        self._receive = receive
        self._left = MAX_UPLOAD_BYTES

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise BlobTooLarge(
                f"a chart and its provenance may have {MAX_UPLOAD_BYTES} bytes together",
                hint="helm stores releases in a secret of at most 1 MiB: look what it holds",
            )
        return message


def _refused(request: Request, error: TrustgateError) -> Response:
    """``{"error": …}``, which ``helm cm-push`` prints; helm itself prints only the status line."""
    status, _code = row_of(error)
    headers = dict(NO_STORE)
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Basic realm="trustgate"'
    if isinstance(error, TooManyAttempts):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, Refused):
        set_reason = request.scope.get("extensions", {}).get(SET_REASON)
        if set_reason is not None and error.reason_phrase:
            set_reason(error.reason_phrase)
        headers.update(decision_headers(error.decision, error.link))
    text = error.message
    if status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error.message)
        text = "the server could not do this now"
    if error.hint and status < 500 and not isinstance(error, Refused):
        text = f"{text} ({error.hint})"
    return JSONResponse({"error": printable(text)}, status_code=status, headers=headers)


def _warning(admission: Admission | None) -> Mapping[str, str]:
    if admission is None or not admission.warning:
        return {}
    warning = {"warning": f'299 - "{admission.warning}"'}
    decision = decision_headers(admission.decision, admission.link) if admission.decision else []
    return {**warning, **dict(decision)}
