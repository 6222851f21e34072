"""Calls to an environment's management API for an operator: who they are and for which org they may, we know here."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.management import ACTING_ADDRESS, ACTING_FOR, ACTING_ORG
from havn.deploy.endpoints import Endpoint, caller
from havn.deploy.environments import Environments
from havn.kit.problem import MEDIA_TYPE, Problem
from havn.kit.web import read_body

_LIMIT = 256 * 1024
# What an operator may reach; the rest is between parts of the platform.
_OPEN = frozenset(("apis", "applications", "catalogue", "history", "levels", "requests", "subscriptions"))
_PASSED = ("cache-control", "content-disposition", "retry-after")


class ManagementRelay:
    """Passes calls on. `{org}` in the path is an org, or `*` for an operator of all."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table: whoever may look at the org reads, whoever may deploy for it writes."""
        path = "/environments/{environment}/orgs/{org}/management/{path:path}"
        return [
            Endpoint(method="GET", path=path, handler=self._relay, role="look"),
            *(
                Endpoint(method=each, path=path, handler=self._relay, role="deploy")
                for each in ("PUT", "POST", "DELETE")
            ),
        ]

    async def _relay(self, request: Request) -> Response:
        """Call the management API of an environment."""
        operator = caller(request)
        environment = await self._environments.find(request.path_params["environment"])
        segments = request.path_params["path"].split("/")
        if segments[0] not in _OPEN or any(each in ("", ".", "..") for each in segments):
            raise Problem(404, "There is no such address in API management.", code="unknown_address")
        answer = await environment.publisher.manage(
            request.method,
            "/".join(quote(each, safe=":") for each in segments),
            query=dict(request.query_params),
            body=await read_body(request, _LIMIT),
            headers={
                ACTING_FOR: quote(operator.name, safe=" @.+-_"),
                ACTING_ADDRESS: operator.address,
                ACTING_ORG: request.path_params["org"],
                "accept": request.headers.get("accept", "*/*"),
            },
        )
        headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
        kind = answer.headers.get("content-type", MEDIA_TYPE)
        return Response(answer.content, answer.status_code, headers=headers, media_type=kind)
