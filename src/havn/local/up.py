"""The whole platform on this machine: started in order, each part supervised, stopped in the opposite order."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TextIO, cast

from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.deploy import AppInfo, MachinePart
from havn.deploy.endpoints import Endpoint
from havn.deploy.registry.layout import LayoutRegistry
from havn.gateway.ingress.routes import Route as GatewayRoute
from havn.kit import db, log, migrations
from havn.kit.background import cancel
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.kit.settings import SettingsError
from havn.kit.web import json_response
from havn.local import databases, environment
from havn.local.cluster import LocalClusters, Machine
from havn.local.console import Console, LocalReleases
from havn.local.dev import DevSessions
from havn.local.egress import LocalEgress
from havn.local.gateway import Gateway
from havn.local.identities import LocalIdentities
from havn.local.keyring import LocalKeyring
from havn.local.logs import LogFile, LogStream
from havn.local.postgres import EmbeddedPostgres, PostgresError
from havn.local.process import Child, stop_leftovers
from havn.local.protection import Protection
from havn.local.reach import Reach, publish, withdraw
from havn.local.records import ACCESS_LOG, LocalRecords
from havn.local.secrets import SecretsError, SecretStore, write_folder
from havn.local.state import State, StateError
from havn.local.supervisor import StartFailed, Supervisor
from havn.local.testdata import load as testdata_load
from havn.local.testdata import orgs as testdata_orgs

Report = Callable[[str, float], None]
"""Told each step that is done, and how many seconds it took."""

# What a child inherits; everything else it is told by name.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "HAVN_LOG_LEVEL")
_METRICS_PORT = "HAVN_OPERATIONS_PORT"
"""Set by whoever wants to read the platform's metrics; there is one process that serves them, so it alone is told."""


class UpError(Exception):
    """The platform cannot start; the message is a sentence with the next step."""


