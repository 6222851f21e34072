"""What the platform must know of an app before it runs: policy, outbound rules, metadata, texts, Apis, its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from havn.appfolder import AppFolder
from havn.clients.applications import ApplicationsClient
from havn.clients.authentication import AuthenticationClient
from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.clients.management import BASE as MANAGEMENT
from havn.clients.management import ManagementClient
from havn.contracts.management import Declarations
from havn.contracts.standing import Standing, TaskMove, TaskMoved
from havn.engines.egress_policy import EgressPolicy
from havn.kit.http import HttpClient, Response
from havn.kit.problem import Problem


class OutboundRules(Protocol):
    """Where the API proxy of an environment finds the rules of each app."""

    async def put(self, org: str, app: str, policy: EgressPolicy | None) -> None:
        """Put rules in force; None takes them away, and then the app has none."""
        ...

    async def put_secrets(self, org: str, app: str, values: Mapping[str, str]) -> None:
        """Make these, by name, the secrets that the proxy may add to the app's requests; it has no others."""
        ...


class TokenSource(Protocol):
    """Makes platform access tokens."""

    def token(self) -> str:
        """One that is valid now."""
        ...


class Publisher:
    """Calls one environment's platform as its component `deploy`; `outbound` takes the apps' outbound rules."""

    def __init__(self, http: HttpClient, signer: TokenSource, *, outbound: OutboundRules | None = None) -> None:
        self._authentication = AuthenticationClient(http)
        self._authorization = AuthorizationClient(http)
        self._applications = ApplicationsClient(http)
        self._management = ManagementClient(http)
        self._signer = signer
        self._http = http
        self._outbound = outbound

    async def publish(self, folder: AppFolder, release: str | None, before: AppFolder | None = None) -> None:
        """Put policy, outbound rules, metadata, texts and Apis in force; texts that only `before` had are withdrawn.

        Safe to repeat. Raises the platform's `Problem`.
        """
        # First the policy: an app whose metadata were known before it could not be used anyway.
        await self._authorization.publish_policy(
            folder.org, folder.app, folder.policy_xml, self._credentials(), release=release
        )
        if self._outbound is not None:
            await self._outbound.put(folder.org, folder.app, folder.egress)
        metadata = msgspec.structs.replace(folder.metadata, id=folder.id, org=folder.org, version_id=release)
        await self._applications.publish_application(metadata, self._credentials())
        for text in folder.texts.values():
            await self._applications.publish_text(folder.id, text, self._credentials())
        for language in (before.texts.keys() if before is not None else frozenset()) - folder.texts.keys():
            try:
                await self._applications.delete_text(folder.id, language, self._credentials())
            except Problem as problem:
                if problem.status != 404:
                    raise
        await self._management.declare(folder.org, folder.app, folder.apis or Declarations(), self._credentials())

    async def manage(
        self, method: str, path: str, *, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Response:
        """Pass a call on to the environment's management API, as this control plane."""
        sent = {**headers, **self._credentials().headers()}
        if body:
            sent["content-type"] = "application/json"
        return await self._http.request(
            method, f"{MANAGEMENT}/{path}", params=query, headers=sent, content=body or None
        )

    async def lend(self, org: str, app: str, secrets: Mapping[str, str]) -> None:
        """Give the API proxy the secrets, by name, that it adds to the app's requests, in place of those before."""
        if self._outbound is not None:
            await self._outbound.put_secrets(org, app, secrets)

    async def standing(self, org: str, app: str) -> Standing:
        """Where the app's open instances stand."""
        return await self._applications.standing(f"{org}/{app}", self._credentials())

    async def move(self, org: str, app: str, move: TaskMove) -> TaskMoved:
        """Move some of the app's open instances; to be repeated while there are more."""
        return await self._applications.move_tasks(f"{org}/{app}", move, self._credentials())

    async def withdraw(self, org: str, app: str) -> None:
        """Take away the outbound rules and the Apis of an app that is no longer deployed."""
        await self._management.declare(org, app, Declarations(), self._credentials())
        if self._outbound is not None:
            await self._outbound.put(org, app, None)
            await self._outbound.put_secrets(org, app, {})

    async def admit(self, org: str, app: str, private_key: str) -> None:
        """Publish the public half of an app's access key, so that its platform tokens are believed."""
        key = msgspec.json.decode(private_key, type=dict[str, Any])
        public = {name: value for name, value in key.items() if name != "d"}
        await self._authentication.register_access_key(org, app, key["kid"], public, self._credentials())

    async def dismiss(self, org: str, app: str, key_id: str) -> None:
        """Withdraw a public key."""
        await self._authentication.remove_access_key(org, app, key_id, self._credentials())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _credentials(self) -> Credentials:
        return Credentials(platform_token=self._signer.token())
