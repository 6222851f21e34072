"""`/health` and `/metrics`, on a port of their own that apps do not reach."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from havn.kit.background import background
from havn.kit.http1.head import BadMessage, parse_request, write_head
from havn.kit.http1.wire import ConnectionEnded, SlowPeer, Wire
from havn.kit.tls import TlsContext

_SECONDS = 5.0


class Operations:
    """Answers those two paths; `metrics` makes the text."""

    def __init__(self, metrics: Callable[[], bytes]) -> None:
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Start to listen, over TLS when there is a certificate; returns the port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Wire(self._arrived), host, port, ssl=tls)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    def _arrived(self, wire: Wire) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, wire: Wire) -> None:
        try:
            raw = await wire.head(_SECONDS, _SECONDS)
            if raw is not None:
                path = parse_request(raw).target.partition(b"?")[0]
                known = {b"/health": lambda: b"ok\n", b"/metrics": self._metrics}
                make = known.get(path)
                body = make() if make is not None else b"unknown\n"
                fields = [
                    (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
                    (b"content-length", b"%d" % len(body)),
                    (b"connection", b"close"),
                ]
                wire.write(write_head(b"HTTP/1.1 200 OK" if make else b"HTTP/1.1 404 Not Found", fields) + body)
        except (BadMessage, SlowPeer, ConnectionEnded):
            pass
        finally:
            wire.close()


def counted(metrics: Callable[[], bytes], certificate: TlsContext | None) -> Callable[[], bytes]:
    """Those metrics, and with a certificate when that ends."""
    return metrics if certificate is None else lambda: metrics() + certificate.metrics()


@asynccontextmanager
async def answering(metrics: Callable[[], bytes], *, host: str, port: int, tls: Path | None) -> AsyncIterator[int]:
    """Answer for as long as the block lasts; gives the port. With `tls`, a folder as for `serve`, only over TLS.

    What the certificate counts is among the metrics then. Raises OSError when the port is taken or the certificate
    cannot be used.
    """
    certificate = None if tls is None else TlsContext(tls)
    operations = Operations(counted(metrics, certificate))
    try:
        if certificate is None:
            yield await operations.listen(host, port)
        else:
            async with background(certificate.follow(), name="operations-certificate"):
                yield await operations.listen(host, port, certificate.context)
    finally:
        operations.close()
