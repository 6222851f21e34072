"""The cluster port on one machine: an app's replicas are supervised processes, its route a line of the gateway's table.

A new release's replicas are all started and ready before the first request goes to them; then the route is changed in
one step, and the ones before end when their last request has. If one does not become ready, nothing was changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from havn.clusters.port import (
    AppStatus,
    ClusterError,
    Ended,
    LogLine,
    Output,
    Progress,
    Replica,
    RolloutFailed,
    UnknownApp,
    Workload,
    silent,
)
from havn.gateway.ingress.routes import Route
from havn.kit.clock import Clock, system_clock
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local import execution
from havn.local.environment import free_port
from havn.local.gateway import Gateway
from havn.local.logs import LogFile, last_lines
from havn.local.process import Child
from havn.local.supervisor import StartFailed, Supervisor

_DRAIN_SECONDS = 30.0
# More at once would only make each slower.
_STARTING_AT_ONCE = max(2, os.cpu_count() or 2)

RUNTIME = (sys.executable, "-P", "-m", "havn.runtime")


class Unpacked(msgspec.Struct, frozen=True):
    """A release on disk: the app's own files, and its dependencies (an empty folder when it has none)."""

    app: Path
    dependencies: Path


class Releases(Protocol):
    """Where releases come from."""

    async def open(self, org: str, app: str, digest: str) -> Unpacked:
        """The release, verified, unpacked. Raises `ClusterError`."""
        ...


class Machine(msgspec.Struct, frozen=True):
    """What all local clusters share."""

    domain: str
    gateway: Gateway
    releases: Releases
    environ: Mapping[str, str]
    run: Path
    """Private folder for secrets and process records."""
    logs: Path
    command: Sequence[str] = RUNTIME
    clock: Clock = system_clock


