"""Running an app from its folder for as long as a developer watches: `havn dev` holds the request open.

Meanwhile the app's address leads to this process instead of to the deployed one. Configuration and Python are read
again by the app itself when they change; its policy, metadata and texts are published again from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from watchfiles import awatch

from havn.appfolder import AppFolder, AppFolderError
from havn.appfolder.ids import AppId
from havn.contracts.deploy import DevEvent, DevRequest
from havn.deploy.endpoints import Endpoint, body, in_body
from havn.deploy.publishing import Publisher
from havn.deploy.secrets.vault import SealError, Vault
from havn.deploy.store import Store, Target
from havn.gateway.ingress.routes import Route as GatewayRoute
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local import environment
from havn.local.gateway import OVERRIDING, Gateway
from havn.local.keyring import LocalKeyring
from havn.local.process import Child
from havn.local.secrets import write_folder
from havn.local.supervisor import StartFailed, Supervisor

# Rollouts count from one.
_ROLLOUT = 0
_ALIVE_EVERY = 10.0
_TIRELESS = 10_000


class DevSessions:
    """One session for each app at most."""

    def __init__(
        self,
        *,
        addresses: environment.Addresses,
        gateway: Gateway,
        publisher: Publisher,
        keyring: LocalKeyring,
        store: Callable[[], Store],
        vault: Callable[[], Vault],
        environ: Mapping[str, str],
        run: Path,
    ) -> None:
        self._addresses = addresses
        self._gateway = gateway
        self._publisher = publisher
        self._keyring = keyring
        self._store = store
        self._vault = vault
        self._environ = environ
        self._run = run
        self._open: dict[AppId, asyncio.Task[None]] = {}

    def endpoints(self) -> list[Endpoint]:
        """The one route."""
        return [
            Endpoint(
                method="POST", path="/dev", handler=self._start, role="administer", org=in_body,
                body=DevRequest, answer=DevEvent, lines=True,
            )
        ]  # fmt: skip

    async def stop(self) -> None:
        """End every session."""
        for working in self._open.values():
            working.cancel()
        await asyncio.gather(*self._open.values(), return_exceptions=True)

    async def _start(self, request: Request) -> Response:
        """Run an app from its folder for as long as the events are read."""
        asked = body(request, DevRequest)
        id_ = AppId(asked.org, asked.app)
        if id_.fault() is not None:
            raise Problem(400, f"{id_} is not an app.", code="invalid_app")
        if id_ in self._open:
            raise Problem(409, f"{id_} is run by another `havn dev` already.", code="dev_session_exists")
        return StreamingResponse(self._session(Path(asked.folder), id_), media_type="application/x-ndjson")

    async def _session(self, folder: Path, id_: AppId) -> AsyncGenerator[bytes, None]:
        """Run the app until the client leaves; what it writes, and what happens to it, a JSON object a line."""
        events: asyncio.Queue[DevEvent] = asyncio.Queue(10_000)

        def tell(kind: str, text: str) -> None:
            with contextlib.suppress(asyncio.QueueFull):
                events.put_nowait(DevEvent(kind=kind, text=text))

        working = asyncio.create_task(self._work(folder, id_, tell))
        self._open[id_] = working
        working.add_done_callback(lambda _: self._open.pop(id_))
        try:
            while not working.done() or not events.empty():
                try:
                    async with asyncio.timeout(0.2 if working.done() else _ALIVE_EVERY):
                        event = await events.get()
                except TimeoutError:
                    # Something to write is how we learn that the client has left.
                    event = DevEvent(kind="alive", text="")
                yield msgspec.json.encode(event) + b"\n"
        finally:
            # Not waited for: when the client leaves, whatever is awaited here is cancelled too, clearing up and all.
            working.cancel()

    async def _work(self, folder: Path, id_: AppId, tell: Callable[[str, str], None]) -> None:
        began = time.perf_counter()
        secrets = self._run / "dev" / str(id_)
        key = await self._keyring.access_key(environment.NAME, id_.org, id_.app, _ROLLOUT)
        try:
            given = await self._vault().current(Target(environment.NAME, id_.org, id_.app))
        except SealError as error:
            tell("error", str(error))
            return
        write_folder(secrets, {**given.files, "platform-access-key": key})
        variables = {name: given.files[file] for name, file in given.variables.items()}
        environ = {**self._environ, **variables}
        app = _App(folder, id_, secrets, self._addresses, environ, self._run, tell, self._reroute)
        try:
            await self._publisher.admit(id_.org, id_.app, key)
            # The process starts meanwhile; it asks nothing of the platform before its first request.
            app.supervisor.begin()
            await self._publish(folder, id_, tell)
            await app.supervisor.ready(attempts=_TIRELESS)
            tell("ready", f"{environment.SCHEME}://{id_.org}.apps.{self._addresses.domain}/{id_.app}"
                 f" in {time.perf_counter() - began:.1f} s")  # fmt: skip
            await self._republish(folder, id_, tell)
        except StartFailed as error:
            tell("error", f"{error}.")
        except Problem as problem:
            tell("error", problem.detail or problem.title)
        finally:
            await app.stop()
            await self._leave(id_)
            shutil.rmtree(secrets, ignore_errors=True)

    async def _publish(self, folder: Path, id_: AppId, tell: Callable[[str, str], None]) -> None:
        try:
            read = await asyncio.to_thread(AppFolder.read, folder, as_=id_)
        except AppFolderError as error:
            for finding in error.findings:
                tell("error", str(finding))
            return
        try:
            await self._publisher.publish(read, None)
        except Problem as problem:
            tell("error", problem.detail or problem.title)

    async def _republish(self, folder: Path, id_: AppId, tell: Callable[[str, str], None]) -> None:
        async for changes in awatch(folder, debounce=200, step=20):
            if any(f"{os.sep}config{os.sep}" in path for _, path in changes):
                await self._publish(folder, id_, tell)

    async def _reroute(self, id_: AppId, address: str | None) -> None:
        host = f"{id_.org}.apps.{self._addresses.domain.partition(':')[0]}"
        upstreams = (address,) if address is not None else ()
        routes = [
            GatewayRoute(host=host, prefix=prefix, upstreams=upstreams, name=str(id_))
            for prefix in (f"/{id_.app}", f"/{id_}")
        ]
        await self._gateway.route(f"{OVERRIDING}{id_}", routes)

    async def _leave(self, id_: AppId) -> None:
        """Give the address, and what the platform knows of the app, back to what is deployed."""
        await self._gateway.route(f"{OVERRIDING}{id_}", ())
        place = (environment.NAME, id_.org, id_.app, _ROLLOUT)
        # A key that cannot be withdrawn just now is that of the next session.
        with contextlib.suppress(Problem):
            if (key_id := await self._keyring.key_id(*place)) is not None:
                await self._publisher.dismiss(id_.org, id_.app, key_id)
                await self._keyring.forget(*place)
        target = Target(environment.NAME, id_.org, id_.app)
        if await self._store().desired(target) is not None:
            await self._store().request_restore(target, publish=True)


class _App:
    """The supervised process of a session."""

    def __init__(
        self,
        folder: Path,
        id_: AppId,
        secrets: Path,
        addresses: environment.Addresses,
        environ: Mapping[str, str],
        records: Path,
        tell: Callable[[str, str], None],
        reroute: Callable[[AppId, str | None], object],
    ) -> None:
        self._address = ""
        self._http = HttpClient("http://127.0.0.1", name="health", timeout=2.0, verify=False)

        async def start(output: Callable[[str], None]) -> Child:
            port = environment.free_port()
            self._address = f"127.0.0.1:{port}"
            own = {
                **environ,
                **environment.settings(addresses),
                "HAVN_ORG": id_.org,
                "HAVN_APP": id_.app,
                "HAVN_HOST": "127.0.0.1",
                "HAVN_PORT": str(port),
                "HAVN_APP_FOLDER": str(folder),
                "HAVN_SECRETS_DIR": str(secrets),
                "HAVN_DEV": "true",
            }
            command = [sys.executable, "-P", "-m", "havn.runtime"]
            return await Child.start(command, name=f"dev {id_}", environ=own, output=output, records=records)

        async def probe() -> bool:
            try:
                return (await self._http.request("GET", f"http://{self._address}/health")).status_code == 200
            except Problem:
                return False

        async def changed() -> None:
            if self.supervisor.state == "waiting" and self.supervisor.reason:
                tell("error", f"The app stopped: {self.supervisor.reason}.")
            with contextlib.suppress(Exception):
                await reroute(id_, self._address if self.supervisor.state == "ready" else None)  # type: ignore[misc]

        self.supervisor = Supervisor(
            f"dev {id_}", start, probe, output=lambda text: tell("log", text), changed=changed, grace=3
        )

    async def stop(self) -> None:
        await self.supervisor.stop()
        await self._http.close()
