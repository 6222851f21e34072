"""Routes about the open instances of an app, for platform components only: HTTP in and out, nothing else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.standing import TaskMove
from havn.kit.web import json_response
from havn.platform.storage import bodies
from havn.platform.storage.access import Access
from havn.platform.storage.standing import OpenInstances


class StandingApi:
    """Handlers."""

    def __init__(self, instances: OpenInstances, access: Access) -> None:
        self._instances = instances
        self._access = access

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/applications/{{org}}/{{app}}/standing"
        return [
            Route(one, self.standing, methods=["GET"]),
            Route(f"{one}/moves", self.move, methods=["POST"]),
        ]

    async def standing(self, request: Request) -> Response:
        """GET applications/{org}/{app}/standing."""
        await self._access.component(request)
        path = request.path_params
        return json_response(await self._instances.standing(path["org"], path["app"]))

    async def move(self, request: Request) -> Response:
        """POST applications/{org}/{app}/standing/moves."""
        await self._access.component(request)
        path = request.path_params
        body = await bodies.read(request, TaskMove, limit=10_000)
        return json_response(await self._instances.move(path["org"], path["app"], body))
