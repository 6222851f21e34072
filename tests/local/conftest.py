"""A machine: a gateway and local clusters on free ports, with releases of the app that `havn new` makes."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from havn.appfolder.ids import AppId
from havn.clusters.port import Workload
from havn.deploy.registry.layout import LayoutRegistry
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local.cluster import LocalClusters, Machine
from havn.local.console import LocalReleases
from havn.local.environment import free_port
from havn.local.gateway import Gateway
from havn.local.process import stop_leftovers
from havn.platform.secrets import new_key

_suite_spec = importlib.util.spec_from_file_location(
    "cluster_suite", Path(__file__).resolve().parents[1] / "clusters" / "suite.py"
)
assert _suite_spec is not None
assert _suite_spec.loader is not None
suite = sys.modules.setdefault("cluster_suite", importlib.util.module_from_spec(_suite_spec))
_suite_spec.loader.exec_module(suite)

SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass
class Rig:
    """The machine under test."""

    folder: Path
    port: int
    gateway: Gateway
    clusters: LocalClusters
    output: list[str] = field(default_factory=list)

    async def release(self, org: str, app: str, version: int = 1, hooks: str | None = None) -> str:
        """Build a release of `org`/`app` with this version in its texts and these hooks."""
        registry = LayoutRegistry(self.folder / "registry")
        return await suite.release(self.folder, registry, AppId(org, app), version, hooks)

    def workload(self, app: str, release: str, replicas: int = 1, settings: dict[str, str] | None = None) -> Workload:
        return Workload(
            app=app,
            release=release,
            replicas=replicas,
            settings={
                "HAVN_DOMAIN": f"havn.localhost:{self.port}",
                "HAVN_SCHEME": "http",
                "HAVN_ENVIRONMENT": "local",
                "HAVN_ENVIRONMENT_TYPE": "test",
                "HAVN_PLATFORM_URL": suite.platform_without_apis(),
                **(settings or {}),
            },
            secrets={"platform-access-key": new_key()} if settings is not None else {"platform-access-key": KEY},
            ready_within=40,
        )

    async def ask(self, org: str, path: str):
        """GET a path at the org's host, through the gateway."""
        http = HttpClient(
            f"http://127.0.0.1:{self.port}", name="gateway", host=f"{org}.apps.havn.localhost:{self.port}", verify=False
        )
        try:
            reply = await http.request("GET", path)
        except Problem as problem:
            return suite.Reply(0, str(problem))
        finally:
            await http.close()
        return suite.Reply(reply.status_code, reply.text)


KEY = new_key()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    for name in ("run", "logs"):
        (tmp_path / name).mkdir(mode=0o700)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)}
    output: list[str] = []
    port = free_port()
    gateway = Gateway(port=port, scheme="http", environ=environ, records=tmp_path / "run", output=output.append)
    await gateway.begin()
    releases = LocalReleases(LayoutRegistry(tmp_path / "registry"), tmp_path / "releases")
    clusters = LocalClusters(
        Machine(
            domain=f"havn.localhost:{port}",
            gateway=gateway,
            releases=releases,
            environ=environ,
            run=tmp_path / "run",
            logs=tmp_path / "logs",
        )
    )
    yield Rig(tmp_path, port, gateway, clusters, output)
    await clusters.stop()
    await gateway.stop()
    assert stop_leftovers(tmp_path / "run") == []


@pytest.fixture
async def site(rig: Rig):
    return suite.Site(
        cluster=await rig.clusters.find("ttd", "local"),
        ask=lambda path: rig.ask("ttd", path),
        app="first",
        org="ttd",
        version=lambda number: rig.release("ttd", "first", number),
        broken=lambda: rig.release("ttd", "first", 9, "raise RuntimeError('broken on purpose')\n"),
        workload=lambda release, **more: rig.workload("first", release, **more),
    )


@pytest.fixture
def crash(rig: Rig):
    """Kill one replica."""

    async def run(site) -> None:
        import msgspec

        records = [msgspec.json.decode(path.read_bytes()) for path in (rig.folder / "run").glob("*.json")]
        pid = next(record["pid"] for record in records if record["name"].startswith(f"{site.org}/{site.app}"))
        os.kill(pid, signal.SIGKILL)
        # Until the supervisor has seen it.
        while (await site.cluster.status(site.app)).settled:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    return run
