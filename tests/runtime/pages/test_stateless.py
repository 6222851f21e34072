"""A form without an instance: open to everybody, calculated on each change, stored nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "apps" / "byggegebyr"


async def test_anybody_works_out_a_fee_without_script(stage: Any, browse: Any) -> None:
    app = await stage.deploy(EXAMPLE)
    page = await browse(await app.client(), "")
    assert page.heading == "Regn ut gebyret"
    assert "Logg ut" not in page.answer.text
    assert not page.has("Bruksareal")
    page = await page.fill("Hva skal du gjøre?", "tilbygg").press("save")
    assert page.status == 200
    page = await page.fill("Bruksareal", "42,5").choose("Jeg trenger dispensasjon").press("save")
    assert page.value("Bruksareal") == "42,5"
    assert "Til sammen 22 840 kr" in page.words.replace("\u00a0", " ")
    assert page.has("Antall dispensasjoner")
    page = await page.fill("Antall dispensasjoner", "2").press("English")
    assert page.lang == "en"
    assert page.value("Number of exemptions") == "2"
    assert page.value("Usable floor space") == "42,5"


async def test_by_script_the_model_travels_with_the_page(stage: Any, browse: Any) -> None:
    app = await stage.deploy(EXAMPLE)
    page = await browse(await app.client(), "")
    answer = await page.fill("Hva skal du gjøre?", "fasade").type()
    assert answer.status_code == 200
    assert "4\u00a0900\u00a0kr" in answer.text
    assert "_model" in answer.text


async def test_a_model_that_does_not_fit_is_refused(stage: Any, browse: Any) -> None:
    app = await stage.deploy(EXAMPLE)
    page = await browse(await app.client(), "")
    model = page.tree.xpath("//input[@name='_model']")[0]
    for wrong, status in (("[", 400), (json.dumps({"tiltak": 7}), 422), (json.dumps({"ukjent": 1}), 422)):
        model.set("value", wrong)
        answer = await page.press("save")
        assert answer.status == status, wrong
        assert "<h1" in answer.answer.text


async def test_a_number_out_of_bounds_is_told_of(stage: Any, browse: Any) -> None:
    app = await stage.deploy(EXAMPLE)
    page = await browse(await app.client(), "")
    page = await page.fill("Hva skal du gjøre?", "garasje").press("save")
    page = await page.fill("Bruksareal", "200000").press("save")
    assert page.errors()["areal"] == "Verdien må være 100000 eller lavere."
