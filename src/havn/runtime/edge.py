"""What surrounds every route of an app: its two address forms, its answers' headers, a bound on the path."""

from __future__ import annotations

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from havn.kit.problem import Problem

_HEADERS = {
    "x-frame-options": "deny",
    "x-content-type-options": "nosniff",
    "x-xss-protection": "0",
    "referrer-policy": "no-referrer",
}
_NO_STORE = "no-store,no-cache"


class Edge:
    """ASGI middleware: `/{app}/…` and `/{org}/{app}/…` mean the same, anything else is 404.

    The prefix becomes the request's root path, so links are made in the form the request came in. Answers get the
    security headers that Altinn's runtime sends; a route that sets its own keeps it. For the ingress's record they say
    which release answered.
    """

    def __init__(self, app: ASGIApp, org: str, name: str, release: str = "") -> None:
        self.app = app
        self._prefixes = (f"/{org}/{name}", f"/{name}")
        self._release = release.removeprefix("sha256:")[:12]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["havn.nonce"] = secrets.token_urlsafe(16)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", _NO_STORE)
                if self._release:
                    headers["x-havn-version"] = self._release
            await send(message)

        path: str = scope["path"]
        if path == "/health":
            await self.app(scope, receive, with_headers)
            return
        prefix = next((each for each in self._prefixes if path == each or path.startswith(f"{each}/")), None)
        if prefix is None:
            problem = Problem(404, "There is no such app here.", code="unknown_app")
            await problem.response()(scope, receive, with_headers)
            return
        scope["root_path"] = prefix
        if path == prefix:
            scope["path"] = f"{prefix}/"
        await self.app(scope, receive, with_headers)
