"""What answers, behind another ingress, where no app is: `python -m havn.gateway.ingress.unknown`.

Traefik's own answer is a line of plain English; this is the page, or the problem document, that our own ingress gives.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.gateway.ingress.pages import page
from havn.kit import log, serve, settings


class UnknownSettings(msgspec.Struct, frozen=True):
    """Where to listen, and the host of the org's apps: any other host is none of ours."""

    apps_host: str
    host: str = "127.0.0.1"
    port: int = 5005


def build(wanted: UnknownSettings) -> ASGIApp:
    """The ASGI application: 404 to everything, but 200 to `/health` for who asks without our host."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        host = request.headers.get("host", "").partition(":")[0].lower()[:253]
        code = "unknown_app" if host == wanted.apps_host.partition(":")[0] else "unknown_host"
        if code == "unknown_host" and request.url.path == "/health":
            await Response("Healthy", media_type="text/plain")(scope, receive, send)
            return
        body, fields = page(
            404,
            code,
            accept=request.headers.get("accept", "").encode("latin-1"),
            languages=request.headers.get("accept-language", "").encode("latin-1"),
            host=host,
        )
        answer = Response(body, 404)
        answer.raw_headers = fields
        await answer(scope, receive, send)

    return app


def main() -> None:
    """Serve until told to stop."""
    log.configure()
    wanted = settings.load(UnknownSettings)
    serve.run(lambda: serve.serve(build(wanted), host=wanted.host, port=wanted.port))


if __name__ == "__main__":
    main()
