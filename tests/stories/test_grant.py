"""A chief executive applies for a grant for her company: from sign-in to the PDF, with script and without."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.story


class Applicant:
    """Someone in front of a browser. `done` is called for every page that is met."""

    def __init__(self, page: Page, done: Callable[[Page], None]) -> None:
        self.page = page
        self.done = done

    def sign_in(self, address: str, person: str) -> None:
        self.page.goto(address)
        expect(self.page).to_have_url(re.compile("^https?://login[.]"))
        self.done(self.page)
        self.page.get_by_role("button", name=re.compile(person)).click()
        expect(self.page).to_have_url(re.compile("[.]apps[.]"))

    def choose(self, party: str) -> None:
        self.done(self.page)
        self.page.get_by_role("button", name=re.compile(party)).click()
        expect(self.page.get_by_text(f"For {party}")).to_be_visible()

    def start(self) -> str:
        self.done(self.page)
        self.page.get_by_role("button", name="Start").click()
        self.at("soker")
        match = re.search(r"/instance/(\d+/[0-9a-f-]{36})/", self.page.url)
        assert match is not None
        return match[1]

    def at(self, page: str) -> None:
        expect(self.page).to_have_url(re.compile(f"/{page}(\\?.*)?(#.*)?$"))
        self.done(self.page)

    def write(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=False).first.fill(text)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def fill_in(self) -> None:
        self.write("Antall medlemmer", "42")
        self.page.get_by_label("Hva driver laget med?").select_option("idrett")
        self.write("Gateadresse", "Storgata 1")
        self.write("Postnummer", "5003")
        self.write("Poststed", "Fjordvik")
        self.press("Neste")
        self.at("tiltaket")
        self.write("Hva heter tiltaket?", "Skiskole for alle")
        self.page.get_by_label("Aktivitet gjennom året").check()
        self.write("Fortell om tiltaket", "Vi lærer bort å gå på ski.")
        self.page.locator("[name=tiltak-fra]").fill("2027-02-01")
        self.page.locator("[name=tiltak-til]").fill("2027-04-30")
        self.page.get_by_label("Eldre").check()
        self.press("Neste")
        self.at("okonomi")
        for what, kind, amount in (("Leie av hall", "lokale", "40000"), ("Ski", "utstyr", "20000")):
            self.press("Legg til utgift")
            row = self.page.get_by_role("group", name=re.compile("^Rad"))
            row.get_by_label("Hva gjelder utgiften?").fill(what)
            row.get_by_label("Type").select_option(kind)
            row.get_by_label("Beløp").fill(amount)
            self.press("Ferdig")
            expect(self.page.get_by_role("cell", name=what, exact=True)).to_be_visible()
        self.write("Hvor mye søker dere om?", "30000")
        self.write("Kontonummer for utbetaling", "12345678903")
        expect(self.page.locator("#sum-utgifter")).to_contain_text("60 000")
        expect(self.page.locator("#hoyeste")).to_contain_text("42 000")
        self.press("Neste")
        self.at("vedlegg")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_grant_is_applied_for(platform, open_page, check_page, tmp_path, script):
    page = open_page(script=script)
    applicant = Applicant(page, check_page if script else lambda page: None)
    applicant.sign_in(platform.address("fjord", "tilskudd") + "/", "Sindig")
    applicant.choose("LYSENDE FURU AS")
    instance = applicant.start()
    applicant.fill_in()

    # A club that has not attached its statutes is told so, and taken to the field.
    applicant.press("Neste")
    expect(page.get_by_role("heading", name="Rett opp dette før du går videre")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Legg ved lagets vedtekter"))).to_be_visible()
    applicant.done(page)

    statutes = tmp_path / "vedtekter blåbær.pdf"
    statutes.write_bytes(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    page.locator("input[type=file]").first.set_input_files(statutes)
    if not script:
        page.get_by_role("button", name=re.compile("Last opp")).first.click()
    expect(page.get_by_text("vedtekter blåbær.pdf").first).to_be_visible()
    applicant.done(page)
    applicant.press("Neste")
    applicant.at("oppsummering")
    expect(page.get_by_text("Skiskole for alle").first).to_be_visible()
    applicant.press("Til bekreftelse")
    expect(page.get_by_role("heading", name="Rett opp dette før du går videre")).to_be_visible()
    applicant.done(page)
    page.get_by_role("checkbox").check()
    applicant.press("Til bekreftelse")

    applicant.at("bekreft")
    expect(page.get_by_text("30 000").first).to_be_visible()
    page.get_by_role("button", name="Bekreft og send inn").click()

    expect(
        page.get_by_role("heading", name=re.compile("kvittering|sendt|mottatt", re.IGNORECASE)).first
    ).to_be_visible()
    applicant.done(page)
    expect(page.get_by_text(instance.rsplit("-", 1)[1]).first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("pdf", re.IGNORECASE)).first.click()
    text = pdf_text(Path(download.value.path()))
    assert "Skiskole for alle" in text
    assert "LYSENDE FURU AS" in text


def pdf_text(path: Path) -> str:
    """The text of a PDF; its first bytes must say that it is one."""
    assert path.read_bytes().startswith(b"%PDF-")
    done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True)
    return done.stdout
