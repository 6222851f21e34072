"""What every command owes its user: quick help, a true reference page, plain sentences, JSON, no colour in pipes."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from havn.cli.main import _COMMANDS
from havn.cli.output import plainly, write_table
from havn.cli.reference import page
from havn.kit.problem import Problem

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent / "havn"


def havn(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN, *arguments], capture_output=True, text=True, timeout=120, cwd=cwd, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **environ},
    )  # fmt: skip


def test_the_reference_page_is_that_of_the_program():
    written = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert written == page(), "run: python -m havn.cli.reference > docs/reference/cli.md"


def test_help_imports_nothing_of_what_the_commands_do():
    code = (
        "import sys; from havn.cli.main import app; app(['--help'], exit_on_error=False);"
        "heavy = {'asyncpg', 'granian', 'lxml', 'joserfc', 'cryptography', 'httpx2', 'starlette', 'yaml', 'typst'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in _COMMANDS:
        assert command in done.stdout


def leaves(found: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command below `found`, which may be a group, with its function."""
    if not isinstance(found, App):
        yield name, found
        return
    commands = [each for each in found if not each.startswith("-")]
    for each in commands:
        yield from leaves(found[each], f"{name} {each}")
    if not commands:
        yield name, found.default_command


COMMANDS = {
    name: function
    for verb, (where, _) in _COMMANDS.items()
    for name, function in leaves(getattr(importlib.import_module(where.split(":")[0]), where.split(":")[1]), verb)
}
# Their result is a document of its own form already.
DOCUMENTS = {"api schema", "egress schema", "policy decide"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_json_and_explains_each_option(command):
    parameters = inspect.signature(COMMANDS[command]).parameters
    assert "json_" in parameters or command in DOCUMENTS
    text = havn(*command.split(), "--help").stdout
    assert "--json" in text or command in DOCUMENTS


def test_a_new_app_has_no_problems_and_the_same_digest_twice(tmp_path):
    state = {"HAVN_STATE": str(tmp_path / "state")}
    made = havn("new", "nav/my-app", "--into", str(tmp_path / "app"), "--json")
    assert json.loads(made.stdout) == {"app": "nav/my-app", "folder": str(tmp_path / "app")}
    checked = havn("check", str(tmp_path / "app"), "--json")
    assert json.loads(checked.stdout) == {"errors": 0, "warnings": 0, "findings": []}
    assert checked.returncode == 0
    first = havn("build", str(tmp_path / "app"), **state)
    assert first.stdout.startswith("sha256:")
    again = json.loads(havn("build", str(tmp_path / "app"), "--json", **state).stdout)
    assert (again["digest"], again["existed"]) == (first.stdout.strip(), True)


def test_a_broken_app_is_refused_with_file_and_line_and_no_release_is_made(tmp_path):
    havn("new", "ttd/first", "--into", str(tmp_path / "app"))
    layout = tmp_path / "app" / "App" / "ui" / "form" / "layouts" / "about.json"
    layout.write_text(layout.read_text().replace('"TextArea",', '"TextArea"'))
    checked = havn("check", str(tmp_path / "app"))
    assert checked.returncode == 1
    assert "App/ui/form/layouts/about.json:" in checked.stdout
    built = havn("build", str(tmp_path / "app"), HAVN_STATE=str(tmp_path / "state"))
    assert built.returncode == 1
    assert "no release was made" in built.stderr
    assert "about.json:" in built.stderr
    assert not (tmp_path / "state" / "registry" / "ttd").exists()


def test_a_value_of_the_wrong_type_in_a_deployment_is_one_error_and_no_release_is_made(tmp_path):
    havn("new", "ttd/first", "--into", str(tmp_path / "app"))
    values = tmp_path / "app" / "deployment" / "values.yaml"
    values.parent.mkdir()
    values.write_text("deployment:\n  replicaCount: many\n")
    checked = havn("check", str(tmp_path / "app"))
    assert checked.stdout.startswith("deployment/values.yaml:2:3: error: replicaCount is a whole number from 0 to 100.")
    assert (checked.stderr, checked.returncode) == ("1 error, 0 warnings.\n", 1)
    built = havn("deploy", str(tmp_path / "app"), "--env", "tt02", HAVN_STATE=str(tmp_path / "state"))
    assert (built.returncode, "has 1 error: no release was made" in built.stderr) == (1, True)


def test_a_template_needs_to_be_told_whose_app_it_is(cases, tmp_path):
    template = str(cases / "apps" / "template-v8")
    state = {"HAVN_STATE": str(tmp_path / "state")}
    checked = json.loads(havn("check", template, "--json").stdout)
    assert checked["warnings"] > 0
    assert checked["errors"] == 0
    refused = havn("build", template, **state)
    assert refused.returncode == 1
    assert "--as ORG/APP" in refused.stderr
    assert json.loads(havn("build", template, "--as", "ttd/first", "--json", **state).stdout)["app"] == "ttd/first"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("check", "nowhere"), "nowhere is not a folder"),
        (("new", "Wrong Name"), "is not 1 to 30 small letters"),
        (("new", "ttd/ttd"), "may not be named like its org"),
        (("deploy", "first"), "named ORG/APP"),
        (("ps",), "No platform runs from"),
        (("logs", "ttd/first"), "No platform runs from"),
        (("token",), "start a platform with `havn up`"),
        (("deploy", "ttd/first", "-r", "latest"), "is not a digest"),
    ],
)
def test_an_error_is_one_plain_sentence_with_the_next_step(tmp_path, arguments, sentence):
    done = havn(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "\x1b" not in done.stderr


def test_a_signing_key_that_is_not_there_is_named(tmp_path):
    assert havn("new", "ttd/first", cwd=tmp_path).returncode == 0
    done = havn("build", "first", "--key", "nowhere.pem", cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere.pem cannot be read: give the file with the org's private signing key" in done.stderr


def test_doctor_looks_at_this_machine(tmp_path):
    done = havn("doctor", "--json", "--state", str(tmp_path / "s"), "--port", "1")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["Python"]["ok"]
    assert checks["PostgreSQL"]["ok"]
    assert checks["Disk"]["ok"]
    assert not (tmp_path / "s").exists()


def test_an_empty_list_is_a_sentence_and_an_outage_says_what_to_do(capsys, monkeypatch):
    write_table(("App", "State"), [], nothing="No app is deployed.")
    assert capsys.readouterr() == ("", "No app is deployed.\n")
    write_table(("App", "State"), [("ttd/first", "as asked")], nothing="No app is deployed.")
    assert capsys.readouterr() == ("App        State\nttd/first  as asked\n", "")
    for console, wanted in ((None, ", or start it with `havn up`."), ("https://console.example.no", "moment.")):
        monkeypatch.delenv("HAVN_CONSOLE", raising=False)
        if console:
            monkeypatch.setenv("HAVN_CONSOLE", console)
        with pytest.raises(SystemExit), plainly():
            raise Problem(503, "The control plane cannot be reached just now.", upstream="The control plane")
        assert capsys.readouterr().err.rstrip().endswith(wanted)
    with pytest.raises(SystemExit), plainly():
        raise Problem(503, "Storage cannot be reached just now.", upstream="Storage")
    assert capsys.readouterr().err == "Error: Storage cannot be reached just now.\n"