class LocalClusters:
    """One cluster for each org and environment, made when it is first asked for."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._clusters: dict[tuple[str, str], LocalCluster] = {}
        self._http = HttpClient("http://127.0.0.1", name="health", timeout=2.0, verify=False)
        self._starting = asyncio.Semaphore(_STARTING_AT_ONCE)

    async def find(self, org: str, environment: str) -> LocalCluster:
        """The cluster of `org` in `environment`."""
        key = (org, environment)
        if key not in self._clusters:
            self._clusters[key] = LocalCluster(org, environment, self._machine, self._http, self._starting)
        return self._clusters[key]

    async def stop(self) -> None:
        """Stop every app, as when the machine goes down: nothing is drained, nothing forgotten elsewhere."""
        await asyncio.gather(*(cluster.stop() for cluster in self._clusters.values()))
        await self._http.close()


class _Replica:
    """A supervised process, and where it listens."""

    def __init__(self, supervisor: Supervisor, release: str) -> None:
        self.supervisor = supervisor
        self.release = release
        self.address: str | None = None

    def status(self) -> Replica:
        supervisor = self.supervisor
        return Replica(
            name=supervisor.name,
            release=self.release,
            state=supervisor.state,
            reason=supervisor.reason,
            restarts=supervisor.restarts,
            since=supervisor.since,
        )


class _Revision:
    """The replicas of one applied workload."""

    def __init__(self, workload: Workload, release: Unpacked, secrets_folder: Path) -> None:
        self.workload = workload
        self.release = release
        self.secrets = secrets_folder
        self.replicas: list[_Replica] = []


class _App:
    def __init__(self, log: LogFile) -> None:
        self.log = log
        self.lock = asyncio.Lock()
        self.live: _Revision | None = None
        self.coming: _Revision | None = None
        self.leaving: list[_Replica] = []


class LocalCluster:
    """The apps of one org in one environment, as processes of this machine."""

    follows_load = False

    def __init__(
        self, org: str, environment: str, machine: Machine, http: HttpClient, starting: asyncio.Semaphore
    ) -> None:
        self._org = org
        self._environment = environment
        self._machine = machine
        self._http = http
        self._starting = starting
        self._apps: dict[str, _App] = {}
        self._logs = machine.logs / environment / org

    async def apply(self, workload: Workload, progress: Progress = silent) -> AppStatus:
        """See `Cluster.apply`."""
        app = self._app(workload.app)
        async with app.lock:
            before = app.live
            if before is not None and before.workload == workload and self._status(workload.app).settled:
                progress("Already runs as asked.")
                return self._status(workload.app)
            release = await self._machine.releases.open(self._org, workload.app, workload.release)
            revision = _Revision(workload, release, self._write_secrets(workload))
            app.coming = revision
            try:
                await self._grow(app, revision, workload.replicas, progress)
            except StartFailed as error:
                status = self._status(workload.app)
                await self._discard(revision)
                raise RolloutFailed(f"The release did not become ready: {error}.", status) from error
            except BaseException:
                await self._discard(revision)
                raise
            finally:
                app.coming = None
            app.live = revision
            await self._route(workload.app)
            progress(f"Requests go to {workload.app} {_short(workload.release)}.")
            if before is not None:
                await self._retire(app, before.replicas)
                shutil.rmtree(before.secrets, ignore_errors=True)
            return self._status(workload.app)

    async def scale(self, app: str, replicas: int, progress: Progress = silent) -> AppStatus:
        """See `Cluster.scale`."""
        known = self._known(app)
        async with known.lock:
            revision = known.live
            if revision is None:
                raise UnknownApp(f"{self._org}/{app} is not in {self._environment}.")
            if replicas > len(revision.replicas):
                existing = list(revision.replicas)
                try:
                    await self._grow(known, revision, replicas, progress)
                except StartFailed as error:
                    status = self._status(app)
                    added = [replica for replica in revision.replicas if replica not in existing]
                    revision.replicas[:] = existing
                    await asyncio.gather(*(replica.supervisor.stop() for replica in added))
                    raise RolloutFailed(f"Not every replica became ready: {error}.", status) from error
            leaving = revision.replicas[replicas:]
            revision.replicas = revision.replicas[:replicas]
            revision.workload = msgspec.structs.replace(revision.workload, replicas=replicas)
            await self._route(app)
            await self._retire(known, leaving)
            return self._status(app)

    async def drained(self, app: str) -> bool:
        """See `Cluster.drained`; nothing here returns before they have ended."""
        return True

    async def status(self, app: str) -> AppStatus:
        """See `Cluster.status`."""
        self._known(app)
        return self._status(app)

    async def apps(self) -> list[AppStatus]:
        """See `Cluster.apps`."""
        return [self._status(name) for name in sorted(self._apps) if self._apps[name].live is not None]

    async def logs(self, app: str, *, lines: int = 100, follow: bool = False) -> AsyncGenerator[LogLine, None]:
        """See `Cluster.logs`; what was written before an app was removed, or before a restart, is there too."""
        known = self._apps.get(app)
        path = self._logs / f"{app}.log"
        if known is None and not path.exists():
            raise UnknownApp(f"{self._org}/{app} is not in {self._environment}.")
        if known is None or not follow:
            for line in last_lines(path, lines):
                yield line
            return
        async with contextlib.aclosing(known.log.follow(lines)) as following:
            async for line in following:
                yield line

    async def drift(self, workload: Workload) -> list[str]:
        """See `Cluster.drift`; a process that somebody has killed is started again by itself, and so is no drift."""
        live = self._known(workload.app).live
        if live is None:
            return []
        found = []
        runs = live.workload
        if runs.release != workload.release:
            found.append(f"Release {_short(runs.release)} runs and should be {_short(workload.release)}.")
        if len(live.replicas) != workload.replicas:
            found.append(f"{len(live.replicas)} processes run and should be {workload.replicas}.")
        found += [
            f"The setting {name} is not the one that the environment has now."
            for name in sorted(runs.settings.keys() | workload.settings.keys())
            if runs.settings.get(name) != workload.settings.get(name)
        ]
        return found

    async def execute(self, app: str, command: Sequence[str]) -> AsyncGenerator[Output | Ended, None]:
        """See `Cluster.execute`: a process beside the replica, in its folder, with its environment and secrets."""
        revision = self._known(app).live
        if revision is None or not any(each.supervisor.state == "ready" for each in revision.replicas):
            raise ClusterError(f"No replica of {app} is ready, so there is none to run a command in.")
        async with contextlib.aclosing(
            execution.execute(command, environ=self._environ(revision, 0), cwd=revision.release.app)
        ) as running:
            async for each in running:
                yield each

    async def remove(self, app: str) -> None:
        """See `Cluster.remove`."""
        known = self._apps.get(app)
        if known is None:
            return
        async with known.lock:
            revision, known.live = known.live, None
            await self._machine.gateway.route(self._key(app), ())
            if revision is not None:
                await self._retire(known, revision.replicas)
                shutil.rmtree(revision.secrets, ignore_errors=True)
            known.log.close()
            self._apps.pop(app, None)

    async def stop(self) -> None:
        """Stop every process, without waiting for requests."""
        replicas = [
            replica
            for app in self._apps.values()
            for revision in (app.live, app.coming)
            if revision is not None
            for replica in revision.replicas
        ]
        await asyncio.gather(*(replica.supervisor.stop() for replica in replicas))
        for app in self._apps.values():
            app.log.close()
        self._apps.clear()

    def _app(self, name: str) -> _App:
        if name not in self._apps:
            self._apps[name] = _App(LogFile(self._logs / f"{name}.log", clock=self._machine.clock))
        return self._apps[name]

    def _known(self, name: str) -> _App:
        app = self._apps.get(name)
        if app is None or (app.live is None and app.coming is None):
            raise UnknownApp(f"{self._org}/{name} is not in {self._environment}.")
        return app

    def _status(self, name: str) -> AppStatus:
        app = self._apps[name]
        wanted = app.live or app.coming
        assert wanted is not None
        shown = [
            replica for revision in (app.live, app.coming) if revision is not None for replica in revision.replicas
        ]
        return AppStatus(
            app=name,
            release=wanted.workload.release,
            replicas=wanted.workload.replicas,
            actual=tuple(replica.status() for replica in [*shown, *app.leaving]),
        )

    async def _grow(self, app: _App, revision: _Revision, replicas: int, progress: Progress) -> None:
        """Start replicas until there are `replicas`, and wait until the new ones are ready. Raises `StartFailed`."""
        new = [self._replica(app, revision) for _ in range(replicas - len(revision.replicas))]
        revision.replicas += new

        async def begin(replica: _Replica) -> None:
            async with self._starting:
                replica.supervisor.begin()
                await replica.supervisor.ready()
            progress(f"{replica.supervisor.name} is ready.")

        tasks = [asyncio.create_task(begin(replica)) for replica in new]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _replica(self, app: _App, revision: _Revision) -> _Replica:
        workload = revision.workload
        name = f"{workload.app}-{workload.release.removeprefix('sha256:')[:6]}-{secrets.token_hex(2)}"

        async def start(output: Callable[[str], None]) -> Child:
            # Should it be taken before the app has it, the next start has another.
            port = free_port()
            replica.address = f"127.0.0.1:{port}"
            return await Child.start(
                self._machine.command,
                name=f"{self._org}/{name}",
                environ=self._environ(revision, port),
                output=output,
                records=self._machine.run,
                cwd=revision.release.app,
            )

        async def probe() -> bool:
            try:
                answer = await self._http.request("GET", f"http://{replica.address}/health")
            except Problem:
                return False
            return answer.status_code == 200

        def changed() -> Awaitable[None] | None:
            live = app.live is not None and replica in app.live.replicas
            return self._reroute(workload.app) if live else None

        supervisor = Supervisor(
            name,
            start,
            probe,
            output=lambda text: app.log.write(name, text),
            changed=changed,
            ready_within=workload.ready_within,
            clock=self._machine.clock,
        )
        replica = _Replica(supervisor, workload.release)
        return replica

    def _environ(self, revision: _Revision, port: int) -> dict[str, str]:
        workload = revision.workload
        # After our own packages: a release never holds a package of the runtime's in another version.
        path = os.pathsep.join((self._machine.environ["PYTHONPATH"], str(revision.release.dependencies)))
        return {
            **self._machine.environ,
            "PYTHONPATH": path,
            **workload.settings,
            **{name: workload.secrets[secret] for name, secret in workload.secret_variables.items()},
            "HAVN_ORG": self._org,
            "HAVN_APP": workload.app,
            "HAVN_RELEASE": workload.release,
            "HAVN_HOST": "127.0.0.1",
            "HAVN_PORT": str(port),
            "HAVN_APP_FOLDER": str(revision.release.app),
            "HAVN_SECRETS_DIR": str(revision.secrets),
        }

    def _write_secrets(self, workload: Workload) -> Path:
        folder = self._machine.run / "secrets" / self._environment / self._org / workload.app / secrets.token_hex(4)
        folder.mkdir(parents=True, mode=0o700)
        for name, value in workload.secrets.items():
            path = folder / name
            if path.parent != folder:
                raise ClusterError(f"{name} is not a name for a secret.")
            path.touch(mode=0o600)
            path.write_text(value)
        return folder

    async def _reroute(self, app: str) -> None:
        # A gateway that is away takes the newest routes when it comes back.
        with contextlib.suppress(Exception):
            await self._route(app)

    async def _route(self, app: str) -> None:
        live = self._apps[app].live
        ready = [] if live is None else [r.address for r in live.replicas if r.supervisor.state == "ready"]
        upstreams = tuple(address for address in ready if address is not None)
        host = f"{self._org}.apps.{self._machine.domain.partition(':')[0]}"
        name = f"{self._org}/{app}"
        routes = [Route(host=host, prefix=prefix, upstreams=upstreams, name=name) for prefix in (f"/{app}", f"/{name}")]
        await self._machine.gateway.route(self._key(app), routes)

    async def _retire(self, app: _App, replicas: Sequence[_Replica]) -> None:
        """End replicas that no route leads to, when their last request has ended."""
        app.leaving += replicas
        try:
            addresses = [replica.address for replica in replicas if replica.address is not None]
            if addresses:
                await self._machine.gateway.drained(addresses, _DRAIN_SECONDS)
            await asyncio.gather(*(replica.supervisor.stop() for replica in replicas))
        finally:
            app.leaving = [replica for replica in app.leaving if replica not in replicas]

    async def _discard(self, revision: _Revision) -> None:
        await asyncio.gather(*(replica.supervisor.stop() for replica in revision.replicas))
        shutil.rmtree(revision.secrets, ignore_errors=True)

    def _key(self, app: str) -> str:
        return f"{self._environment}/{self._org}/{app}"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
