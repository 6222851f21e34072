"""A deployer's day on the terminal: look first, deploy, look inside, scale, roll back, and take it away again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.story

HAVN = str(Path(sys.executable).parent / "havn")


@pytest.fixture
def run(platform):
    """`run("deploy", …)`: a command as it is typed, with what it says and its exit code."""

    def one(*arguments: str) -> subprocess.CompletedProcess[str]:
        before, dashes, after = _split(arguments)
        words = [HAVN, *before, f"--state={platform.state}", *dashes, *after]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    return one


def _split(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    if "--" not in arguments:
        return arguments, (), ()
    at = arguments.index("--")
    return arguments[:at], ("--",), arguments[at + 1 :]


def test_a_deployers_day(run, tmp_path):
    made = run_new(tmp_path)
    first = run("deploy", str(made))
    assert first.returncode == 0, first.stderr
    assert "is at revision 1." in first.stdout

    process = made / "App/config/process/process.bpmn"
    process.write_text(process.read_text().replace("Utfylling", "Skjema"))
    looked = run("diff", "ttd/my-day", "--path", str(made), "--text")
    assert looked.returncode == 0, looked.stderr
    for part in ("~ app/config/process/process.bpmn", "+    <bpmn:task", "~ elements.Task_1.name: Utfylling → Skjema"):
        assert part in looked.stdout, looked.stdout
    assert run("status", "ttd/my-day").stdout.count("revision 1") == 1

    second = run("deploy", "ttd/my-day", "--path", str(made))
    assert second.returncode == 0, second.stderr
    assert run("diff", "ttd/my-day").stdout.endswith("Nothing changes.\n")

    inside = run(
        "exec", "ttd/my-day", "--", "python3", "-c", "import os, sys; print(os.environ['HAVN_APP']); sys.exit(4)"
    )
    assert (inside.stdout, inside.returncode) == ("my-day\n", 4), inside.stderr
    assert run("exec", "ttd/my-day").returncode == 1

    scaled = run("scale", "ttd/my-day", "--min", "2", "--max", "3")
    assert scaled.returncode == 0, scaled.stderr
    assert "does not follow the load" in scaled.stderr
    assert run("scale", "ttd/my-day", "2", "--min", "1").returncode == 1
    status = run("status", "ttd/my-day")
    assert "Scaling   2 to 3 replicas" in status.stdout
    assert "Drift" not in status.stdout
    assert run("heal", "ttd/my-day").returncode == 0

    back = run("rollback", "ttd/my-day")
    assert back.returncode == 0, back.stderr
    assert "Scaling   2 to 3 replicas" in run("status", "ttd/my-day").stdout
    refused = run("promote", "ttd/my-day", "--from", "local", "--to", "production")
    assert refused.returncode == 1
    assert "There is no environment production" in refused.stderr
    assert run("approvals").returncode == 0
    assert run("approve", "77").returncode == 1

    history = run("history", "ttd/my-day").stdout
    assert [line.split()[3] for line in history.splitlines()[1:]] == ["rollback", "heal", "scale", "deploy", "deploy"]
    audit = run("audit", "--org", "ttd").stdout
    assert "exec" in audit
    assert run("undeploy", "ttd/my-day", "--yes").returncode == 0
    shutil.rmtree(made)


def run_new(folder: Path) -> Path:
    """An app as `havn new` makes it."""
    done = subprocess.run([HAVN, "new", "ttd/my-day"], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "my-day"
