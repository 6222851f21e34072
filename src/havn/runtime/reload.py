"""`havn dev`: the app's configuration and code read again when a file changes, and the browser told.

Only with `HAVN_DEV=1`. A change that cannot be used leaves the app as it was; the reason goes to the log and to the
browser. Requests under way keep the context they began with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from havn.appfolder import AppFolderError
from havn.runtime.context import AppContext
from havn.runtime.hooks.loader import LoadError

_log = structlog.get_logger("dev")
QUIET_MS = 50
"""How long files must be still before they are read: an editor writes in several steps."""
KEEP_ALIVE_SECONDS = 15


class Reloader:
    """Watches an app folder and swaps the context of a running app."""

    def __init__(self, app: Starlette, read: Callable[[], AppContext]) -> None:
        self._app = app
        self._read = read
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self.generation = 0
        """Counts the reloads, failed ones too."""

    def routes(self) -> list[BaseRoute]:
        """The event stream for browsers (server-sent events)."""
        return [Route("/_dev/events", self._events, name="dev_events")]

    async def watch(self, folder: Path, stop: asyncio.Event) -> None:
        """Reload on every change below `folder` until `stop`."""
        from watchfiles import DefaultFilter, awatch

        async for _changes in awatch(
            folder, watch_filter=DefaultFilter(), debounce=400, step=QUIET_MS, stop_event=stop, recursive=True
        ):
            await self.reload()

    async def reload(self) -> bool:
        """Read everything again; false (and the old app stays) when it cannot be used."""
        self.generation += 1
        try:
            context = await asyncio.to_thread(self._read)
        except AppFolderError as error:
            problems = [str(finding) for finding in error.findings]
        except LoadError as error:
            problems = [str(error)]
        else:
            self._app.state.context = context
            _log.info("reloaded", generation=self.generation)
            self._tell({"kind": "reload", "generation": self.generation})
            return True
        _log.warning("reload_failed", problems=problems)
        self._tell({"kind": "problem", "generation": self.generation, "problems": problems})
        return False

    def close(self) -> None:
        """End every event stream: the process is about to stop."""
        self._tell(None)

    def _tell(self, event: dict[str, Any] | None) -> None:
        for listener in self._listeners:
            listener.put_nowait(event)

    async def _events(self, request: Request) -> Response:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listeners.add(queue)

        async def stream() -> AsyncIterator[str]:
            try:
                yield "retry: 300\n\n"
                while True:
                    try:
                        event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
                    except TimeoutError:
                        yield ": still here\n\n"
                        continue
                    if event is None:
                        return
                    yield f"event: {event['kind']}\ndata: {json.dumps(event)}\n\n"
            finally:
                self._listeners.discard(queue)

        return StreamingResponse(stream(), media_type="text/event-stream")
