"""Routes of the control plane's API, under `/api/v1` of the console's host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from havn.clusters.port import ClusterError, Clusters, UnknownApp
from havn.contracts.deploy import (
    FINAL,
    AppInfo,
    AuditEntry,
    Deployment,
    DeploymentProgress,
    DeployRequest,
    EnvironmentInfo,
    LogEntry,
    ReleaseInfo,
    RollbackRequest,
    ScaleRequest,
)
from havn.contracts.promotion import Approval
from havn.deploy.endpoints import Endpoint, any_org, body, caller, in_body, not_deployed
from havn.deploy.environments import Environments
from havn.deploy.overview import Overview
from havn.deploy.promotion.api import answer
from havn.deploy.promotion.gate import Gate
from havn.deploy.registry.model import is_digest
from havn.deploy.replicas import check_replicas, check_scaling
from havn.deploy.store import Store, Target, Wanted
from havn.deploy.story import Changes
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response


class Api:
    """Translates between HTTP and the control plane."""

    def __init__(
        self,
        store: Store,
        *,
        environments: Environments,
        clusters: Clusters,
        changes: Changes,
        gate: Gate,
        clock: Clock,
    ) -> None:
        self._store = store
        self._environments = environments
        self._clusters = clusters
        self._overview = Overview(store, environments, clusters)
        self._changes = changes
        self._gate = gate
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table that are about apps."""
        app = "/environments/{environment}/apps/{org}/{app}"
        wait = {
            "after": "number of the last event already read",
            "wait": "seconds to wait for one, at most 30",
        }
        lines = {"lines": "how many to begin with", "follow": "`true`: go on with those that come"}
        filters = {"environment": "only this environment", "org": "only this org"}
        return [
            Endpoint(method="GET", path="/environments", handler=self._list_environments, role="look", org=any_org,
                     answer=list[EnvironmentInfo]),
            Endpoint(method="GET", path="/apps", handler=self._list_apps, role="look", org=any_org,
                     answer=list[AppInfo], query=filters),
            Endpoint(method="POST", path="/deployments", handler=self._deploy, role="deploy", org=in_body,
                     body=DeployRequest, answer=Deployment | Approval, status=202),
            Endpoint(method="GET", path="/deployments/{number:int}", handler=self._deployment, role="look",
                     org=self._org_of_deployment, answer=DeploymentProgress, query=wait),
            Endpoint(method="GET", path="/releases/{org}/{app}", handler=self._releases, role="look",
                     answer=list[ReleaseInfo]),
            Endpoint(method="GET", path="/audit", handler=self._audit, role="look", org=any_org,
                     answer=list[AuditEntry], query={"org": "only this org", "limit": "how many, at most 1000"}),
            Endpoint(method="GET", path=app, handler=self._app, role="look", answer=AppInfo,
                     query={"drift": "`true`: with what somebody has changed by hand"}),
            Endpoint(method="DELETE", path=app, handler=self._undeploy, role="deploy", answer=Deployment, status=202),
            Endpoint(method="POST", path=f"{app}/scale", handler=self._scale, role="deploy", body=ScaleRequest,
                     answer=Deployment, status=202),
            Endpoint(method="POST", path=f"{app}/rollback", handler=self._rollback, role="deploy",
                     body=RollbackRequest, answer=Deployment, status=202),
            Endpoint(method="GET", path=f"{app}/history", handler=self._history, role="look",
                     answer=list[Deployment]),
            Endpoint(method="GET", path=f"{app}/logs", handler=self._logs, role="look", answer=LogEntry, lines=True,
                     query=lines),
        ]  # fmt: skip

    async def _org_of_deployment(self, request: Request) -> str | None:
        deployment = await self._store.deployment(request.path_params["number"])
        # One that is not there is nobody's: who may look somewhere learns that it is not there.
        return deployment.org if deployment is not None else None

    async def _list_environments(self, request: Request) -> Response:
        """Every environment."""
        return json_response(
            [
                EnvironmentInfo(
                    name=each.name, type=each.type, domain=each.domain, scheme=each.scheme, approval=each.approval
                )
                for each in await self._environments.all()
            ]
        )

    async def _list_apps(self, request: Request) -> Response:
        """What should run, beside what does; of the orgs that the caller may see."""
        query, org = request.query_params, request.query_params.get("org")
        seen = caller(request).orgs("look")
        if org is not None or seen is None:
            if org is not None:
                caller(request).require("look", org)
            return json_response(await self._overview.apps(query.get("environment"), org))
        found = [await self._overview.apps(query.get("environment"), each) for each in sorted(seen)]
        apps = [app for each in found for app in each]
        return json_response(sorted(apps, key=lambda app: (app.environment, app.org, app.app)))

    async def _deploy(self, request: Request) -> Response:
        """Ask for a release to be deployed."""
        asked = body(request, DeployRequest)
        target = await self._known(Target(asked.environment, asked.org, asked.app))
        if not is_digest(asked.release):
            raise Problem(400, "A release is named by its sha256 digest.", code="invalid_digest")
        replicas = asked.replicas
        if replicas is None:
            desired = await self._store.desired(target)
            replicas = desired.replicas if desired is not None else 1
        return await self._request(
            request, target, "deploy", asked.release, replicas, mapping=asked.mapping, strand=asked.strand
        )

    async def _scale(self, request: Request) -> Response:
        """Ask for another number of replicas, or bounds for it; 0 stops the app but keeps it deployed."""
        target, asked = _target(request), body(request, ScaleRequest)
        if (asked.replicas is None) == (asked.scaling is None):
            raise Problem(400, "Say how many replicas, or between which bounds.", code="invalid_replicas")
        if asked.scaling is not None:
            check_scaling(asked.scaling)
        desired = await self._deployed(target)
        replicas = asked.replicas if asked.scaling is None else asked.scaling.minimum
        assert replicas is not None
        return await self._request(
            request, target, "scale", desired.release, replicas, base=desired.base, scaling=asked.scaling
        )

    async def _undeploy(self, request: Request) -> Response:
        """Ask for an app to be stopped and taken away; its data stay."""
        target = _target(request)
        desired = await self._deployed(target)
        return await self._request(request, target, "undeploy", desired.release, 0)

    async def _rollback(self, request: Request) -> Response:
        """Ask for the release of an earlier revision, or of the last different one."""
        asked = body(request, RollbackRequest)
        revision = asked.revision
        target = _target(request)
        desired = await self._deployed(target)
        if revision is not None:
            wanted = await self._store.revision(target, revision)
            if wanted is None or wanted.status != "succeeded" or wanted.release is None or wanted.kind == "undeploy":
                raise Problem(
                    409, f"Revision {revision} is not one that ran: `havn history` lists them.", code="no_such_revision"
                )
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
        return await self._request(
            request, target, "rollback", wanted.release, desired.replicas, base=wanted.base, mapping=asked.mapping,
            strand=asked.strand,
        )  # fmt: skip

    async def _request(
        self, request: Request, target: Target, kind: Any, release: str | None, replicas: int, **more: Any
    ) -> Response:
        operator = caller(request)
        check_replicas(replicas)
        wanted = Wanted(
            target=target,
            kind=kind,
            release=release,
            replicas=replicas,
            who=operator.name,
            address=operator.address,
            **more,
        )
        return answer(await self._gate.ask(wanted, operator))

    async def _deployment(self, request: Request) -> Response:
        """A deployment with its events after `after`; `wait` seconds until there are any, or it has ended."""
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
        """One app: what was asked for, and what the cluster says."""
        info = await self._overview.app(_target(request), drift=request.query_params.get("drift") == "true")
        if info is None:
            raise not_deployed(_target(request))
        return json_response(info)

    async def _history(self, request: Request) -> Response:
        """The changes to an app, newest first."""
        return json_response(await self._store.history(_target(request)))

    async def _releases(self, request: Request) -> Response:
        """The releases of an app that were deployed, newest first."""
        return json_response(await self._store.releases(request.path_params["org"], request.path_params["app"]))

    async def _audit(self, request: Request) -> Response:
        """Who did what, newest first; of the orgs that the caller may see."""
        limit = min(_number(request, "limit", 100), 1000)
        org, seen = request.query_params.get("org"), caller(request).orgs("look")
        if org is not None:
            caller(request).require("look", org)
            seen = (org,)
        return json_response(await self._store.audit(seen, limit))

    async def _logs(self, request: Request) -> Response:
        """Log lines as JSON, one a line; with `follow=true` until the client leaves."""
        target = await self._known(_target(request))
        follow = request.query_params.get("follow") == "true"
        count = min(_number(request, "lines", 100), 10_000)
        try:
            cluster = await self._clusters.find(target.org, target.environment)
            lines = cluster.logs(target.app, lines=count, follow=follow)
            first = await anext(lines, None)
        except UnknownApp:
            raise not_deployed(target) from None
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

    async def _known(self, target: Target) -> Target:
        await self._environments.find(target.environment)
        return target

    async def _deployed(self, target: Target) -> Any:
        desired = await self._store.desired(await self._known(target))
        if desired is None:
            raise not_deployed(target)
        return desired


def _target(request: Request) -> Target:
    path = request.path_params
    return Target(path["environment"], path["org"], path["app"])


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or len(text) > 9:
        raise Problem(400, f"{name} is not a number.", code="invalid_number")
    return int(text)


def _line(time: Any, replica: str, text: str) -> bytes:
    return msgspec.json.encode(LogEntry(time=time, replica=replica, text=text)) + b"\n"
