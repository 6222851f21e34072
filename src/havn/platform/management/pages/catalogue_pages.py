"""The catalogue's pages: finding an Api, and reading all about it. Open to everybody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from havn.kit.problem import Problem
from havn.platform.management.pages.visit import Visit


async def search(request: Request) -> Response:
    """GET /?q=."""
    visit = Visit(request)
    query = request.query_params.get("q", "")[:100]
    found = await visit.office.catalogue.search(query)
    return visit.page("catalogue.html", visit.word("site"), found=found, query=query)


async def one(request: Request) -> Response:
    """GET /apis/{api}."""
    visit = Visit(request)
    found = await visit.office.catalogue.find(request.path_params["api"])
    if found is None:
        raise Problem(404, "There is no such Api.", code="unknown_api")
    others = await visit.office.catalogue.versions(found.api)
    successor = await visit.office.catalogue.find(found.api.successor) if found.api.successor else None
    description = await visit.office.descriptions.of(found.api) if found.openapi else None
    return visit.page(
        "api.html",
        f"{found.api.title.say(visit.language)} {found.api.version}",
        found=found,
        others=others,
        successor=successor,
        description=description,
    )
