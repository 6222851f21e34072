"""The reference page of components says what is drawn and what is not."""

from __future__ import annotations

import re
from pathlib import Path

from havn.appfolder.checks import catalogue
from havn.runtime.layout.tree import LISTS
from havn.runtime.pages.templates import DRAWN, environment

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "components.md"


def rows(heading: str) -> list[str]:
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return [match for match in re.findall(r"^\| (\w+) \|", section, re.MULTILINE) if match != "Type"]


def test_every_type_of_the_format_is_on_the_page_once_where_it_belongs() -> None:
    known = next(value for value in vars(catalogue).values() if isinstance(value, dict) and "RepeatingGroup" in value)
    assert rows("Drawn") == sorted(DRAWN, key=str.lower)
    assert rows("Not drawn") == sorted(set(known) - set(DRAWN), key=str.lower)


def test_every_drawn_type_has_a_macro() -> None:
    assert set(DRAWN) >= LISTS
    for name, file in DRAWN.items():
        assert hasattr(environment().get_template(f"{file}.html").module, name), name
