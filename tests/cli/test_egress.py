"""`havn egress`: explaining a call without sending it, and the rules that the log says are missing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from havn.cli import egress
from havn.cli.output import Failure
from havn.kit.problem import Problem

RULES = """
mode: enforce
allow:
  - host: data.example.no
upstreams:
  folk: {url: "https://folk.example.no/v1", methods: [GET]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deployment").mkdir()
    (tmp_path / "deployment/egress.yaml").write_text(RULES)
    return tmp_path


def test_an_allowed_call_names_its_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    egress.explain("https://data.example.no/list", path=folder)
    assert capsys.readouterr().out == "Allowed: rule https://data.example.no:443 (mode enforce).\n"


def test_a_denied_call_ends_with_1_and_names_the_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        egress.explain("https://other.example.no:8443/", path=folder)
    assert ended.value.code == 1
    assert "- {host: other.example.no, ports: [8443]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "method", "allowed"),
    [
        ("http://egress/folk/people", "GET", True),
        ("http://egress/folk/people", "POST", False),
        ("http://egress/annet/people", "GET", False),
        ("http://egress/folk/../people", "GET", False),
        ("https://127.0.0.1/", "GET", False),
    ],
)
def test_upstreams_and_odd_addresses(
    folder: Path, url: str, method: str, allowed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        egress.explain(url, path=folder, method=method, json_=True)
    except SystemExit:
        assert not allowed
    assert json.loads(capsys.readouterr().out)["allowed"] is allowed


def test_suggest_counts_the_lines_that_were_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {"event": "egress", "traceId": "a", "result": "allow", "org": "ttd", "app": app, "wouldDeny": True, "add": add}
        for app, add in (
            ("skjema", "- {host: a.example.no}"), ("skjema", "- {host: b.example.no}"),
            ("skjema", "- {host: b.example.no}"), ("annen", "- {host: c.example.no}"),
        )
    ]  # fmt: skip
    (tmp_path / "logs").mkdir()
    text = "".join(
        f"2026-01-01T00:00:00.000+00:00 egress {json.dumps(line, separators=(',', ':'))}\n" for line in lines
    )
    (tmp_path / "logs/egress.log").write_text("2026-01-01 egress not json\n" + text)
    egress.suggest("ttd/skjema", state=tmp_path, json_=True)
    assert json.loads(capsys.readouterr().out) == [
        {"add": "- {host: b.example.no}", "times": 2},
        {"add": "- {host: a.example.no}", "times": 1},
    ]
    egress.log_("ttd/annen", state=tmp_path, denied=True, json_=True)
    assert [each["add"] for each in json.loads(capsys.readouterr().out)] == ["- {host: c.example.no}"]


def test_a_secret_is_named_as_the_rules_name_it_and_has_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(Failure, match="empty"):
        egress.secret("ttd/skjema", "nokkel", state=tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hemmelig\n")))
    with pytest.raises(Problem, match="named as in deployment/egress"):
        egress.secret("ttd/skjema", "Nokkel", state=tmp_path)
