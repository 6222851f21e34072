"""Routes that look into an app, and put it right: what a deploy would change, commands inside it, healing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from havn.clusters.port import ClusterError, Clusters, Ended, Output, UnknownApp
from havn.contracts.deploy import AuditEntry, Deployment, ExecEvent, ExecRequest
from havn.contracts.difference import Difference
from havn.deploy.endpoints import BASE, Endpoint, body, caller, not_deployed
from havn.deploy.environments import Environments
from havn.deploy.plan import Plan
from havn.deploy.registry.model import is_digest
from havn.deploy.store import Store, Target, Wanted
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response

_MAX_WORDS = 200


class InspectionApi:
    """Handlers."""

    def __init__(
        self, store: Store, *, environments: Environments, clusters: Clusters, plan: Plan, clock: Clock
    ) -> None:
        self._store = store
        self._environments = environments
        self._clusters = clusters
        self._plan = plan
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        app = "/environments/{environment}/apps/{org}/{app}"
        query = {"release": "digest of the release", "text": "`true`: with unified diffs of text files"}
        return [
            Endpoint(method="GET", path=f"{app}/difference", handler=self._difference, role="look",
                     answer=Difference, query=query),
            Endpoint(method="POST", path=f"{app}/exec", handler=self._exec, role="deploy", body=ExecRequest,
                     answer=ExecEvent, lines=True),
            Endpoint(method="POST", path=f"{app}/heal", handler=self._heal, role="deploy", answer=Deployment,
                     status=202),
        ]  # fmt: skip

    async def _difference(self, request: Request) -> Response:
        """What deploying a release would change, and which open instances it would strand."""
        release = request.query_params.get("release", "")
        if not is_digest(release):
            raise Problem(400, "A release is named by its sha256 digest.", code="invalid_digest")
        text = request.query_params.get("text") == "true"
        return json_response(await self._plan.difference(_target(request), release, text=text))

    async def _heal(self, request: Request) -> Response:
        """Ask for everything of an app to be put back as it should be."""
        target, operator = _target(request), caller(request)
        await self._environments.find(target.environment)
        desired = await self._store.desired(target)
        if desired is None:
            raise not_deployed(target)
        wanted = Wanted(
            target=target,
            kind="heal",
            release=desired.release,
            replicas=desired.replicas,
            who=operator.name,
            address=operator.address,
            base=desired.base,
        )
        deployment = await self._store.request(wanted, self._clock())
        return json_response(deployment, 202, {"location": f"{BASE}/deployments/{deployment.id}"})

    async def _exec(self, request: Request) -> Response:
        """Run a command in the surroundings of one replica; what it writes, and last how it ended, an object a line."""
        target, operator = _target(request), caller(request)
        command = body(request, ExecRequest).command
        if not command or not command[0] or len(command) > _MAX_WORDS or any("\0" in each for each in command):
            raise Problem(400, f"A command is a program and at most {_MAX_WORDS - 1} words.", code="invalid_command")
        await self._environments.find(target.environment)
        await self._store.note(
            AuditEntry(
                at=self._clock(),
                who=operator.name,
                address=operator.address,
                action="exec",
                environment=target.environment,
                org=target.org,
                app=target.app,
                before=None,
                after={"command": command},
            )
        )
        try:
            cluster = await self._clusters.find(target.org, target.environment)
            running = cluster.execute(target.app, command)
            first = await anext(running)
        except UnknownApp:
            raise not_deployed(target) from None
        except ClusterError as error:
            raise Problem(409, str(error), code="not_run") from error

        async def told() -> AsyncIterator[bytes]:
            try:
                yield _line(first)
                async for each in running:
                    yield _line(each)
            except ClusterError as error:
                yield msgspec.json.encode(ExecEvent(error=str(error))) + b"\n"
            finally:
                await running.aclose()

        return StreamingResponse(told(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})


def _line(each: Output | Ended) -> bytes:
    event = ExecEvent(code=each.code) if isinstance(each, Ended) else ExecEvent(stream=each.stream, data=each.data)
    return msgspec.json.encode(event) + b"\n"


def _target(request: Request) -> Target:
    path = request.path_params
    return Target(path["environment"], path["org"], path["app"])
