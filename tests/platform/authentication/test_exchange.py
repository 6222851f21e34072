"""Exchanging tokens from elsewhere: what comes of them, and which are refused, saying why."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from havn.local.oidc import setup
from havn.local.oidc.directory import Directory
from havn.local.oidc.provider import Provider, TestToken
from havn.local.oidc.settings import Settings

BASE = "/authentication/api/v1"
LOGIN = "https://login.havn.test"
OWNER = "310000000"


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def foreign(platform: Any, **wanted: Any) -> str:
    async with platform.client() as client:
        answer = await client.post(f"{LOGIN}/test-token", json=wanted)
        assert answer.status_code == 200, answer.text
        return str(answer.json())


async def exchanged(platform: Any, provider: str, token: str, query: str = "") -> Any:
    async with platform.client(token) as client:
        return await client.get(f"{BASE}/exchange/{provider}{query}")


async def test_a_persons_token_becomes_ours_and_ends_with_theirs(platform: Any) -> None:
    token = await foreign(platform, person="Sindig Bjørk", level="idporten-loa-high")
    answer = await exchanged(platform, "ID-porten", token)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(answer.json())
    expected = {
        "nameid": "20000001",
        "urn:altinn:userid": "20000001",
        "urn:altinn:partyid": 50000001,
        "urn:altinn:authlevel": 4,
        "urn:altinn:authenticatemethod": "IdportenTestId",
        "aud": "https://platform.havn.test",
        "iss": platform.settings.issuer,
        "originaliss": "id-porten",
        "exp": claims_of(token)["exp"],
        "pid": platform.people["Sindig Bjørk"].pid,
    }
    assert {name: claims[name] for name in expected} == expected
    assert claims["sid"] != claims_of(token).get("sid")


async def test_a_token_can_be_asked_for_one_owners_apps(platform: Any) -> None:
    token = await foreign(platform, person="Sindig Bjørk")
    answer = await exchanged(platform, "id-porten", token, "?audience=fjord")
    assert claims_of(answer.json())["aud"] == "https://fjord.apps.havn.test"
    assert (await exchanged(platform, "id-porten", token, "?audience=../x")).status_code == 400


async def test_an_owners_token_names_the_owner_only_with_an_owners_scope(platform: Any) -> None:
    scope = "altinn:serviceowner/instances.read altinn:serviceowner/instances.write"
    owner = claims_of(
        (await exchanged(platform, "maskinporten", await foreign(platform, organisation=OWNER, scope=scope))).json()
    )
    assert owner["urn:altinn:org"] == "ttd"
    assert owner["urn:altinn:orgNumber"] == OWNER
    assert owner["urn:altinn:authlevel"] == 3
    assert owner["urn:altinn:authenticatemethod"] == "maskinporten"
    assert owner["consumer"] == {"authority": "iso6523-actorid-upis", "ID": f"0192:{OWNER}"}
    assert owner["aud"] == ["https://platform.havn.test", "https://ttd.apps.havn.test"]
    assert owner["exp"] - owner["iat"] == 1800
    assert "client_amr" not in owner
    for other in ("altinn:instances.read", "altinn:serviceownerx", "x:altinn:serviceowner"):
        plain = await exchanged(platform, "maskinporten", await foreign(platform, organisation=OWNER, scope=other))
        assert "urn:altinn:org" not in claims_of(plain.json()), other


async def test_an_organisation_that_is_no_owner_gets_its_number_only(platform: Any) -> None:
    number = platform.parties["LYSENDE FURU AS"].number
    token = await foreign(platform, organisation=number, scope="altinn:serviceowner")
    claims = claims_of((await exchanged(platform, "maskinporten", token)).json())
    assert claims["urn:altinn:orgNumber"] == number
    assert "urn:altinn:org" not in claims


async def test_a_system_users_details_pass_through(platform: Any) -> None:
    customer = platform.parties["LYSENDE FURU AS"].number
    token = await foreign(
        platform, organisation=OWNER, systemUser="6a2b0f9e-0000-4000-8000-000000000001", systemUserOrganisation=customer
    )
    claims = claims_of((await exchanged(platform, "maskinporten", token)).json())
    (detail,) = claims["authorization_details"]
    assert detail["systemuser_id"] == ["6a2b0f9e-0000-4000-8000-000000000001"]
    assert detail["systemuser_org"]["ID"] == f"0192:{customer}"


async def test_an_exchanged_token_cannot_be_refreshed(platform: Any) -> None:
    token = (await exchanged(platform, "id-porten", await foreign(platform, person="Sindig Bjørk"))).json()
    async with platform.client(token) as client:
        answer = await client.get(f"{BASE}/refresh")
        assert (answer.status_code, answer.json()["code"]) == (400, "not_refreshable")


async def test_the_scope_of_browser_sessions_is_not_to_be_had_by_exchange(platform: Any) -> None:
    token = await foreign(platform, person="Sindig Bjørk", scope="altinn:portal/enduser altinn:instances.read")
    claims = claims_of((await exchanged(platform, "id-porten", token)).json())
    assert claims["scope"] == "altinn:instances.read"


async def test_each_refusal_says_why(platform: Any) -> None:
    person = await foreign(platform, person="Sindig Bjørk")
    system = await foreign(platform, organisation=OWNER)
    no_scope = await foreign(platform, person="Sindig Bjørk", scope="openid profile")
    cases = [
        ("id-porten", system, 401, "wrong_issuer"),
        ("maskinporten", person, 401, "wrong_issuer"),
        ("id-porten", no_scope, 403, "scope_missing"),
        ("id-porten", person + "x", 401, "invalid_token"),
        ("id-porten", "x", 401, "invalid_token"),
        ("id-porten", await platform.token("Sindig Bjørk"), 401, "invalid_token"),
        ("studio", person, 400, "unknown_provider"),
    ]
    for provider, token, status, code in cases:
        answer = await exchanged(platform, provider, token)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (provider, code)
        if status == 401:
            assert "invalid_token" in answer.headers["www-authenticate"]
    platform.clock.forward(hours=2)
    late = await exchanged(platform, "id-porten", person)
    assert (late.status_code, late.json()["code"]) == (401, "token_expired")
    async with platform.client() as client:
        assert (await client.get(f"{BASE}/exchange/id-porten")).json()["code"] == "token_missing"
        retired = await client.get(
            f"{BASE}/exchange/maskinporten", headers={"X-Altinn-EnterpriseUser-Authentication": "x"}
        )
        assert retired.status_code == 410


async def test_trouble_at_the_issuer_is_503_and_not_a_bad_token(platform: Any) -> None:
    token = await foreign(platform, person="Sindig Bjørk")
    platform.apps.away.add("login")
    answer = await exchanged(platform, "id-porten", token)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    platform.apps.away = {"register"}
    answer = await exchanged(platform, "id-porten", token)
    assert answer.status_code == 503


async def test_a_token_of_a_provider_with_another_key_is_refused(platform: Any) -> None:
    other = Provider(
        Settings(
            domain="havn.test",
            environment="local",
            environment_type="test",
            login_signing_key=setup.new_key(),
            login_client_jwks='{"keys": []}',
        ),
        Directory(None),
        platform.clock,
    )
    answer = await exchanged(platform, "id-porten", other.test_token(TestToken(person="Sindig Bjørk")))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"person": "Nobody"},
        {"person": "Sindig Bjørk", "organisation": OWNER},
        {"organisation": "123456789"},
        {"x": 1},
    ],
)
async def test_test_tokens_are_made_for_known_people_and_valid_numbers_only(
    platform: Any, body: dict[str, Any]
) -> None:
    async with platform.client() as client:
        assert (await client.post(f"{LOGIN}/test-token", json=body)).status_code == 400
