"""Apps that others made: the template, and one page per component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog


async def test_the_template_runs_unchanged(open_form: Any, cases: Path) -> None:
    page = await open_form(cases / "apps" / "template-v8", as_="ttd/first")
    assert page.status == 200
    assert page.path.endswith("/Task_1/Side1")
    assert page.tree.find(".//h1") is not None


async def test_every_page_of_the_component_library_is_drawn(open_form: Any, browse: Any, cases: Path) -> None:
    folder = cases / "apps" / "component-library"
    with structlog.testing.capture_logs() as lines:
        page = await open_form(folder, party="Lysende Furu AS")
        names = [value.removeprefix("goto:") for value in values(page) if value.startswith("goto:")]
        for name in names:
            page = await browse(page.client, str(page.address).rpartition("/")[0] + f"/{name}")
            assert page.status == 200, page.words
            assert page.path.endswith(f"/{name}")
    assert len(names) == 32
    assert not [line for line in lines if line["event"] == "page_failed"]
    missing = {line["type"] for line in lines if line["event"] == "component_not_drawn"}
    assert missing == {
        "Checkboxes", "List", "Map", "MultipleSelect", "OrganizationLookup", "PersonLookup", "SimpleTable",
    }  # fmt: skip


def values(page: Any) -> list[str]:
    return [each.get("value") or "" for each in page.tree.iterfind(".//button")]


async def test_a_component_that_is_not_drawn_is_shown_to_developers_only(
    stage: Any, builder: Any, open_form: Any
) -> None:
    builder.layout.append({"id": "kart", "type": "Map", "dataModelBindings": {"simpleBinding": "epost"}})
    folder = builder.write()
    page = await open_form(folder)
    assert "kart" not in page.words
    page = await open_form(folder, dev=True)
    assert "Komponenten kart av typen Map blir ikke tegnet" in page.words
