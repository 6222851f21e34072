"""The routes that apps, platform APIs and API clients call: tokens, sessions, revocations and keys."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authentication as contract
from havn.contracts.authentication import IssuedToken, RedeemRequest
from havn.guard.platform_token import PlatformTokenVerifier, require_caller
from havn.guard.tokens import TokenVerifier
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authentication import tokens
from havn.platform.authentication.access_keys import AccessKeys
from havn.platform.authentication.browser_api import address
from havn.platform.authentication.exchange import Exchange
from havn.platform.authentication.limits import RateLimit
from havn.platform.authentication.revocations import RevocationList
from havn.platform.authentication.settings import Settings
from havn.platform.authentication.sign_in import SignIn
from havn.platform.authentication.signing_keys import KeyRing
from havn.platform.authentication.tokens import Tokens

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_KEYS = {"Cache-Control": "public, max-age=300"}
_MAX_WAIT = 25
_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


class TokenApi:
    """Handlers of the programs' routes."""

    def __init__(
        self,
        settings: Settings,
        revocations: RevocationList,
        sign_in: SignIn,
        renew: Tokens,
        exchange: Exchange,
        keys: KeyRing,
        access_keys: AccessKeys,
        users: TokenVerifier,
        components: PlatformTokenVerifier,
        *,
        exchange_limit: RateLimit,
    ) -> None:
        self._settings = settings
        self._revocations = revocations
        self._sign_in = sign_in
        self._renew = renew
        self._exchange = exchange
        self._keys = keys
        self._access_keys = access_keys
        self._users = users
        self._components = components
        self._exchange_limit = exchange_limit

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        known = f"{base}/openid/.well-known/openid-configuration"
        key = f"{base}/access-token/{{org}}/{{app}}/keys/{{kid}}"
        return [
            Route(f"{base}/session/redeem", self.redeem, methods=["POST"]),
            Route(f"{base}/session", self.session, methods=["GET"]),
            Route(f"{base}/refresh", self.refresh, methods=["GET", "POST"]),
            Route(f"{base}/exchange/{{provider}}", self.exchange, methods=["GET", "POST"]),
            Route(f"{base}/revocations", self.revocations, methods=["GET"]),
            Route(known, self.configuration, methods=["GET"]),
            Route(f"{known}/jwks", self.jwks, methods=["GET"]),
            Route(f"{base}/access-token/{{org}}/jwks", self.access_jwks, methods=["GET"]),
            Route(key, self.put_access_key, methods=["PUT"]),
            Route(key, self.delete_access_key, methods=["DELETE"]),
        ]

    async def redeem(self, request: Request) -> Response:
        """POST session/redeem."""
        caller = await require_caller(request, self._components)
        body = await read_json(request, RedeemRequest, limit=4096)
        return json_response(await self._sign_in.redeem(body.code, caller), headers=_NO_STORE)

    async def session(self, request: Request) -> Response:
        """GET session: by token, or by the session cookie."""
        if "authorization" not in request.headers:
            found = await self._sign_in.session(request.cookies.get(contract.SESSION_COOKIE))
            if found is None:
                raise tokens.session_ended()
        else:
            found = await self._renew.live(await self._users.verify(_bearer(request)))
        return json_response(tokens.info(found), headers=_NO_STORE)

    async def refresh(self, request: Request) -> Response:
        """GET refresh."""
        user = await self._users.verify(_bearer(request))
        if request.query_params.get("enrichPid", "").lower() == "true":
            raise Problem(403, "The national identity number is not put into tokens.", code="scope_missing")
        return _token(request, await self._renew.refresh(user))

    async def exchange(self, request: Request) -> Response:
        """GET or POST exchange/{provider}?test=&audience=."""
        await self._exchange_limit.check(address(request))
        if "x-altinn-enterpriseuser-authentication" in request.headers:
            raise Problem(410, "Enterprise users are retired: use a system user.", code="enterprise_user_retired")
        issued = await self._exchange.exchange(
            request.path_params["provider"],
            _bearer(request),
            test=request.query_params.get("test", "").lower() == "true",
            audience=request.query_params.get("audience"),
        )
        return _token(request, issued)

    async def revocations(self, request: Request) -> Response:
        """GET revocations?after=&wait=."""
        after, wait = _number(request, "after", 2**62), min(_number(request, "wait", 3600), _MAX_WAIT)
        return json_response(await self._revocations.after(after, wait=wait), headers=_NO_STORE)

    async def configuration(self, request: Request) -> Response:
        """GET openid/.well-known/openid-configuration."""
        return json_response(
            contract.PlatformConfiguration(
                issuer=self._settings.issuer,
                jwks_uri=f"{self._settings.issuer}.well-known/openid-configuration/jwks",
                end_session_endpoint=f"{self._settings.base}/logout",
                id_token_signing_alg_values_supported=[self._settings.authentication_algorithm],
            ),
            headers=_KEYS,
        )

    async def jwks(self, request: Request) -> Response:
        """GET openid/.well-known/openid-configuration/jwks."""
        return json_response(await self._keys.jwks(), headers=_KEYS)

    async def access_jwks(self, request: Request) -> Response:
        """GET access-token/{org}/jwks."""
        keys = await self._access_keys.of(request.path_params["org"])
        # Not cached by anyone between: a new deployment's key is needed at once.
        return json_response({"keys": keys}, headers={"Cache-Control": "no-cache"})

    async def put_access_key(self, request: Request) -> Response:
        """PUT access-token/{org}/{app}/keys/{kid}."""
        await self._require_deploy(request)
        org, app, kid = (request.path_params[name] for name in ("org", "app", "kid"))
        body = await read_json(request, dict[str, Any], limit=8192)
        await self._access_keys.put(org, app, kid, body)
        return Response(status_code=204)

    async def delete_access_key(self, request: Request) -> Response:
        """DELETE access-token/{org}/{app}/keys/{kid}."""
        await self._require_deploy(request)
        org, app, kid = (request.path_params[name] for name in ("org", "app", "kid"))
        await self._access_keys.delete(org, app, kid)
        return Response(status_code=204)

    async def _require_deploy(self, request: Request) -> None:
        caller = await require_caller(request, self._components, issuers={"platform"})
        if caller.app != "deploy":
            raise Problem(403, "Only deploy registers keys of deployments.", code="platform_token_refused")


def _bearer(request: Request) -> str:
    headers = request.headers.getlist("authorization")
    match = _BEARER.fullmatch(headers[0]) if len(headers) == 1 else None
    if match is None:
        raise Problem(401, "Send one bearer token.", code="token_missing", headers={"WWW-Authenticate": "Bearer"})
    return match[1]


def _token(request: Request, issued: IssuedToken) -> Response:
    if contract.TOKEN_MEDIA_TYPE in request.headers.get("accept", ""):
        response = json_response(issued, headers=_NO_STORE)
        response.headers["Content-Type"] = contract.TOKEN_MEDIA_TYPE
        return response
    return json_response(issued.token, headers=_NO_STORE)


def _number(request: Request, name: str, maximum: int) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= maximum):
        raise Problem(400, f"{name} must be a number.", code="invalid_request")
    return int(text)
