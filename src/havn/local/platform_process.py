"""All platform APIs in one process: each built as it would be alone, dispatched by the first segment of the path.

The test identity provider answers here too, for the host `login.{domain}`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import setproctitle
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.kit import component, db, log, settings
from havn.kit.operations import answering
from havn.kit.problem import Problem
from havn.kit.serve import run, serve
from havn.kit.signals import stop_event
from havn.platform import APIS

LOGIN = "login"
# A platform API with pages at a host of their own.
PAGES, PAGES_HOST = "management", "api"
_STOP_WITHIN = 3.0

_log = structlog.get_logger("platform")


class ProcessSettings(msgspec.Struct, frozen=True):
    """What the process itself is told; each API reads its own settings."""

    domain: str
    port: int
    operations_port: int = 0
    """Where `/metrics` of all the APIs is answered, on this machine only; 0 for nowhere."""


class Dispatcher:
    """`/{api}/…` to that API; the hosts `login.{domain}` and `api.{domain}` to their own; `/health` to itself.

    An API is served from the moment it is there, since those that come after ask it while they start.
    """

    def __init__(self, domain: str) -> None:
        self._apis: dict[str, ASGIApp] = {}
        self._login_host = f"{LOGIN}.{domain}".lower().encode()
        self._pages_host = f"{PAGES_HOST}.{domain}".lower().encode()
        self.ready = False

    def add(self, segment: str, app: ASGIApp) -> None:
        """Serve `app`."""
        self._apis[segment] = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._find(scope)(scope, receive, send)

    def _find(self, scope: Scope) -> ASGIApp:
        first = scope["path"].partition("/")[2].partition("/")[0]
        if _host(scope) == self._login_host:
            first = LOGIN
        elif _host(scope) == self._pages_host:
            first = PAGES
        elif first == "health":
            return PlainTextResponse("OK" if self.ready else "starting", 200 if self.ready else 503)
        app = self._apis.get(first) if first != LOGIN or _host(scope) == self._login_host else None
        if app is not None:
            return app
        if not self.ready:
            return Problem(503, "The platform is starting.", code="starting", headers={"Retry-After": "1"}).response()
        return Problem(404, "There is no such platform API.", code="unknown_api").response()


async def main() -> None:
    """Serve, build every API, and go on until told to stop. Raises OSError when the port is taken."""
    own = settings.load(ProcessSettings)
    dispatcher = Dispatcher(own.domain)
    told, stop = stop_event(), asyncio.Event()
    serving = asyncio.create_task(serve(dispatcher, port=own.port, stop=stop))
    serving.add_done_callback(lambda _: told.set())
    async with AsyncExitStack() as stack:
        built: list[Starlette] = []
        if own.operations_port:
            metrics = answering(
                lambda: b"".join(map(component.metrics_of, built)), host="127.0.0.1", port=own.operations_port, tls=None
            )
            await stack.enter_async_context(metrics)
        for api in APIS:
            app = await _build(api.app, api.name, stack)
            built.append(app)
            for prefix in api.prefixes:
                dispatcher.add(prefix, app)
        dispatcher.add(LOGIN, await _build("havn.local.oidc.app", LOGIN, stack))
        dispatcher.ready = True
        _log.info("platform_ready")
        await told.wait()
    # The server last: it waits for requests under way, and until here the APIs were following each other's changes.
    stop.set()
    await asyncio.wait({serving}, timeout=_STOP_WITHIN)
    if serving.done():
        await serving


async def _build(module: str, name: str, stack: AsyncExitStack) -> Starlette:
    """Build one API from settings of its own: its secrets lie in the folder named after it."""
    environ = dict(os.environ)
    environ[settings.SECRETS_DIR] = str(Path(environ[settings.SECRETS_DIR], name))
    return await component.enter(module, stack, environ)


async def _lifespan(receive: Receive, send: Send) -> None:
    # The APIs' own lifespans are entered one by one as they are built.
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _host(scope: Scope) -> bytes:
    return next((bytes(value).lower() for name, value in scope["headers"] if name == b"host"), b"")


if __name__ == "__main__":
    setproctitle.setproctitle("havn platform")
    log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
    try:
        run(main)
    except settings.SettingsError as error:
        sys.exit(str(error))
    except (OSError, db.DatabaseError) as error:
        sys.exit(f"The platform could not start: {error}.")
