"""The header `PlatformAccessToken`: a short signed token that says which component or app deployment is calling."""

from __future__ import annotations

import base64
import re
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import msgspec
from joserfc import jwk, jwt
from starlette.requests import Request

from havn.guard.jwks import KeyCache
from havn.guard.middleware import principal
from havn.guard.tokens import MAX_TOKEN, check_times, claim_times, read_header, unauthorized, verify_signature
from havn.kit.clock import Clock
from havn.kit.problem import Problem

HEADER = "PlatformAccessToken"
LIFETIME_SECONDS = 300
APP_CLAIM = "urn:altinn:app"
_ORG = re.compile(r"[a-z][a-z0-9]{0,49}")
_MAX_ORGS = 2000


class Caller(msgspec.Struct, frozen=True):
    """A component (`org` is `platform`, `app` its name) or an app deployment, proven by its key."""

    org: str
    app: str


class PlatformTokenSigner:
    """Makes this process's own platform tokens with its private key.

    `issuer` is the org, or `platform` for a component; `app` the app's or component's name; `audience` the platform's
    address; `key` a private JWK (P-256, with `kid`) as JSON.
    """

    def __init__(self, *, issuer: str, app: str, audience: str, key: str, clock: Clock) -> None:
        self._key = jwk.import_key(msgspec.json.decode(key, type=dict[str, Any]))
        self._kid = self._key.kid or self._key.thumbprint()
        self._issuer = issuer
        self._app = app
        self._audience = audience
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def token(self) -> str:
        """A token with at least 30 seconds left."""
        now = self._clock().timestamp()
        if now >= self._until - 30:
            self._until = now + LIFETIME_SECONDS
            claims = {
                "iss": self._issuer,
                "sub": f"{self._issuer}/{self._app}",
                APP_CLAIM: self._app,
                "aud": self._audience,
                "iat": int(now),
                "nbf": int(now),
                "exp": int(self._until),
                "jti": uuid.uuid4().hex,
            }
            self._token = jwt.encode({"alg": "ES256", "kid": self._kid}, claims, self._key, algorithms=["ES256"])
        return self._token

    def headers(self) -> dict[str, str]:
        """The header to send."""
        return {HEADER: self.token()}


class PlatformTokenVerifier:
    """Verifies platform tokens against each org's published keys, fetched by `jwks(org)`.

    A published key carries the app it belongs to in the member `app`; a token of that key for another app is refused,
    so one app's key never speaks for its neighbour.
    """

    def __init__(self, *, audience: str, jwks: Callable[[str], Awaitable[Mapping[str, Any]]], clock: Clock) -> None:
        self._audience = audience
        self._jwks = jwks
        self._clock = clock
        self._caches: OrderedDict[str, KeyCache] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """The caller, or a 401 `Problem`. 503 when the keys cannot be fetched."""
        if len(token) > MAX_TOKEN:
            raise unauthorized("The token is too large.")
        header = read_header(token)
        issuer = _unverified_issuer(token)
        claims = await verify_signature(token, header, self._keys(issuer))
        if claims.get("iss") != issuer or claims.get("aud") != self._audience:
            raise unauthorized("The platform token is for another audience.")
        check_times(*claim_times(claims), self._clock)
        app = claims.get(APP_CLAIM)
        if not isinstance(app, str) or not app or claims.get("sub") != f"{issuer}/{app}":
            raise unauthorized("The platform token does not name its app.")
        found = await self._keys(issuer).find(header.kid)
        if found is not None and found[1].get("app", app) != app:
            raise unauthorized("The platform token is signed with another app's key.")
        return Caller(issuer, app)

    def _keys(self, issuer: str) -> KeyCache:
        cache = self._caches.get(issuer)
        if cache is None:
            # Ten fetches a minute: a new deployment's key must be known at once, a storm of invented ids must not cost.
            cache = KeyCache(lambda: self._jwks(issuer), clock=self._clock, refetches=10)
            self._caches[issuer] = cache
            if len(self._caches) > _MAX_ORGS:
                self._caches.popitem(last=False)
        else:
            self._caches.move_to_end(issuer)
        return cache


async def require_caller(
    request: Request, verifier: PlatformTokenVerifier, *, issuers: Collection[str] | None = None
) -> Caller:
    """The component or app that calls, from the header `PlatformAccessToken`.

    Without a valid one, or from an issuer outside `issuers`: 403 when a person is signed in, else 401.
    """
    headers = request.headers.getlist(HEADER)
    try:
        if len(headers) != 1:
            raise unauthorized("A platform access token is needed.", code="platform_token_missing")
        caller = await verifier.verify(headers[0])
        if issuers is not None and caller.org not in issuers:
            raise unauthorized("This component may not do this.", code="platform_token_refused")
    except Problem as problem:
        if problem.status == 401 and principal(request).authenticated:
            raise Problem(403, problem.detail, code=problem.code) from None
        raise
    return caller


def _unverified_issuer(token: str) -> str:
    """The issuer a token claims, only to choose the keys it is then verified with."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(
            base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True), type=dict[str, Any]
        )
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise unauthorized("The token's claims cannot be read.") from None
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not _ORG.fullmatch(issuer):
        raise unauthorized("The token has no issuer that could be known.")
    return issuer
