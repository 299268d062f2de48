"""The web application: API, pages and metrics, with headers and errors common to all responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from handssl.errors import DataError, HandsslError, InputError
from handssl.runtime.secrets import masked
from handssl.service.components import Service
from handssl.service.errors import (
    ForbiddenError,
    NoResultsError,
    NoSuchJobError,
    NoSuchTrialError,
    NotNowError,
    TakenNameError,
    TooLargeError,
    UnauthorizedError,
)
from handssl.service.web import api, metrics, pages, results_api
from handssl.service.web.middleware import HeadRequests, SizeLimit

_STATUS: tuple[tuple[type[HandsslError], int], ...] = (
    (NoSuchJobError, 404),
    (NoSuchTrialError, 404),
    (NoResultsError, 409),
    (NotNowError, 409),
    (TakenNameError, 409),
    (TooLargeError, 413),
    (UnauthorizedError, 401),
    (ForbiddenError, 403),
    (InputError, 422),
    (DataError, 503),
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; style-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
}
_TEXT = """Queue of handssl: studies wait here for their turn on a Ray cluster.

A job is a study as data. With tokens, every request needs one: `Authorization: Bearer TOKEN`."""


def create_app(service: Service) -> FastAPI:
    """Return the application of a service.

    Args:
        service: The service that handles the requests.
    """
    # FastAPI's own pages load scripts from other sites; ours is at /docs too.
    app = FastAPI(
        title="handssl",
        version=version("handssl"),
        description=_TEXT,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(api.router)
    app.include_router(results_api.router)
    app.include_router(pages.router)
    app.include_router(metrics.router)
    pages.mount(app)
    app.add_middleware(SizeLimit)
    app.add_middleware(HeadRequests)
    app.middleware("http")(_headers)
    app.add_exception_handler(HandsslError, _refuse)
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_exception_handler(HTTPException, _respond)
    return app


async def _headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


async def _refuse(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    return _answer(request, status, str(error))


async def _explain(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (registered for it)
    lines = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()]
    return _answer(request, 422, "\n".join(lines))


async def _respond(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for it)
    return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))


def _place(where: Any) -> str:
    return ".".join(str(one) for one in where)


def _answer(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    detail = masked(detail)
    detail = detail.encode(errors="backslashreplace").decode()  # it may quote a lone surrogate
    if status == 401 and pages.is_page(request):
        return RedirectResponse("/login", 303)
    if pages.is_page(request):
        return pages.problem(request, status, detail)
    found = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse({"detail": detail}, status, found | (headers or {}))
