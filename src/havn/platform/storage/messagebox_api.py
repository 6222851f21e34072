"""Routes of message boxes: HTTP in and out, nothing else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.messagebox import MessageBoxQuery
from havn.guard.middleware import require_principal
from havn.kit.web import json_response
from havn.platform.storage import bodies
from havn.platform.storage.changes import Call
from havn.platform.storage.instances import Instances
from havn.platform.storage.instances_api import flag, guid_of
from havn.platform.storage.messagebox import MessageBox


class MessageBoxApi:
    """Handlers."""

    def __init__(self, box: MessageBox, instances: Instances) -> None:
        self._box = box
        self._instances = instances

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/sbl/instances/{{party:int}}/{{guid}}"
        return [
            Route(f"{base}/sbl/instances/search", self.find, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/events", self.events, methods=["GET"]),
            Route(f"{one}/undelete", self.undelete, methods=["PUT"]),
        ]

    async def find(self, request: Request) -> Response:
        """POST sbl/instances/search."""
        principal = require_principal(request)
        return json_response(await self._box.find(principal, await bodies.read(request, MessageBoxQuery)))

    async def get(self, request: Request) -> Response:
        """GET sbl/instances/{party}/{guid}?language=."""
        language = request.query_params.get("language")
        return json_response(await self._box.one(require_principal(request), guid_of(request), language))

    async def events(self, request: Request) -> Response:
        """GET sbl/instances/{party}/{guid}/events."""
        return json_response(await self._box.events(require_principal(request), guid_of(request)))

    async def undelete(self, request: Request) -> Response:
        """PUT sbl/instances/{party}/{guid}/undelete."""
        await self._instances.undelete(Call.of(request), guid_of(request))
        return json_response(True)

    async def delete(self, request: Request) -> Response:
        """DELETE sbl/instances/{party}/{guid}?hard=."""
        await self._instances.delete(Call.of(request), guid_of(request), hard=flag(request, "hard"))
        return json_response(True)
