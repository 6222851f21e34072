"""A company's chief finds an API, asks for it, is let in by its owner, gets two keys once, and rotates one."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.story

TERMS = """
apis:
  - name: cases
    title: {nb: Saker, nn: Saker, en: Cases}
    description: {nb: Send inn og hent saker fra ditt eget system.}
    paths: [/instances]
    plans:
      - name: basic
        title: {nb: Basis}
        rates: [{name: burst, requests: 10, seconds: 1}]
        quotas: [{name: daily, requests: 1000, per: day}]
"""
API = "fjord.tilskudd.cases.v1"


@pytest.fixture(scope="module")
def offered(platform, tmp_path_factory):
    """The platform with an Api that a municipality offers."""
    file = tmp_path_factory.mktemp("terms") / "api.yaml"
    file.write_text(TERMS)
    assert [each["id"] for each in platform.havn("api", "publish", "fjord/tilskudd", str(file))] == [API]
    return platform


def _sign_in(page: Page, person: str) -> None:
    page.get_by_label("Søk etter navn").fill(person)
    page.get_by_role("button", name="Søk").click()
    page.get_by_role("button", name=re.compile(person)).click()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_from_the_catalogue_to_a_rotated_key(offered, open_page, check_page, script):
    home = f"http://api.havn.localhost:{offered.port}"
    page = open_page(script=script, viewport={"width": 375, "height": 740})

    def fits(page: Page = page) -> None:
        if script:
            assert page.evaluate("document.documentElement.scrollWidth") <= 375, page.url
            check_page(page)

    system = f"Fagsystem {'med' if script else 'uten'} skript"
    page.goto(home)
    page.get_by_label("Søk etter API").fill("fjordvik saker")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("1 API")
    fits()
    page.get_by_role("link", name=re.compile("Saker")).click()
    expect(page.get_by_text("Høyst 10 kall per sekund")).to_be_visible()
    # From the app's own description, over HTTP.
    expect(page.get_by_text("Make an instance", exact=True)).to_be_visible()
    fits()
    page.get_by_role("link", name="Be om tilgang").click()
    _sign_in(page, "Sindig Bjørk")
    fits()
    if page.get_by_label("Navn på systemet").get_attribute("required") is None:
        page.get_by_label("System", exact=True).select_option("new")
    page.get_by_label("Navn på systemet").fill(system)
    page.get_by_label("Hva skal det brukes til?").fill("Sende inn søknader")
    page.get_by_role("button", name="Send søknaden").click()
    expect(page.get_by_text("Venter på svar")).to_be_visible()
    expect(page.get_by_role("button", name="Hent nøklene")).to_have_count(0)
    fits()
    address = page.url.partition("?")[0]

    owner = open_page(script=script, viewport={"width": 375, "height": 740})
    owner.goto(f"{home}/offered")
    _sign_in(owner, "Glad Ødegård")
    fits(owner)
    owner.get_by_role("button", name=re.compile(f"Avslå {system}")).click()
    expect(owner.get_by_role("alert")).to_contain_text("Skriv en begrunnelse")
    owner.get_by_role("button", name=re.compile(f"Godkjenn {system}")).click()
    expect(owner.get_by_role("status")).to_have_text("Endringen er gjort.")
    owner.get_by_role("link", name=re.compile("Saker")).click()
    expect(owner.get_by_role("heading", name=re.compile(system))).to_be_visible()
    fits(owner)

    page.goto(address)
    expect(page.get_by_text("Aktiv", exact=True)).to_be_visible()
    page.get_by_role("button", name="Hent nøklene").click()
    keys = [page.get_by_label(f"Nøkkel {number}").input_value() for number in (1, 2)]
    assert all(re.fullmatch(r"havn_[0-9A-Za-z_]{62}", key) for key in keys)
    fits()
    page.get_by_role("link", name="Jeg har kopiert").click()
    fits()
    for key in keys:
        assert key not in page.content()
    prefix = keys[0].split("_")[1]
    page.get_by_role("button", name=f"Bytt nøkkelen {prefix}").click()
    rotated = page.get_by_label("Nøkkel", exact=True).input_value()
    assert rotated not in keys
    page.get_by_role("link", name="Jeg har kopiert").click()
    states = {
        row.get_by_role("rowheader").inner_text().split("_")[1]: "Aktiv" in row.inner_text()
        for row in page.get_by_role("row").filter(has_text="havn_").all()
    }
    assert states == {prefix: False, keys[1].split("_")[1]: True, rotated.split("_")[1]: True}

    listed = offered.havn("api", "users", API)
    assert system in {each["applicationName"] for each in listed}
    page.get_by_role("link", name="Logg ut").click()
    page.goto(address)
    assert urllib.parse.urlsplit(page.url).hostname == "login.havn.localhost"


def test_the_catalogue_speaks_three_languages(offered, open_page, check_page):
    page = open_page()
    page.goto(f"http://api.havn.localhost:{offered.port}/apis/{API}")
    for language, said in (("nn", "Høgst 10 kall per sekund"), ("en", "At most 10 calls per second")):
        page.get_by_role("link", name={"nn": "Nynorsk", "en": "English"}[language]).click()
        expect(page.get_by_text(said)).to_be_visible()
        assert page.locator("html").get_attribute("lang") == language
        check_page(page)


def test_what_an_app_declares_is_published_and_rolled_back_with_it(offered, tmp_path):
    folder = tmp_path / "app"
    havn = Path(sys.executable).parent / "havn"
    subprocess.run([havn, "new", "ttd/arkiv", "--into", folder], check=True, capture_output=True)
    terms = folder / "deployment" / "api.yaml"
    terms.parent.mkdir(exist_ok=True)
    two = TERMS + TERMS.replace("apis:\n", "").replace("name: cases", "name: cases\n    version: v2").replace(
        "/instances", "/v2"
    ).lstrip("\n")

    def declared() -> dict[str, str]:
        return {each["id"]: each["state"] for each in offered.havn("api", "list", "ttd") if each["app"] == "arkiv"}

    terms.write_text(TERMS)
    offered.havn("deploy", str(folder))
    assert declared() == {"ttd.arkiv.cases.v1": "published"}
    terms.write_text(two)
    offered.havn("deploy", str(folder))
    assert declared() == {"ttd.arkiv.cases.v1": "published", "ttd.arkiv.cases.v2": "published"}
    offered.havn("rollback", "ttd/arkiv")
    assert declared() == {"ttd.arkiv.cases.v1": "published"}
    offered.havn("undeploy", "ttd/arkiv", "--yes")
    assert declared() == {}
