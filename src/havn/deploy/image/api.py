"""The route that puts the release an app runs on another base image."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.deploy import BaseRequest, Deployment
from havn.deploy.endpoints import BASE, Endpoint, body, caller, not_deployed
from havn.deploy.environments import Environments
from havn.deploy.registry.model import is_digest
from havn.deploy.store import Store, Target, Wanted
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response


class BaseApi:
    """Handlers."""

    def __init__(self, store: Store, *, environments: Environments, clock: Clock) -> None:
        self._store = store
        self._environments = environments
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        return [
            # Whoever administers an org answers for what is below its releases; these stay as they were approved.
            Endpoint(method="POST", path="/environments/{environment}/apps/{org}/{app}/base", handler=self._base,
                     role="administer", body=BaseRequest, answer=Deployment, status=202),
        ]  # fmt: skip

    async def _base(self, request: Request) -> Response:
        """Ask for the release that runs to be put on another base image."""
        asked, operator, path = body(request, BaseRequest), caller(request), request.path_params
        target = Target(path["environment"], path["org"], path["app"])
        await self._environments.find(target.environment)
        if not is_digest(asked.base):
            raise Problem(400, "A base image is named by its sha256 digest.", code="invalid_digest")
        desired = await self._store.desired(target)
        if desired is None:
            raise not_deployed(target)
        if desired.base is None:
            raise Problem(
                409,
                f"{target.org}/{target.app} runs in {target.environment} without an image, so it has no base.",
                code="no_base",
            )
        wanted = Wanted(
            target=target,
            kind="base",
            release=desired.release,
            replicas=desired.replicas,
            who=operator.name,
            address=operator.address,
            base=asked.base,
        )
        deployment = await self._store.request(wanted, self._clock())
        return json_response(deployment, 202, {"location": f"{BASE}/deployments/{deployment.id}"})
