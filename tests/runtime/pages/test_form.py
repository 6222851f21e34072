"""A form from its first page to the receipt without script, and what goes wrong on the way."""

from __future__ import annotations

import re
from typing import Any

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF"


async def test_a_person_fills_in_submits_and_reads_the_receipt(open_form: Any, browse: Any) -> None:
    page = await open_form("veifeil")
    assert page.status == 200
    assert page.heading == "Feilen"
    assert page.title == "Feilen – Meld feil på vei"
    assert page.lang == "nb"
    assert not page.has("Hva slags feil er det?")

    page = await page.choose("Noe annet").press("save")
    assert page.has("Hva slags feil er det?")
    page.fill("Hva slags feil er det?", "Benk").fill("Vei eller gate", "Storgata").fill("Beskriv", "Ødelagt\nbenk")
    page = await page.choose("Nei").press("Send melding")
    assert page.heading == "Skjemaet er sendt inn"
    assert "Veivakta" in page.words
    pdf = await page.click("Last ned kvittering")
    assert pdf.answer.headers["content-type"] == "application/pdf"
    assert pdf.answer.content.startswith(b"%PDF")
    again = await browse(page.client, str(page.address))
    assert again.heading == "Skjemaet er sendt inn"


async def test_what_is_missing_is_listed_linked_and_focused(open_form: Any) -> None:
    page = await open_form("veifeil")
    page = await page.fill("Vei eller gate", "S").press("Send melding")
    assert page.status == 422
    assert page.title.startswith("Feil: ")
    assert page.summary() == [
        "Hva er galt? Du må fylle ut dette feltet.",
        "Vei eller gate: Skriv minst 2 tegn.",
        "Beskriv feilen: Du må fylle ut dette feltet.",
        "Vil du ha svar når feilen er rettet? Du må fylle ut dette feltet.",
    ]
    summary = page.tree.get_element_by_id("hv-errors")
    assert summary.get("autofocus") is not None
    for link in summary.iterfind(".//a"):
        assert page.tree.get_element_by_id(link.get("href")[1:]) is not None
    field = page.field("Vei eller gate")
    assert field.get("aria-invalid") == "true"
    assert "vei-m" in field.get("aria-describedby")


