"""What script is answered while one types: the parts that changed, and nothing else."""

from __future__ import annotations

import json
from typing import Any


async def test_only_what_changed_comes_back(open_form: Any) -> None:
    page = await open_form("veifeil")
    answer = await page.choose("Noe annet").type()
    assert set(page.take(answer)) == {"w-type", "w-annet", "hv-state"}
    assert "Hva slags feil er det?" in answer.text
    assert "Storgata" not in answer.text
    assert page.has("Hva slags feil er det?")
    assert set(page.take(await page.type())) == {"hv-state"}


async def test_what_is_wrong_is_not_said_while_one_is_still_typing(open_form: Any) -> None:
    page = await open_form("veifeil")
    answer = await page.fill("Vei eller gate", "S").type(typing="vei")
    assert "Skriv minst 2 tegn" not in answer.text
    page.take(answer)
    left = await page.type()
    assert "Skriv minst 2 tegn" in left.text
    assert 'aria-live="polite"' in left.text


async def test_saving_again_after_an_answer_is_no_conflict(open_form: Any, browse: Any) -> None:
    page = await open_form("veifeil")
    for text in ("Hu", "Hull", "Hull i veien"):
        answer = await page.fill("Beskriv feilen", text).type(typing="beskrivelse")
        assert "endret et annet sted" not in answer.text
        page.take(answer)
    again = await browse(page.client, str(page.address))
    assert again.value("Beskriv feilen") == "Hull i veien"


async def test_a_lost_answer_is_no_conflict_when_the_same_is_sent_again(open_form: Any) -> None:
    page = await open_form("veifeil")
    page.fill("Beskriv feilen", "Hull")
    await page.type()
    again = await page.type()
    assert "endret et annet sted" not in again.text


async def test_a_conflict_stays_until_the_field_is_answered_anew(open_form: Any, browse: Any) -> None:
    one = await open_form("veifeil")
    two = await browse(one.client, str(one.address))
    one.take(await one.fill("Beskriv feilen", "Hull").type())
    answer = await two.fill("Beskriv feilen", "Lys").type()
    assert "Lagret et annet sted: Hull" in answer.text
    two.take(answer)
    assert two.value("Beskriv feilen") == "Lys"
    # Another field is saved; the conflict is still there, and nothing is overwritten.
    answer = await two.fill("Vei eller gate", "Storgata").type()
    two.take(answer)
    assert two.value("Beskriv feilen") == "Lys"
    now = await browse(one.client, str(one.address))
    assert now.value("Beskriv feilen") == "Hull"
    assert now.value("Vei eller gate") == "Storgata"
    answer = await two.fill("Beskriv feilen", "Lyset er borte").type()
    two.take(answer)
    assert "Lagret et annet sted" not in two.words
    now = await browse(one.client, str(one.address))
    assert now.value("Beskriv feilen") == "Lyset er borte"


async def test_adding_a_row_puts_the_cursor_into_it(open_form: Any, browse: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    page = await browse(page.client, str(page.address).replace("/soker", "/okonomi"))
    answer = await page.type(action="add-row:utgifter")
    focus = json.loads(answer.headers["hx-trigger"])["havn:focus"]
    assert focus.startswith("utgift-hva_")
    page.take(answer)
    assert page.tree.get_element_by_id(focus).get("name") == focus
    # Nothing is asked of a row that has just been added.
    assert not page.errors()


async def test_calculated_values_come_back_with_the_answer(open_form: Any, browse: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    page = await browse(page.client, str(page.address).replace("/soker", "/okonomi"))
    page.take(await page.type(action="add-row:utgifter"))
    answer = await page.fill("Beløp", "10 000").type()
    assert "w-summer" in page.take(answer)
    assert "7\u00a0000\u00a0kr" in answer.text


async def test_fields_that_are_not_the_page_s_own_are_ignored(open_form: Any, browse: Any) -> None:
    page = await open_form("tilskudd", party="Lysende Furu AS")
    target, values, _ = page.sent(_action="auto")
    values = [(name, f"{value} tiltak-navn=x sum-utgifter=y" if name == "_fields" else value) for name, value in values]
    values += [("tiltak-navn", "smuglet"), ("sum-utgifter", "1"), ("okonomi.sumUtgifter", "1")]
    answer = await page._post(target, values, multipart=False, headers={"HX-Request": "true"})
    assert answer.status == 200
    page = await browse(page.client, str(page.address).replace("/soker", "/tiltaket"))
    assert page.value("Hva heter tiltaket?") == ""
