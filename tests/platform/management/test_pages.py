"""The self-service pages over HTTP: what everybody sees, what needs a sign-in, and what is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2
import pytest

from havn.engines import api_keys

PAGES = "https://api.havn.test"
API = "ttd.permit.cases.v1"
TOKEN = re.compile(r'name="__RequestVerificationToken" value="([^"]+)"')


class Person:
    """A browser with its own cookies, at the pages' host."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        self.client: httpx2.AsyncClient = platform.browser()

    async def get(self, path: str) -> httpx2.Response:
        return await self.client.get(PAGES + path)

    async def post(self, path: str, page: httpx2.Response | None = None, **fields: str) -> httpx2.Response:
        """Send a form as it stands on `page`."""
        if page is not None:
            fields["__RequestVerificationToken"] = unescape(TOKEN.search(page.text)[1])  # type: ignore[index]
        return await self.client.post(PAGES + path, data=fields)

    async def sign_in(self, name: str, path: str = "/mine") -> httpx2.Response:
        """From a page that needs a sign-in, all the way back to it."""
        begun = await self.get(path)
        assert begun.status_code == 302, begun.text
        there = await self.client.get(begun.headers["location"])
        back = await self.platform.choose(self.client, there.headers["location"], name)
        redeem = await self.client.get(back)
        done = await self.client.get(redeem.headers["location"])
        assert done.headers["location"] == PAGES + path
        return await self.get(path)


@pytest.fixture
async def person(management: Any) -> AsyncIterator[Person]:
    made = Person(management.platform)
    yield made
    await made.client.aclose()


@pytest.fixture
async def published(management: Any) -> Any:
    await management.publish()
    return management


async def test_everybody_may_search_and_read_the_catalogue(published: Any, person: Person) -> None:
    page = await person.get("/?q=fetch")
    assert "Cases" in page.text
    assert "Saker" in (await person.get("/?q=fetch&lang=nn")).text
    assert (await person.get("/?q=%3Cscript%3E")).text.count("<script") == 0
    page = await person.get(f"/apis/{API}?lang=en")
    for said in (
        "At most 10 calls per second",
        "At most 1,000 calls per day",
        "At most 4 calls at once",
        "Given at once",
    ):
        assert said in page.text
    assert "GET /<wbr>instances/<wbr>{id}" in page.text
    assert "Read &lt;one&gt;" in page.text
    assert "Not of this Api" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert (await person.get("/apis/ttd.permit.none.v1")).status_code == 404
    assert (await person.get("/management/api/v1/catalogue")).status_code == 404


async def test_a_person_with_a_role_asks_and_gets_two_keys_once(published: Any, person: Person) -> None:
    form = await person.sign_in("Sindig Bjørk", f"/ask?plan={API}:trial")
    assert "LYSENDE FURU AS" in form.text
    number = published.number("LYSENDE FURU AS")
    fields = {"plan": f"{API}:trial", "owner": number, "application": "new"}
    wrong = await person.post("/ask", form, **fields, name=" ")
    assert wrong.status_code == 422
    assert "Write a name for the system." in wrong.text
    sent = await person.post("/ask", form, **fields, name="Fagsystem", contact="drift@example.no")
    assert sent.status_code == 303
    page = await person.get(sent.headers["location"])
    assert "Access is ready" in page.text
    again = await person.post("/ask", form, **fields, name="Fagsystem")
    assert "already" in again.text
    path = sent.headers["location"].partition("?")[0]
    shown = await person.post(f"{path}/keys", page)
    keys = re.findall(r"havn_[0-9A-Za-z_]{62}", shown.text)
    assert len(keys) == 2
    assert all(api_keys.parse(key) for key in keys)
    assert shown.headers["cache-control"] == "no-store"
    # Sent again, as by loading the page anew, it shows nothing.
    assert "havn_" not in (await person.post(f"{path}/keys", page)).text
    page = await person.get(path)
    assert keys[0] not in page.text
    prefix = keys[0].split("_")[1]
    assert f"havn_{prefix}_…" in page.text
    rotated = await person.post(f"{path}/keys/{prefix}/rotate", page)
    assert len(re.findall(r"havn_[0-9A-Za-z_]{62}", rotated.text)) == 1
    assert (await person.post(f"{path}/keys/{keys[1].split('_')[1]}/revoke", page)).status_code == 303
    assert (await person.post(f"{path}/revoke", page)).status_code == 303
    assert "Revoked" in (await person.get(path)).text
    assert "Fagsystem" in (await person.get("/mine")).text


