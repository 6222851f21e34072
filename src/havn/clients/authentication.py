"""Client of the Authentication API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.contracts.authentication import (
    IssuedToken,
    JsonWebKeySet,
    PlatformConfiguration,
    RedeemedSession,
    RedeemRequest,
    Revocations,
    SessionInfo,
)
from havn.kit.http import HttpClient

_BASE = "/authentication/api/v1"
_NAME = "Authentication"


class AuthenticationClient:
    """Calls authentication through `http`, whose base address is the platform's."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def redeem(self, code: str, credentials: Credentials) -> RedeemedSession:
        """Change a one-time code for the user's token; needs the app's platform token.

        400 `invalid_code` when the code is unknown, used, too old, or for another owner.
        """
        response = await self._http.request(
            "POST",
            f"{_BASE}/session/redeem",
            content=msgspec.json.encode(RedeemRequest(code=code)),
            headers=credentials.headers() | {"content-type": "application/json"},
        )
        return answers.read(response, RedeemedSession, of=_NAME)

    async def refresh(self, credentials: Credentials) -> str:
        """A new token with a new life for the user's token; 401 when its session has ended."""
        response = await self._http.request("GET", f"{_BASE}/refresh", headers=credentials.headers())
        return answers.read(response, str, of=_NAME)

    async def session(self, credentials: Credentials) -> SessionInfo:
        """When the session of the user's token ends, and its level; 401 when it has ended."""
        response = await self._http.request("GET", f"{_BASE}/session", headers=credentials.headers())
        return answers.read(response, SessionInfo, of=_NAME)

    async def revocations(self, after: int, *, wait: int = 0) -> Revocations:
        """Sessions ended since `after`, waiting up to `wait` seconds (at most 25) for the first."""
        response = await self._http.request(
            "GET", f"{_BASE}/revocations", params={"after": str(after), "wait": str(wait)}
        )
        return answers.read(response, Revocations, of=_NAME)

    async def openid_configuration(self) -> PlatformConfiguration:
        """The discovery document."""
        response = await self._http.request("GET", f"{_BASE}/openid/.well-known/openid-configuration")
        return answers.read(response, PlatformConfiguration, of=_NAME)

    async def jwks(self) -> JsonWebKeySet:
        """Keys that user tokens are signed with."""
        response = await self._http.request("GET", f"{_BASE}/openid/.well-known/openid-configuration/jwks")
        return answers.read(response, JsonWebKeySet, of=_NAME)

    async def access_token_jwks(self, org: str) -> JsonWebKeySet:
        """Keys that platform access tokens of `org` (`platform` for components) are signed with."""
        response = await self._http.request("GET", f"{_BASE}/access-token/{quote(org, safe='')}/jwks")
        return answers.read(response, JsonWebKeySet, of=_NAME)

    async def register_access_key(
        self, org: str, app: str, kid: str, key: dict[str, Any], credentials: Credentials
    ) -> None:
        """Publish an app deployment's public key; only the platform component `deploy` may."""
        response = await self._http.request(
            "PUT",
            _key_path(org, app, kid),
            content=msgspec.json.encode(key),
            headers=credentials.headers() | {"content-type": "application/json"},
        )
        if not response.is_success:
            raise answers.failure(response, of=_NAME)

    async def remove_access_key(self, org: str, app: str, kid: str, credentials: Credentials) -> None:
        """Withdraw an app deployment's public key; no failure when it is not there."""
        response = await self._http.request("DELETE", _key_path(org, app, kid), headers=credentials.headers())
        if not response.is_success and response.status_code != 404:
            raise answers.failure(response, of=_NAME)

    async def exchange(self, provider: str, token: str) -> IssuedToken:
        """Change an external token for one of ours; 400, 401 or 403 with a code that says why not."""
        response = await self._http.request(
            "POST",
            f"{_BASE}/exchange/{quote(provider, safe='')}",
            headers={"authorization": f"Bearer {token}", "accept": "application/vnd.havn.token+json"},
        )
        return answers.read(response, IssuedToken, of=_NAME)


def _key_path(org: str, app: str, kid: str) -> str:
    return f"{_BASE}/access-token/{quote(org, safe='')}/{quote(app, safe='')}/keys/{quote(kid, safe='')}"
