"""Routes for what is shut, the same for every environment; translation only."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from havn.appfolder.ids import AppId
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.deploy.author import Author
from havn.deploy.endpoints import Endpoint, all_orgs, any_org, body, caller
from havn.deploy.protection.port import Ingresses
from havn.kit.clock import Clock
from havn.kit.web import json_response


class ProtectionApi:
    """Finds who keeps an environment's ingresses: `own` by the environment's name, `others` for every other one."""

    def __init__(self, others: Ingresses, clock: Clock, own: Mapping[str, Ingresses] | None = None) -> None:
        self._others = others
        self._clock = clock
        self._own = own or {}

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table of routes."""
        at = "/environments/{environment}"
        app = f"{at}/orgs/{{org}}/apps/{{app}}/maintenance"
        return [
            Endpoint(method="GET", path=f"{at}/maintenance", handler=self._list_closed, role="look", org=any_org,
                     answer=list[ClosedApp]),
            Endpoint(method="PUT", path=app, handler=self._close, role="deploy", body=ClosingRequest, answer=ClosedApp),
            Endpoint(method="DELETE", path=app, handler=self._open, role="deploy", status=204),
            Endpoint(method="GET", path=f"{at}/blocks", handler=self._list_blocks, role="look", org=all_orgs,
                     answer=list[Block]),
            Endpoint(method="POST", path=f"{at}/blocks", handler=self._block, role="administer", org=all_orgs,
                     body=BlockRequest, answer=Block, status=201),
            Endpoint(method="DELETE", path=f"{at}/blocks/{{id}}", handler=self._unblock, role="administer",
                     org=all_orgs, status=204),
        ]  # fmt: skip

    async def _list_closed(self, request: Request) -> Response:
        """The apps in maintenance."""
        of, environment = self._of(request)
        return json_response(await of.closed(environment, caller(request).orgs("look")))

    async def _close(self, request: Request) -> Response:
        """Put an app in maintenance, or change what is said about it."""
        of, environment = self._of(request)
        wanted = body(request, ClosingRequest)
        return json_response(await of.close(environment, _app(request), wanted, self._author(request)))

    async def _open(self, request: Request) -> Response:
        """Take an app out of maintenance; 202 while its cluster has not been told yet."""
        of, environment = self._of(request)
        done = await of.open(environment, _app(request), self._author(request))
        return Response(status_code=204 if done else 202)

    async def _list_blocks(self, request: Request) -> Response:
        """What is blocked."""
        of, environment = self._of(request)
        return json_response(await of.blocks(environment))

    async def _block(self, request: Request) -> Response:
        """Block an address, a range or a subscription for a time."""
        of, environment = self._of(request)
        made = await of.block(environment, body(request, BlockRequest), self._author(request))
        return json_response(made, 201)

    async def _unblock(self, request: Request) -> Response:
        """Take a block away; 202 while some cluster has not been told yet."""
        of, environment = self._of(request)
        done = await of.unblock(environment, request.path_params["id"], self._author(request))
        return Response(status_code=204 if done else 202)

    def _of(self, request: Request) -> tuple[Ingresses, str]:
        environment = request.path_params["environment"]
        return self._own.get(environment, self._others), environment

    def _author(self, request: Request) -> Author:
        operator = caller(request)
        return Author(operator.name, operator.address, self._clock())


def _app(request: Request) -> AppId:
    return AppId(request.path_params["org"], request.path_params["app"])
