"""Client of the control plane's API, used by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.clients.outage import Outage, Tell, untold
from havn.contracts.deploy import (
    AppInfo,
    AuditEntry,
    BaseRequest,
    Deployment,
    DeploymentProgress,
    DeployRequest,
    DevEvent,
    DevRequest,
    ExecEvent,
    ExecRequest,
    LogEntry,
    MachinePart,
    ReleaseInfo,
    RollbackRequest,
    ScaleRequest,
    Scaling,
)
from havn.contracts.difference import Difference
from havn.contracts.promotion import Approval, DecisionRequest, PromoteRequest
from havn.contracts.secrets import RekeyAnswer, RekeyRequest, SecretChange, SecretInfo, SecretRequest
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

T = TypeVar("T")
_BASE = "/api/v1"
_NAME = "The control plane"
_WAIT = 5
"""Seconds that the control plane keeps a question about a deployment open while there is nothing new."""


class DeployClient:
    """Calls the control plane through `http` with the bearer `token`. Raises its `Problem`s."""

    def __init__(self, http: HttpClient, token: str) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"}

    async def deploy(self, request: DeployRequest) -> Deployment | Approval:
        """Ask for a release to be deployed; where somebody else must approve, what waits for them."""
        return await self._ask("/deployments", request)

    async def promote(self, request: PromoteRequest) -> Deployment | Approval:
        """Ask for what runs in one environment to be put into another; see `deploy`."""
        return await self._ask("/promotions", request)

    async def approvals(self, *, status: str | None = None, org: str | None = None) -> list[Approval]:
        """The newest approvals."""
        return await self._send("GET", "/approvals", list[Approval], status=status, org=org)

    async def approval(self, number: int) -> Approval:
        """One of them."""
        return await self._send("GET", f"/approvals/{number}", Approval)

    async def approve(self, number: int, comment: str | None) -> Deployment:
        """Begin what somebody else has asked for."""
        return await self._send("POST", f"/approvals/{number}/approve", Deployment, DecisionRequest(comment=comment))

    async def reject(self, number: int, comment: str | None) -> Approval:
        """Turn down what somebody has asked for."""
        return await self._send("POST", f"/approvals/{number}/reject", Approval, DecisionRequest(comment=comment))

    async def rebase(self, environment: str, org: str, app: str, base: str) -> Deployment:
        """Ask for the release that runs to be put on another base image."""
        return await self._send("POST", f"{_path(environment, org, app)}/base", Deployment, BaseRequest(base=base))

    async def progress(self, deployment: int, *, after: int = 0, wait: int = 0) -> DeploymentProgress:
        """A deployment and its events after the one numbered `after`; waits at most `wait` seconds for one."""
        return await self._send("GET", f"/deployments/{deployment}", DeploymentProgress, after=after, wait=wait)

    async def follow(
        self,
        deployment: Deployment,
        *,
        away: Tell = untold,
        patience: float = 60.0,
        pause: float = 1.0,
        within: float = _WAIT + 5.0,
    ) -> AsyncGenerator[DeploymentProgress, None]:
        """The deployment's events as they come, until it has ended.

        A control plane that is away goes on with the work when it is back, so it is asked again after `pause` seconds,
        and `away` is told if that lasts. One that does not answer `within` seconds is away too. Raises its `Problem`
        when it stays away for `patience` seconds.
        """
        after, outage = 0, Outage(patience, away)
        while True:
            try:
                async with asyncio.timeout(within):
                    progress = await self.progress(deployment.id, after=after, wait=_WAIT)
            except (Problem, TimeoutError) as error:
                outage.bear(error if isinstance(error, Problem) else Problem(504, f"{_NAME} does not answer."))
                await asyncio.sleep(pause)
                continue
            outage.ended()
            yield progress
            if progress.deployment.finished is not None:
                return
            after = progress.events[-1].number if progress.events else after

    async def apps(self, *, environment: str | None = None, org: str | None = None) -> list[AppInfo]:
        """What should run, and what does."""
        return await self._send("GET", "/apps", list[AppInfo], environment=environment, org=org)

    async def app(self, environment: str, org: str, app: str, *, drift: bool = False) -> AppInfo:
        """One app; 404 when it is not deployed. `drift`: with what somebody has changed by hand."""
        return await self._send("GET", _path(environment, org, app), AppInfo, drift="true" if drift else None)

    async def difference(self, environment: str, org: str, app: str, release: str, *, text: bool = False) -> Difference:
        """What deploying a release would change."""
        path = f"{_path(environment, org, app)}/difference"
        return await self._send("GET", path, Difference, release=release, text="true" if text else None)

    async def heal(self, environment: str, org: str, app: str) -> Deployment:
        """Ask for everything of an app to be put back as it should be."""
        return await self._send("POST", f"{_path(environment, org, app)}/heal", Deployment)

    async def undeploy(self, environment: str, org: str, app: str) -> Deployment:
        """Ask for an app to be stopped and taken away; its data stay."""
        return await self._send("DELETE", _path(environment, org, app), Deployment)

    async def scale(
        self, environment: str, org: str, app: str, replicas: int | None, scaling: Scaling | None = None
    ) -> Deployment:
        """Ask for another number of replicas, or for bounds between which it follows the load."""
        body = ScaleRequest(replicas=replicas, scaling=scaling)
        return await self._send("POST", f"{_path(environment, org, app)}/scale", Deployment, body)

    async def rollback(
        self,
        environment: str,
        org: str,
        app: str,
        revision: int | None,
        *,
        mapping: Mapping[str, str] | None = None,
        strand: bool = False,
    ) -> Deployment:
        """Ask for the release of an earlier revision, or of the last different one."""
        body = RollbackRequest(revision=revision, mapping=mapping or {}, strand=strand)
        return await self._send("POST", f"{_path(environment, org, app)}/rollback", Deployment, body)

    async def history(self, environment: str, org: str, app: str) -> list[Deployment]:
        """The changes to an app, newest first."""
        return await self._send("GET", f"{_path(environment, org, app)}/history", list[Deployment])

    async def releases(self, org: str, app: str) -> list[ReleaseInfo]:
        """The releases of an app that were deployed."""
        return await self._send("GET", f"/releases/{quote(org)}/{quote(app)}", list[ReleaseInfo])

    async def audit(self, *, org: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """The newest lines of the audit log."""
        return await self._send("GET", "/audit", list[AuditEntry], org=org, limit=limit)

    async def secrets(self, environment: str, org: str, app: str | None) -> list[SecretInfo]:
        """The secrets of an org, or those that an app is given; never their values."""
        return await self._send("GET", _secrets(environment, org, app), list[SecretInfo])

    async def put_secret(
        self, environment: str, org: str, app: str | None, name: str, request: SecretRequest
    ) -> SecretChange:
        """Store a new version of a secret."""
        path = f"{_secrets(environment, org, app)}/{quote(name, safe='')}"
        return await self._send("PUT", path, SecretChange, request)

    async def remove_secret(
        self, environment: str, org: str, app: str | None, name: str, *, rollout: bool
    ) -> SecretChange:
        """Take a secret away."""
        path = f"{_secrets(environment, org, app)}/{quote(name, safe='')}"
        return await self._send("DELETE", path, SecretChange, rollout="true" if rollout else "false")

    async def rekey_secrets(self, *, new: bool) -> RekeyAnswer:
        """Seal every stored secret anew; with `new`, with a fresh identity."""
        return await self._send("POST", "/secrets/rekey", RekeyAnswer, RekeyRequest(new=new))

    async def machine(self) -> list[MachinePart]:
        """How the parts of an embedded platform are."""
        return await self._send("GET", "/machine", list[MachinePart])

    def logs(self, environment: str, org: str, app: str, *, lines: int, follow: bool) -> AsyncGenerator[LogEntry, None]:
        """Log lines, and with `follow` those that come."""
        path = f"{_path(environment, org, app)}/logs"
        params = {"lines": lines, "follow": "true" if follow else "false"}
        return self._lines("GET", path, LogEntry, params=params)

    def execute(self, environment: str, org: str, app: str, command: Sequence[str]) -> AsyncGenerator[ExecEvent, None]:
        """Run a command in the surroundings of one replica: what it writes, and last how it ended."""
        path = f"{_path(environment, org, app)}/exec"
        body = ExecRequest(command=list(command))
        return self._lines("POST", path, ExecEvent, body=body)

    def dev(self, request: DevRequest) -> AsyncGenerator[DevEvent, None]:
        """Run an app from its folder for as long as the events are read."""
        return self._lines("POST", "/dev", DevEvent, body=request)

    def _lines(
        self, method: str, path: str, type_: type[T], *, params: Any = None, body: Any = None
    ) -> AsyncGenerator[T, None]:
        """An answer that comes an object a line."""
        content = None if body is None else msgspec.json.encode(body)
        opening = self._http.stream(
            method, f"{_BASE}{path}", params=params, content=content, headers=self._headers, timeout=None
        )
        return answers.lines(opening, type_, of=_NAME)

    async def _ask(self, path: str, body: Any) -> Deployment | Approval:
        """Ask for a deployment; the place of what was made says which of the two it is."""
        response = await self._http.request(
            "POST", f"{_BASE}{path}", headers=self._headers, content=msgspec.json.encode(body)
        )
        if "/approvals/" in response.headers.get("location", ""):
            return answers.read(response, Approval, of=_NAME)
        return answers.read(response, Deployment, of=_NAME)

    async def _send(self, method: str, path: str, type_: type[T], body: Any = None, **params: Any) -> T:
        response = await self._http.request(
            method,
            f"{_BASE}{path}",
            params={name: value for name, value in params.items() if value is not None} or None,
            headers=self._headers,
            content=None if body is None else msgspec.json.encode(body),
        )
        return answers.read(response, type_, of=_NAME)


def _path(environment: str, org: str, app: str) -> str:
    return f"/environments/{quote(environment, safe='')}/apps/{quote(org, safe='')}/{quote(app, safe='')}"


def _secrets(environment: str, org: str, app: str | None) -> str:
    owner = f"orgs/{quote(org, safe='')}" if app is None else f"apps/{quote(org, safe='')}/{quote(app, safe='')}"
    return f"/environments/{quote(environment, safe='')}/{owner}/secrets"
