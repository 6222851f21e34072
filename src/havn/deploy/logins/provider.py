"""The OpenID Connect provider at which people sign in: the device flow (RFC 8628), and the ID token it ends with.

The control plane is the provider's client, not the command line: so the latter needs to reach nothing but the control
plane, and a client secret, where the provider wants one, stays here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from havn.contracts.estate import LoginInfo
from havn.deploy.logins.store import Holder
from havn.guard.jwks import KeyCache
from havn.guard.tokens import MAX_TOKEN, check_times, claim_times, read_header, unauthorized, verify_signature
from havn.kit.clock import Clock
from havn.kit.http import HttpClient, Response
from havn.kit.problem import Problem
from havn.kit.trust import Trust

T = TypeVar("T")
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 8628 section 3.5: how much slower to ask when told to.
_SLOWER = 5


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Where people sign in."""

    issuer: str
    client_id: str
    client_secret: str = ""
    address: str = ""
    """Where we reach it, when not at its issuer's address."""
    scope: str = "openid profile"

    def __repr__(self) -> str:
        return f"Provider({self.issuer!r}, {self.client_id!r})"


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str
    token_endpoint: str
    device_authorization_endpoint: str | None = None


class _Device(msgspec.Struct, frozen=True):
    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    verification_uri_complete: str | None = None
    interval: int = 5


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str | None = None


class _Error(msgspec.Struct, frozen=True):
    error: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """The person has not confirmed yet; ask again after so many seconds."""

    interval: int


class DeviceLogin:
    """Signs people in."""

    def __init__(self, provider: Provider, clock: Clock, *, trust: Trust | None = None) -> None:
        self._provider = provider
        self._clock = clock
        parts = urlsplit(provider.issuer)
        address = provider.address or f"{parts.scheme}://{parts.netloc}"
        self._http = HttpClient(address, name="The sign-in provider", trust=trust)
        self._metadata: _Metadata | None = None
        self._keys = KeyCache(self._jwks, clock=clock)

    async def begin(self) -> LoginInfo:
        """Ask the provider for a code that the person confirms. Raises a 502 or 503 `Problem`."""
        metadata = await self._discover()
        if metadata.device_authorization_endpoint is None:
            raise Problem(
                502, "The sign-in provider has no device flow (RFC 8628): switch it on for this client.",
                code="no_device_flow",
            )  # fmt: skip
        response = await self._send(metadata.device_authorization_endpoint, {"scope": self._provider.scope})
        if not response.is_success:
            raise self._refused(response)
        found = _decode(response, _Device)
        return LoginInfo(
            device_code=found.device_code,
            user_code=found.user_code,
            verification_uri=found.verification_uri,
            verification_uri_complete=found.verification_uri_complete,
            expires_in=found.expires_in,
            interval=max(found.interval, 1),
        )

    async def redeem(self, device_code: str) -> Holder | Waiting:
        """Who has confirmed, or that nobody has yet. Raises a 403 `Problem` when it was refused or took too long."""
        metadata = await self._discover()
        response = await self._send(metadata.token_endpoint, {"grant_type": _GRANT, "device_code": device_code})
        if response.is_success:
            token = _decode(response, _Tokens).id_token
            if token is None:
                raise Problem(
                    502, "The sign-in provider gave no ID token: ask for the scope openid.", code="no_id_token"
                )
            return await self._who(token)
        error = _error(response)
        if error in ("authorization_pending", "slow_down"):
            return Waiting(_SLOWER if error == "slow_down" else 0)
        if error == "access_denied":
            raise Problem(403, "The sign-in was refused.", code="login_refused")
        if error in ("expired_token", "invalid_grant"):
            raise Problem(403, "The sign-in took too long: begin again with `havn login`.", code="login_expired")
        raise self._refused(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _who(self, token: str) -> Holder:
        if len(token) > MAX_TOKEN:
            raise unauthorized("The ID token is too large.")
        claims = await verify_signature(token, read_header(token), self._keys)
        check_times(*claim_times(claims), self._clock)
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if claims.get("iss") != self._provider.issuer or not isinstance(audiences, list):
            raise unauthorized("The ID token has another issuer.")
        if self._provider.client_id not in audiences or (
            len(audiences) > 1 and claims.get("azp") != self._provider.client_id
        ):
            raise unauthorized("The ID token is for another client.")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise unauthorized("The ID token says of nobody that it is them.")
        # A machine's token must not be taken for a person of that name.
        if subject.startswith(("token:", "local:")):
            raise unauthorized("The ID token's subject cannot be used.")
        names = (claims.get(name) for name in ("name", "preferred_username", "email"))
        name = next((each for each in names if isinstance(each, str) and each.isprintable() and each), subject)
        return Holder(subject, name[:100])

    async def _discover(self) -> _Metadata:
        if self._metadata is None:
            path = f"{urlsplit(self._provider.issuer).path.rstrip('/')}/.well-known/openid-configuration"
            own = urlsplit(self._provider.issuer).netloc
            response = await self._http.request("GET", path, headers={"host": own})
            if not response.is_success:
                raise Problem(
                    502, f"The sign-in provider answered with status {response.status_code} when asked what it offers.",
                    code="bad_provider",
                )  # fmt: skip
            found = _decode(response, _Metadata)
            if found.issuer != self._provider.issuer:
                raise Problem(502, "The sign-in provider calls itself something else.", code="bad_provider")
            self._metadata = found
        return self._metadata

    async def _jwks(self) -> Mapping[str, Any]:
        metadata = await self._discover()
        path, host = self._where(metadata.jwks_uri)
        response = await self._http.request("GET", path, headers={"host": host})
        if not response.is_success:
            raise Problem(502, "The sign-in provider's keys cannot be fetched.", code="bad_provider")
        return _decode(response, dict[str, Any])

    async def _send(self, endpoint: str, form: Mapping[str, str]) -> Response:
        path, host = self._where(endpoint)
        headers = {"accept": "application/json", "host": host}
        sent = {**form, "client_id": self._provider.client_id}
        if self._provider.client_secret:
            pair = f"{self._provider.client_id}:{self._provider.client_secret}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await self._http.request("POST", path, data=sent, headers=headers)

    def _where(self, address: str) -> tuple[str, str]:
        """An endpoint as we reach it, and its Host; one on another host than the issuer's is asked there."""
        parts, own = urlsplit(address), urlsplit(self._provider.issuer)
        if parts.netloc != own.netloc:
            if parts.scheme != "https":
                raise Problem(502, "The sign-in provider names an address that is not https.", code="bad_provider")
            return address, parts.netloc
        return (f"{parts.path}?{parts.query}" if parts.query else parts.path), own.netloc

    def _refused(self, response: Response) -> Problem:
        error = _error(response) or f"status {response.status_code}"
        return Problem(
            502, f"The sign-in provider refused the control plane ({error[:60]}): see to its client there.",
            code="provider_refused",
        )  # fmt: skip


def _error(response: Response) -> str:
    try:
        return msgspec.json.decode(response.content[:10_000], type=_Error).error
    except msgspec.MsgspecError:
        return ""


def _decode(response: Response, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=type_)
    except msgspec.MsgspecError:
        raise Problem(502, "The sign-in provider answered something unexpected.", code="bad_provider") from None
