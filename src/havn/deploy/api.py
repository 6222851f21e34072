"""Routes of the control plane's API, under `/api/v1` of the console's host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from havn.clusters.port import ClusterError, Clusters, UnknownApp
from havn.contracts.deploy import (
    FINAL,
    DeploymentProgress,
    DeployRequest,
    LogEntry,
    RollbackRequest,
    ScaleRequest,
)
from havn.deploy.access import Access
from havn.deploy.environments import Environment
from havn.deploy.overview import Overview
from havn.deploy.registry.model import is_digest
from havn.deploy.store import Store, Target, Wanted
from havn.deploy.story import Changes
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json

BASE = "/api/v1"
_MAX_REPLICAS = 20


class Api:
    """Translates between HTTP and the control plane."""

    def __init__(
        self,
        store: Store,
        *,
        environments: Mapping[str, Environment],
        clusters: Clusters,
        access: Access,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._environments = environments
        self._clusters = clusters
        self._overview = Overview(store, environments, clusters)
        self._access = access
        self._changes = changes
        self._clock = clock

    def routes(self) -> list[Route]:
        """Every route."""
        app = f"{BASE}/environments/{{environment}}/apps/{{org}}/{{app}}"
        return [
            Route(f"{BASE}/environments", self._list_environments),
            Route(f"{BASE}/apps", self._list_apps),
            Route(f"{BASE}/deployments", self._deploy, methods=["POST"]),
            Route(f"{BASE}/deployments/{{number:int}}", self._deployment),
            Route(f"{BASE}/releases/{{org}}/{{app}}", self._releases),
            Route(f"{BASE}/audit", self._audit),
            Route(app, self._app),
            Route(app, self._undeploy, methods=["DELETE"]),
            Route(f"{app}/scale", self._scale, methods=["POST"]),
            Route(f"{app}/rollback", self._rollback, methods=["POST"]),
            Route(f"{app}/history", self._history),
            Route(f"{app}/logs", self._logs),
        ]

    async def _list_environments(self, request: Request) -> Response:
        await self._access.operator(request)
        return json_response(
            [
                {"name": each.name, "type": each.type, "domain": each.domain, "scheme": each.scheme}
                for each in self._environments.values()
            ]
        )

    async def _list_apps(self, request: Request) -> Response:
        await self._access.operator(request)
        query = request.query_params
        return json_response(await self._overview.apps(query.get("environment"), query.get("org")))

    async def _deploy(self, request: Request) -> Response:
        body = await read_json(request, DeployRequest, limit=10_000)
        target = self._known(Target(body.environment, body.org, body.app))
        if not is_digest(body.release):
            raise Problem(400, "A release is named by its sha256 digest.", code="invalid_digest")
        replicas = body.replicas
        if replicas is None:
            desired = await self._store.desired(target)
            replicas = desired.replicas if desired is not None else 1
        return await self._request(request, target, "deploy", body.release, replicas)

    async def _scale(self, request: Request) -> Response:
        body = await read_json(request, ScaleRequest, limit=10_000)
        target = _target(request)
        desired = await self._deployed(target)
        return await self._request(request, target, "scale", desired.release, body.replicas)

    async def _undeploy(self, request: Request) -> Response:
        target = _target(request)
        desired = await self._deployed(target)
        return await self._request(request, target, "undeploy", desired.release, 0)

    async def _rollback(self, request: Request) -> Response:
        body = await read_json(request, RollbackRequest, limit=10_000)
        target = _target(request)
        desired = await self._deployed(target)
        if body.revision is not None:
            wanted = await self._store.revision(target, body.revision)
            if wanted is None or wanted.status != "succeeded" or wanted.release is None or wanted.kind == "undeploy":
                raise Problem(409, f"Revision {body.revision} is not one that ran.", code="no_such_revision")
        else:
            ran = (
                each
                for each in await self._store.history(target)
                if each.status == "succeeded"
                and each.kind in ("deploy", "rollback")
                and each.release != desired.release
            )
            wanted = next(ran, None)
            if wanted is None:
                raise Problem(409, "No other release ran here before.", code="nothing_to_roll_back_to")
        return await self._request(request, target, "rollback", wanted.release, desired.replicas)

    async def _request(
        self, request: Request, target: Target, kind: Any, release: str | None, replicas: int
    ) -> Response:
        operator = await self._access.operator(request)
        if not 0 <= replicas <= _MAX_REPLICAS:
            raise Problem(400, f"There may be 0 to {_MAX_REPLICAS} replicas.", code="invalid_replicas")
        wanted = Wanted(
            target=target, kind=kind, release=release, replicas=replicas, who=operator.name, address=operator.address
        )
        deployment = await self._store.request(wanted, self._clock())
        location = f"{BASE}/deployments/{deployment.id}"
        return json_response(deployment, 202, {"location": location})

    async def _deployment(self, request: Request) -> Response:
        """A deployment with its events after `after`; `wait` seconds until there are any, or it has ended."""
        await self._access.operator(request)
        number, after = request.path_params["number"], _number(request, "after", 0)
        until = self._clock().timestamp() + min(_number(request, "wait", 0), 30)
        while True:
            deployment = await self._store.deployment(number)
            if deployment is None:
                raise Problem(404, "There is no such deployment.", code="unknown_deployment")
            events = await self._store.events(number, after)
            left = until - self._clock().timestamp()
            if events or deployment.status in FINAL or left <= 0:
                return json_response(DeploymentProgress(deployment=deployment, events=events))
            await self._changes.wait(left)

    async def _app(self, request: Request) -> Response:
        await self._access.operator(request)
        info = await self._overview.app(_target(request))
        if info is None:
            raise _not_deployed(_target(request))
        return json_response(info)

    async def _history(self, request: Request) -> Response:
        await self._access.operator(request)
        return json_response(await self._store.history(_target(request)))

    async def _releases(self, request: Request) -> Response:
        await self._access.operator(request)
        return json_response(await self._store.releases(request.path_params["org"], request.path_params["app"]))

    async def _audit(self, request: Request) -> Response:
        await self._access.operator(request)
        limit = min(_number(request, "limit", 100), 1000)
        return json_response(await self._store.audit(request.query_params.get("org"), limit))

    async def _logs(self, request: Request) -> Response:
        """Log lines as JSON, one a line; with `follow=true` until the client leaves."""
        await self._access.operator(request)
        target = self._known(_target(request))
        follow = request.query_params.get("follow") == "true"
        lines = self._clusters.find(target.org, target.environment).logs(
            target.app, lines=min(_number(request, "lines", 100), 10_000), follow=follow
        )
        try:
            first = await anext(lines, None)
        except UnknownApp:
            raise _not_deployed(target) from None
        except ClusterError as error:
            raise Problem(503, str(error), code="cluster_unavailable") from error

        async def encoded() -> AsyncIterator[bytes]:
            try:
                if first is not None:
                    yield _line(first.time, first.replica, first.text)
                async for line in lines:
                    yield _line(line.time, line.replica, line.text)
            finally:
                await lines.aclose()

        return StreamingResponse(encoded(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})

    def _known(self, target: Target) -> Target:
        if target.environment not in self._environments:
            names = ", ".join(self._environments)
            raise Problem(
                404, f"There is no environment {target.environment[:60]}; there is {names}.", code="unknown_environment"
            )
        return target

    async def _deployed(self, target: Target) -> Any:
        desired = await self._store.desired(self._known(target))
        if desired is None:
            raise _not_deployed(target)
        return desired


def _target(request: Request) -> Target:
    path = request.path_params
    return Target(path["environment"], path["org"], path["app"])


def _not_deployed(target: Target) -> Problem:
    return Problem(404, f"{target.org}/{target.app} is not deployed in {target.environment}.", code="not_deployed")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or len(text) > 9:
        raise Problem(400, f"{name} is not a number.", code="invalid_number")
    return int(text)


def _line(time: Any, replica: str, text: str) -> bytes:
    return msgspec.json.encode(LogEntry(time=time, replica=replica, text=text)) + b"\n"
