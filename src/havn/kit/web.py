"""HTTP in: the ASGI application every process is made with, and reading and writing JSON bodies.

One framework everywhere (Starlette, see docs/decisions/0002): the app runtime has 80 MB to live in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from havn.kit import trace
from havn.kit.problem import Problem, on_problem

T = TypeVar("T")
Lifespan = Callable[[Starlette], AbstractAsyncContextManager[Any]]
MiB = 1024 * 1024


def create_app(
    routes: Sequence[BaseRoute],
    *,
    name: str,
    lifespan: Lifespan | None = None,
    middleware: Sequence[Middleware] = (),
    exception_handlers: Mapping[Any, Callable[[Request, Any], Awaitable[Response]]] | None = None,
) -> Starlette:
    """An ASGI application whose every failure is a problem document and whose every request is traced and logged.

    `name` is the component's name in logs. The outermost middleware is the trace; those given stand inside it.
    """
    handlers: dict[Any, Any] = {
        Problem: on_problem,
        HTTPException: _on_http_exception,
        ClientDisconnect: _on_disconnect,
    }
    handlers.update(exception_handlers or {})
    return Starlette(
        routes=list(routes),
        lifespan=lifespan,
        middleware=[Middleware(trace.TraceMiddleware, component=name), *middleware],
        exception_handlers=handlers,
    )


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON (msgspec; a `msgspec.Raw` inside is written as it stands)."""
    return Response(msgspec.json.encode(value), status, headers=headers, media_type="application/json")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes; 413 beyond that, before the rest is read."""
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_json(request: Request, type_: type[T], *, limit: int = MiB, strict: bool = True) -> T:
    """The body decoded as `type_`; 400 naming the path of the first wrong member, 413 above `limit` bytes.

    `strict=False` lets "true" and "123" stand for booleans and numbers.
    """
    return decode_json(await read_body(request, limit), type_, strict=strict)


def decode_json(body: bytes, type_: type[T], *, strict: bool = True) -> T:
    """`body` decoded as `type_`; 400 as for `read_json`."""
    try:
        return msgspec.json.decode(body, type=type_, strict=strict)
    except msgspec.ValidationError as error:
        raise Problem(400, f"The body is not valid: {error}.", code="invalid_body") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Problem(400, "The body is not valid JSON.", code="invalid_json") from None


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes.", code="too_large", limit=limit)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    detail, code = None, None
    if error.status_code == 404:
        detail, code = "There is nothing at this address.", "unknown_address"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "other methods")
        detail, code = f"This address takes {allowed}, not {request.method}.", "unknown_method"
    return Problem(error.status_code, detail, code=code, headers=error.headers).response()


async def _on_disconnect(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=499)
