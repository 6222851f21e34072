"""A component as a process of its own: built from its settings, watched by probes, drained when it is told to stop.

`/health` says that the process lives, `/health/ready` that requests may be sent to it: built, its database there, and
not on its way out. Every other path is the component's.

With `HAVN_OPERATIONS_PORT` the process answers `/health` and `/metrics` on that port too: what an application that has
a function `state.metrics` counts, as Prometheus reads it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import setproctitle
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from havn.kit import log, serve, settings, trace
from havn.kit.operations import answering
from havn.kit.problem import Problem
from havn.kit.signals import stop_event

UNUSABLE = 2
"""Exit code when the settings cannot be used: starting again would not help."""

# A stream of changes has no end of its own; its reader comes back elsewhere.
_ENDLESS = b"application/x-ndjson"
_PAUSES = (0.2, 5.0)
_log = structlog.get_logger("process")


class ProcessSettings(msgspec.Struct, frozen=True):
    """What the process itself is told; the component reads its own settings."""

    port: int
    host: str = "127.0.0.1"
    drain_seconds: float = 20.0
    """How long requests under way may go on when the process is told to stop."""
    tls_dir: str | None = None
    """Folder of `tls.crt` and `tls.key`: HTTPS is served with them, and nothing else."""
    operations_port: int = 0
    """Where `/metrics` is answered; 0 for nowhere."""


async def enter(module: str, stack: AsyncExitStack, environ: Mapping[str, str] | None = None) -> Starlette:
    """Build the application of `module` (its `build(settings)`) and begin its lifespan, which ends with `stack`.

    Raises `SettingsError`, and what `build` raises when a database is away.
    """
    build = importlib.import_module(module).build
    type_: Any = get_type_hints(build)["settings"]
    built = build(settings.load(type_, environ))
    app: Starlette = await built if inspect.isawaitable(built) else built
    await stack.enter_async_context(app.router.lifespan_context(app))
    return app


def metrics_of(app: Starlette) -> bytes:
    """What an application counts, as Prometheus reads it; nothing when it does not count."""
    told: Callable[[], bytes] | None = getattr(app.state, "metrics", None)
    return told() if told is not None else b""


class Alone:
    """The ASGI application of such a process. `ready_path` is where the component tells that it can work."""

    def __init__(self, ready_path: str | None) -> None:
        self._ready_path = ready_path
        self.app: Starlette | None = None
        self._draining = asyncio.Event()
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def metrics(self) -> bytes:
        """What the application counts; nothing before it is built."""
        return metrics_of(self.app) if self.app is not None else b""

    async def drain(self, seconds: float) -> None:
        """Be ready no longer, let those go who wait for news, and return when the last request is answered.

        An application that has an event `state.stopping` is told by it. Returns after `seconds` in any case.
        """
        self._draining.set()
        stopping = getattr(self.app.state, "stopping", None) if self.app is not None else None
        if stopping is not None:
            stopping.set()
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            _log.warning("drain_cut_short", requests=self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/health":
            await PlainTextResponse("OK")(scope, receive, send)
        elif path == "/health/ready":
            await self._ready(scope, receive, send)
        elif self.app is None:
            await _starting()(scope, receive, send)
        else:
            self._open += 1
            self._idle.clear()
            try:
                if scope["method"] == "GET":
                    ending = _Ending(self._draining, receive, send)
                    await self.app(scope, ending.receive, ending.send)
                    await ending.close()
                else:
                    await self.app(scope, receive, send)
            finally:
                self._open -= 1
                if not self._open:
                    self._idle.set()

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is None:
            await _starting()(scope, receive, send)
        elif self._draining.is_set():
            await PlainTextResponse("stopping", 503)(scope, receive, send)
        elif self._ready_path is None:
            await PlainTextResponse("OK")(scope, receive, send)
        else:
            asked = {**scope, "path": self._ready_path, "raw_path": self._ready_path.encode(), trace.PROBE: True}
            await self.app(asked, receive, send)


class _Ending:
    """`receive` and `send` of one request: an endless stream's reader seems to leave once the process drains."""

    def __init__(self, draining: asyncio.Event, receive: Receive, send: Send) -> None:
        self._draining = draining
        self._receive = receive
        self._send = send
        self._endless = self._whole = False

    async def receive(self) -> Message:
        """The next message, or the reader's leave."""
        message, drained = asyncio.ensure_future(self._receive()), asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({message, drained}, return_when=asyncio.FIRST_COMPLETED)
            if self._endless and not message.done():
                return {"type": "http.disconnect"}
            return await message
        finally:
            message.cancel()
            drained.cancel()

    async def send(self, message: Message) -> None:
        """Pass it on."""
        if message["type"] == "http.response.start":
            self._endless = any(
                name.lower() == b"content-type" and value.startswith(_ENDLESS) for name, value in message["headers"]
            )
        else:
            self._whole = not message.get("more_body", False)
        await self._send(message)

    async def close(self) -> None:
        """End the stream whole, so that its reader is told and not cut off."""
        if self._endless and not self._whole and self._draining.is_set():
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def run(module: str, *, title: str, ready_path: str | None = None) -> None:
    """Entry point of a process that is one component: serve until SIGTERM or SIGINT, drain, and end.

    A database that is away is waited for, not ready meanwhile. Ends the process with code 2 when settings are wrong and
    1 when the port is taken.
    """
    setproctitle.setproctitle(title)
    log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
    try:
        serve.run(lambda: _main(module, ready_path))
    except (settings.SettingsError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(UNUSABLE)
    except OSError as error:
        sys.exit(f"{title} could not start: {error}.")


async def _main(module: str, ready_path: str | None) -> None:
    own = settings.load(ProcessSettings)
    alone = Alone(ready_path)
    tls = None if own.tls_dir is None else Path(own.tls_dir)
    async with AsyncExitStack() as stack:
        if own.operations_port:
            await stack.enter_async_context(answering(alone.metrics, host=own.host, port=own.operations_port, tls=tls))
        await _serve(alone, module, own, tls)


async def _serve(alone: Alone, module: str, own: ProcessSettings, tls: Path | None) -> None:
    told, stop = stop_event(), asyncio.Event()
    serving = asyncio.create_task(serve.serve(alone, host=own.host, port=own.port, stop=stop, tls=tls))
    serving.add_done_callback(lambda _: told.set())
    async with AsyncExitStack() as stack:
        building = asyncio.create_task(_build(alone, module, stack))
        building.add_done_callback(lambda done: told.set() if not done.cancelled() and done.exception() else None)
        await told.wait()
        if building.done():
            # Its failure, if there was one, is why we were told.
            await building
            await alone.drain(own.drain_seconds)
        else:
            building.cancel()
            await asyncio.gather(building, return_exceptions=True)
        stop.set()
        # The connections before what the requests on them work with.
        await asyncio.wait({serving}, timeout=own.drain_seconds)
    if serving.done():
        await serving


async def _build(alone: Alone, module: str, stack: AsyncExitStack) -> None:
    pause, longest = _PAUSES
    while True:
        try:
            alone.app = await enter(module, stack)
        except (settings.SettingsError, ValueError):
            raise
        except Exception as error:  # noqa: BLE001  (whatever is away, it may come back; until then we are not ready)
            _log.warning("start_postponed", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        else:
            _log.info("ready")
            return


def _starting() -> ASGIApp:
    return Problem(503, "This part is starting.", code="starting", headers={"Retry-After": "1"}).response()


async def _lifespan(receive: Receive, send: Send) -> None:
    # The component's own lifespan is begun when it is built.
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