async def test_the_rich_example_goes_through_all_its_pages(open_form: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    assert page.heading == "Hvem søker"
    assert "Steg 1 av 5" in page.words
    page = await page.choose("Et lag eller en forening").press("save")
    page.fill("Lagets navn", "Seilforeningen").fill("Organisasjonsnummer", "314 719 948")
    page.fill("Antall medlemmer", "1 234").fill("Hva driver laget med?", "idrett")
    page.fill("Navn", "Kari").fill("E-post", "kari@example.no").fill("Telefon", "41234567")
    page.fill("Gateadresse", "Bryggen 3").fill("Postnummer", "5003").fill("Poststed", "Fjordvik")
    page = await page.press("Neste")
    assert page.heading == "Tiltaket", page.errors()

    page.fill("Hva heter tiltaket?", "Seilskole").choose("Aktivitet gjennom året").fill("Fortell", "Vi seiler.")
    page.fill("Starter", "2026-06-20").fill("Slutter", "2026-06-10").choose("Barn under 13 år").choose("Neset")
    page = await page.press("Neste")
    assert page.heading == "Tiltaket"
    assert page.errors() == {"tiltak-til": "Tiltaket kan ikke slutte før det starter."}
    page = await page.fill("Slutter", "2026-08-10").press("Neste")
    assert page.heading == "Økonomi"

    page = await page.press("Legg til utgift")
    page.fill("Hva gjelder utgiften?", "Joller").fill("Type", "utstyr").fill("Beløp", "45 000")
    page = await page.press("Ferdig")
    assert "45\u00a0000\u00a0kr" in page.answer.text
    assert "Dere kan søke om inntil 31 500 kr" in page.words.replace("\u00a0", " ")
    page.fill("Hvor mye søker dere om?", "99000").fill("Kontonummer", "1234 56 78903")
    page = await page.press("Neste")
    assert page.errors() == {"soknadsbelop": page.errors()["soknadsbelop"]}
    assert "høyst 31 500 kroner" in page.errors()["soknadsbelop"].replace("\u00a0", " ")
    page = await page.fill("Hvor mye søker dere om?", "30000").press("Neste")
    assert page.heading == "Vedlegg"

    page = await page.press("Neste")
    assert page.heading == "Vedlegg"
    assert "vedtekter" in page.errors()
    page = await page.attach("vedtekter", "våre vedtekter.pdf", PDF).press("upload:vedtekter")
    assert "våre vedtekter.pdf" in page.words
    page = await page.attach("vedlegg", "virus.exe", b"MZ").press("upload:vedlegg")
    assert "virus.exe: Filen må være av typen" in page.errors()["vedlegg"]
    page = await page.attach("vedlegg", "regnskap.pdf", PDF).press("upload:vedlegg")
    page = await page.fill("Hva er det?: regnskap.pdf", "regnskap").press("Neste")
    assert page.heading == "Se over"
    assert "Seilskole" in page.words
    assert "våre vedtekter.pdf" in page.words

    page = await page.choose("Jeg har gitt riktige").press("Til bekreftelse")
    assert page.heading == "Bekreft og send inn"
    assert "LYSENDE FURU AS" in page.words
    page = await page.press("Bekreft og send inn")
    assert page.heading == "Skjemaet er sendt inn"
    assert "regnskap.pdf" in page.words


async def test_rows_are_added_changed_and_deleted_after_a_question(open_form: Any, browse: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    page = await browse(page.client, str(page.address).replace("/soker", "/okonomi"))
    page = await page.press("Legg til utgift")
    page = await page.fill("Hva gjelder utgiften?", "Joller").fill("Type", "utstyr").fill("Beløp", "1").press("Ferdig")
    page = await page.press("Endre Joller")
    page = await page.fill("Hva gjelder utgiften?", "Seil").press("Ferdig")
    assert "Seil" in page.words
    page = await page.press("Slett Seil")
    assert "Er du sikker" in page.words
    kept = await page.press("Avbryt")
    assert "Seil" in kept.words
    page = await (await kept.press("Slett Seil")).press("Ja, slett")
    assert "Seil" not in page.words
    assert "Ingenting er lagt til" in page.words


async def test_a_row_is_not_closed_before_it_is_right(open_form: Any, browse: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    page = await browse(page.client, str(page.address).replace("/soker", "/okonomi"))
    page = await page.press("Legg til utgift")
    page = await page.press("Ferdig")
    assert page.status == 422
    assert sorted(name.partition("_")[0] for name in page.errors()) == ["utgift-belop", "utgift-hva", "utgift-type"]
    assert not page.has("Hvor mye") or "soknadsbelop" not in page.errors()


async def test_a_number_that_is_none_stays_on_the_page_with_what_is_wrong(open_form: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    page = await page.choose("Et lag eller en forening").press("save")
    page = await page.fill("Antall medlemmer", "mange").fill("Lagets navn", "Laget").press("save")
    assert page.status == 422
    assert page.value("Antall medlemmer") == "mange"
    assert page.errors()["lag-medlemmer"] == "Skriv et tall."
    assert page.value("Lagets navn") == "Laget"
    page = await page.fill("Antall medlemmer", "12,5").press("save")
    assert page.errors()["lag-medlemmer"] == "Skriv et tall uten desimaler."
    page = await page.fill("Antall medlemmer", "12").press("save")
    assert page.status == 200
    assert page.value("Antall medlemmer") == "12"


async def test_two_tabs_never_overwrite_each_other_unasked(open_form: Any, browse: Any) -> None:
    one = await open_form("veifeil")
    two = await browse(one.client, str(one.address))
    saved = await one.fill("Beskriv feilen", "Hull").fill("Vei eller gate", "Storgata").press("save")
    assert saved.status == 200

    answer = await two.fill("I nærheten av", "Kirken").press("save")
    assert answer.status == 200
    assert answer.value("Beskriv feilen") == "Hull"
    assert answer.value("I nærheten av") == "Kirken"

    late = await two.fill("I nærheten av", "").fill("Beskriv feilen", "Lys").press("save")
    assert late.status == 422
    assert "endret et annet sted" in late.words
    assert late.value("Beskriv feilen").strip() == "Lys"
    assert late.errors()["beskrivelse"] == "Lagret et annet sted: Hull"
    again = await browse(one.client, str(one.address))
    assert again.value("Beskriv feilen").strip() == "Hull"
    won = await late.press("save")
    assert won.status == 200
    assert won.value("Beskriv feilen").strip() == "Lys"


async def test_a_row_deleted_elsewhere_is_told_of(open_form: Any, browse: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    page = await browse(page.client, str(page.address).replace("/soker", "/okonomi"))
    one = await page.press("Legg til inntekt")
    two = await browse(one.client, str(one.address))
    gone = await one.press("Slett Inntekter 1")
    assert "Ingenting er lagt til" in gone.words
    told = await two.fill("Hvor kommer pengene fra?", "Billetter").press("save")
    assert "En rad du endret er slettet" in told.words


async def test_a_session_that_ended_gives_back_what_was_typed(open_form: Any) -> None:
    page = await open_form("veifeil")
    page.client.cookies.delete("AltinnStudioRuntime")
    draft = await page.fill("Beskriv feilen", "Dette tok lang tid").press("save")
    assert draft.status == 401
    assert draft.heading == "Du er logget ut"
    assert "Dette tok lang tid" in draft.answer.text
    by_script = await page.type()
    assert by_script.status_code == 401
    assert by_script.text == ""

    fresh = await page.client.app.browser("Sindig Bjørk")
    draft.client = fresh
    back = await draft.press("Send på nytt")
    assert back.status == 400
    assert "for gammel" in back.words
    assert back.value("Beskriv feilen").strip() == "Dette tok lang tid"
    kept = await back.press("save")
    assert kept.status == 200
    assert kept.value("Beskriv feilen").strip() == "Dette tok lang tid"


async def test_a_post_from_elsewhere_changes_nothing(open_form: Any, browse: Any) -> None:
    page = await open_form("veifeil")
    page.tree.xpath("//input[@name='__RequestVerificationToken']")[0].set("value", "forged")
    page.client.headers.pop("X-XSRF-TOKEN", None)
    refused = await page.fill("Beskriv feilen", "ondt").press("save")
    assert refused.status == 400
    again = await browse(page.client, str(page.address))
    assert again.value("Beskriv feilen").strip() == ""


async def test_the_language_is_changed_without_losing_what_is_typed(open_form: Any) -> None:
    page = await open_form("veifeil")
    page = await page.fill("Beskriv feilen", "Hull").press("English")
    assert page.lang == "en"
    assert page.heading == "The fault"
    assert page.value("Describe the fault").strip() == "Hull"
    page = await page.press("Nynorsk")
    assert page.heading == "Feilen"
    assert page.has("Skildre feilen")


async def test_pages_of_others_are_refused_with_a_page_that_says_so(open_form: Any, browse: Any) -> None:
    page = await open_form("veifeil")
    stranger = await page.client.app.browser("Stille Bekk")
    refused = await browse(stranger, str(page.address))
    assert refused.status == 403
    assert refused.heading == "Du har ikke tilgang"
    nowhere = await browse(page.client, re.sub(r"[0-9a-f]{12}/", "000000000000/", str(page.address)))
    assert nowhere.status == 404
    assert nowhere.heading == "Vi fant ikke siden"
    anonymous = await browse(await page.client.app.client(), str(page.address))
    assert anonymous.answer.status_code == 302
    assert "/authentication/api/v1/authentication?goto=" in anonymous.answer.headers["location"]


async def test_links_are_made_in_the_form_that_the_request_came_in(open_form: Any, browse: Any) -> None:
    page = await open_form("veifeil")
    other = str(page.address).replace("/veifeil/", "/ttd/veifeil/")
    long = await browse(page.client, other)
    assert long.status == 200
    assert long.tree.get_element_by_id("hv-form").get("action").startswith("/ttd/veifeil/instance/")
    assert long.tree.xpath("//link[@rel='stylesheet']")[0].get("href").startswith("/ttd/veifeil/_assets/")
    assert "/ttd/" not in page.answer.text


async def test_nothing_on_a_page_needs_inline_script_or_style(open_form: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    policy = page.answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert not page.tree.xpath("//*[@style or @onclick or @onchange]")
    assert not page.tree.xpath("//script[not(@src)]")
    assert not page.tree.xpath("//style")
