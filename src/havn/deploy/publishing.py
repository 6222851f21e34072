"""What the platform must know of an app before it runs: its policy, its metadata and texts, its public key."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.appfolder import AppFolder
from havn.clients.authentication import AuthenticationClient
from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.clients.storage import StorageClient
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.http import HttpClient
from havn.kit.problem import Problem


class Publisher:
    """Calls one environment's platform as its component `deploy`."""

    def __init__(self, http: HttpClient, signer: PlatformTokenSigner) -> None:
        self._authentication = AuthenticationClient(http)
        self._authorization = AuthorizationClient(http)
        self._storage = StorageClient(http)
        self._signer = signer
        self._http = http

    async def publish(self, folder: AppFolder, release: str | None, before: AppFolder | None = None) -> None:
        """Put policy, metadata and texts in force; texts in languages that only `before` had are withdrawn.

        Safe to repeat. Raises the platform's `Problem`.
        """
        # First the policy: an app whose metadata were known before it could not be used anyway.
        await self._authorization.publish_policy(
            folder.org, folder.app, folder.policy_xml, self._credentials(), release=release
        )
        metadata = msgspec.structs.replace(folder.metadata, id=folder.id, org=folder.org, version_id=release)
        await self._storage.publish_application(metadata, self._credentials())
        for text in folder.texts.values():
            await self._storage.publish_text(folder.id, text, self._credentials())
        for language in (before.texts.keys() if before is not None else frozenset()) - folder.texts.keys():
            try:
                await self._storage.delete_text(folder.id, language, self._credentials())
            except Problem as problem:
                if problem.status != 404:
                    raise

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
