"""Routes that everybody may use: the catalogue."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import management as contract
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.platform.management.catalogue import Catalogue


class CatalogueApi:
    """Handlers."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/catalogue", self.search, methods=["GET"]),
            Route(f"{base}/catalogue/{{api}}", self.one, methods=["GET"]),
        ]

    async def search(self, request: Request) -> Response:
        """GET catalogue?q=&org=."""
        query = request.query_params
        found = await self._catalogue.search(query.get("q", ""), query.get("org") or None)
        return json_response(contract.Catalogue(apis=tuple(found)))

    async def one(self, request: Request) -> Response:
        """GET catalogue/{api}."""
        found = await self._catalogue.find(request.path_params["api"])
        if found is None:
            raise Problem(404, "There is no such Api.", code="unknown_api")
        return json_response(found)
