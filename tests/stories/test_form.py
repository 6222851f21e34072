"""The form under the fingers: typing, keyboard, phone, two tabs, a lost network."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.story


def start(page: Page, address: str, person: str = "Sindig Bjørk", party: str = "BJØRK SINDIG") -> None:
    page.goto(f"{address}/")
    if "//login." in page.url:
        page.get_by_role("button", name=re.compile(person)).click()
    page.get_by_role("button", name=re.compile(party)).click()
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/instance/"))


def saved(page: Page) -> None:
    """What was typed has reached the server, and nothing is on its way."""
    expect(page.locator("#hv-status[data-state=saved]")).to_be_attached()


def test_what_one_is_typing_is_never_disturbed(platform, open_page):
    page = open_page()
    start(page, platform.address("ttd", "veifeil"))
    field = page.get_by_label("Beskriv feilen")
    field.click()
    # Slower than the pause after which it is saved: answers arrive between the letters.
    field.press_sequentially("Et stort hull", delay=120)
    for _ in range(4):
        field.press("ArrowLeft")
    field.press_sequentially("dypt ", delay=450)
    saved(page)
    expect(field).to_have_value("Et stort dypt hull")
    expect(field).to_be_focused()
    assert field.evaluate("each => each.selectionStart") == len("Et stort dypt ")
    page.reload()
    expect(field).to_have_value("Et stort dypt hull")


def test_what_is_typed_while_the_network_is_away_is_saved_when_it_is_back(platform, open_page):
    page = open_page()
    start(page, platform.address("ttd", "veifeil"))
    page.context.set_offline(True)
    page.get_by_label("Vei eller gate").fill("Storgata 1")
    page.get_by_label("Beskriv feilen").click()
    expect(page.locator("#hv-status")).to_contain_text("Fikk ikke lagret")
    expect(page.get_by_label("Vei eller gate")).to_have_value("Storgata 1")
    page.context.set_offline(False)
    saved(page)
    page.reload()
    expect(page.get_by_label("Vei eller gate")).to_have_value("Storgata 1")


def test_a_form_is_filled_in_and_sent_with_the_keyboard_alone(platform, open_page):
    page = open_page()
    start(page, platform.address("ttd", "veifeil"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Hopp til innholdet")).to_be_focused()
    page.keyboard.press("Enter")

    def tab_to(label: str, role: str) -> None:
        wanted = page.get_by_role(role, name=re.compile(label)).first
        for _ in range(40):
            page.keyboard.press("Tab")
            if wanted.evaluate("each => each === document.activeElement"):
                return
        raise AssertionError(f"{label} is not reached by Tab")

    tab_to("Hull eller skader", "radio")
    page.keyboard.press("Space")
    saved(page)
    tab_to("Vei eller gate", "textbox")
    page.keyboard.type("Storgata")
    tab_to("Beskriv feilen", "textbox")
    page.keyboard.type("Dypt hull")
    tab_to("Ja", "radio")
    page.keyboard.press("ArrowRight")
    saved(page)
    tab_to("Send melding", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Skjemaet er sendt inn")).to_be_visible()


def test_the_summary_of_errors_has_focus_and_leads_to_the_field(platform, open_page):
    page = open_page()
    start(page, platform.address("ttd", "veifeil"))
    page.get_by_role("button", name="Send melding").click()
    expect(page.locator("#hv-errors")).to_be_focused()
    expect(page).to_have_title(re.compile("^Feil: "))
    page.get_by_role("link", name=re.compile("Beskriv feilen")).click()
    expect(page.get_by_label("Beskriv feilen")).to_be_focused()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_everything_fits_a_phone_320_pixels_wide(platform, open_page, check_page, script):
    page = open_page(script=script, viewport={"width": 320, "height": 640})
    start(page, platform.address("fjord", "tilskudd"), party="LYSENDE FURU AS")
    base = page.url.rpartition("/")[0]
    for name in ("soker", "tiltaket", "okonomi", "vedlegg", "oppsummering"):
        page.goto(f"{base}/{name}?validate")
        if name == "okonomi":
            page.get_by_role("button", name="Legg til utgift").click()
            expect(page.get_by_role("group", name=re.compile("^Rad"))).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
        if script:
            check_page(page)


def test_two_tabs_show_both_answers_and_lose_neither(platform, open_page):
    page = open_page()
    start(page, platform.address("ttd", "veifeil"))
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_label("Beskriv feilen").fill("Hull")
    saved(page)
    other.get_by_label("Beskriv feilen").fill("Lys")
    expect(other.get_by_text("Skjemaet er endret et annet sted")).to_be_visible()
    expect(other.get_by_text("Lagret et annet sted: Hull")).to_be_visible()
    expect(other.get_by_label("Beskriv feilen")).to_have_value("Lys")
    other.get_by_label("Beskriv feilen").fill("Lyset og et hull")
    expect(other.get_by_text("Lagret et annet sted: Hull")).not_to_be_visible()
    saved(other)
    page.reload()
    expect(page.get_by_label("Beskriv feilen")).to_have_value("Lyset og et hull")


@pytest.mark.parametrize("script", [True, False])
def test_an_address_where_no_page_is_gives_a_page_in_the_readers_language(platform, open_page, check_page, script):
    page = open_page(script=script)
    answer = page.goto(platform.address("ttd", "veifeil") + "/tull?lang=en")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="We did not find the page")).to_be_visible()
    if script:
        check_page(page)
    expect(page.get_by_role("link", name="To the start")).to_have_attribute("href", "/veifeil/")


def test_anybody_works_out_a_fee(platform, open_page, check_page):
    page = open_page()
    page.goto(platform.address("fjord", "byggegebyr") + "/")
    page.get_by_label("Hva skal du gjøre?").select_option("tilbygg")
    page.get_by_label("Bruksareal").fill("42,5")
    page.get_by_label("Jeg trenger dispensasjon").check()
    expect(page.locator("#sum")).to_contain_text("22 840 kr")
    check_page(page)
    page.get_by_label("Jeg trenger dispensasjon").uncheck()
    expect(page.locator("#sum")).to_contain_text("11 640 kr")
    expect(page.get_by_label("Bruksareal")).to_have_value("42,5")


def test_the_first_page_of_a_form_is_light_and_usable_before_script(platform, open_page):
    page = open_page()
    start(page, platform.address("fjord", "tilskudd"), party="LYSENDE FURU AS")
    address = page.url
    fresh = page.context.browser.new_context(locale="nb-NO", storage_state=page.context.storage_state())
    loaded = fresh.new_page()
    session = fresh.new_cdp_session(loaded)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    bytes_by_request: dict[str, float] = {}
    session.on(
        "Network.loadingFinished", lambda e: bytes_by_request.__setitem__(e["requestId"], e["encodedDataLength"])
    )
    # Script never arrives: the form is there all the same.
    loaded.goto(address, wait_until="networkidle")
    assert 0 < sum(bytes_by_request.values()) <= 60_000
    fresh.close()
    blocked = page.context
    blocked.route("**/*.js", lambda route: route.abort())
    page.goto(address)
    expect(page.get_by_label("Antall medlemmer")).to_be_editable()
    page.get_by_label("Antall medlemmer").fill("7")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_label("Number of members")).to_have_value("7")
