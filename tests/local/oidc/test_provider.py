"""The test identity provider as a protocol: what it takes, what it refuses, and what its page offers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwk, jwt

from havn.kit.settings import SettingsError
from havn.local.oidc import setup
from havn.local.oidc.app import build
from havn.local.oidc.directory import Directory
from havn.local.oidc.settings import Settings
from havn.local.testdata import fixed, load, seeded

LOGIN = "https://login.havn.test"
CALLBACK = "https://platform.havn.test/authentication/api/v1/upstream/callback"
VERIFIER = "v" * 43


class Now:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class World:
    def __init__(self, client: httpx2.AsyncClient, clock: Now, key: str) -> None:
        self.client = client
        self.clock = clock
        self.key = jwk.import_key(json.loads(key))
        self.pid = fixed.dataset().logins[0].pid

    def request(self, **change: str | None) -> dict[str, str]:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        full = {
            "client_id": "havn",
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": "s" * 43,
            "nonce": "n" * 43,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **change,
        }
        return {name: value for name, value in full.items() if value is not None}

    def proof(self, **change: Any) -> dict[str, str]:
        now = int(self.clock().timestamp())
        claims = {
            "iss": "havn", "sub": "havn", "aud": LOGIN, "iat": now, "exp": now + 60, "jti": "first",
            **change,
        }  # fmt: skip
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode({"alg": "ES256", "kid": self.key.thumbprint()}, claims, self.key),
        }

    async def sealed(self, **change: str | None) -> str:
        page = await self.client.get("/authorize", params=self.request(**change))
        assert page.status_code == 200, page.text
        return page.text.split('name="request" value="')[1].split('"')[0]

    async def code(self) -> str:
        answer = await self.client.post("/authorize", data={"request": await self.sealed(), "person": self.pid})
        return httpx2.URL(answer.headers["location"]).params["code"]

    async def redeem(self, code: str, **change: str) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
            **self.proof(jti=change.pop("jti", code[-20:])), **change,
        }  # fmt: skip
        return await self.client.post("/token", data=form)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock, client_key = Now(), setup.new_key()
    secrets = setup.login_secrets(signing_key=setup.new_key(), client_key=client_key)
    app = await build(
        Settings(
            domain="havn.test",
            environment="local",
            environment_type="test",
            login_signing_key=secrets["login-signing-key"],
            login_client_jwks=secrets["login-client-jwks"],
        ),
        clock=clock,
    )
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url=LOGIN, headers={"accept": "text/html", "accept-language": "nb"}
    ) as client:
        yield World(client, clock, client_key)


@pytest.mark.parametrize(("environment", "type_"), [("tt02", "test"), ("local", "production")])
async def test_it_runs_in_the_local_environment_only(environment: str, type_: Any) -> None:
    settings = Settings(
        domain="havn.test",
        environment=environment,
        environment_type=type_,
        login_signing_key=setup.new_key(),
        login_client_jwks='{"keys": []}',
    )
    with pytest.raises(SettingsError, match="local"):
        await build(settings)
    assert "keys" not in repr(settings)


async def test_it_answers_on_this_machine_only(world: World) -> None:
    app = world.client._transport.app
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, client=("203.0.113.9", 1)), base_url=LOGIN
    ) as stranger:
        assert (await stranger.get("/authorize")).status_code == 403


async def test_a_code_gives_an_id_token_that_says_who_and_how(world: World) -> None:
    answer = await world.redeem(await world.code())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    keys = jwk.KeySet.import_key_set((await world.client.get("/jwks")).json())
    claims = jwt.decode(answer.json()["id_token"], keys, algorithms=["ES256"]).claims
    expected = {
        "iss": LOGIN, "aud": "havn", "pid": world.pid, "acr": "idporten-loa-substantial", "amr": ["TestID"],
        "nonce": "n" * 43, "auth_time": int(world.clock().timestamp()),
    }  # fmt: skip
    assert {name: claims[name] for name in expected} == expected
    assert world.pid not in claims["sub"]


async def test_a_code_works_once_and_for_a_minute_and_with_its_verifier(world: World) -> None:
    code = await world.code()
    assert (await world.redeem(code, code_verifier="w" * 43, jti="a")).json()["error"] == "invalid_grant"
    again = await world.code()
    assert (await world.redeem(again, redirect_uri="https://evil.test/", jti="b")).json()["error"] == "invalid_grant"
    used = await world.code()
    assert (await world.redeem(used, jti="c")).status_code == 200
    assert (await world.redeem(used, jti="d")).json()["error"] == "invalid_grant"
    late = await world.code()
    world.clock.now += timedelta(seconds=62)
    assert (await world.redeem(late, jti="e")).json()["error"] == "invalid_grant"
    assert (await world.redeem("nonsense", jti="f")).json()["error"] == "invalid_grant"
    other = await world.redeem(await world.code(), grant_type="password", jti="g")
    assert other.json()["error"] == "unsupported_grant_type"


async def test_a_client_must_prove_itself_and_a_proof_works_once(world: World) -> None:
    code = await world.code()
    proof = world.proof(jti="once")
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK, **proof}
    assert (await world.client.post("/token", data=form)).json()["error"] == "invalid_grant"
    assert (await world.client.post("/token", data=form)).json()["error"] == "invalid_client"
    for change in (
        {"aud": "https://evil.test"}, {"iss": "evil"}, {"exp": 1}, {"exp": int(world.clock().timestamp()) + 9000},
    ):  # fmt: skip
        answer = await world.client.post(
            "/token", data={**form, "code": code, **world.proof(jti=str(change), **change)}
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    for nothing in ({}, {"client_assertion": "x"}, {"client_assertion_type": proof["client_assertion_type"]}):
        answer = await world.client.post("/token", data={"code": code, **nothing})
        assert answer.status_code == 401
    stranger = jwk.ECKey.generate_key("P-256", private=True)
    world.key = stranger
    assert (await world.redeem(code, jti="stranger")).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "evil"},
        {"redirect_uri": "https://evil.test/"},
        {"redirect_uri": CALLBACK + "/x"},
        {"redirect_uri": None},
        {"response_type": "token"},
        {"scope": "profile"},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"state": ""},
        {"nonce": None},
        {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
    ],
)
async def test_a_wrong_request_gets_a_page_and_no_redirect(world: World, change: dict[str, str | None]) -> None:
    answer = await world.client.get("/authorize", params=world.request(**change))
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_request_can_be_pushed_and_not_changed_on_the_way(world: World) -> None:
    refused = await world.client.post("/par", data=world.request())
    assert refused.json()["error"] == "invalid_client"
    pushed = await world.client.post("/par", data=world.request() | world.proof())
    assert pushed.status_code == 201
    page = await world.client.get(
        "/authorize", params={"client_id": "havn", "request_uri": pushed.json()["request_uri"], "redirect_uri": "x"}
    )
    assert page.status_code == 200
    world.clock.now += timedelta(minutes=11)
    late = await world.client.get(
        "/authorize", params={"client_id": "havn", "request_uri": pushed.json()["request_uri"]}
    )
    assert late.status_code == 400


async def test_a_choice_that_was_not_offered_is_refused(world: World) -> None:
    sealed = await world.sealed()
    for form in (
        {"request": sealed, "person": "15838510075"},
        {"request": sealed, "person": world.pid, "level": "level4"},
        {"request": sealed},
        {"request": sealed[:-4] + "AAAA", "person": world.pid},
        {"person": world.pid},
    ):
        answer = await world.client.post("/authorize", data=form)
        assert answer.status_code == 400
        assert "location" not in answer.headers


async def test_the_page_shows_roles_searches_and_speaks_three_languages(world: World) -> None:
    sealed = await world.sealed(ui_locales="nn")

    async def page(**query: str) -> str:
        answer = await world.client.get("/authorize/choose", params={"request": sealed, **query})
        assert answer.status_code == 200
        return answer.text

    assert "Vel testperson" in await page()
    assert "Choose a test person" in await page(lang="en")
    assert "Velg testperson" in await page(lang="nb")
    everybody = await page(lang="en")
    assert "daglig leder, styremedlem for LYSENDE FURU AS" in everybody
    assert "Gammel Eik" not in everybody
    found = await page(lang="en", q="ødegård")
    assert re.findall(r'hv-choice__name">([^<]+)<', found) == ["Glad Ødegård-Bråten Åsmo"]
    assert "1 of 1 shown" in found
    assert "Nobody matches" in await page(lang="en", q="zzz")
    hostile = await page(lang="en", q='"><script>alert(1)</script>')
    assert "<script>alert" not in hostile


async def test_the_page_cannot_be_framed_and_loads_nothing_from_elsewhere(world: World) -> None:
    page = await world.client.get("/authorize", params=world.request())
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text


async def test_the_level_that_was_asked_for_is_chosen_beforehand(world: World) -> None:
    page = await world.client.get("/authorize", params=world.request(acr_values="idporten-loa-high"))
    assert re.search(r'value="idporten-loa-high" checked', page.text)


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ({}, None),
        ({"client_id": "havn", "post_logout_redirect_uri": "https://evil.test/"}, None),
        (
            {
                "client_id": "havn",
                "post_logout_redirect_uri": "https://platform.havn.test/authentication/api/v1/logout/handleloggedout",
                "state": "x y",
            },
            "https://platform.havn.test/authentication/api/v1/logout/handleloggedout?state=x+y",
        ),
    ],
)
async def test_sign_out_leads_to_the_registered_address_only(
    world: World, query: dict[str, str], location: str | None
) -> None:
    answer = await world.client.get("/logout", params=query)
    assert answer.headers.get("location") == location


async def test_metadata_names_its_own_issuer(world: World) -> None:
    for path, issuer in (
        ("openid-configuration", LOGIN),
        ("oauth-authorization-server/maskinporten", f"{LOGIN}/maskinporten"),
    ):
        document = (await world.client.get(f"/.well-known/{path}")).json()
        assert document["issuer"] == issuer


async def test_people_of_a_new_set_are_offered_at_once(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    _, before = directory.search("", 1)
    made = seeded.dataset(7, 10)
    load.save(made, tmp_path)
    found, after = directory.search(made.logins[0].pid, 5)
    assert after == 1
    assert found == [made.logins[0]]
    _, everybody = directory.search("", 1)
    assert everybody == before + len(made.logins)
