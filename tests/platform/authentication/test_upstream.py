"""An identity provider that answers wrongly: nothing it says is believed unchecked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwk, jwt
from starlette.requests import Request
from starlette.responses import JSONResponse

from havn.engines.identifiers import complete_person_number
from havn.local.oidc import setup

BASE = "/authentication/api/v1"
APP = "https://ttd.apps.havn.test/skjema/"
Claims = dict[str, Any]


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class BadProvider:
    """The real one, whose ID tokens are changed on the way."""

    def __init__(self, platform: Any, make: Callable[[Claims, str], str]) -> None:
        self._real = platform.apps.login
        self._make = make
        self._key = platform.login_key
        platform.apps.login = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/token":
            await self._real(scope, receive, send)
            return
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        await self._real(scope, receive, keep)
        answer = json.loads(b"".join(message.get("body", b"") for message in sent))
        payload = answer["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        answer["id_token"] = self._make(claims, self._key)
        await JSONResponse(answer)(scope, Request(scope, receive).receive, send)


def signed(claims: Claims, key: str, **header: Any) -> str:
    loaded = jwk.import_key(json.loads(key))
    return jwt.encode({"alg": "ES256", "kid": loaded.thumbprint(), **header}, claims, loaded)


def changed(**change: Any) -> Callable[[Claims, str], str]:
    return lambda claims, key: signed({**claims, **change}, key)


def without(name: str) -> Callable[[Claims, str], str]:
    return lambda claims, key: signed({other: claims[other] for other in claims if other != name}, key)


def unsigned(claims: Claims, key: str) -> str:
    kid = jwk.import_key(json.loads(key)).thumbprint()
    return f"{part({'alg': 'none', 'kid': kid})}.{part(claims)}."


def by_a_stranger(claims: Claims, key: str) -> str:
    kid = jwk.import_key(json.loads(key)).thumbprint()
    return signed(claims, setup.new_key(), kid=kid)


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (changed(aud="another-client"), 401, "wrong_audience"),
        (changed(aud=["havn", "another-client"]), 401, "wrong_audience"),
        (without("aud"), 401, "wrong_audience"),
        (changed(iss="https://login.evil.test"), 401, "wrong_issuer"),
        (changed(iss="https://login.havn.test.evil.test"), 401, "wrong_issuer"),
        (changed(nonce="another"), 401, "wrong_nonce"),
        (without("nonce"), 401, "wrong_nonce"),
        (changed(exp=1), 401, "token_expired"),
        (without("exp"), 401, "invalid_token"),
        (without("sub"), 401, "invalid_token"),
        (unsigned, 401, "invalid_token"),
        (by_a_stranger, 401, "invalid_token"),
        (lambda claims, key: "x", 401, "invalid_token"),
        (without("pid"), 403, "not_synthetic"),
        (changed(pid="15838510076"), 403, "not_synthetic"),
        (changed(pid="15838510075"), 403, "unknown_person"),
    ],
)
async def test_a_wrong_id_token_signs_nobody_in(
    platform: Any, make: Callable[[Claims, str], str], status: int, code: str
) -> None:
    BadProvider(platform, make)
    async with platform.browser() as browser:
        answer = await platform.sign_in(browser, "Sindig Bjørk", APP)
        assert answer.status_code == status
        assert code in answer.text
        assert "location" not in answer.headers
        assert "altinnsession" not in browser.cookies


async def test_a_person_who_is_not_synthetic_is_refused_by_a_test_provider(platform: Any) -> None:
    real = next(n for serial in range(100, 999) if (n := complete_person_number(f"150385{serial}")))
    BadProvider(platform, changed(pid=real))
    async with platform.browser() as browser:
        answer = await platform.sign_in(browser, "Sindig Bjørk", APP)
        assert (answer.status_code, "not_synthetic" in answer.text) == (403, True)
        assert real not in answer.text


async def test_a_claim_of_ours_in_the_id_token_changes_nothing(platform: Any) -> None:
    BadProvider(platform, changed(**{"urn:altinn:userid": "1", "urn:altinn:authlevel": 4, "scope": "x"}))
    token = await platform.token("Sindig Bjørk")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["urn:altinn:userid"], claims["urn:altinn:authlevel"]) == ("20000001", 3)
