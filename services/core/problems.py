"""Errors over HTTP as problem details (RFC 9457), the same from every service.

A service raises `Problem` (or a subclass named for what went wrong); validation errors, unknown routes and failures
nobody foresaw take the same form, so that a caller has one shape to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

log = structlog.get_logger()

TYPE_PREFIX = "urn:tongshu:problem:"


class Problem(Exception):
    """Something the caller can understand and mend.

    `slug` is stable (it makes the `type`), `errors` points at the fields: `{"pointer": "/items/0", "detail": …}`.
    """

    def __init__(
        self, status: int, slug: str, title: str, detail: str, *, errors: Sequence[dict[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.title, self.detail, self.errors = status, slug, title, detail, list(errors)


def _response(
    request: Request,
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + slug,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make `app` answer every error as problem details."""

    @app.exception_handler(Problem)
    def on_problem(request: Request, problem: Problem) -> JSONResponse:
        return _response(request, problem.status, problem.slug, problem.title, problem.detail, errors=problem.errors)

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, invalid: RequestValidationError) -> JSONResponse:
        errors = [
            {"pointer": "/" + "/".join(str(step) for step in error["loc"][1:]), "detail": error["msg"]}
            for error in invalid.errors()
        ]
        detail = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
        return _response(request, 422, "invalid-request", "The request is not valid", detail, errors=errors)

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> JSONResponse:
        slug = {401: "not-signed-in", 403: "not-allowed", 404: "not-found", 405: "method-not-allowed"}.get(
            error.status_code, "http-error"
        )
        return _response(
            request, error.status_code, slug, slug.replace("-", " "), str(error.detail),
            headers=dict(error.headers) if error.headers else None,
        )  # fmt: skip

    @app.exception_handler(Exception)
    def on_failure(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", path=request.url.path, exc_info=error)
        detail = "The exchange could not do this; the fault is noted in its log. Try again, or tell its operators."
        return _response(request, 500, "internal", "Internal error", detail)
