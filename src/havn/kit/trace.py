"""W3C trace context (https://www.w3.org/TR/trace-context/): read from the request, kept for logs, sent onwards."""

from __future__ import annotations

import os
import re
import time
from contextvars import ContextVar

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from havn.kit.problem import Problem

_PARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_current: ContextVar[tuple[str, str, str] | None] = ContextVar("havn_trace", default=None)
_log = structlog.get_logger("access")

PROBE = "havn.probe"
"""In a request's scope: whether it only asks how the process is."""


def trace_id() -> str | None:
    """The trace id of the request being served, 32 hex digits, or None outside a request."""
    current = _current.get()
    return current[0] if current else None


def traceparent() -> str:
    """The `traceparent` header for a call made now; starts a new trace outside a request."""
    trace, span, flags = _current.get() or (os.urandom(16).hex(), os.urandom(8).hex(), "01")
    return f"00-{trace}-{span}-{flags}"


class TraceMiddleware:
    """Gives each request its span, binds trace id and component to its log lines, and writes one access line.

    The access line holds method, matched route, status and milliseconds: never the query, which may hold personal data.
    """

    def __init__(self, app: ASGIApp, component: str) -> None:
        self.app = app
        self.component = component

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request inside its span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace, flags = os.urandom(16).hex(), "01"
        for key, value in scope["headers"]:
            if key == b"traceparent" and (match := _PARENT.fullmatch(value)):
                trace, flags = match[1].decode(), match[3].decode()
        token = _current.set((trace, os.urandom(8).hex(), flags))
        structlog.contextvars.bind_contextvars(traceId=trace, component=self.component)
        status = 0
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            # The last net: the caller learns that we failed and under which id, the log learns why.
            _log.error("unexpected_error", exc_info=error)
            if status:
                raise
            failure = Problem(500, "Something went wrong on our side.", code="internal_error", traceId=trace)
            await failure.response()(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", None)
            # A probe that finds all well, every other second in every pod, is no news.
            if status >= 400 or not scope.get(PROBE):
                _log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                )
            structlog.contextvars.unbind_contextvars("traceId", "component")
            _current.reset(token)
