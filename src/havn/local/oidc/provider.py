"""The provider's rules: which requests it takes, which codes it gives, what its tokens say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from havn.engines.identifiers import organisation_number_fault
from havn.guard.jwks import KeyCache
from havn.guard.tokens import check_times, claim_times, read_header, verify_signature
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.settings import SettingsError
from havn.local.oidc.directory import Directory
from havn.local.oidc.sealed import Seal
from havn.local.oidc.settings import Settings
from havn.local.oidc.setup import CLIENT_ID
from havn.local.testdata.dataset import Login

LEVELS = ("idporten-loa-substantial", "idporten-loa-high")
REQUEST_SECONDS = 600
CODE_SECONDS = 60
_PUSHED = "urn:ietf:params:oauth:request_uri:"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN_SECONDS = 120
_MACHINE_SECONDS = 3600


class OAuthError(Exception):
    """An error as RFC 6749 section 5.2 writes it."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


class AuthorizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for sign-in that has been checked."""

    redirect_uri: str
    state: str
    nonce: str
    code_challenge: str
    scope: str
    acr_values: list[str]
    ui_locales: list[str]


class _Code(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    pid: str
    acr: str
    nonce: str
    redirect_uri: str
    code_challenge: str
    scope: str
    auth_time: int
    sid: str


class TestToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST `/test-token`: a person (number or name) or an organisation, never both."""

    person: str | None = None
    level: str = LEVELS[0]
    organisation: str | None = None
    scope: str = "altinn:instances.read altinn:instances.write"
    system_user: str | None = None
    """With `organisation`, the vendor's: the id of a system user."""
    system_user_organisation: str | None = None
    """The organisation whose system user it is."""


