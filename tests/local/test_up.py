"""The whole embedded platform as its users start it: `havn up` and its companions as real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from havn.local.environment import free_port

BIN = Path(sys.executable).parent / "havn"


@dataclass
class Installation:
    """A state folder, and `havn` run with it."""

    state: Path
    port: int
    process: subprocess.Popen[str] | None = None

    def havn(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIN, *arguments], capture_output=True, text=True, timeout=120,
            env={**os.environ, "HAVN_STATE": str(self.state)}, check=False,
        )  # fmt: skip
        if code is not None:
            assert done.returncode == code, done.stderr + done.stdout
        return done

    def json(self, *arguments: str, code: int = 0):
        return json.loads(self.havn(*arguments, "--json", code=code).stdout)

    def up(self, *arguments: str) -> dict:
        """Start; returns what it says once it is up."""
        self.process = subprocess.Popen(
            [BIN, "up", "--port", str(self.port), "--json", *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "HAVN_STATE": str(self.state)},
        )  # fmt: skip
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if line.rstrip() == "}":
                return json.loads("".join(lines))
        raise AssertionError(self.process.stderr.read())

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.process.stderr.close()
        self.process = None
        return code

    def get(self, host: str, path: str) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Host": f"{host}.havn.localhost:{self.port}"}
        )
        try:
            with urllib.request.build_opener(_NoRedirect()).open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def children(self) -> list[int]:
        records = (json.loads(path.read_text()) for path in (self.state / "run").glob("[0-9]*.json"))
        return [record["pid"] for record in records]

    def until(self, what, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.05)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture
def installation() -> Iterator[Installation]:
    # Not below pytest's own folder, which is closed to the account that runs PostgreSQL when we are root.
    folder = Path(tempfile.mkdtemp(prefix="havn-up-"))
    folder.chmod(0o755)
    made = Installation(folder / ".havn", free_port())
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)
        if made.children():
            made.up("--no-examples")
            made.end()
    shutil.rmtree(folder, ignore_errors=True)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def new_app(installation: Installation, name: str = "ttd/first") -> Path:
    folder = installation.state.parent / name.replace("/", "-")
    installation.havn("new", name, "--into", str(folder))
    return folder


def test_an_app_is_made_deployed_changed_rolled_back_scaled_and_taken_away(installation):
    said = installation.up("--no-examples")
    assert said["apps"] == []
    assert {"name", "pid", "about"} == set(said["users"][0])
    assert installation.get("platform", "/register/api/v1/health/ready")[0] == 200
    assert installation.get("login", "/.well-known/openid-configuration")[0] == 200
    assert installation.get("console", "/api/v1/apps")[0] == 401
    assert installation.get("nobody", "/")[0] == 404

    folder = new_app(installation)
    digest = installation.json("build", str(folder))["digest"]
    deployed = installation.json("deploy", "ttd/first")
    assert (deployed["release"], deployed["status"], deployed["revision"]) == (digest, "succeeded", 1)
    # Without a session, to sign-in.
    assert installation.get("ttd.apps", "/first/")[0] == 302
    assert installation.get("ttd.apps", "/ttd/first/")[0] == 302
    assert "First" in installation.get("ttd.apps", "/first/api/v1/texts/en")[1]

    text = folder / "App" / "config" / "texts" / "resource.en.json"
    text.write_text(text.read_text().replace('"First"', '"Second"'))
    second = installation.json("deploy", str(folder))
    assert second["release"] != digest
    assert "Second" in installation.get("ttd.apps", "/first/api/v1/texts/en")[1]

    hooks = folder / "App" / "logic" / "hooks.py"
    good = hooks.read_text()
    hooks.write_text(good + "\nraise RuntimeError('broken on purpose')\n")
    failed = installation.havn("deploy", str(folder), code=1)
    assert "broken on purpose" in failed.stderr
    assert "what ran before runs on" in failed.stderr
    assert "Second" in installation.get("ttd.apps", "/first/api/v1/texts/en")[1]
    hooks.write_text(good)

    back = installation.json("rollback", "ttd/first")
    assert (back["release"], back["revision"], back["kind"]) == (digest, 4, "rollback")
    assert "Second" not in installation.get("ttd.apps", "/first/api/v1/texts/en")[1]
    assert installation.json("scale", "ttd/first", "2")["replicas"] == 2
    [app] = installation.json("ps")
    assert (app["ready"], app["replicas"], app["problem"], app["changing"]) == (2, 2, None, None)
    assert "ttd/first" in installation.havn("logs", "ttd/first", "-n", "5").stdout
    history = installation.json("history", "ttd/first")
    assert [(each["revision"], each["status"]) for each in history] == [
        (5, "succeeded"), (4, "succeeded"), (3, "failed"), (2, "succeeded"), (1, "succeeded"),
    ]  # fmt: skip

    asked = installation.havn("undeploy", "ttd/first", code=1)
    assert "add --yes" in asked.stderr
    installation.havn("undeploy", "ttd/first", "--yes")
    assert installation.get("ttd.apps", "/first/")[0] == 404
    assert installation.json("ps") == []
    assert [entry["action"] for entry in installation.json("audit")] == [
        "undeploy", "scale", "rollback", "deploy", "deploy", "deploy",
    ]  # fmt: skip
    assert installation.end() == 0


def test_a_release_that_was_tampered_with_is_refused_and_the_app_runs_on(installation):
    installation.up("--no-examples")
    folder = new_app(installation)
    first = installation.json("deploy", str(folder))
    text = folder / "App" / "config" / "texts" / "resource.en.json"
    text.write_text(text.read_text().replace('"First"', '"Second"'))
    digest = installation.json("build", str(folder))["digest"]
    blobs = installation.state / "registry" / "ttd" / "first" / "blobs" / "sha256"
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
    layer = blobs / manifest["layers"][1]["digest"].removeprefix("sha256:")
    data = bytearray(layer.read_bytes())
    data[50] ^= 1
    layer.write_bytes(data)
    refused = installation.havn("deploy", "ttd/first", "--release", digest, code=1)
    assert "is damaged in the registry" in refused.stderr
    # A release that somebody else has signed.
    other = installation.state.parent / "elsewhere"
    foreign = installation.json("build", str(folder), "--registry", str(installation.state / "registry"),
                                "--key", str(_key(other)), "--commit", "b" * 40)["digest"]  # fmt: skip
    refused = installation.havn("deploy", "ttd/first", "--release", foreign, code=1)
    assert "not signed with a key that is trusted for ttd" in refused.stderr
    [app] = installation.json("ps")
    assert (app["release"], app["ready"]) == (first["release"], 1)


def _key(folder: Path) -> Path:
    from havn.deploy.release.signing import SigningKey

    folder.mkdir()
    path = folder / "key.pem"
    path.write_text(SigningKey.generate())
    return path


def test_after_kill_9_of_everything_the_next_up_finds_all_as_it_was(installation):
    installation.up("--no-examples")
    deployed = installation.json("deploy", str(new_app(installation)))
    children = installation.children()
    assert len(children) >= 3
    installation.end(signal.SIGKILL)
    said = installation.up("--no-examples")
    assert not any(alive(pid) for pid in children if pid not in installation.children())
    [app] = said["apps"]
    assert (app["release"], app["ready"]) == (deployed["release"], 1)
    assert installation.get("ttd.apps", "/first/")[0] == 302
    left = installation.children()
    assert installation.end(signal.SIGTERM) == 0
    assert not any(map(alive, left))
    assert not installation.children()


def test_each_part_is_started_again_when_it_is_killed(installation):
    installation.up("--no-examples")
    installation.json("deploy", str(new_app(installation)))

    def works() -> bool:
        return (
            installation.get("ttd.apps", "/first/")[0] == 302
            and installation.get("platform", "/register/api/v1/health/ready")[0] == 200
        )

    for name in ("platform", "ingress", "postgres"):
        [part] = [each for each in installation.json("status")["parts"] if each["name"] == name]
        os.kill(part["pid"], signal.SIGKILL)
        installation.until(lambda name=name: _restarts(installation, name) == 1)
        installation.until(works)
    # The control plane is whole again too.
    assert installation.json("scale", "ttd/first", "2")["status"] == "succeeded"


def _restarts(installation: Installation, name: str) -> int:
    done = installation.havn("status", "--json", code=None)
    if done.returncode:
        return -1
    [part] = [each for each in json.loads(done.stdout)["parts"] if each["name"] == name]
    return part["restarts"] if part["state"] == "ready" else -1


def test_a_deployment_that_is_cut_off_by_kill_9_is_finished_by_the_next_up(installation):
    installation.up("--no-examples")
    folder = new_app(installation)
    asking = subprocess.Popen(
        [BIN, "deploy", str(folder)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "HAVN_STATE": str(installation.state)},
    )  # fmt: skip
    for line in asking.stderr:
        if "published" in line:
            break
    installation.end(signal.SIGKILL)
    # It would go on asking for a minute.
    asking.kill()
    asking.wait()
    asking.stderr.close()
    said = installation.up("--no-examples")
    [app] = said["apps"]
    assert (app["app"], app["ready"], app["changing"]) == ("first", 1, None)
    [change] = installation.json("history", "ttd/first")
    assert change["status"] == "succeeded"


def test_dev_runs_the_folder_in_place_of_the_release_until_it_ends(installation):
    installation.up("--no-examples")
    folder = new_app(installation)
    installation.json("deploy", str(folder))
    text = folder / "App" / "config" / "texts" / "resource.en.json"
    text.write_text(text.read_text().replace('"First"', '"Being changed"'))
    dev = subprocess.Popen(
        [BIN, "dev", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "HAVN_STATE": str(installation.state)},
    )  # fmt: skip
    assert "Ready: http://ttd.apps.havn.localhost" in dev.stdout.readline()

    def texts() -> str:
        return installation.get("ttd.apps", "/first/api/v1/texts/en")[1]

    assert "Being changed" in texts()
    text.write_text(text.read_text().replace("Being changed", "Changed again"))
    # The app's own log comes through.
    assert any("reloaded" in line for line in dev.stderr)
    assert "Changed again" in texts()
    dev.send_signal(signal.SIGINT)
    dev.wait(20)
    dev.stdout.close()
    dev.stderr.close()
    installation.until(lambda: "First" in texts())


def test_what_is_in_the_way_is_said_in_a_sentence(installation):
    installation.up("--no-examples")
    second = installation.havn("up", "--port", str(free_port()), code=1)
    assert "already runs from" in second.stderr
    elsewhere = installation.havn("up", "--state", f"{installation.state}2", "--port", str(installation.port), code=1)
    assert f"Port {installation.port} is taken" in elsewhere.stderr
    assert installation.havn("deploy", "ttd/none", code=1).stderr.startswith("Error: There is no release of ttd/none")
    assert "not deployed" in installation.havn("scale", "ttd/none", "2", code=1).stderr
    assert "is not a digest" in installation.havn("deploy", "ttd/none", "-r", "latest", code=1).stderr
    unknown = installation.havn("deploy", "ttd/none", "-r", f"sha256:{'0' * 64}", "--env", "mars", code=1)
    assert "There is no environment mars" in unknown.stderr
    own = installation.havn("environment", "remove", "local", "--yes", code=1)
    assert "local is this machine's own environment" in own.stderr
    # Nobody is asked about what is not there.
    assert "There is no environment mars" in installation.havn("environment", "remove", "mars", code=1).stderr
    assert "was never deployed in local" in installation.havn("history", "ttd/none").stderr
    installation.end()
    assert "No platform runs from" in installation.havn("ps", code=1).stderr
    for done in (second, elsewhere):
        assert "Traceback" not in done.stderr


def test_no_secret_is_in_logs_command_lines_or_files_that_others_may_read(installation):
    installation.up("--no-examples")
    installation.json("deploy", str(new_app(installation)))
    from havn.local.secrets import SecretStore

    store = SecretStore(installation.state / "secrets")
    planted = {value for value in store._values.values() if not value.startswith("{")}
    planted |= {json.loads(value)["d"] for value in store._values.values() if value.startswith("{")}
    planted.add((installation.state / "token").read_text().strip())
    assert len(planted) > 10
    for pid in (*installation.children(), installation.process.pid):
        for file in ("cmdline", "environ"):
            content = Path(f"/proc/{pid}/{file}").read_text(errors="replace")
            assert not any(secret in content for secret in planted), (pid, file)
    for path in installation.state.rglob("*"):
        if not path.is_file() or installation.state / "postgres" in path.parents:
            continue
        private = path.stat().st_mode & 0o077 == 0 or any(
            parent.stat().st_mode & 0o077 == 0 for parent in path.parents if parent.is_relative_to(installation.state)
            and parent != installation.state
        )  # fmt: skip
        content = path.read_text(errors="replace")
        assert private or not any(secret in content for secret in planted), path
        if path.suffix == ".log":
            assert not any(secret in content for secret in planted), path
