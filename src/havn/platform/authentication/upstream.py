"""Talking to an identity provider: discovery, the authorize address, the code exchange, and checking ID tokens.

OpenID Connect Core 1.0 with PKCE (RFC 7636), private_key_jwt (RFC 7523) and pushed requests (RFC 9126) when offered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from joserfc import jwk, jwt

from havn.contracts.authentication import OpenIdConfiguration
from havn.guard.jwks import KeyCache
from havn.guard.tokens import MAX_TOKEN, check_times, claim_times, read_header, verify_signature
from havn.kit.clock import Clock
from havn.kit.http import HttpClient, Response
from havn.kit.problem import Problem
from havn.platform.authentication.settings import Provider

_DISCOVERY = timedelta(hours=1)
_ASSERTION_SECONDS = 60
T = TypeVar("T")

MakeClient = Callable[[str, str, str | None], HttpClient]
"""Makes a client for (base address, name, Host header)."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider says of the person who signed in."""

    sub: str
    claims: dict[str, Any]
    acr: str
    amr: list[str]
    sid: str | None
    auth_time: datetime
    scopes: list[str]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    scope: str | None = None


class Remote:
    """An issuer's metadata and keys, fetched from its discovery document and kept a while.

    `oauth`: the issuer has a document of RFC 8414 and none of OpenID Connect.
    """

    def __init__(
        self, issuer: str, address: str | None, *, name: str, make_client: MakeClient, clock: Clock, oauth: bool = False
    ) -> None:
        self.issuer = issuer
        parts = urlsplit(issuer)
        self._public = f"{parts.scheme}://{parts.netloc}"
        self._moved = address is not None
        path = parts.path.rstrip("/")
        # OpenID Connect Discovery appends to the issuer's path; RFC 8414 puts it before.
        self._path = (
            f"/.well-known/oauth-authorization-server{path}" if oauth else f"{path}/.well-known/openid-configuration"
        )
        self._clock = clock
        self._metadata: tuple[datetime, OpenIdConfiguration] | None = None
        # Our own address for it, with its public name in Host, when names cannot be resolved here.
        self.http = make_client(address or self._public, name, parts.netloc if address else None)
        self.keys = KeyCache(self._jwks, clock=clock)

    async def metadata(self) -> OpenIdConfiguration:
        """The discovery document; 503 when it cannot be had or is another issuer's."""
        now = self._clock()
        if self._metadata is not None and now - self._metadata[0] < _DISCOVERY:
            return self._metadata[1]
        try:
            document = _decode(await self.http.request("GET", self._path), OpenIdConfiguration)
        except Problem:
            if self._metadata is not None:
                # A provider's metadata hardly ever changes: the last good copy serves while it is away.
                return self._metadata[1]
            raise
        if document.issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise unavailable()
        self._metadata = now, document
        return document

    def path(self, url: str) -> str:
        """An endpoint of the discovery document as `http` reaches it: on the issuer's host, or on another by https.

        Where the issuer has an address of its own here, only its own host can be reached.
        """
        if url.startswith(f"{self._public}/"):
            return url[len(self._public) :]
        if self._moved or not url.startswith("https://"):
            raise unavailable()
        return url

    async def _jwks(self) -> Mapping[str, Any]:
        uri = (await self.metadata()).jwks_uri
        return _decode(await self.http.request("GET", self.path(uri)), dict[str, Any])

    async def verified(self, token: str, *, algorithms: list[str], audiences: list[str]) -> dict[str, Any]:
        """The claims of a token of this issuer: signature, algorithm, issuer, audience and times checked.

        401 with code `token_expired`, `wrong_issuer`, `wrong_audience` or `invalid_token`. An empty list of audiences
        checks none.
        """
        if len(token) > MAX_TOKEN:
            raise refused("The token is too large.")
        header = read_header(token)
        if header.alg not in algorithms:
            raise refused("The token is signed in a way that is not accepted.")
        claims = await verify_signature(token, header, self.keys)
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or issuer.removesuffix("/") != self.issuer.removesuffix("/"):
            raise refused("The token has another issuer.", code="wrong_issuer")
        aud = claims.get("aud")
        given = [aud] if isinstance(aud, str) else aud if isinstance(aud, list) else []
        if audiences and not set(audiences) & {value for value in given if isinstance(value, str)}:
            raise refused("The token is for another audience.", code="wrong_audience")
        check_times(*claim_times(claims), self._clock)
        return claims


