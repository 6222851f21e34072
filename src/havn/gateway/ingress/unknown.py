"""What answers, behind another ingress, where no app is: `python -m havn.gateway.ingress.unknown`.

Traefik's own answer is a line of plain English; this is the page, or the problem document, that our own ingress gives.
The same goes for what is shut: the routes that lead here for an app in maintenance, or for who is blocked, say so in
fields `X-Havn-…`. Who sends such a field himself is told so himself, and nobody else.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.gateway.ingress.pages import page
from havn.kit import log, serve, settings
from havn.kit.clock import Clock, system_clock


class UnknownSettings(msgspec.Struct, frozen=True):
    """Where to listen, and the host of the org's apps or of the platform: any other host is none of ours."""

    apps_host: str = ""
    platform_host: str = ""
    host: str = "127.0.0.1"
    port: int = 5005
    tls_dir: str | None = None


# As the kubelet's probes have it: no name is like it. Of IPv6 what stands before the first colon.
_ADDRESS = re.compile(r"[0-9.]+|\[[0-9a-f]*")
_AGAIN = 300
_BLOCKED_AGAIN = 3600


def build(wanted: UnknownSettings, *, clock: Clock = system_clock) -> ASGIApp:
    """The ASGI application: 404 to everything that is not shut, but 200 to `/health` for who asks by its address."""
    known = {
        wanted.apps_host.partition(":")[0]: "unknown_app",
        wanted.platform_host.partition(":")[0]: "unknown_address",
        "": "unknown_host",
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        host = request.headers.get("host", "").partition(":")[0].lower()[:253]
        if request.url.path == "/health" and _ADDRESS.fullmatch(host):
            await Response("Healthy", media_type="text/plain")(scope, receive, send)
            return
        code = known.get(host, "unknown_host")
        status, code, words = _shut(request, clock) or (404, code, {"host": host})
        body, fields = page(
            status,
            code,
            accept=request.headers.get("accept", "").encode("latin-1"),
            languages=request.headers.get("accept-language", "").encode("latin-1"),
            **words,
        )
        answer = Response(body, status)
        answer.raw_headers = fields
        await answer(scope, receive, send)

    return app


def _shut(request: Request, clock: Clock) -> tuple[int, str, dict[str, Any]] | None:
    """Status, code and words when the route says that something is shut."""
    said = request.headers.get("x-havn-answer")
    if said == "blocked":
        return 429, "blocked", {"retry_after": _BLOCKED_AGAIN}
    if said != "maintenance":
        return None
    until: datetime | None = None
    again = _AGAIN
    if text := request.headers.get("x-havn-until"):
        try:
            until = msgspec.convert(text, datetime)
            again = min(max(math.ceil((until - clock()).total_seconds()), 30), 3600)
        except (msgspec.ValidationError, TypeError):
            until = None
    message = unquote_plus(request.headers.get("x-havn-message", ""))[:500]
    name = request.headers.get("x-havn-name", "")[:120]
    return 503, "maintenance", {"retry_after": again, "until": until, "message": message, "name": name}


def main() -> None:
    """Serve until told to stop."""
    log.configure()
    wanted = settings.load(UnknownSettings)
    tls = None if wanted.tls_dir is None else Path(wanted.tls_dir)
    serve.run(lambda: serve.serve(build(wanted), host=wanted.host, port=wanted.port, tls=tls))


if __name__ == "__main__":
    main()
