"""All platform APIs in one process: each built as it would be alone, dispatched by the first segment of the path.

The test identity provider answers here too, for the host `login.{domain}`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import setproctitle
import structlog
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from havn.kit import db, log, settings
from havn.kit.problem import Problem
from havn.kit.serve import run, serve

APIS = ("authentication", "register", "profile", "authorization", "storage")
LOGIN = "login"

_log = structlog.get_logger("platform")


class ProcessSettings(msgspec.Struct, frozen=True):
    """What the process itself is told; each API reads its own settings."""

    domain: str
    port: int


class Dispatcher:
    """`/{api}/…` to that API; the host `login.{domain}` to the identity provider; `/health` to itself."""

    def __init__(self, apis: dict[str, ASGIApp], login: ASGIApp | None, login_host: bytes) -> None:
        self._apis = apis
        self._login = login
        self._login_host = login_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            return
        app: ASGIApp | None
        if self._login is not None and _host(scope) == self._login_host:
            app = self._login
        else:
            first = scope["path"].partition("/")[2].partition("/")[0]
            app = _health if first == "health" else self._apis.get(first)
        if app is None:
            app = Problem(404, "There is no such platform API.", code="unknown_api").response()
        await app(scope, receive, send)


async def main() -> None:
    """Build every API and serve until told to stop."""
    own = settings.load(ProcessSettings)
    async with AsyncExitStack() as stack:
        apis: dict[str, ASGIApp] = {}
        for api in APIS:
            if importlib.util.find_spec(f"havn.platform.{api}.app") is None:
                continue
            apis[api] = await _build(f"havn.platform.{api}.app", api, stack)
        login = None
        if importlib.util.find_spec("havn.local.oidc") is not None:
            login = await _build("havn.local.oidc.app", LOGIN, stack)
        host = f"{LOGIN}.{own.domain}".lower().encode()
        _log.info("platform_ready", apis=list(apis))
        await serve(Dispatcher(apis, login, host), port=own.port)


async def _build(module: str, component: str, stack: AsyncExitStack) -> Starlette:
    """Build one API from settings of its own: its secrets lie in the folder named after it."""
    build = importlib.import_module(module).build
    type_: Any = get_type_hints(build)["settings"]
    environ = dict(os.environ)
    environ[settings.SECRETS_DIR] = str(Path(environ[settings.SECRETS_DIR], component))
    built: Starlette = await build(settings.load(type_, environ))
    await stack.enter_async_context(built.router.lifespan_context(built))
    return built


async def _health(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"OK"})


async def _lifespan(receive: Receive, send: Send) -> None:
    # The APIs' own lifespans are entered before the server starts, so that a failure ends the process.
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