class Provider:
    """The identity provider."""

    def __init__(self, settings: Settings, directory: Directory, clock: Clock) -> None:
        if settings.environment_type != "test" or (settings.environment != "local" and not settings.login_open):
            raise SettingsError(
                "The test identity provider runs in the environment local only (HAVN_ENVIRONMENT), or in another test "
                "environment that is opened to everyone who reaches it (HAVN_LOGIN_OPEN)."
            )
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._key = jwk.import_key(msgspec.json.decode(settings.login_signing_key, type=dict[str, Any]))
        self._kid = self._key.thumbprint()
        self._clients = KeyCache(self._client_keys, clock=clock)
        self.requests = Seal(settings.login_signing_key, "request", seconds=REQUEST_SECONDS, clock=clock)
        self._codes = Seal(settings.login_signing_key, "code", seconds=CODE_SECONDS, clock=clock)
        # Spent codes and client assertions, with the time they end by themselves.
        self._spent: dict[str, float] = {}

    # Metadata.

    def jwks(self) -> dict[str, Any]:
        """The public key (RFC 7517)."""
        return {"keys": [{**self._key.as_dict(private=False), "kid": self._kid, "use": "sig", "alg": "ES256"}]}

    def metadata(self) -> dict[str, Any]:
        """The discovery document for people (OpenID Connect Discovery 1.0)."""
        base = self._settings.issuer
        return {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "pushed_authorization_request_endpoint": f"{base}/par",
            "token_endpoint": f"{base}/token",
            "device_authorization_endpoint": f"{base}/device_authorization",
            "end_session_endpoint": f"{base}/logout",
            "jwks_uri": f"{base}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "acr_values_supported": list(LEVELS),
            "authorization_response_iss_parameter_supported": True,
        }

    def systems_metadata(self) -> dict[str, Any]:
        """The discovery document for organisations' tokens (RFC 8414)."""
        return {"issuer": self._settings.systems_issuer, "jwks_uri": f"{self._settings.issuer}/jwks"}

    # Requests.

    async def push(self, form: Mapping[str, str]) -> str:
        """The `request_uri` for a pushed request of the proven client."""
        await self._client(form)
        return _PUSHED + self.requests.seal(self._checked(form))

    def request(self, query: Mapping[str, str]) -> AuthorizeRequest:
        """The checked request of a browser; `OAuthError` when there is nobody to send the answer to."""
        if query.get("client_id") != CLIENT_ID:
            raise OAuthError("invalid_client", "The client is not known.")
        if "request_uri" in query:
            found = self.requests.open(query["request_uri"].removeprefix(_PUSHED), AuthorizeRequest)
            if found is None:
                raise OAuthError("invalid_request_uri", "The request is not known or too old.")
            return found
        return self._checked(query)

    def _checked(self, values: Mapping[str, str]) -> AuthorizeRequest:
        if values.get("redirect_uri") != f"{self._settings.platform_base}/upstream/callback":
            raise OAuthError("invalid_request", "The redirect_uri is not registered.")
        if values.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "response_type must be code.")
        if "openid" not in values.get("scope", "").split():
            raise OAuthError("invalid_scope", "scope must hold openid.")
        challenge = values.get("code_challenge", "")
        if values.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise OAuthError("invalid_request", "PKCE with S256 is needed.")
        state, nonce = values.get("state", ""), values.get("nonce", "")
        if not 8 <= len(state) <= 500 or not 8 <= len(nonce) <= 500:
            raise OAuthError("invalid_request", "state and nonce are needed.")
        return AuthorizeRequest(
            redirect_uri=values["redirect_uri"],
            state=state,
            nonce=nonce,
            code_challenge=challenge,
            scope=values["scope"],
            acr_values=[value for value in values.get("acr_values", "").split() if value in LEVELS],
            ui_locales=values.get("ui_locales", "").split()[:5],
        )

    # Answers to the browser.

    def chosen(self, request: AuthorizeRequest, who: str, level: str) -> str:
        """Where to send the browser when a person has been chosen; 400 for one who is not in the directory."""
        login = self._directory.find(who)
        if login is None or level not in LEVELS:
            raise Problem(400, "This person or level cannot be chosen.", code="invalid_choice")
        code = _Code(
            id=secrets.token_urlsafe(16),
            pid=login.pid,
            acr=level,
            nonce=request.nonce,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            scope=request.scope,
            auth_time=int(self._clock().timestamp()),
            sid=secrets.token_urlsafe(16),
        )
        return self._answer(request, {"code": self._codes.seal(code)})

    def cancelled(self, request: AuthorizeRequest) -> str:
        """Where to send the browser when the person cancels."""
        return self._answer(request, {"error": "access_denied", "error_description": "The person cancelled."})

    def _answer(self, request: AuthorizeRequest, values: dict[str, str]) -> str:
        query = urlencode({**values, "state": request.state, "iss": self._settings.issuer})
        return f"{request.redirect_uri}?{query}"

    def after_logout(self, query: Mapping[str, str]) -> str | None:
        """Where to send the browser after sign-out: the one registered address, or nowhere."""
        wanted = query.get("post_logout_redirect_uri")
        if query.get("client_id") != CLIENT_ID or wanted != f"{self._settings.platform_base}/logout/handleloggedout":
            return None
        state = query.get("state")
        return f"{wanted}?{urlencode({'state': state})}" if state else wanted

    # Tokens.

    async def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The token response for a code of the proven client."""
        await self._client(form)
        if form.get("grant_type") != "authorization_code":
            raise OAuthError("unsupported_grant_type", "grant_type must be authorization_code.")
        code = self._codes.open(form.get("code", ""), _Code)
        if code is None or not self._first_use(code.id, CODE_SECONDS):
            raise OAuthError("invalid_grant", "The code is not valid.")
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if form.get("redirect_uri") != code.redirect_uri or not hmac.compare_digest(challenge, code.code_challenge):
            raise OAuthError("invalid_grant", "The code belongs to another request.")
        login = self._directory.find(code.pid)
        if login is None:
            raise OAuthError("invalid_grant", "The person is not known any more.")
        claims = self._person(login, code.acr) | {
            "nonce": code.nonce,
            "auth_time": code.auth_time,
            "sid": code.sid,
            "aud": CLIENT_ID,
        }
        return {
            "id_token": self._sign(claims, self._settings.issuer, _TOKEN_SECONDS),
            "access_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": _TOKEN_SECONDS,
            "scope": code.scope,
        }

    def test_token(self, wanted: TestToken) -> str:
        """An access token to exchange at the platform, as ID-porten or Maskinporten would give it."""
        audience = f"{self._settings.scheme}://platform.{self._settings.domain}"
        common = {"aud": audience, "scope": wanted.scope, "client_id": "test-client"}
        if (wanted.person is None) == (wanted.organisation is None):
            raise Problem(400, "Give person or organisation.", code="invalid_request")
        if wanted.person is not None:
            login = self._directory.find(wanted.person)
            if login is None or wanted.level not in LEVELS:
                raise Problem(400, "There is no such person or level.", code="invalid_request")
            claims = self._person(login, wanted.level) | common
            return self._sign(claims, self._settings.issuer, _MACHINE_SECONDS)
        consumer = _actor(wanted.organisation)
        claims = {**common, "consumer": consumer, "client_amr": "private_key_jwt"}
        if wanted.system_user is not None:
            claims["authorization_details"] = [
                {
                    "type": "urn:altinn:systemuser",
                    "systemuser_id": [wanted.system_user],
                    "systemuser_org": _actor(wanted.system_user_organisation),
                    "system_id": f"{wanted.organisation}_test",
                }
            ]
        return self._sign(claims, self._settings.systems_issuer, _MACHINE_SECONDS)

    def id_token(self, login: Login, client_id: str) -> str:
        """What tells another client of ours who has signed in: no national identity number, only a name."""
        claims = self._person(login, LEVELS[0])
        return self._sign({"sub": claims["sub"], "name": login.name, "aud": client_id}, self._settings.issuer, 120)

    def _person(self, login: Login, acr: str) -> dict[str, Any]:
        # Pairwise-looking and stable: who reads a log of subjects learns nothing.
        subject = hmac.digest(self._settings.login_signing_key.encode(), login.pid.encode(), hashlib.sha256)
        return {
            "sub": base64.urlsafe_b64encode(subject).rstrip(b"=").decode(),
            "pid": login.pid,
            "acr": acr,
            "amr": ["TestID"],
        }

    def _sign(self, claims: dict[str, Any], issuer: str, seconds: int) -> str:
        now = int(self._clock().timestamp())
        full = {**claims, "iss": issuer, "iat": now, "nbf": now, "exp": now + seconds, "jti": uuid.uuid4().hex}
        return jwt.encode({"alg": "ES256", "kid": self._kid}, full, self._key, algorithms=["ES256"])

    # The client.

    async def _client(self, form: Mapping[str, str]) -> None:
        if form.get("client_assertion_type") != _ASSERTION:
            raise OAuthError("invalid_client", "The client must prove itself with private_key_jwt.", 401)
        try:
            token = form.get("client_assertion", "")
            claims = await verify_signature(token, read_header(token), self._clients)
            check_times(*claim_times(claims), self._clock)
        except (Problem, JoseError) as error:
            raise OAuthError("invalid_client", "The client's assertion is not valid.", 401) from error
        audience = claims.get("aud")
        accepted = (self._settings.issuer, f"{self._settings.issuer}/token")
        if claims.get("iss") != CLIENT_ID or claims.get("sub") != CLIENT_ID or audience not in accepted:
            raise OAuthError("invalid_client", "The client's assertion is for another.", 401)
        lifetime = float(claims["exp"]) - self._clock().timestamp()
        if lifetime > 300 or not self._first_use(f"assertion:{claims.get('jti')}", lifetime + 20):
            raise OAuthError("invalid_client", "The client's assertion was used before.", 401)

    async def _client_keys(self) -> Mapping[str, Any]:
        return msgspec.json.decode(self._settings.login_client_jwks, type=dict[str, Any])

    def _first_use(self, name: str, seconds: float) -> bool:
        now = self._clock().timestamp()
        self._spent = {key: until for key, until in self._spent.items() if until > now}
        if name in self._spent:
            return False
        self._spent[name] = now + seconds + 1
        return True


def _actor(number: str | None) -> dict[str, str]:
    if number is None or organisation_number_fault(number) is not None:
        raise Problem(400, "The organisation number is not valid.", code="invalid_request")
    return {"authority": "iso6523-actorid-upis", "ID": f"0192:{number}"}