class Upstream:
    """One identity provider, as this API's client of it."""

    def __init__(
        self, key: str, provider: Provider, *, redirect_uri: str, make_client: MakeClient, clock: Clock
    ) -> None:
        self.key = key
        self.provider = provider
        self._redirect_uri = redirect_uri
        self._clock = clock
        self.remote = Remote(
            provider.issuer,
            provider.address,
            name=f"The identity provider {key}",
            make_client=make_client,
            clock=clock,
        )

    async def authorize_url(
        self, *, state: str, nonce: str, code_verifier: str, acr_values: list[str], ui_locales: str, force: bool
    ) -> str:
        """Where the browser goes to sign in; `force` asks the provider not to reuse a weaker session of its own."""
        metadata = await self.remote.metadata()
        if metadata.authorization_endpoint is None:
            raise unavailable()
        request = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self.provider.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(code_verifier),
            "code_challenge_method": "S256",
            "acr_values": " ".join(acr_values or self.provider.acr_values),
            "ui_locales": ui_locales,
        }
        if force:
            request["prompt"] = "login"
        if metadata.pushed_authorization_request_endpoint:
            request = await self._push(metadata, request)
        separator = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{separator}{urlencode(request)}"

    async def redeem(self, code: str, *, code_verifier: str, nonce: str) -> Identity:
        """Change the code for tokens and check the ID token. 400 when the provider refuses the code."""
        metadata = await self.remote.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self.provider.client_id,
            "code_verifier": code_verifier,
        }
        response = await self._post(metadata, metadata.token_endpoint, form)
        if response.status_code in (400, 401):
            raise Problem(400, "The identity provider refused the sign-in. Try again.", code="upstream_refused")
        tokens = _decode(response, _Tokens)
        claims = await self.remote.verified(
            tokens.id_token, algorithms=self.provider.algorithms, audiences=[self.provider.client_id]
        )
        aud = claims.get("aud")
        if isinstance(aud, list) and len(aud) > 1 and claims.get("azp") != self.provider.client_id:
            raise refused("The ID token is for another client.", code="wrong_audience")
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise refused("The ID token belongs to another sign-in.", code="wrong_nonce")
        return _identity(claims, tokens.scope, self._clock())

    async def end_session_url(self, post_logout_redirect_uri: str, state: str) -> str | None:
        """Where the browser goes to end the provider's own session, or None when it has no such place."""
        endpoint = (await self.remote.metadata()).end_session_endpoint
        if endpoint is None:
            return None
        query = {
            "client_id": self.provider.client_id,
            "post_logout_redirect_uri": post_logout_redirect_uri,
            "state": state,
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def _push(self, metadata: OpenIdConfiguration, request: dict[str, str]) -> dict[str, str]:
        assert metadata.pushed_authorization_request_endpoint is not None
        response = await self._post(metadata, metadata.pushed_authorization_request_endpoint, request)
        answer = _decode(response, dict[str, Any])
        if not isinstance(answer.get("request_uri"), str):
            raise unavailable()
        return {"client_id": self.provider.client_id, "request_uri": answer["request_uri"]}

    async def _post(self, metadata: OpenIdConfiguration, endpoint: str | None, form: dict[str, str]) -> Response:
        if endpoint is None:
            raise unavailable()
        headers: dict[str, str] = {"accept": "application/json"}
        provider = self.provider
        if provider.client_key is not None:
            assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form = form | {
                "client_assertion_type": assertion_type,
                "client_assertion": _assertion(provider, metadata.issuer, self._clock()),
            }
        elif provider.client_secret is not None:
            pair = urlencode({"": provider.client_id})[1:] + ":" + urlencode({"": provider.client_secret})[1:]
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return await self.remote.http.request("POST", self.remote.path(endpoint), data=form, headers=headers)


def challenge(code_verifier: str) -> str:
    """The S256 code challenge (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()


def refused(detail: str, *, code: str = "invalid_token") -> Problem:
    """A 401 about a token from elsewhere (RFC 6750 section 3)."""
    return Problem(401, detail, code=code, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def unavailable() -> Problem:
    """A 503: the provider cannot be used just now."""
    return Problem(
        503,
        "The identity provider cannot be reached just now. Try again in a moment.",
        code="identity_provider_unavailable",
        headers={"Retry-After": "5"},
    )


def _assertion(provider: Provider, audience: str, now: datetime) -> str:
    key = jwk.import_key(provider.client_key or {})
    alg = "ES256" if key.key_type == "EC" else "RS256"
    issued = int(now.timestamp())
    claims = {
        "iss": provider.client_id,
        "sub": provider.client_id,
        "aud": audience,
        "iat": issued,
        "exp": issued + _ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(16),
    }
    header = {"alg": alg, "kid": key.kid or key.thumbprint()}
    return jwt.encode(header, claims, key, algorithms=[alg])


def _identity(claims: dict[str, Any], scope: str | None, now: datetime) -> Identity:
    sub, acr, amr, sid = (claims.get(name) for name in ("sub", "acr", "amr", "sid"))
    auth_time = claims.get("auth_time")
    if not isinstance(sub, str) or not sub or not isinstance(acr, str | None) or not isinstance(sid, str | None):
        raise refused("The ID token cannot be read.")
    methods = [amr] if isinstance(amr, str) else amr if isinstance(amr, list) else []
    moment = now
    if isinstance(auth_time, int) and 0 < auth_time <= now.timestamp() + 10:
        moment = datetime.fromtimestamp(auth_time, now.tzinfo)
    return Identity(
        sub=sub,
        claims=claims,
        acr=acr or "level0",
        amr=[method for method in methods if isinstance(method, str)],
        sid=sid,
        auth_time=moment,
        scopes=(scope or "").split(),
    )


def _decode(response: Response, type_: type[T]) -> T:
    if not response.is_success or len(response.content) > 256 * 1024:
        raise unavailable()
    try:
        return msgspec.json.decode(response.content, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise unavailable() from None
