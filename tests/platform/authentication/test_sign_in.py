"""Signing in with a browser: the whole dance, and everybody who would like to dance along."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

BASE = "/authentication/api/v1"
APP = "https://ttd.apps.havn.test/skjema/"


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def test_a_person_signs_in_and_the_app_gets_a_token_for_its_owner_only(platform: Any) -> None:
    await platform.deploy("ttd/skjema")
    goto = f"{APP}?x=1#/instance/1/2"
    async with platform.browser() as browser:
        answer = await platform.sign_in(browser, "Sindig Bjørk", goto)
        assert answer.status_code == 302
        location = httpx2.URL(answer.headers["location"])
        assert str(location.copy_with(query=None)) == "https://ttd.apps.havn.test/skjema/api/authentication/session"
        assert location.params["goto"] == goto
        cookie = answer.headers["set-cookie"]
        assert "altinnsession=" in cookie
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie
    async with platform.client(app="ttd/skjema") as app:
        redeemed = await app.post(f"{BASE}/session/redeem", json={"code": location.params["code"]})
        assert redeemed.status_code == 200
        assert redeemed.headers["cache-control"] == "no-store"
        body = redeemed.json()
        again = await app.post(f"{BASE}/session/redeem", json={"code": location.params["code"]})
        assert (again.status_code, again.json()["code"]) == (400, "invalid_code")
    assert body["partyId"] == 50000001
    claims = claims_of(body["token"])
    expected = {
        "iss": "https://platform.havn.test/authentication/api/v1/openid/",
        "aud": "https://ttd.apps.havn.test",
        "originaliss": "idporten",
        "urn:altinn:partyid": 50000001,
        "urn:altinn:userid": "20000001",
        "urn:altinn:authlevel": 3,
        "urn:altinn:authenticatemethod": "IdportenTestId",
        "acr": "idporten-loa-substantial",
        "amr": ["TestID"],
    }
    assert {name: claims[name] for name in expected} == expected
    assert claims["exp"] - claims["iat"] == 1800
    assert claims["sub"] == f"urn:altinn:party:uuid:{claims['urn:altinn:party:uuid']}"
    assert claims["jti"] != claims["sid"]
    assert "altinn:portal/enduser" in claims["scope"].split()
    assert "pid" not in claims
    assert (
        platform.people["Sindig Bjørk"].pid not in base64.urlsafe_b64decode(body["token"].split(".")[1] + "==").decode()
    )


async def test_no_address_on_the_way_shows_the_national_identity_number(platform: Any) -> None:
    pid = platform.people["Sindig Bjørk"].pid
    async with platform.browser() as browser:
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        back = await platform.choose(browser, begun.headers["location"], "Sindig Bjørk")
        assert pid not in begun.headers["location"]
        assert pid not in back
        assert base64.urlsafe_b64encode(pid.encode()).decode()[:12] not in back


async def test_a_live_session_leads_straight_on_to_another_owners_app(platform: Any) -> None:
    async with platform.browser() as browser:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        straight = await browser.get(
            f"{BASE}/authentication", params={"goto": "https://fjord.apps.havn.test/fjord/tilskudd/"}
        )
        assert straight.status_code == 302
        assert straight.headers["location"].startswith(
            "https://fjord.apps.havn.test/fjord/tilskudd/api/authentication/session?code="
        )


async def test_a_code_works_for_its_own_app_only_and_only_for_a_minute(platform: Any) -> None:
    for app in ("ttd/skjema", "ttd/annen", "fjord/skjema"):
        await platform.deploy(app)
    async with platform.browser() as browser:
        answer = await platform.sign_in(browser, "Sindig Bjørk", APP)
        for app in ("ttd/annen", "fjord/skjema"):
            code = httpx2.URL(answer.headers["location"]).params["code"]
            async with platform.client(app=app) as client:
                refused = await client.post(f"{BASE}/session/redeem", json={"code": code})
                assert refused.status_code == 400
            answer = await browser.get(f"{BASE}/authentication", params={"goto": f"{APP}?{app}"})
        platform.clock.forward(seconds=61)
        async with platform.client(app="ttd/skjema") as client:
            code = httpx2.URL(answer.headers["location"]).params["code"]
            assert (await client.post(f"{BASE}/session/redeem", json={"code": code})).status_code == 400
        async with platform.client() as nobody:
            assert (await nobody.post(f"{BASE}/session/redeem", json={"code": code})).status_code == 401


@pytest.mark.parametrize(
    "goto",
    [
        None,
        "",
        "/skjema/",
        "//ttd.apps.havn.test/skjema/",
        "http://ttd.apps.havn.test/skjema/",
        "https://evil.test/skjema/",
        "https://havn.test.evil.test/",
        "https://evilhavn.test/",
        "https://ttd.apps.havn.test.evil.test/skjema/",
        "https://ttd.apps.havn.test@evil.test/skjema/",
        "https://evil.test\\@ttd.apps.havn.test/skjema/",
        "https://ttd.apps.havn.test\\evil/",
        "https://ttd.apps.havn.test:8443/skjema/",
        "https://ttd.apps.havn.test/skjema/\r\nSet-Cookie: a=b",
        "https://ttd.apps.havn.test/ skjema/",
        "https://user:pass@ttd.apps.havn.test/skjema/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://ttd%2eapps.havn.test/skjema/",
        "https://ttd.apps.havn.test/",
        "https://a.b.apps.havn.test/skjema/",
        "https://тtd.apps.havn.test/skjema/",
        "https://ttd.apps.havn.test/" + "x" * 5000,
        "https://[::1/skjema/",
        "https://ttd.apps.havn.test:port/skjema/",
    ],
)
async def test_an_address_that_is_not_ours_gets_no_redirect(platform: Any, goto: str | None) -> None:
    async with platform.browser() as browser:
        answer = await browser.get(f"{BASE}/authentication", params={} if goto is None else {"goto": goto})
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "goto" in answer.text


async def test_the_host_may_be_written_in_capitals_and_with_a_dot(platform: Any) -> None:
    async with platform.browser() as browser:
        answer = await platform.sign_in(browser, "Sindig Bjørk", "https://TTD.apps.HAVN.test./skjema/")
        assert answer.headers["location"].startswith("https://ttd.apps.havn.test/skjema/api/")


async def test_a_callback_in_another_browser_signs_nobody_in(platform: Any) -> None:
    async with platform.browser() as attacker, platform.browser() as victim:
        begun = await attacker.get(f"{BASE}/authentication", params={"goto": APP})
        back = await platform.choose(attacker, begun.headers["location"], "Stille Bekk")
        answer = await victim.get(back)
        assert answer.status_code == 400
        assert "altinnsession" not in answer.headers.get("set-cookie", "")
        # The one who began may still finish.
        assert (await attacker.get(back)).status_code == 302


async def test_a_callback_works_once(platform: Any) -> None:
    async with platform.browser() as browser:
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        state = {cookie.name: cookie.value for cookie in browser.cookies.jar}
        back = await platform.choose(browser, begun.headers["location"], "Stille Bekk")
        assert (await browser.get(back)).status_code == 302
        for name, value in state.items():
            browser.cookies.set(name, value, domain="platform.havn.test", path="/")
        assert (await browser.get(back)).status_code == 400


async def test_two_tabs_sign_in_independently(platform: Any) -> None:
    async with platform.browser() as browser:
        first = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        second = await browser.get(f"{BASE}/authentication", params={"goto": "https://fjord.apps.havn.test/tilskudd/"})
        for begun, host in ((second, "fjord"), (first, "ttd")):
            back = await platform.choose(browser, begun.headers["location"], "Stille Bekk")
            assert httpx2.URL((await browser.get(back)).headers["location"]).host == f"{host}.apps.havn.test"


async def test_a_sign_in_left_for_more_than_ten_minutes_begins_anew(platform: Any) -> None:
    async with platform.browser() as browser:
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        platform.clock.forward(minutes=9, seconds=30)
        back = await platform.choose(browser, begun.headers["location"], "Stille Bekk")
        platform.clock.forward(seconds=40)
        assert (await browser.get(back)).status_code == 400


@pytest.mark.parametrize("query", ["", "?code=x", "?state=y", "?code=x&state=y", "?error=access_denied"])
async def test_a_callback_out_of_the_blue_is_refused_with_a_page(platform: Any, query: str) -> None:
    async with platform.browser() as browser:
        answer = await browser.get(f"{BASE}/upstream/callback{query}")
        assert answer.status_code in (200, 400)
        assert "location" not in answer.headers
        assert answer.headers["content-type"].startswith("text/html")


async def test_cancelling_gives_a_plain_page_with_the_way_back(platform: Any) -> None:
    async with platform.browser() as browser:
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        page = await browser.get(begun.headers["location"])
        sealed = page.text.split('name="request" value="')[1].split('"')[0]
        answer = await browser.post("https://login.havn.test/authorize", data={"request": sealed, "cancel": "yes"})
        back = await browser.get(answer.headers["location"])
        assert back.status_code == 200
        assert "Sign-in was cancelled" in back.text
        assert f'href="{APP}"' in back.text
        assert "altinnsession" not in back.headers.get("set-cookie", "")


async def test_step_up_asks_for_a_stronger_sign_in_and_makes_a_fresh_session(platform: Any) -> None:
    async with platform.browser() as browser:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        weak = browser.cookies["altinnsession"]
        asked = {"goto": APP, "acr_values": "idporten-loa-high"}
        begun = await browser.get(f"{BASE}/authentication", params=asked)
        assert begun.headers["location"].startswith("https://login.havn.test/authorize")
        back = await platform.choose(browser, begun.headers["location"], "Sindig Bjørk", "substantial")
        refused = await browser.get(back)
        assert refused.status_code == 403
        assert "level" in refused.text
        begun = await browser.get(f"{BASE}/authentication", params=asked)
        back = await platform.choose(browser, begun.headers["location"], "Sindig Bjørk", "high")
        assert (await browser.get(back)).status_code == 302
        assert browser.cookies["altinnsession"] != weak
        straight = await browser.get(f"{BASE}/authentication", params=asked)
        assert "code=" in straight.headers["location"]
    async with platform.client() as client:
        client.cookies.set("altinnsession", weak, domain="platform.havn.test")
        assert (await client.get(f"{BASE}/session")).status_code == 401


async def test_another_person_signing_in_ends_the_former_session_and_its_tokens(platform: Any) -> None:
    await platform.deploy("ttd/skjema")
    async with platform.browser() as browser, platform.client(app="ttd/skjema") as app:
        answer = await platform.sign_in(browser, "Sindig Bjørk", APP)
        code = httpx2.URL(answer.headers["location"]).params["code"]
        token = (await app.post(f"{BASE}/session/redeem", json={"code": code})).json()["token"]
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP, "acr_values": "idporten-loa-high"})
        back = await platform.choose(browser, begun.headers["location"], "Stille Bekk", "high")
        assert (await browser.get(back)).status_code == 302
        refused = await app.get(f"{BASE}/refresh", headers={"authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
        revoked = (await app.get(f"{BASE}/revocations", params={"after": 0})).json()
        assert claims_of(token)["sid"] in [entry["sid"] for entry in revoked["revoked"]]


@pytest.mark.parametrize("value", ["idporten-loa-low", "level4", "x", "idporten-loa-high x"])
async def test_levels_that_cannot_be_asked_for_are_refused(platform: Any, value: str) -> None:
    async with platform.client() as client:
        answer = await client.get(f"{BASE}/authentication", params={"goto": APP, "acr_values": value})
        assert (answer.status_code, answer.json()["detail"]) == (400, "Invalid acr_values.")


async def test_a_page_that_keeps_sending_the_browser_back_is_stopped(platform: Any) -> None:
    async with platform.browser() as browser:
        await platform.sign_in(browser, "Sindig Bjørk", APP)
        statuses = [(await browser.get(f"{BASE}/authentication", params={"goto": APP})).status_code for _ in range(3)]
        assert statuses == [302, 302, 508]
        # Half a minute later, or after that page, it may try again.
        again = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        assert again.status_code == 302


async def test_register_or_provider_away_is_a_503_page_and_never_half_a_session(platform: Any) -> None:
    async with platform.browser() as browser:
        platform.apps.away.add("login")
        away = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        assert away.status_code == 503
        assert "retry-after" in away.headers
        platform.apps.away.clear()
        begun = await browser.get(f"{BASE}/authentication", params={"goto": APP})
        back = await platform.choose(browser, begun.headers["location"], "Sindig Bjørk")
        platform.apps.away.add("register")
        answer = await browser.get(back)
        assert answer.status_code == 503
        assert "altinnsession" not in answer.headers.get("set-cookie", "")


async def test_too_many_sign_ins_from_one_address_are_refused_for_a_minute(platform: Any) -> None:
    async with platform.client() as client:
        client.headers["x-forwarded-for"] = "203.0.113.7"
        for _ in range(platform.settings.authentication_sign_in_limit):
            await client.get(f"{BASE}/upstream/callback")
        refused = await client.get(f"{BASE}/upstream/callback")
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "60"
        client.headers["x-forwarded-for"] = "203.0.113.7, 203.0.113.8"
        assert (await client.get(f"{BASE}/upstream/callback")).status_code == 400
        client.headers["x-forwarded-for"] = "203.0.113.7"
        platform.clock.forward(minutes=1)
        assert (await client.get(f"{BASE}/upstream/callback")).status_code == 400