class LocalPlatform:
    """The embedded platform of one state folder, reached at `port`."""

    def __init__(self, state: State, *, port: int, report: Report) -> None:
        self.state = state
        self.port = port
        self._report = report
        self._stack = AsyncExitStack()
        # One thread for the life of the platform: the kernel ends PostgreSQL when the thread that started it ends.
        self._thread = ThreadPoolExecutor(1, "postgres")
        self._server = EmbeddedPostgres(state.postgres)
        self._postgres_restarts = 0
        self._environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # Our packages are found where we found them, also in a checkout.
        self._environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])

    async def start(self) -> None:
        """Start everything. Raises `UpError`; then nothing runs."""
        try:
            await self._start()
        except BaseException as error:
            await self.stop()
            if isinstance(error, StartFailed):
                raise UpError(f"A part of the platform did not start: {error}. See {self.state.logs}.") from error
            if isinstance(error, StateError | SecretsError | PostgresError | migrations.MigrationError | SettingsError):
                raise UpError(str(error)) from error
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise UpError(
                    f"The disk of {self.state.folder} is full: make room, or choose another place with --state."
                ) from error
            if isinstance(error, db.DatabaseError):
                raise UpError(
                    f"The database in {self.state.postgres} did not take our set-up ({error}): see postgres.log there."
                ) from error
            raise

    async def stop(self) -> None:
        """Stop everything, apps first, the database last."""
        await self._stack.aclose()

    async def apps(self) -> list[AppInfo]:
        """Every app, as it should be and as it is."""
        return await self.console.apps()

    async def _start(self) -> None:
        state, stack = self.state, self._stack
        state.prepare()
        state.lock()
        stack.callback(state.unlock)
        if left := stop_leftovers(state.run):
            self._report(f"Stopped what an earlier run left behind: {', '.join(left)}", 0)
        # What this process itself has to say, the control plane above all, is no matter for the terminal.
        own = LogFile(state.logs / "console.log")
        stack.callback(own.close)
        log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"), cast("TextIO", LogStream(own, "console")))
        # Secrets of apps that ran then.
        for name in ("secrets", "dev"):
            shutil.rmtree(state.run / name, ignore_errors=True)
        _check_port(self.port)
        store = SecretStore(state.secrets)
        keys = environment.Keys.open(store)
        self.keyring = LocalKeyring(store)
        self._identities = LocalIdentities(store)
        self.addresses = environment.Addresses(
            port=self.port,
            platform_port=environment.free_port(),
            console_port=environment.kept_port(state.run / "console.port"),
            egress_port=environment.free_port(),
        )
        self._gateway = Gateway(
            port=self.port,
            scheme=environment.SCHEME,
            environ=self._environ,
            records=state.run,
            access_log=state.logs / ACCESS_LOG,
            output=self._log("ingress"),
        )
        stack.push_async_callback(self._gateway.stop)
        self._egress = LocalEgress(
            state, self.addresses, store, environ=self._environ, output=self._log("egress")
        )  # fmt: skip
        stack.push_async_callback(self._egress.stop)
        gateway = asyncio.create_task(self._gateway.begin())
        self._egress.begin()
        began = time.perf_counter()
        try:
            await self._start_postgres()
            began = self._done("Database server", began)
            urls = await databases.prepare(self._server, keys.passwords)
            testdata_orgs.write(state.orgs)
            began = self._done("Databases", began)
            platform = await self._begin_platform(keys, urls)
            await testdata_load.load(urls, state.testdata)
            await platform.ready(attempts=1)
            await self._egress.supervisor.ready(attempts=1)
        finally:
            # The gateway's own failure, a port taken in the last moment, is the better message.
            await gateway
        began = self._done("Platform APIs", began)
        await self._gateway.route("platform", self._routes())
        await self._start_console(keys, urls["deploy"])
        records = LocalRecords(state, self.addresses, keys.platform.components["records"])
        stack.push_async_callback(records.stop)
        records.begin()
        self._done("Control plane", began)

    async def _start_console(self, keys: environment.Keys, database_url: str) -> None:
        state = self.state
        releases = LocalReleases(LayoutRegistry(state.registry), state.releases)
        machine = Machine(
            domain=self.addresses.domain,
            gateway=self._gateway,
            releases=releases,
            environ=self._environ,
            run=state.run,
            logs=state.logs,
        )
        clusters = LocalClusters(machine)
        self._stack.push_async_callback(clusters.stop)
        self.console = Console(
            state,
            self.addresses,
            database_url=database_url,
            clusters=clusters,
            keys=keys,
            keyring=self.keyring,
            identities=self._identities,
        )
        self._stack.push_async_callback(self.console.stop)
        dev = DevSessions(
            addresses=self.addresses,
            gateway=self._gateway,
            publisher=self.console.publisher,
            keyring=self.keyring,
            store=lambda: self.console.store,
            vault=lambda: self.console.vault,
            environ=self._environ,
            run=state.run,
        )
        self._stack.push_async_callback(dev.stop)
        machine_parts = Endpoint(
            method="GET", path="/machine", handler=self._machine, role=None, answer=list[MachinePart]
        )
        protection = Protection(
            state.folder / "protection.json",
            self._gateway,
            known=self.console.known,
            manage=self.console.publisher.manage,
            note=self.console.note,
        )
        self._stack.push_async_callback(protection.stop)
        await self.console.start([machine_parts, *dev.endpoints()], protection)
        await protection.start()
        reach = Reach(os.getpid(), self.port, f"http://127.0.0.1:{self.addresses.console_port}", self.addresses.domain)
        publish(state.folder, reach)
        self._stack.callback(withdraw, state.folder)

    async def _machine(self, request: Request) -> Response:
        """How the parts of this machine's platform are; nothing secret, so no token is asked for."""
        parts = [
            MachinePart(name=each.name, state=each.state, reason=each.reason, restarts=each.restarts, pid=_pid(each))
            for each in (self._gateway.supervisor, self._platform, self._egress.supervisor)
        ]
        pid = self._server.pid
        postgres = MachinePart(
            name="postgres", state="ready" if pid else "waiting", reason=None, restarts=self._postgres_restarts, pid=pid
        )
        return json_response([postgres, *parts])

    def _routes(self) -> list[GatewayRoute]:
        platform, console = (
            f"127.0.0.1:{port}" for port in (self.addresses.platform_port, self.addresses.console_port)
        )
        return [
            GatewayRoute(host="platform.havn.localhost", upstreams=(platform,), name="the platform"),
            GatewayRoute(host="login.havn.localhost", upstreams=(platform,), name="the test sign-in"),
            GatewayRoute(host="api.havn.localhost", upstreams=(platform,), name="the API catalogue"),
            GatewayRoute(host="console.havn.localhost", upstreams=(console,), name="the console"),
        ]

    async def _start_postgres(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._server.start)

        async def stop() -> None:
            await loop.run_in_executor(self._thread, self._server.stop)
            self._thread.shutdown()

        self._stack.push_async_callback(stop)
        watching = asyncio.create_task(self._keep_postgres())
        self._stack.push_async_callback(cancel, watching)

    async def _keep_postgres(self) -> None:
        """Start PostgreSQL again whenever it ends, with growing pauses."""
        loop = asyncio.get_running_loop()
        output = self._log("postgres")
        pause = 0.2
        while True:
            pid = self._server.pid
            if pid is not None:
                started = loop.time()
                await _ended(pid)
                pause = 0.2 if loop.time() - started > 30 else min(pause * 2, 15)
                self._postgres_restarts += 1
                output("PostgreSQL ended unexpectedly and is started again.")
            await asyncio.sleep(pause)
            try:
                await loop.run_in_executor(self._thread, self._server.start)
            except PostgresError as error:
                output(str(error))
                pause = min(pause * 2, 15)

    async def _begin_platform(self, keys: environment.Keys, urls: dict[str, str]) -> Supervisor:
        secrets = self.state.run / "platform"
        secrets.mkdir(mode=0o700, exist_ok=True)
        for component, values in environment.component_secrets(keys, self.addresses, urls).items():
            write_folder(secrets / component, values)
        environ = {
            **self._environ,
            **environment.platform_settings(self.addresses, self.state.folder, self.state.orgs),
            "HAVN_SECRETS_DIR": str(secrets),
            **{name: os.environ[name] for name in (_METRICS_PORT,) if name in os.environ},
        }
        http = HttpClient(self.addresses.platform_url, name="health", timeout=2.0, verify=False)
        self._stack.push_async_callback(http.close)

        async def start(output: Callable[[str], None]) -> Child:
            return await Child.start(
                [sys.executable, "-P", "-m", "havn.local.platform_process"],
                name="platform",
                environ=environ,
                output=output,
                records=self.state.run,
            )

        async def probe() -> bool:
            try:
                return (await http.request("GET", "/health")).status_code == 200
            except Problem:
                return False

        self._platform = Supervisor("platform", start, probe, output=self._log("platform"), ready_within=60)
        self._stack.push_async_callback(self._platform.stop)
        self._platform.begin()
        return self._platform

    def _log(self, name: str) -> Callable[[str], None]:
        log = LogFile(self.state.logs / f"{name}.log")
        self._stack.callback(log.close)
        return lambda text: log.write(name, text)

    def _done(self, what: str, began: float) -> float:
        now = time.perf_counter()
        self._report(what, now - began)
        return now


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise UpError(
                    f"Port {port} is for the administrator only: choose another, such as --port 8000."
                ) from None
            raise UpError(
                f"Port {port} is taken by another program: choose another, such as --port {port + 1}."
            ) from None


async def _ended(pid: int) -> None:
    """Wait until the process ends."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = loop.create_future()
    loop.add_reader(descriptor, lambda: None if gone.done() else gone.set_result(None))
    try:
        await gone
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _pid(supervisor: Supervisor) -> int | None:
    child = supervisor.child
    return child.pid if child is not None and child.running else None
