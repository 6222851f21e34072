"""Public keys for platform access tokens: those of components from settings, those of app deployments from deploy."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from joserfc import jwk
from joserfc.errors import JoseError

from havn.contracts.authentication import JsonWebKeySet
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.settings import SettingsError
from havn.platform.authentication.store import Store

PLATFORM = "platform"
_ORG = re.compile(r"[a-z][a-z0-9]{0,49}")
_APP = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}", re.IGNORECASE)
_KID = re.compile(r"[A-Za-z0-9_-]{8,100}")
_PUBLIC = ("kty", "crv", "x", "y")


class AccessKeys:
    """Publishes and keeps the keys."""

    def __init__(self, store: Store, platform_jwks: str, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        try:
            self._platform = msgspec.json.decode(platform_jwks, type=JsonWebKeySet).keys
        except msgspec.MsgspecError:
            raise SettingsError("HAVN_PLATFORM_JWKS is not a key set.") from None
        if any("d" in key for key in self._platform):
            raise SettingsError("HAVN_PLATFORM_JWKS holds a private key: give the public ones only.")

    async def of(self, org: str) -> list[dict[str, Any]]:
        """The keys of an org's deployments, or of the platform's components."""
        if org == PLATFORM:
            return self._platform
        return await self._store.access_keys(org) if _ORG.fullmatch(org) else []

    async def put(self, org: str, app: str, kid: str, key: dict[str, Any]) -> None:
        """Publish a deployment's public key. 400 when it is not a public P-256 key, 409 when the id is another's."""
        if org == PLATFORM or not _ORG.fullmatch(org) or not _APP.fullmatch(app) or not _KID.fullmatch(kid):
            raise Problem(400, "The org, app or key id is not valid.", code="invalid_key")
        if key.get("kty") != "EC" or key.get("crv") != "P-256" or "d" in key or key.get("kid", kid) != kid:
            raise Problem(400, "The key must be a public P-256 key with this id.", code="invalid_key")
        public = {name: str(key.get(name)) for name in _PUBLIC}
        try:
            jwk.import_key(dict(public))
        except (JoseError, ValueError, TypeError):
            raise Problem(400, "The key cannot be read.", code="invalid_key") from None
        full = public | {"kid": kid, "use": "sig", "alg": "ES256", "app": app}
        if not await self._store.put_access_key(org, app, kid, full, self._clock()):
            raise Problem(409, "Another key has this id.", code="key_conflict")

    async def delete(self, org: str, app: str, kid: str) -> None:
        """Withdraw a deployment's key; 404 when it is not there."""
        if not await self._store.delete_access_key(org, app, kid, self._clock()):
            raise Problem(404, "There is no such key.", code="key_not_found")
