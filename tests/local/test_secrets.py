"""Secrets through the embedded platform: from the command line into a running app, and nowhere else."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("havn_test_up", Path(__file__).with_name("test_up.py"))
up = sys.modules.setdefault("havn_test_up", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(up)
installation = up.installation

# Shows what the app was given without showing it: in the id of an option.
HOOKS = """
import hashlib, os
from havn.runtime.hooks import Option, OptionsContext, options

def told(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12]

if os.environ.get("MAIL_KEY") == "unusable":
    raise RuntimeError("cannot start with this")

@options("given")
def given(ctx: OptionsContext):
    return [Option("file", told(ctx.secret("mail-key"))), Option("variable", told(os.environ.get("MAIL_KEY", "")))]
"""


def told(value: str) -> str:
    import hashlib

    return hashlib.sha256(value.encode()).hexdigest()[:12]


def given(installation) -> set[str]:
    status, text = installation.get("ttd.apps", "/first/api/options/given")
    assert status == 200, text
    return {each["label"] for each in json.loads(text)}


def secret(installation, *arguments: str, value: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [up.BIN, "secret", *arguments], input=value, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HAVN_STATE": str(installation.state)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def places_of(installation, planted: str) -> list[str]:
    """Where a value can be found that should not be: files of the state folder, command lines."""
    private = (installation.state / "run").resolve()
    found = [
        str(path)
        for path in installation.state.resolve().rglob("*")
        if path.is_file() and private not in path.parents and planted.encode() in path.read_bytes()
    ]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if planted.encode() in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue
    return found


@pytest.fixture
def deployed(installation):
    installation.up("--no-examples")
    folder = up.new_app(installation)
    (folder / "App" / "logic").mkdir(exist_ok=True)
    (folder / "App" / "logic" / "hooks.py").write_text(HOOKS)
    secret(installation, "set", "ttd/first", "mail-key", "--env-name", "MAIL_KEY", value="planted-one\n")
    installation.havn("deploy", str(folder))
    return installation


def test_a_secret_goes_into_the_app_and_nowhere_else(deployed):
    assert given(deployed) == {told("planted-one")}

    # Changed: rolled out at once.
    said = secret(deployed, "rotate", "ttd/first", "mail-key", "--json", value="planted-two")
    changed = json.loads(said.stdout)
    assert (changed["secret"]["version"], changed["secret"]["inForce"]) == (2, {"first": 2})
    assert [each["status"] for each in changed["deployments"]] == ["succeeded"]
    assert given(deployed) == {told("planted-two")}

    # A value with which the app does not start: what ran before runs on, with the value before.
    failed = secret(deployed, "rotate", "ttd/first", "mail-key", value="unusable", code=1)
    assert "runs on with what it had" in failed.stderr
    assert given(deployed) == {told("planted-two")}
    [listed] = json.loads(secret(deployed, "list", "ttd/first", "--json").stdout)
    assert (listed["version"], listed["inForce"], listed["setBy"]) == (3, {"first": 2}, listed["setBy"])
    assert "value" not in listed

    # Changed without a rollout: in force with the next one.
    secret(deployed, "rotate", "ttd/first", "mail-key", "--no-rollout", value="planted-three")
    assert given(deployed) == {told("planted-two")}
    secret(deployed, "rekey", "--new")
    deployed.havn("deploy", "ttd/first")
    assert given(deployed) == {told("planted-three")}

    # Taken up again after a restart.
    deployed.end()
    deployed.up("--no-examples")
    assert given(deployed) == {told("planted-three")}

    dump = subprocess.run(
        ["grep", "-rlaE", "planted-(one|two|three)", str(deployed.state)], capture_output=True, text=True, check=False
    )
    assert all("/run/secrets/" in line for line in dump.stdout.splitlines()), dump.stdout
    assert "/run/secrets/" in dump.stdout
    for command in (["audit"], ["history", "ttd/first"], ["status", "ttd/first"], ["logs", "ttd/first"]):
        assert "planted" not in deployed.havn(*command).stdout
    assert places_of(deployed, "planted-") == []


def test_what_cannot_be_stored_is_told_in_a_sentence_without_the_value(installation):
    installation.up("--no-examples")
    for arguments, value, expected in (
        (("set", "ttd/first", "../x"), "planted", "A secret's name"),
        (("set", "ttd/first", "port"), "planted", "setting of the runtime"),
        (("set", "ttd", "token", "--env-name", "HAVN_X"), "planted", "choose another name"),
        (("set", "ttd/first", "token"), "", "empty"),
        (("rotate", "ttd/first", "absent"), "planted", "has no secret absent"),
        (("set", "TTD", "token"), "planted", "is not an org"),
        (("set", "ttd", "token", "--env", "nowhere"), "planted", "no environment nowhere"),
        (("remove", "ttd/first", "absent", "--yes"), "", "has no secret absent"),
        (("remove", "ttd/first", "absent"), "", "add --yes"),
    ):
        done = secret(installation, *arguments, value=value, code=1)
        assert expected in done.stderr, done.stderr
        assert "planted" not in done.stderr + done.stdout
    secret(installation, "set", "ttd", "token", "--no-rollout", value="planted")
    assert secret(installation, "list", "ttd").stdout.splitlines()[1].split()[:3] == ["token", "ttd", "1"]
    secret(installation, "remove", "ttd", "token", "--yes")
    emptied = secret(installation, "list", "ttd")
    assert (emptied.stdout, emptied.stderr) == ("", "ttd has no secrets in local: `havn secret set` stores one.\n")
