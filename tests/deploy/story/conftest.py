"""A platform that runs, and control planes of our own beside it with two environments: `tt02`, and `production`, which
asks for somebody else's approval."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from havn.appfolder.ids import AppId
from havn.cli.new import write_app
from havn.clients.deploy import DeployClient
from havn.contracts.deploy import Deployment, DeploymentProgress, DeployRequest
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.build import build
from havn.kit.http import HttpClient
from havn.local.environment import free_port
from havn.local.keyring import LocalKeyring
from havn.local.process import stop_leftovers
from havn.local.secrets import SecretStore

_spec = importlib.util.spec_from_file_location("story_plane", Path(__file__).with_name("plane.py"))
assert _spec is not None
assert _spec.loader is not None
planes = sys.modules.setdefault("story_plane", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(planes)

HAVN = str(Path(sys.executable).parent / "havn")


@dataclass
class Platform:
    """A platform that runs from `state`, reached at `port`."""

    state: Path
    port: int

    @property
    def domain(self) -> str:
        return f"havn.localhost:{self.port}"

    def call(self, host: str, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"host": f"{host}.{self.domain}", **options.pop("headers", {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        with httpx2.Client(trust_env=False, timeout=20) as client:
            return client.request(method, url, headers=headers, **options)

    def token(self, person: str = "Sindig Bjørk", org: str = "ttd") -> str:
        """A person's token for the org's apps."""
        body = {"person": person, "level": "idporten-loa-high"}
        foreign = self.call("login", "POST", "/test-token", json=body).json()
        answer = self.call(
            "platform", "GET", "/authentication/api/v1/exchange/id-porten", params={"audience": org},
            headers={"authorization": f"Bearer {foreign}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return str(answer.json())


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    import shutil
    import tempfile

    # Not below pytest's own folder, which the database server's account cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="havn-test-"))
    folder.chmod(0o711)
    port = free_port()
    command = [HAVN, "up", f"--state={folder / '.havn'}", f"--port={port}", "--no-examples", "--json"]
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    text = ""
    assert process.stdout is not None
    for line in process.stdout:
        text += line
        try:
            json.loads(text)
        except ValueError:
            continue
        break
    else:
        raise AssertionError((folder / "up.log").read_text())
    yield Platform(folder / ".havn", port)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    process.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(name="planes")
def _planes() -> Any:
    """The module that makes control planes."""
    return planes


Edit = Callable[[Path], None]


@dataclass
class Rig:
    """Where one test's control plane keeps things, and how its apps are made."""

    config: Any
    platform: Platform

    @property
    def folder(self) -> Path:
        return Path(self.config.folder)

    async def release(
        self, version: int = 1, *, words: Mapping[str, str] | None = None, hooks: str | None = None,
        edit: Edit | None = None, app: str = "first",
    ) -> str:  # fmt: skip
        """The digest of a release of ttd/`app`: the template, with some words replaced and some files edited."""
        source = self.folder / "apps" / f"{app}-{version}"
        write_app(source, AppId("ttd", app), title=f"Version {version}")
        for path in [each for each in source.rglob("*") if each.is_file()]:
            text = path.read_text()
            for word, value in (words or {}).items():
                text = text.replace(word, value)
            path.write_text(text)
        if hooks is not None:
            (source / "logic" / "hooks.py").write_text(hooks)
        if edit is not None:
            edit(source)
        built = await build(
            source,
            AppId("ttd", app),
            registry=LayoutRegistry(self.folder / "registry"),
            key=self.keyring().signing_key("ttd"),
            cache=self.folder / "cache",
        )
        return built.release.digest

    def instance(self, app: str = "first", task: str = "Task_1") -> str:
        """An open instance in a task; returns its id."""
        token = self.platform.token()
        claims = token.split(".")[1]
        party = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["urn:altinn:partyid"]
        body = {
            "instanceOwner": {"partyId": str(party)},
            "process": {
                "started": "2026-11-01T10:00:00Z",
                "startEvent": "StartEvent_1",
                "currentTask": {"elementId": task, "altinnTaskType": "data", "flow": 2},
            },
        }
        made = self.platform.call(
            "platform", "POST", f"/storage/api/v1/instances?appId=ttd/{app}", json=body,
            headers={"authorization": f"Bearer {token}"},
        )  # fmt: skip
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def task(self, instance: str) -> str:
        """The task that an instance stands in."""
        token = self.platform.token()
        found = self.platform.call(
            "platform", "GET", f"/storage/api/v1/instances/{instance}", headers={"authorization": f"Bearer {token}"}
        )
        assert found.status_code == 200, found.text
        return str(found.json()["process"]["currentTask"]["elementId"])

    def keyring(self) -> LocalKeyring:
        """The keys that the control planes keep."""
        return LocalKeyring(SecretStore(self.platform.state / "secrets"))

    def published(self) -> set[str]:
        """The ids of the keys that the platform believes ttd's apps."""
        found = self.platform.call("platform", "GET", "/authentication/api/v1/access-token/ttd/jwks")
        assert found.status_code == 200, found.text
        return {str(key["kid"]) for key in found.json()["keys"]}

    def moves(self, instance: str) -> list[str]:
        """What an instance's events say of its moves from task to task by deployments."""
        token = self.platform.token()
        found = self.platform.call(
            "platform", "GET", f"/storage/api/v1/instances/{instance}/events",
            headers={"authorization": f"Bearer {token}"},
        ).json()["instanceEvents"]  # fmt: skip
        return [each["additionalInfo"] for each in found if each["eventType"] == "process_AbandonTask"]

    def run(self, kill_after: tuple[int, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A control plane in a process of its own, until nothing is open or it has killed itself."""
        config = self.folder / "config.json"
        config.write_bytes(msgspec.json.encode(msgspec.structs.replace(self.config, kill_after=kill_after)))
        return subprocess.run(
            [sys.executable, str(Path(__file__).with_name("plane.py")), str(config)],
            capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "PYTHONPATH": str(planes.SOURCE)},
        )  # fmt: skip


class Story:
    """A control plane that runs in this process, and clients of it."""

    def __init__(self, rig: Rig, made: Any) -> None:
        self.rig = rig
        self.plane = made
        self._transport = httpx2.ASGITransport(app=made.app)

    def client(self, name: str = "kari") -> DeployClient:
        return DeployClient(HttpClient("http://console", name="The control plane", transport=self._transport), name)

    async def end(self, deployment: Deployment) -> DeploymentProgress:
        """The deployment once it has ended, with all its events."""
        async for _ in self.client().follow(deployment):
            pass
        return await self.client().progress(deployment.id)

    async def deploy(self, release: str, **more: Any) -> DeploymentProgress:
        request = DeployRequest(**{"environment": "tt02", "org": "ttd", "app": "first", "release": release, **more})
        asked = await self.client().deploy(request)
        assert isinstance(asked, Deployment)
        return await self.end(asked)


MakeDatabase = Callable[[str], Awaitable[str]]


@pytest.fixture
async def rig(platform: Platform, make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Rig]:
    config = planes.Config(
        database=await make_database("deploy"),
        folder=str(tmp_path),
        port=free_port(),
        platform_port=platform.port,
        platform_state=str(platform.state),
    )
    yield Rig(config, platform)
    assert stop_leftovers(tmp_path / "run") == []


@pytest.fixture
async def story(rig: Rig) -> AsyncIterator[Story]:
    async with planes.plane(rig.config) as made:
        yield Story(rig, made)


@pytest.fixture
def planes_module() -> Any:
    """For a test that makes a control plane of its own."""
    return planes


@pytest.fixture
def story_class() -> type[Story]:
    """What is known of a control plane, for such a test."""
    return Story
