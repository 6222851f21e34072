"""Serving an ASGI application inside the process's own event loop (Granian, embedded), and stopping cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp

from havn.kit.signals import stop_event


async def serve(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int,
    stop: asyncio.Event | None = None,
    tls: Path | None = None,
) -> None:
    """Serve `app` until SIGTERM or SIGINT, or until `stop` is set; requests under way are finished first.

    With `tls`, a folder of `tls.crt` and `tls.key`, nothing but TLS is spoken, always with the folder's newest
    certificate. Raises OSError when the port is taken or the certificate cannot be used.
    """
    stopping = stop or stop_event()
    if tls is not None:
        from havn.kit.tls import TlsServer

        await TlsServer(app, tls, host=host, port=port).serve(stopping)
        return
    server = Server(app, address=host, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving not in done:
        server.stop()  # type: ignore[no-untyped-call]
    waiting.cancel()
    await serving


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` on uvloop, as a process's entry point does."""
    uvloop.run(main())
