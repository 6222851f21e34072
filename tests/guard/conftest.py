"""Keys, tokens and a clock for the guard's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from havn.guard.tokens import AudienceRule, TokenVerifier

ISSUER = "https://platform.havn.example/authentication/api/v1/openid/"


class MovableClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class KeyServer:
    """Serves a key set and counts how often it was asked."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.failure: Exception | None = None

    async def __call__(self, *_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return {"keys": [key if isinstance(key, dict) else key.as_dict(private=False) for key in self.keys]}


class Issuer:
    """Makes tokens of the platform, right and wrong ones."""

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"}, auto_kid=False)
        self.server = KeyServer(self.key)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": "https://ttd.apps.havn.example",
            "sub": "urn:altinn:party:uuid:4e6f",
            "sid": "s-1",
            "jti": "j-1",
            "iat": now,
            "nbf": now,
            "exp": now + 1800,
            "urn:altinn:userid": "1337",
            "urn:altinn:partyid": 501337,
            "urn:altinn:authlevel": 3,
            "urn:altinn:authenticatemethod": "BankID",
            "scope": "openid altinn:portal/enduser",
        }
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        key = key or self.key
        return jwt.encode(
            header or {"alg": "RS256", "kid": key.kid}, self.claims(**changes), key, algorithms=["RS256", "HS256"]
        )


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def issuer(clock: MovableClock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def make_verifier(clock: MovableClock, issuer: Issuer) -> Callable[..., TokenVerifier]:
    """A verifier for ttd's apps, or as the arguments say."""

    def make(**changes: Any) -> TokenVerifier:
        options: dict[str, Any] = {
            "issuer": ISSUER,
            "audiences": AudienceRule.owner(scheme="https", domain="havn.example", org="ttd"),
            "jwks": issuer.server,
            "clock": clock,
        }
        return TokenVerifier(**(options | changes))

    return make


@pytest.fixture
def ec_key() -> Callable[[str], ECKey]:
    return lambda kid: ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"}, auto_kid=False)
