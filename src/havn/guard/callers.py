"""Everything a part needs to know its callers: user tokens, platform tokens and ended sessions, from authentication."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from havn.clients.authentication import AuthenticationClient
from havn.guard.platform_token import PlatformTokenVerifier
from havn.guard.revocations import RevocationFeed
from havn.guard.tokens import AudienceRule, TokenVerifier
from havn.kit.clock import Clock
from havn.kit.http import HttpClient


class Callers:
    """Verifiers that share one client to authentication, reached through `http`.

    `org` None: a platform API, which accepts tokens for the platform and for any one owner's apps; else that owner's.
    """

    def __init__(self, http: HttpClient, *, scheme: str, domain: str, clock: Clock, org: str | None = None) -> None:
        platform = f"{scheme}://platform.{domain}"
        self._client = AuthenticationClient(http)
        self.revoked = RevocationFeed(self._client, clock=clock)
        audiences = (
            AudienceRule.platform(scheme=scheme, domain=domain)
            if org is None
            else AudienceRule.owner(scheme=scheme, domain=domain, org=org)
        )
        self._issuer, self._clock = f"{platform}/authentication/api/v1/openid/", clock
        self.users = self.accepting(audiences)
        self.components = PlatformTokenVerifier(audience=platform, jwks=self._component_keys, clock=clock)

    def accepting(self, audiences: AudienceRule) -> TokenVerifier:
        """A verifier of user tokens for other audiences than `users` takes."""
        return TokenVerifier(
            issuer=self._issuer, audiences=audiences, jwks=self._user_keys, clock=self._clock, revoked=self.revoked
        )

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow revocations while the block runs."""
        async with self.revoked.running():
            yield

    async def _user_keys(self) -> Mapping[str, Any]:
        return {"keys": (await self._client.jwks()).keys}

    async def _component_keys(self, org: str) -> Mapping[str, Any]:
        return {"keys": (await self._client.access_token_jwks(org)).keys}
