"""Refresh, sessions, sign-out, revocations: how long a token lives, and how it dies."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest
from joserfc import jwk, jwt

from havn.platform.authentication.store import Store

BASE = "/authentication/api/v1"
APP = "https://ttd.apps.havn.test/skjema/"
CHOSEN = {"sec-fetch-site": "same-site", "sec-fetch-dest": "document"}


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def test_refresh_gives_a_new_token_for_the_same_owner_and_slides_the_session(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    platform.clock.forward(minutes=20)
    async with platform.client(token) as client:
        answer = await client.get(f"{BASE}/refresh")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        fresh = answer.json()
        assert isinstance(fresh, str)
        old, new = claims_of(token), claims_of(fresh)
        assert new["aud"] == old["aud"] == "https://ttd.apps.havn.test"
        assert new["exp"] - old["exp"] == 1200
        assert new["sid"] == old["sid"]
        assert new["jti"] != old["jti"]
        typed = await client.get(f"{BASE}/refresh", headers={"accept": "application/vnd.havn.token+json"})
        assert set(typed.json()) == {"token", "expiresAt"}


async def test_a_session_ends_half_an_hour_after_its_last_use(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    platform.clock.forward(minutes=30, seconds=5)
    async with platform.client(token) as client:
        answer = await client.get(f"{BASE}/refresh")
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        assert "invalid_token" in answer.headers["www-authenticate"]


async def test_a_session_ends_after_twelve_hours_however_much_it_is_used(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    start = claims_of(token)["iat"]
    for _ in range(29):
        platform.clock.forward(minutes=25)
        async with platform.client(token) as client:
            answer = await client.get(f"{BASE}/refresh")
        if answer.status_code != 200:
            break
        token = answer.json()
    assert answer.status_code == 401
    assert claims_of(token)["exp"] - start == 12 * 3600


async def test_session_tells_when_it_ends_and_how_strong_it_is(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk", level="high")
    async with platform.client(token) as client:
        answer = (await client.get(f"{BASE}/session")).json()
    assert answer == {
        "expiresAt": "2026-11-21T12:30:00Z",
        "absoluteExpiresAt": "2026-11-22T00:00:00Z",
        "level": 4,
        "method": "IdportenTestId",
    }


async def test_a_national_identity_number_is_not_put_into_tokens(platform: Any) -> None:
    async with platform.client(await platform.token("Sindig Bjørk")) as client:
        assert (await client.get(f"{BASE}/refresh?enrichPid=true")).status_code == 403


async def _tampered(platform: Any) -> dict[str, str]:
    good = await platform.token("Sindig Bjørk")
    head, payload, signature = good.split(".")
    claims = claims_of(good)

    def encoded(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    stranger = jwk.ECKey.generate_key("P-256", private=True)
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    public = (await platform.client().get(f"{BASE}/openid/.well-known/openid-configuration/jwks")).json()["keys"][0]
    hmac_key = jwk.OctKey.import_key(json.dumps(public))
    return {
        "changed claims": f"{head}.{encoded(claims | {'urn:altinn:userid': '20000002'})}.{signature}",
        "alg none": f"{encoded({'alg': 'none', 'kid': header['kid']})}.{payload}.",
        "no signature": f"{head}.{payload}.",
        "hmac with the public key": jwt.encode(
            {"alg": "HS256", "kid": header["kid"]}, claims, hmac_key, algorithms=["HS256"]
        ),
        "another's key under our id": jwt.encode({"alg": "ES256", "kid": header["kid"]}, claims, stranger),
        "another's key with its own id": jwt.encode({"alg": "ES256", "kid": stranger.thumbprint()}, claims, stranger),
        "embedded key": jwt.encode(
            {"alg": "ES256", "kid": stranger.thumbprint(), "jwk": stranger.as_dict(private=False)}, claims, stranger
        ),
        "not a token": "x",
        "huge": good + "a" * 20_000,
    }


async def test_a_token_that_is_not_ours_refreshes_nothing(platform: Any) -> None:
    for name, token in (await _tampered(platform)).items():
        async with platform.client(token) as client:
            answer = await client.get(f"{BASE}/refresh")
            assert answer.status_code == 401, name
            assert token[:200] not in answer.text


async def test_a_wrong_bearer_never_falls_back_to_the_cookie(platform: Any) -> None:
    async with platform.browser() as browser:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        assert (await browser.get(f"{BASE}/session")).status_code == 200
        wrong = await browser.get(f"{BASE}/session", headers={"authorization": "Bearer x"})
        assert wrong.status_code == 401


async def test_sign_out_clears_every_owners_host_then_the_provider_and_kills_tokens(platform: Any) -> None:
    for app in ("ttd/skjema", "fjord/tilskudd"):
        await platform.deploy(app)
    tokens = []
    async with platform.browser() as browser:
        answer = await platform.sign_in(browser, "Sindig Bjørk", APP)
        for app, goto in (("ttd/skjema", None), ("fjord/tilskudd", "https://fjord.apps.havn.test/fjord/tilskudd/")):
            if goto:
                answer = await browser.get(f"{BASE}/authentication", params={"goto": goto})
            async with platform.client(app=app) as client:
                code = httpx2.URL(answer.headers["location"]).params["code"]
                redeemed = await client.post(f"{BASE}/session/redeem", json={"code": code})
                tokens.append(redeemed.json()["token"])
        handle = browser.cookies["altinnsession"]
        places = []
        answer = await browser.get(f"{BASE}/logout", headers=CHOSEN)
        assert "altinnsession" not in browser.cookies
        while not (place := answer.headers["location"]).startswith("https://platform."):
            places.append(place.partition("?")[0])
            # An app clears its cookies and comes back; the provider leads to our last page.
            answer = await browser.get(place if "login." in place else f"{BASE}/logout", headers=CHOSEN)
        assert places == [
            "https://fjord.apps.havn.test/fjord/tilskudd/api/authentication/logout",
            "https://ttd.apps.havn.test/skjema/api/authentication/logout",
            "https://login.havn.test/logout",
        ]
        last = await browser.get(place)
        assert "You are signed out" in last.text
        assert "AltinnLogoutInfo" not in browser.cookies
    for token in tokens:
        async with platform.client(token) as client:
            assert (await client.get(f"{BASE}/refresh")).status_code == 401
    async with platform.client() as client:
        client.cookies.set("altinnsession", handle, domain="platform.havn.test")
        assert (await client.get(f"{BASE}/session")).status_code == 401
        revoked = (await client.get(f"{BASE}/revocations")).json()
        assert [entry["sid"] for entry in revoked["revoked"]] == [claims_of(tokens[0])["sid"]]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "same-site", "sec-fetch-dest": "image"},
    ],
)
async def test_nobody_is_signed_out_by_an_image_or_a_foreign_page(platform: Any, headers: dict[str, str]) -> None:
    async with platform.browser() as browser:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        asked = await browser.get(f"{BASE}/logout", headers=headers)
        assert asked.status_code == 200
        assert "Do you want to sign out?" in asked.text
        assert (await browser.get(f"{BASE}/session")).status_code == 200
        foreign = await browser.post(f"{BASE}/logout", headers={"origin": "https://evil.test"})
        assert foreign.status_code == 403
        confirmed = await browser.post(f"{BASE}/logout", headers={"origin": "https://platform.havn.test"})
        assert confirmed.status_code == 303
        assert (await browser.get(f"{BASE}/session")).status_code == 401


async def test_sign_out_without_a_session_still_ends_on_the_last_page(platform: Any) -> None:
    async with platform.browser() as browser:
        answer = await browser.get(f"{BASE}/logout", headers=CHOSEN)
        assert answer.headers["location"] == "https://platform.havn.test/authentication/api/v1/logout/handleloggedout"


async def test_sign_out_works_while_the_provider_is_away(platform: Any) -> None:
    async with platform.browser() as browser:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        platform.clock.forward(hours=0.4)
        platform.apps.away.add("login")
        answer = await browser.get(f"{BASE}/logout", headers=CHOSEN)
        assert answer.status_code == 303
        assert (await browser.get(f"{BASE}/session")).status_code == 401


async def test_the_provider_ends_our_sessions_by_its_front_channel(platform: Any) -> None:
    async with platform.browser() as browser:
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        back = await platform.choose(browser, begun.headers["location"], "Sindig Bjørk")
        await browser.get(back)
        session = (await browser.get(f"{BASE}/session")).json()
        assert session["level"] == 3
        missing = await browser.get(f"{BASE}/upstream/frontchannel-logout", params={"iss": "https://login.havn.test"})
        assert missing.status_code == 400
        other = await browser.get(
            f"{BASE}/upstream/frontchannel-logout", params={"iss": "https://login.havn.test", "sid": "another"}
        )
        assert (other.status_code, other.text) == (200, "OK")
    token = await platform.token("Sindig Bjørk")
    store = await Store.open(platform.settings.authentication_database_url)
    try:
        live = await store.live_session(platform.clock(), sid=claims_of(token)["sid"])
    finally:
        await store.close()
    assert live is not None
    async with platform.client(token) as client:
        assert (await client.get(f"{BASE}/refresh")).status_code == 200
        ended = await client.get(
            f"{BASE}/upstream/frontchannel-logout",
            params={"iss": "https://login.havn.test/", "sid": live.upstream_sid},
        )
        assert ended.text == "OK"
        assert (await client.get(f"{BASE}/refresh")).status_code == 401


async def test_a_forged_logout_token_ends_nothing(platform: Any) -> None:
    async with platform.client() as client:
        for token in ("x", "a.b.c", await platform.token("Sindig Bjørk")):
            answer = await client.post(f"{BASE}/upstream/backchannel-logout", data={"logout_token": token})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_logout_token")
        assert (await client.post(f"{BASE}/upstream/backchannel-logout")).status_code == 400


async def test_a_waiting_reader_of_revocations_is_told_at_once(platform: Any) -> None:
    async with platform.browser() as browser, platform.client() as reader:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        start = (await reader.get(f"{BASE}/revocations")).json()
        assert start == {"next": 0, "revoked": []}
        waiting = asyncio.create_task(reader.get(f"{BASE}/revocations", params={"after": 0, "wait": 20}))
        await browser.get(f"{BASE}/logout", headers=CHOSEN)
        answer = (await waiting).json()
        assert len(answer["revoked"]) == 1
        assert answer["next"] > 0
        later = (await reader.get(f"{BASE}/revocations", params={"after": answer["next"]})).json()
        assert later == {"next": answer["next"], "revoked": []}


@pytest.mark.parametrize("query", ["after=-1", "after=x", "wait=x", "after=99999999999999999999"])
async def test_wrong_numbers_in_revocations_are_refused(platform: Any, query: str) -> None:
    async with platform.client() as client:
        assert (await client.get(f"{BASE}/revocations?{query}")).status_code == 400
