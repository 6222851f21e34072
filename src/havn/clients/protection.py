"""Client of the control plane for what is shut at an ingress."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.kit.http import HttpClient

_NAME = "The control plane"


class ProtectionClient:
    """Calls the control plane through `http` with the bearer `token`, about one `environment`; raises `Problem`s."""

    def __init__(self, http: HttpClient, token: str, environment: str) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"}
        self._base = f"/api/v1/environments/{quote(environment)}"

    async def closed(self) -> list[ClosedApp]:
        """The apps in maintenance that the caller may see."""
        return answers.read(await self._send("GET", "/maintenance"), list[ClosedApp], of=_NAME)

    async def close_app(self, org: str, app: str, wanted: ClosingRequest) -> ClosedApp:
        """Put an app in maintenance."""
        return answers.read(await self._send("PUT", self._app(org, app), wanted), ClosedApp, of=_NAME)

    async def open_app(self, org: str, app: str) -> bool:
        """Take it out again; false while its cluster has not been told yet."""
        return await self._done(self._app(org, app))

    async def blocks(self) -> list[Block]:
        """What is blocked."""
        return answers.read(await self._send("GET", "/blocks"), list[Block], of=_NAME)

    async def block(self, wanted: BlockRequest) -> Block:
        """Block a client."""
        return answers.read(await self._send("POST", "/blocks", wanted), Block, of=_NAME)

    async def unblock(self, id_: str) -> bool:
        """Take a block away; false while some cluster has not been told yet."""
        return await self._done(f"/blocks/{quote(id_)}")

    def _app(self, org: str, app: str) -> str:
        return f"/orgs/{quote(org)}/apps/{quote(app)}/maintenance"

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else msgspec.json.encode(body)
        headers = self._headers | ({"content-type": "application/json"} if body is not None else {})
        return await self._http.request(method, self._base + path, headers=headers, content=content)

    async def _done(self, path: str) -> bool:
        response = await self._send("DELETE", path)
        if not response.is_success:
            raise answers.failure(response, of=_NAME)
        return bool(response.status_code != 202)
