"""Errors of the JSON API: RFC 9457 problem documents, one writer."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from trustgate.api.errors import printable, row_of
from trustgate.errors import TooManyAttempts, TrustgateError, Unauthorized

PROBLEM_JSON = "application/problem+json"


def install(app: FastAPI) -> None:
    """Every error of the JSON API becomes a problem document."""
    app.add_exception_handler(TrustgateError, _trustgate_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


def _trustgate_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, TrustgateError):
        raise error
    return problem_of(error)


def problem_of(error: TrustgateError) -> JSONResponse:
    """The problem document of an error."""
    status, _code = row_of(error)
    headers = {"cache-control": "no-store"}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Basic realm="trustgate"'
    if isinstance(error, TooManyAttempts):
        headers["retry-after"] = str(error.retry_after_s)
    content = {
        "type": f"https://trustgate.dev/errors#{error.code}",
        "title": error.code.replace("-", " "),
        "status": status,
        "detail": printable(error.message) if status < 500 else "the server could not do this now",
        "code": error.code,
    }
    if error.hint:
        content["hint"] = printable(error.hint)
    return JSONResponse(content, status_code=status, headers=headers, media_type=PROBLEM_JSON)


def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    wrong = [
        {"loc": ".".join(map(str, item["loc"])), "msg": printable(str(item["msg"]))}
        for item in error.errors()
    ]
    content = {
        "type": "https://trustgate.dev/errors#invalid-input",
        "title": "invalid input",
        "status": 422,
        "detail": "; ".join(f"{item['loc']}: {item['msg']}" for item in wrong)[:1000],
        "code": "invalid-input",
        "errors": wrong,
    }
    return JSONResponse(content, status_code=422, media_type=PROBLEM_JSON)
