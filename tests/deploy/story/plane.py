"""A control plane over local clusters, on a platform that runs already; also as a program that may kill itself.

`python plane.py CONFIG`: CONFIG is a JSON file with the members of `Config`. It works until nothing is open, or kills
itself with SIGKILL once the deployment and step of `kill_after` are reached.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request

from havn.clusters.port import Clusters, silent
from havn.deploy.access import EVERYTHING, Operator
from havn.deploy.app import build
from havn.deploy.environments import Environment, FixedEnvironments
from havn.deploy.publishing import Publisher
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.rollout import unheard
from havn.deploy.store import Store
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.kit.serve import serve
from havn.local import environment
from havn.local.cluster import LocalClusters, Machine
from havn.local.console import LocalReleases
from havn.local.gateway import Gateway
from havn.local.identities import LocalIdentities
from havn.local.keyring import LocalKeyring
from havn.local.secrets import SecretStore

SOURCE = Path(__file__).resolve().parents[3] / "src"
PEOPLE = {"kari": "deploy", "ola": "approve", "per": "look", "robot": "deploy"}
MAKERS = {"robot": "person:ola"}


class Config(msgspec.Struct):
    """Where things are."""

    database: str
    folder: str
    port: int
    """Of the gateway that leads to the apps."""
    platform_port: int
    platform_state: str
    kill_after: tuple[int, str] | None = None


class Names:
    """Access by name: the token is one of `PEOPLE`, of whom `MAKERS` tells which are machines, and whose."""

    async def operator(self, request: Request) -> Operator:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        if name == "root":
            return Operator(name, "192.0.2.1", EVERYTHING, name)
        if name not in PEOPLE:
            raise Problem(401, "Who is it?", code="token_needed")
        grants: Any = {"ttd": frozenset((PEOPLE[name],))}
        return Operator(name, "192.0.2.1", grants, f"person:{name}", MAKERS.get(name, ""))


class Plane(msgspec.Struct):
    """A control plane that serves and works."""

    app: Starlette
    store: Store
    clusters: LocalClusters


def environments(
    config: Config, keys: environment.Keys, line: Any = None
) -> tuple[dict[str, Environment], list[HttpClient]]:
    domain = f"havn.localhost:{config.platform_port}"
    signer = PlatformTokenSigner(
        issuer="platform", app="deploy", audience=f"http://platform.{domain}", key=keys.components["deploy"],
        clock=system_clock,
    )  # fmt: skip
    url = f"http://127.0.0.1:{config.platform_port}"
    http = HttpClient(url, name="The platform", host=f"platform.{domain}", timeout=15, verify=False, transport=line)
    told = {
        "HAVN_DOMAIN": f"havn.localhost:{config.port}",
        "HAVN_SCHEME": "http",
        "HAVN_ENVIRONMENT_TYPE": "test",
        "HAVN_PLATFORM_URL": url,
    }

    def one(name: str, approval: Any) -> Environment:
        return Environment(
            name=name, type="test", scheme="http", domain=f"havn.localhost:{config.port}",
            publisher=Publisher(http, signer), settings={**told, "HAVN_ENVIRONMENT": name}, approval=approval,
        )  # fmt: skip

    return {"tt02": one("tt02", "none"), "production": one("production", "another")}, [http]


@asynccontextmanager
async def plane(
    config: Config,
    reached: Callable[[int, str], None] = unheard,
    around: Callable[[Clusters], Clusters] = lambda clusters: clusters,
    port: int | None = None,
    line: Any = None,
) -> AsyncIterator[Plane]:
    """A control plane with its clusters and their gateway; it sees the clusters as `around` gives them.

    It serves on a `port` when one is given, and reaches the platform over `line`, an HTTP transport.
    """
    folder = Path(config.folder)
    for name in ("run", "logs"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    secrets = SecretStore(Path(config.platform_state) / "secrets")
    environ: Mapping[str, str] = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)}
    gateway = Gateway(port=config.port, scheme="http", environ=environ, records=folder / "run", output=silent)
    await gateway.begin()
    releases = LocalReleases(LayoutRegistry(folder / "registry"), folder / "releases")
    domain = f"havn.localhost:{config.port}"
    clusters = LocalClusters(
        Machine(
            domain=domain, gateway=gateway, releases=releases, environ=environ, run=folder / "run",
            logs=folder / "logs",
        )
    )  # fmt: skip
    known, clients = environments(config, environment.Keys.open(secrets), line)
    app, store = await build(
        config.database,
        environments=FixedEnvironments(*known.values()),
        clusters=around(clusters),
        registry=LayoutRegistry(folder / "registry"),
        keyring=LocalKeyring(secrets),
        releases=folder / "releases",
        access=Names(),
        identities=LocalIdentities(secrets),
        reached=reached,
    )
    try:
        if port is None:
            async with app.router.lifespan_context(app):
                yield Plane(app, store, clusters)
        else:
            stop = asyncio.Event()
            serving = asyncio.create_task(serve(app, port=port, stop=stop))
            yield Plane(app, store, clusters)
            stop.set()
            await serving
    finally:
        await clusters.stop()
        await gateway.stop()
        for client in clients:
            await client.close()


async def main(config: Config) -> None:
    def reached(deployment: int, step: str) -> None:
        if (deployment, step) == config.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    async with plane(config, reached) as made:
        while await made.store.unsettled():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        sys.stdout.write(f"{await status(made)}\n")


async def status(made: Plane) -> str:
    """What the cluster runs of ttd/first in tt02, as JSON."""
    cluster = await made.clusters.find("ttd", "tt02")
    return msgspec.json.encode(await cluster.apps()).decode()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)))