async def test_the_owners_manager_answers_those_who_ask(management: Any, person: Person, terms: Any) -> None:
    await management.publish("fjord", "permit", terms)
    async with await management.consumer() as consumer:
        asked = await management.subscribe(consumer, "fjord.permit.cases.v1:basic")
    page = await person.sign_in("Glad Ødegård-Bråten Åsmo", "/offered")
    assert "Fagsystem, LYSENDE FURU AS" in page.text
    path = f"/offered/subscriptions/{asked['id']}"
    assert "Write a reason" in (await person.post(f"{path}/reject", page)).text
    assert (await person.post(f"{path}/approve", page)).status_code == 303
    page = await person.get("/offered/fjord.permit.cases.v1")
    assert "Active" in page.text
    assert (await person.post(f"{path}/approve", page)).status_code == 409
    refused = await person.post(f"{path}/suspend", page, **{"from": "api"})
    assert "Write a reason" in refused.text
    assert (await person.post(f"{path}/suspend", page, reason="Feil", **{"from": "api"})).status_code == 303
    assert "Suspended" in (await person.get("/offered/fjord.permit.cases.v1")).text


async def test_the_owners_manager_reads_its_service_levels_and_nobody_elses(management: Any, person: Person) -> None:
    page = await person.sign_in("Glad Ødegård-Bråten Åsmo", "/levels/fjord/2026-11")
    assert "Service levels: fjord, 2026-11" in page.text
    assert "Service levels of fjord in 2026-11" in (await person.get("/offered")).text
    figures = "/management/api/v1/levels/figures?month=2026-11&org="
    assert (await person.get(f"{figures}fjord")).json()["figures"][0]["counts"]["valid"] == 0
    assert (await person.get(f"{figures}ttd")).status_code == 403
    assert (await person.get("/levels/ttd/2026-11")).status_code == 403


async def test_nobody_acts_for_an_organisation_without_a_role_there(published: Any, person: Person) -> None:
    form = await person.sign_in("Stille Bekk", f"/ask?plan={API}:trial")
    assert "You cannot act for any organisation here" in form.text
    async with await published.consumer() as consumer:
        subscription = await published.subscribe(consumer)
    assert (await person.get(f"/subscriptions/{subscription['id']}")).status_code == 403
    assert (await person.get(f"/ask?plan={API}:trial&owner={subscription['owner']}")).status_code == 403
    assert (await person.get(f"/offered/{API}")).status_code == 403


async def test_a_post_from_elsewhere_does_nothing(published: Any, person: Person) -> None:
    await person.sign_in("Sindig Bjørk")
    fields = {"plan": f"{API}:trial", "owner": published.number("LYSENDE FURU AS"), "application": "new", "name": "x"}
    assert (await person.post("/ask", **fields)).status_code == 400
    person.client.cookies.clear()
    assert (await person.post("/ask", **fields)).status_code == 401


async def test_the_pages_token_opens_nothing_else_and_dies_with_the_session(published: Any, person: Person) -> None:
    await person.sign_in("Sindig Bjørk")
    token = next(cookie.value for cookie in person.client.cookies.jar if cookie.name == "AltinnStudioRuntime")
    async with published.platform.client(token) as thief:
        for path in ("/profile/api/v1/users/current", "/management/api/v1/subscriptions?owner=310000000"):
            assert (await thief.get(path)).status_code == 401
    left = await person.get("/api/authentication/logout")
    assert left.headers["location"].startswith("https://platform.havn.test/authentication/")
    assert "AltinnStudioRuntime" not in {cookie.name for cookie in person.client.cookies.jar if "api." in cookie.domain}


async def test_a_sign_in_never_leads_to_another_host(published: Any, person: Person) -> None:
    for goto in (
        "https://evil.example/",
        "https://api.havn.test.evil.example/",
        "//evil.example",
        "https://api.havn.test@evil/",
    ):
        answer = await person.client.get(f"{PAGES}/api/authentication/session", params={"code": "x" * 43, "goto": goto})
        assert answer.headers["location"] == f"{PAGES}/mine"
