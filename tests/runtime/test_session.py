"""Signing in and out at the app, keeping alive, and choosing whom one acts for."""

from __future__ import annotations

import httpx2


async def test_a_page_without_a_session_leads_to_sign_in_and_back(stage, builder) -> None:
    app = await stage.deploy(builder.write(), frontend_url="https://cdn.example")
    client = await app.client()
    answer = await client.get("?x=1&dontChooseReportee=true")
    assert answer.status_code == 302
    address = httpx2.URL(answer.headers["location"])
    assert (address.host, address.path) == ("platform.havn.test", "/authentication/api/v1/authentication")
    assert address.params["goto"] == f"{app.base}/?x=1&dontChooseReportee=true"
    assert address.params["DontChooseReportee"] == "true"


async def test_the_cookie_is_of_this_host_only_and_hidden_from_script(app) -> None:
    client = await app.client()
    code = await app.stage.code("Sindig Bjørk", app.id)
    answer = await client.get("api/authentication/session", params={"code": code, "goto": f"{app.base}/x#/y"})
    assert answer.headers["location"] == f"{app.base}/x#/y"
    cookies = answer.headers.get_list("set-cookie")
    [token] = [each for each in cookies if each.startswith("AltinnStudioRuntime=")]
    assert "HttpOnly" in token
    assert "Secure" in token
    assert "SameSite=lax" in token
    assert "domain" not in token.lower()
    assert any(each.startswith(f"AltinnPartyId={app.party('Sindig Bjørk')}") for each in cookies)
    again = await client.get("api/authentication/session", params={"code": code, "goto": f"{app.base}/x"})
    assert again.headers["location"] == f"{app.base}/x"
    stranger = await app.client()
    used = await stranger.get("api/authentication/session", params={"code": code, "goto": f"{app.base}/x"})
    assert used.headers["location"].startswith("https://platform.havn.test/authentication/api/v1/authentication?goto=")
    assert (await stranger.get("api/authentication/session", params={"code": ""})).status_code == 400


async def test_keeping_alive_renews_the_cookie_until_the_session_has_ended(app) -> None:
    browser = await app.browser("Sindig Bjørk")
    before = browser.cookies["AltinnStudioRuntime"]
    app.stage.clock.forward(minutes=10)
    kept = await browser.get("api/authentication/keepAlive")
    assert kept.status_code == 200
    assert browser.cookies["AltinnStudioRuntime"] != before
    app.stage.clock.forward(hours=2)
    assert (await browser.get("api/authentication/keepAlive")).status_code == 401


async def test_leaving_forgets_everything_here_and_goes_to_the_platform(app) -> None:
    browser = await app.browser("Sindig Bjørk")
    answer = await browser.get("api/authentication/logout")
    assert answer.headers["location"] == "https://platform.havn.test/authentication/api/v1/logout"
    assert "AltinnStudioRuntime" not in browser.cookies
    assert (await browser.get("api/v1/profile/user")).status_code == 401
    other = await app.browser("Sindig Bjørk")
    assert (await other.put("api/authentication/invalidatecookie")).status_code == 200
    assert "AltinnStudioRuntime" not in other.cookies


async def test_one_acts_only_for_whom_one_may(app) -> None:
    browser = await app.browser("Sindig Bjørk")
    company, stranger = app.party("Lysende Furu AS"), app.party("Stille Bekk")
    chosen = await browser.put(f"api/v1/parties/{company}")
    assert (chosen.status_code, chosen.json()) == (200, "Party successfully updated")
    assert (await browser.get("api/authorization/parties/current")).json() == company
    assert (await browser.put(f"api/v1/parties/{stranger}")).status_code == 400
    browser.cookies.set("AltinnPartyId", str(stranger), domain="ttd.apps.havn.test")
    put_right = await browser.get("api/authorization/parties/current?returnPartyObject=true")
    assert put_right.json()["partyId"] == app.party("Sindig Bjørk")
    assert f"AltinnPartyId={app.party('Sindig Bjørk')}" in put_right.headers["set-cookie"]


async def test_only_kinds_of_party_the_app_is_for_are_offered(stage, builder) -> None:
    builder.metadata["partyTypesAllowed"] = {
        "person": False, "organisation": False, "subUnit": True, "bankruptcyEstate": False
    }  # fmt: skip
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    offered = (await client.get("api/v1/parties?allowedtoinstantiatefilter=true")).json()
    assert offered
    assert all(each["onlyHierarchyElementWithNoAccess"] and each["childParties"] for each in offered)
    refused = await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})
    assert (refused.status_code, refused.json()["code"]) == (403, "party_type_not_allowed")
    asked = await client.post("api/v1/parties/validateInstantiation", params={"partyId": app.party("Lysende Furu AS")})
    assert asked.json()["valid"] is False
