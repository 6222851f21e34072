"""Apps made in Altinn Studio, deployed unchanged: each starts, and its first page is drawn in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.story


@pytest.mark.parametrize(
    ("name", "app", "options"),
    [
        ("template-v8", "first", ["--as", "ttd/first"]),
        ("component-library", "component-library", []),
        ("multiple-datamodels-test", "multiple-datamodels-test", []),
    ],
)
def test_a_real_app_is_deployed_and_its_first_page_drawn(platform, open_page, check_page, cases, name, app, options):
    deployed = platform.havn("deploy", str(cases / "apps" / name), "--env", "local", *options)
    assert deployed["status"] == "succeeded"
    page = open_page()
    page.goto(platform.address("ttd", app) + "/")
    page.get_by_role("button", name=re.compile("Sindig")).click()
    expect(page).to_have_url(re.compile(f"/{app}/"))
    party = page.get_by_role("button", name=re.compile("LYSENDE FURU AS"))
    start = page.get_by_role("button", name="Start", exact=True)
    expect(party.or_(start).or_(page.locator("#hv-form")).first).to_be_visible()
    if party.count():
        party.click()
        expect(start.or_(page.locator("#hv-form")).first).to_be_visible()
    if start.count():
        start.click()
    expect(page).to_have_url(re.compile(r"/instance/\d+/[0-9a-f-]{36}/"))
    expect(page.locator("#hv-form")).to_be_visible()
    assert page.locator("h1").count() == 1
    check_page(page)
    platform.havn("undeploy", f"ttd/{app}", "--yes")
