"""The addresses of an app's pages."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from havn.kit import assets
from havn.runtime.api.common import context
from havn.runtime.pages import end, form, start, stateless
from havn.runtime.pages.errors import Handler, page

INSTANCE = "/instance/{party_id:int}/{guid:uuid}"


def routes() -> list[BaseRoute]:
    """Every page, and the assets they load."""
    return [
        _route("/", home),
        _route("/form/{page}", stateless.show),
        _route("/form/{page}", stateless.post, ["POST"]),
        _route("/party-selection", start.party_selection, ["GET", "POST"]),
        _route("/start", start.start, ["POST"]),
        _route(INSTANCE, end.entry),
        _route(INSTANCE, end.leave, ["POST"]),
        _route(f"{INSTANCE}/{{task}}", end.entry),
        _route(f"{INSTANCE}/{{task}}/{{page}}", form.show),
        _route(f"{INSTANCE}/{{task}}/{{page}}", form.post, ["POST"]),
        *assets.routes(),
    ]


async def home(request: Request) -> Response:
    """The stateless form, where the app begins with one; else the way to an instance."""
    if context(request).folder.stateless is not None:
        return await stateless.show(request)
    return await start.home(request)


def _route(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> Route:
    return Route(path, page(handler), methods=list(methods), name=f"page_{handler.__name__}")
