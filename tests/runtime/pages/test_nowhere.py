"""Addresses that lead nowhere: a page for a person, a problem document for a program."""

from __future__ import annotations

from typing import Any

import pytest

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ABSENT = "/00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("prefix", ["/prove", "/ttd/prove"])
async def test_a_person_at_an_unknown_address_gets_a_page_with_a_way_on(app: Any, browse: Any, prefix: str) -> None:
    client = await app.client()
    client.headers.update(BROWSER)
    page = await browse(client, f"https://ttd.apps.havn.test{prefix}/nonsense")
    assert page.status == 404
    assert page.answer.headers["content-type"].startswith("text/html")
    assert page.heading == "Vi fant ikke siden"
    [link] = page.tree.xpath("//main//a")
    assert link.get("href") == f"{prefix}/"
    assert "script-src 'self'" in page.answer.headers["content-security-policy"]
    style = page.tree.xpath("//link[@rel='stylesheet']")[0].get("href")
    assert (await client.get(f"https://ttd.apps.havn.test{style}")).status_code == 200


async def test_a_program_gets_a_problem_document(app: Any) -> None:
    client = await app.client()
    for accept in ("*/*", "application/json", ""):
        answer = await client.get("nonsense", headers={"accept": accept})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_found"


async def test_a_link_to_a_file_that_is_gone_ends_in_a_page_too(app: Any, browse: Any) -> None:
    client = await app.browser("Sindig Bjørk")
    client.headers.update(BROWSER)
    gone = await browse(client, f"instances/{app.party('Sindig Bjørk')}{ABSENT}/data{ABSENT}")
    assert (gone.status, gone.heading) == (404, "Vi fant ikke siden")
    signed_out = await app.client()
    answer = await signed_out.get(f"instances/{app.party('Sindig Bjørk')}{ABSENT}", headers=BROWSER)
    assert answer.status_code == 302
    assert "/authentication/api/v1/authentication?goto=" in answer.headers["location"]


async def test_a_form_sent_to_no_page_of_ours_is_told_so_with_what_is_allowed(app: Any) -> None:
    client = await app.client()
    answer = await client.post("nonsense", data={"a": "b"}, headers=BROWSER)
    assert answer.status_code == 405
    assert answer.headers["content-type"].startswith("text/html")
    assert "GET" in answer.headers["allow"]


async def test_a_slash_too_many_leads_to_the_page(open_form: Any) -> None:
    page = await open_form("veifeil")
    for slashes in ("/", "//"):
        answer = await page.client.get(f"{page.address}{slashes}?lang=en")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"{page.path}?lang=en"


async def test_a_slash_too_many_leads_to_no_other_host(app: Any) -> None:
    client = await app.client()
    for path in ("/evil.example/", "%2f%2fevil.example/", "start/%0d%0aSet-Cookie:a=b/", "form/%2f%2fevil.example/"):
        answer = await client.get(f"https://ttd.apps.havn.test/prove/{path}")
        assert answer.status_code in (308, 404)
        assert answer.headers.get("location", "/prove/").startswith("/prove/")


async def test_a_page_is_drawn_also_where_another_frontend_draws_the_app(stage: Any, builder: Any, browse: Any) -> None:
    app = await stage.deploy(builder.write(), frontend_url="https://cdn.example.no/4")
    client = await app.client()
    client.headers.update(BROWSER)
    page = await browse(client, "nonsense")
    assert (page.status, page.heading) == (404, "Vi fant ikke siden")
    style = page.tree.xpath("//link[@rel='stylesheet']")[0].get("href")
    assert (await client.get(f"https://ttd.apps.havn.test{style}")).status_code == 200
