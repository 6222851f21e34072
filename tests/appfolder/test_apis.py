"""`deployment/api.yaml`: read with the app, each mistake with its line."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from havn.appfolder import AppFolder, AppId, apis
from havn.appfolder.checks import check

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
version: 1
apis:
  - name: cases
    title: {nb: Saker, en: Cases}
    paths: [/instances]
    sunset: 2027-06-30
    plans:
      - name: basic
        title: {nb: Basis}
        approval: auto
        rates:
          - {name: burst, requests: 10, seconds: 1}
        quotas:
          - {name: daily, requests: 1000, per: day}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    example = next(iter(sorted((ROOT / "examples" / "apps").iterdir())))
    shutil.copytree(example, tmp_path / "app")
    (tmp_path / "app" / "deployment").mkdir(exist_ok=True)
    return tmp_path / "app"


def _write(folder: Path, text: str) -> None:
    (folder / "deployment" / "api.yaml").write_text(text)


def test_apis_are_read_with_the_app(folder: Path) -> None:
    _write(folder, GOOD)
    (api,) = AppFolder.read(folder, as_=AppId("ttd", "app")).apis.apis  # type: ignore[union-attr]
    assert api.sunset == datetime(2027, 6, 30, tzinfo=UTC)
    assert [plan.name for plan in api.plans] == ["basic"]
    assert AppFolder.read(folder, as_=AppId("ttd", "app")).apis is not None
    (folder / "deployment" / "api.yaml").unlink()
    assert AppFolder.read(folder, as_=AppId("ttd", "app")).apis is None


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("requests: 10,", "requests: 0,", 13, ">= 1"),
        ("name: basic", "name: Basic", 9, "name or path"),
        ("approval: auto", "aproval: auto", 9, "aproval"),
        ("/instances", "instances", 6, "name or path"),
        ("per: day", "per: hour", 15, "hour"),
        ("version: 1", "version: 2", 2, "2"),
        (
            "apis:\n",
            "apis:\n  - {name: a, title: {nb: A}, paths: [/instances/]}\n",
            2,
            "two Apis claim the path /instances",
        ),
        ("daily", "burst", 9, "two limits are called burst"),
    ],
)
def test_a_mistake_is_told_with_its_line(folder: Path, old: str, new: str, line: int, said: str) -> None:
    _write(folder, GOOD.replace(old, new))
    found = [finding for finding in check(folder, as_=AppId("ttd", "app")) if finding.code == "deployment.api"]
    assert [(each.file, each.line) for each in found] == [("deployment/api.yaml", line)]
    assert said in found[0].message


def test_the_schema_says_the_same_as_the_reader() -> None:
    schema = apis.schema()
    good = yaml.safe_load(GOOD.replace("2027-06-30", "'2027-06-30T00:00:00Z'"))
    jsonschema.validate(good, schema)
    good["apis"][0]["plans"][0]["rates"][0]["requests"] = 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good, schema)
