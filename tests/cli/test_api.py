"""`havn api`: what is wrong with what was typed or written, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from havn.cli import api, api_access
from havn.cli.output import Failure

GOOD = "apis:\n  - name: cases\n    title: {nb: Saker}\n"


def test_a_file_is_checked_without_a_platform(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(GOOD)
    api.schema(check=file)
    assert capsys.readouterr().err == f"{file} declares 1 Apis and can be used.\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "    plan: []\n", "api.yaml:2: This is not known here: `plan`"),
        (GOOD.replace("cases", "Cases"), "api.yaml:2: This cannot be used as a name or path."),
        ("apis: [\n", "api.yaml:2: The file is not YAML"),
        ("- 1\n", "api.yaml:1: The Apis of an app are an object."),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(text)
    with pytest.raises(Failure) as failed:
        api.schema(check=file)
    assert said in str(failed.value)
    with pytest.raises(Failure, match="cannot be read"):
        api.schema(check=tmp_path / "none.yaml")


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    api.schema()
    assert json.loads(capsys.readouterr().out)["title"] == "deployment/api.yaml"


def test_what_cannot_be_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    calls: tuple[tuple[Callable[[], None], str], ...] = (
        (lambda: api.users("nonsense", state=tmp_path), "is not an Api's id"),
        (lambda: api.users("../x.y.z.v1", state=tmp_path), "is not an Api's id"),
        (lambda: api.deprecate("ttd.a.b.v1", sunset="soon", state=tmp_path), "is not a date"),
        (lambda: api.publish("nonsense", tmp_path, state=tmp_path), "ORG/APP"),
        (lambda: api_access.subscribe("x", owner="12", application="y", state=tmp_path), "nine digits"),
        (lambda: api_access.keys("x", make=True, revoke="y", state=tmp_path), "Choose one"),
        (lambda: api.requests(state=tmp_path), "No platform runs"),
    )
    for call, said in calls:
        with pytest.raises(Failure, match=said):
            call()
