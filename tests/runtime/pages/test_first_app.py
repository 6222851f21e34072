"""The tutorial, done: its files make an app that works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tutorial" / "first-app.md"


def samples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def havn(*arguments: str | Path) -> None:
    command = [Path(sys.executable).with_name("havn"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_tutorial_makes_an_app_that_works(open_form: Any, tmp_path: Path) -> None:
    folder = tmp_path / "tur"
    havn("new", "tur", "--into", folder)
    schema, layout, texts = samples("json")
    (folder / "App/models/model.schema.json").write_text(schema)
    (folder / "App/ui/form/layouts/about.json").write_text(layout)
    (folder / "App/logic/hooks.py").write_text(samples("python")[0])
    for file in (folder / "App/config/texts").iterdir():
        resource = json.loads(file.read_text())
        resource["resources"] += json.loads(f"[{texts}]")
        file.write_text(json.dumps(resource))
    havn("check", folder)

    page = await open_form(folder)
    assert not page.has("Hvor langt kjørte dere?")
    page = await page.choose("Med bil").press("save")
    page.fill("Hvor langt kjørte dere?", "120").fill("Hvor mange var med?", "150").fill("Hvor gikk turen?", "Fjellet")
    page = await page.press("save")
    assert "Dere får tilbake 600 kr" in page.words.replace("\u00a0", " ")
    assert page.errors() == {"deltakere": "Er det riktig at så mange var med?"}
    page = await page.press("Send inn")
    assert page.heading == "Skjemaet er sendt inn"
