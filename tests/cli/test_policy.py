"""`havn policy`: cases, lint, tables, diffs and decisions on files, in words and in JSON."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from havn.cli.policy import app

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "apps" / "tilskudd"
POLICY = EXAMPLE / "App" / "config" / "authorization" / "policy.xml"
CASES = """
cases:
  - name: the manager fills in the form
    given: {roles: [dagl], task: Task_1, level: 3}
    allow: [read, write]
    deny: [complete]
  - given: {roles: [medl], task: Task_1}
    deny: [read]
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = 0
        try:
            app([str(argument) for argument in arguments], result_action="return_value")
        except SystemExit as stop:
            code = int(stop.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "app")
    return tmp_path / "app"


@pytest.fixture
def policy(folder: Path) -> Path:
    return folder / "App" / "config" / "authorization" / "policy.xml"


def test_cases_beside_the_policy_pass_and_fail(run: Run, folder: Path, policy: Path) -> None:
    cases = policy.with_name("policy.test.yaml")
    cases.write_text(CASES)
    code, out, _ = run("test", folder)
    assert code == 0
    assert out.startswith("4 passed, 0 failed")
    cases.write_text(CASES.replace("deny: [complete]", "deny: [write]"))
    code, out, _ = run("test", folder)
    assert code == 1
    assert "FAILED case 1 (the manager fills in the form): write should be denied, but is Permit by rule" in out
    code, out, _ = run("test", policy, "--json")
    report = json.loads(out)
    assert (code, report["passed"], report["failed"]) == (1, 3, 1)


def test_missing_and_broken_cases_are_one_sentence(run: Run, folder: Path, policy: Path) -> None:
    policy.with_name("policy.test.yaml").unlink()
    code, out, err = run("test", folder)
    assert (code, out) == (2, "")
    assert "There are no cases at" in err
    policy.with_name("policy.test.yaml").write_text("cases: [")
    assert "policy.test.yaml:2:1: The file is not YAML" in run("test", folder)[2]
    policy.with_name("policy.test.yaml").write_text("cases: [{given: {rolls: [x]}, allow: [read]}]")
    assert "rolls" in run("test", folder)[2]


def test_lint_knows_the_process(run: Run, folder: Path, policy: Path) -> None:
    policy.write_text(policy.read_text().replace(">Task_2<", ">Task_9<"))
    code, out, _ = run("lint", folder)
    assert "the process has no task Task_9" in out
    assert "[unknown-task]" in out
    found = json.loads(run("lint", folder, "--json")[1])
    assert any(finding["code"] == "unknown-task" and finding["line"] for finding in found["findings"])
    assert run("lint", folder, "--strict")[0] == 1
    assert code == 0


def test_a_policy_that_cannot_be_read_is_one_sentence_with_its_line(run: Run, policy: Path) -> None:
    policy.write_text(
        policy.read_text().replace("function:string-equal<", "").replace("xacml:AllOf>", "xacml:AllOff>", 1)
    )
    code, _, err = run("lint", policy)
    assert code == 2
    assert "policy.xml:" in err
    assert "Traceback" not in err


def test_show_prints_who_may_do_what_where(run: Run, folder: Path) -> None:
    code, out, _ = run("show", folder)
    assert code == 0
    assert "Task_1" in out
    assert "instantiate" in out
    # Those who may do the same share a row; places come in the process's order; the level is told.
    assert out.index("outside any task") < out.index("task Task_1") < out.index("end event")
    rule = [line for line in out.splitlines() if "role lede" in line or "role dagl" in line]
    assert len(rule) == 2
    assert "Needs sign-in at level 2." in out
    rows = json.loads(run("show", folder, "--json")[1])["rows"]
    assert any("confirm" in row["permitted"] for row in rows)


def test_diff_tells_rights_gained_and_lost(run: Run, policy: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.xml"
    new.write_text(policy.read_text().replace(">lede<", ">nest<"))
    code, out, _ = run("diff", policy, new)
    assert code == 0
    assert "rights gained" in out
    assert "nest" in out
    # A row for what changes everywhere, and one for what changes in a single task.
    assert out.count("role nest") == out.count("role lede") == 2
    assert "Nothing changes" in run("diff", policy, policy)[1]
    report = json.loads(run("diff", policy, new, "--json")[1])
    assert report["gained"]
    assert report["lost"]


REQUEST = {
    "Request": {
        "AccessSubject": {"Attribute": [{"AttributeId": "urn:altinn:rolecode", "Value": "dagl"}]},
        "Resource": {
            "Attribute": [
                {"AttributeId": "urn:altinn:org", "Value": "fjord"},
                {"AttributeId": "urn:altinn:app", "Value": "tilskudd"},
            ]
        },
        "Action": {"Attribute": [{"AttributeId": "urn:oasis:names:tc:xacml:1.0:action:action-id", "Value": "read"}]},
    }
}


def test_decide_prints_the_xacml_response(run: Run, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(REQUEST))
    code, out, err = run("decide", "--policy", POLICY, "--request", request, "--explain")
    assert code == 0
    assert json.loads(out)["Response"][0]["Decision"] == "Permit"
    assert "Permitted by rule" in err
    assert "<Decision>Permit</Decision>" in run("decide", "--policy", POLICY, "--request", request, "--xml")[1]
    request.write_text("{")
    assert run("decide", "--policy", POLICY, "--request", request)[0] == 2


def test_decide_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(REQUEST).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert json.loads(run("decide", "--policy", POLICY, "--request", "-")[1])["Response"][0]["Decision"] == "Permit"


def test_the_studio_template_is_read_with_its_placeholders_filled(run: Run, cases: Path) -> None:
    template = cases / "apps" / "template-v8"
    code, out, _ = run("lint", template, "--as", "ttd/first")
    assert code == 0, out
    code, out, _ = run("lint", template)
    assert code == 1
    assert "was not replaced" in out


def test_what_is_not_there_is_one_sentence(run: Run, tmp_path: Path) -> None:
    for arguments in (
        ("show", tmp_path / "none"),
        ("show", tmp_path),
        ("show", POLICY, "--as", "nonsense"),
        ("replay", "fjord/tilskudd", "--policy", POLICY),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
