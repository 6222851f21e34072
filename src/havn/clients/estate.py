"""Client of the control plane's API for orgs, environments, clusters, people and tokens, used by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.clients.outage import Outage, Tell, untold
from havn.contracts.deploy import EnvironmentInfo
from havn.contracts.estate import (
    AuthorityInfo,
    CiToken,
    CiTokenRequest,
    ClusterInfo,
    ClusterRequest,
    EnvironmentDetails,
    EnvironmentRequest,
    Finding,
    Grant,
    GrantRequest,
    KeyRequest,
    LoginInfo,
    LoginPoll,
    OrgInfo,
    OrgRequest,
    Session,
    WhoAmI,
)
from havn.kit.http import HttpClient, Response
from havn.kit.problem import Problem

T = TypeVar("T")
_BASE = "/api/v1"
_NAME = "The control plane"


class EstateClient:
    """Calls the control plane through `http` with the bearer `token`, None before there is one. Raises `Problem`s."""

    def __init__(self, http: HttpClient, token: str | None) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def orgs(self) -> list[OrgInfo]:
        """The orgs that the caller may see."""
        return await self._ask("GET", "/orgs", list[OrgInfo])

    async def put_org(self, org: str, name: str) -> None:
        """Add an org, or change its name."""
        await self._do("PUT", f"/orgs/{_q(org)}", OrgRequest(name=name))

    async def add_key(self, org: str, public_key: str) -> None:
        """Trust releases signed with the key (PEM)."""
        await self._do("POST", f"/orgs/{_q(org)}/keys", KeyRequest(public_key=public_key))

    async def remove_key(self, org: str, fingerprint: str) -> None:
        """Trust it no longer."""
        await self._do("DELETE", f"/orgs/{_q(org)}/keys/{_q(fingerprint)}")

    async def environments(self) -> list[EnvironmentInfo]:
        """Every environment."""
        return await self._ask("GET", "/environments", list[EnvironmentInfo])

    async def environment(self, name: str) -> EnvironmentDetails:
        """One environment in full."""
        return await self._ask("GET", f"/environments/{_q(name)}", EnvironmentDetails)

    async def put_environment(self, name: str, request: EnvironmentRequest) -> EnvironmentDetails:
        """Add an environment, or change it."""
        return await self._ask("PUT", f"/environments/{_q(name)}", EnvironmentDetails, request)

    async def remove_environment(self, name: str) -> None:
        """Forget one that has no clusters."""
        await self._do("DELETE", f"/environments/{_q(name)}")

    async def clusters(self) -> list[ClusterInfo]:
        """The clusters that the caller may see."""
        return await self._ask("GET", "/clusters", list[ClusterInfo])

    async def add_cluster(self, request: ClusterRequest) -> ClusterInfo:
        """Add a cluster; it is being set up when this returns."""
        return await self._ask("POST", "/clusters", ClusterInfo, request)

    async def cluster(self, environment: str, org: str) -> ClusterInfo:
        """One cluster."""
        return await self._ask("GET", _cluster(environment, org), ClusterInfo)

    async def set_up(
        self, found: ClusterInfo, *, within: float, away: Tell = untold, patience: float = 60.0, pause: float = 0.5
    ) -> ClusterInfo:
        """The cluster once its set-up has ended, or as it is after `within` seconds.

        A control plane that is away goes on with the work when it is back, so it is asked again after `pause` seconds,
        and `away` is told if that lasts. Raises its `Problem` when it stays away for `patience` seconds.
        """
        clock = asyncio.get_running_loop().time
        begun, outage = clock(), Outage(patience, away)
        while found.status == "bootstrapping" and clock() - begun < within:
            await asyncio.sleep(pause)
            try:
                found = await self.cluster(found.environment, found.org)
            except Problem as problem:
                outage.bear(problem)
                continue
            outage.ended()
        return found

    async def rotate_authority(self, environment: str, org: str) -> list[AuthorityInfo]:
        """Begin to change the authority that signs certificates inside a cluster."""
        path = f"/environments/{_q(environment)}/orgs/{_q(org)}/authority/rotate"
        return await self._ask("POST", path, list[AuthorityInfo])

    async def remove_cluster(self, environment: str, org: str, *, force: bool) -> None:
        """Take Havn's parts out of a cluster and forget it."""
        await self._do("DELETE", _cluster(environment, org), params={"force": "true" if force else "false"})

    def doctor(self, environment: str, org: str) -> AsyncGenerator[Finding, None]:
        """What is found in a cluster, as it is found."""
        path = f"{_BASE}{_cluster(environment, org)}/doctor"
        return answers.lines(self._http.stream("GET", path, headers=self._headers, timeout=None), Finding, of=_NAME)

    async def begin_login(self) -> LoginInfo:
        """Begin to sign in."""
        return await self._ask("POST", "/login", LoginInfo)

    async def poll_login(self, device_code: str) -> Session:
        """Whether the person has confirmed."""
        return await self._ask("POST", "/login/token", Session, LoginPoll(device_code=device_code))

    async def logout(self) -> None:
        """End the session of the token."""
        await self._do("POST", "/logout")

    async def whoami(self) -> WhoAmI:
        """Who the token stands for."""
        return await self._ask("GET", "/whoami", WhoAmI)

    async def grants(self) -> list[Grant]:
        """Who holds which role."""
        return await self._ask("GET", "/access", list[Grant])

    async def grant(self, request: GrantRequest) -> None:
        """Give a role."""
        await self._do("POST", "/access", request)

    async def revoke(self, request: GrantRequest) -> None:
        """Take a role back."""
        await self._do("POST", "/access/revoke", request)

    async def tokens(self) -> list[CiToken]:
        """The tokens of machines."""
        return await self._ask("GET", "/ci-tokens", list[CiToken])

    async def make_token(self, request: CiTokenRequest) -> CiToken:
        """Make a token, shown in this answer only."""
        return await self._ask("POST", "/ci-tokens", CiToken, request)

    async def end_token(self, id_: str) -> None:
        """End a token at once."""
        await self._do("DELETE", f"/ci-tokens/{_q(id_)}")

    async def _ask(self, method: str, path: str, type_: type[T], body: Any = None) -> T:
        return answers.read(await self._send(method, path, body, None), type_, of=_NAME)

    async def _do(self, method: str, path: str, body: Any = None, *, params: dict[str, str] | None = None) -> None:
        response = await self._send(method, path, body, params)
        if not response.is_success:
            raise answers.failure(response, of=_NAME)

    async def _send(self, method: str, path: str, body: Any, params: dict[str, str] | None) -> Response:
        content = None if body is None else msgspec.json.encode(body)
        return await self._http.request(method, f"{_BASE}{path}", params=params, headers=self._headers, content=content)


def _cluster(environment: str, org: str) -> str:
    return f"/clusters/{_q(environment)}/{_q(org)}"


def _q(text: str) -> str:
    return quote(text, safe="")
