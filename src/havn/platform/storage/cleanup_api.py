"""Routes that remove for good, for platform components only."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.kit.web import json_response
from havn.platform.storage.access import Access
from havn.platform.storage.housekeeping import Housekeeping
from havn.platform.storage.instances import split_app_id


class CleanupApi:
    """Handlers; each answers how many things went."""

    def __init__(self, housekeeping: Housekeeping, access: Access) -> None:
        self._housekeeping = housekeeping
        self._access = access

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/cleanup/cleanupinstances", self.instances, methods=["DELETE"]),
            Route(f"{base}/cleanup/cleanupdataelements", self.elements, methods=["DELETE"]),
            Route(f"{base}/cleanup/cleanupinstancesforapp/{{app_id:path}}", self.app, methods=["DELETE"]),
        ]

    async def instances(self, request: Request) -> Response:
        """DELETE cleanup/cleanupinstances."""
        await self._access.component(request)
        return json_response({"instances": await self._housekeeping.clean_instances()})

    async def elements(self, request: Request) -> Response:
        """DELETE cleanup/cleanupdataelements."""
        await self._access.component(request)
        return json_response({"dataElements": await self._housekeeping.clean_elements()})

    async def app(self, request: Request) -> Response:
        """DELETE cleanup/cleanupinstancesforapp/{org}/{app}: every instance, whatever its state."""
        await self._access.component(request)
        org, app = split_app_id(request.path_params["app_id"])
        return json_response({"instances": await self._housekeeping.clean_app(org, app)})
