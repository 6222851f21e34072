"""A server over TLS whose certificate is replaced while it runs.

It comes from a folder that somebody else keeps fresh, a mounted Kubernetes Secret as a rule, whose files are replaced
all at once by the swap of a link. It is looked at again and again, since such a swap is not reliably announced.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from granian import net
from granian.asgi import LifespanProtocol
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from havn.kit.clock import Clock, system_clock
from havn.kit.lifetime import Lifetime

_log = structlog.get_logger("tls")
_BACKLOG = 1024
LOOK_EVERY = 5.0
_SAID_EVERY = timedelta(days=1)
# Longer than any client of ours keeps a connection that it does not use.
LEAVING_SECONDS = 100.0


class TlsError(OSError):
    """The certificate cannot be used; the message is a sentence with the file's name."""


class Certificate:
    """`tls.crt` and `tls.key` of a folder, as they were at one moment."""

    def __init__(self, folder: Path) -> None:
        """Raises `TlsError` when the two are missing, or do not belong together."""
        # One look through the link that is swapped, so that the two are of the same age.
        place = (folder / "tls.crt").resolve().parent
        self.certificate, self.key = place / "tls.crt", place / "tls.key"
        try:
            shown = self.certificate.read_bytes()
            self.digest = hashlib.sha256(shown + b"\0" + self.key.read_bytes()).digest()
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
            self.lifetime = Lifetime.of(shown)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise TlsError(f"The certificate in {folder} cannot be used: {_reason(error)}.") from error


class _Ending:
    """Says in the log, once a day, that the certificate which is shown ends soon and nobody has renewed it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: datetime | None = None

    def look(self, lifetime: Lifetime) -> None:
        now = self._clock()
        if not lifetime.overdue(now):
            self._said = None
        elif self._said is None or now - self._said >= _SAID_EVERY:
            self._said = now
            event = "certificate_ended" if lifetime.ended(now) else "certificate_ends_soon"
            _log.warning(event, until=lifetime.until.isoformat())


class TlsContext:
    """The same for a server of asyncio's own: `context` always holds the folder's newest certificate.

    A connection keeps what it was begun with, so none is ended for a new certificate.
    """

    def __init__(self, folder: Path, *, look_every: float = LOOK_EVERY, clock: Clock = system_clock) -> None:
        """Raises `TlsError` when the certificate cannot be used."""
        self._folder = folder
        self._look_every = look_every
        certificate = Certificate(folder)
        self._digest = certificate.digest
        self._lifetime = certificate.lifetime
        self._ending = _Ending(clock)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(certificate.certificate, certificate.key)

    def metrics(self) -> bytes:
        """When the certificate ends, as Prometheus reads it."""
        name = b"havn_certificate_not_after_timestamp_seconds"
        return b"# HELP %b When the certificate that is shown ends.\n# TYPE %b gauge\n%b %d\n" % (
            name, name, name, self._lifetime.until.timestamp(),
        )  # fmt: skip

    async def follow(self) -> None:
        """Take up whatever certificate the folder gets, until cancelled."""
        while True:
            self._ending.look(self._lifetime)
            await asyncio.sleep(self._look_every)
            try:
                certificate = Certificate(self._folder)
                if certificate.digest == self._digest:
                    continue
                self.context.load_cert_chain(certificate.certificate, certificate.key)
            except (OSError, ssl.SSLError) as error:
                _log.warning("certificate_not_renewed", reason=str(error))
            else:
                self._digest, self._lifetime = certificate.digest, certificate.lifetime
                _log.info("certificate_renewed")


class TlsServer:
    """Serves `app` over TLS; when the folder's certificate changes, new connections get the new one.

    A generation of the server for each certificate takes connections from the same listening socket. The one before
    takes no more, and goes on with those that it has: over HTTP/1.1 it ends each after its next answer, saying so in
    it, and when it stops at last only connections that nobody uses are left. So no request meets a closed connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        folder: Path,
        *,
        host: str,
        port: int,
        look_every: float = LOOK_EVERY,
        leaving_seconds: float = LEAVING_SECONDS,
        clock: Clock = system_clock,
    ) -> None:
        self._app = app
        self._ending = _Ending(clock)
        self._folder = folder
        self._host = host
        self._port = port
        self._look_every = look_every
        self._leaving_seconds = leaving_seconds
        self._leaving: set[asyncio.Task[None]] = set()

    async def serve(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set; requests under way are finished first. Raises `TlsError`, OSError."""
        certificate = Certificate(self._folder)
        with _listen(self._host, self._port) as listening:
            lifespan = LifespanProtocol(self._app)  # type: ignore[no-untyped-call]
            await lifespan.startup()  # type: ignore[no-untyped-call]
            if lifespan.interrupt:
                raise RuntimeError("The application did not start.") from lifespan.exc
            current = _Generation(self._app, certificate, listening)
            try:
                while not stopping.is_set() and current.running:
                    self._ending.look(current.certificate.lifetime)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._look_every):
                            await stopping.wait()
                    if not stopping.is_set():
                        current = self._renewed(current, listening)
            finally:
                for task in self._leaving:
                    task.cancel()
                await asyncio.gather(current.stop(), *self._leaving, return_exceptions=True)
                await lifespan.shutdown()  # type: ignore[no-untyped-call]

    def _renewed(self, current: _Generation, listening: socket.socket) -> _Generation:
        """The generation to go on with: another when the certificate has changed."""
        try:
            certificate = Certificate(self._folder)
            if certificate.digest == current.certificate.digest:
                return current
            renewed = _Generation(self._app, certificate, listening)
        except (TlsError, OSError, RuntimeError, ValueError) as error:
            # The one we have may be good for long yet; the next look may find a better one.
            _log.warning("certificate_not_renewed", reason=str(error))
            return current
        _log.info("certificate_renewed")
        current.leave()
        task = asyncio.create_task(current.stop_later(self._leaving_seconds))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return renewed


class _Generation:
    """A server with one certificate, on a shared listening socket."""

    def __init__(self, app: ASGIApp, certificate: Certificate, listening: socket.socket) -> None:
        self.certificate = certificate
        self._app = app
        self._ends_connections = False
        self._server = _SharingServer(
            self._answer, listening, ssl_cert=certificate.certificate, ssl_key=certificate.key
        )
        self._serving = asyncio.create_task(self._server.serve())

    @property
    def running(self) -> bool:
        """Whether it serves, as far as we know."""
        return not self._serving.done()

    def leave(self) -> None:
        """From now on, take no connections, and end each that there is after its next answer."""
        if self.running:
            self._server.take_no_more()
        self._ends_connections = True

    async def stop_later(self, seconds: float) -> None:
        """Stop after that time, or at once when cancelled."""
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Take no connections any more, finish the requests under way, and end."""
        if not self._serving.done():
            self._server.stop()  # type: ignore[no-untyped-call]
        await self._serving

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: Message) -> None:
            # HTTP/2 has a way of its own to end a connection, and no such field.
            if self._ends_connections and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, last if scope.get("http_version", "").startswith("1") else send)


class _SharingServer(Server):
    """Granian on a socket that is listened on already, with others."""

    def __init__(self, app: Any, listening: socket.socket, **options: Any) -> None:
        super().__init__(app, interface=Interfaces.ASGINL, websockets=False, log_enabled=False, **options)
        # One of its own, which it closes when it stops.
        self._descriptor = os.dup(listening.fileno())

    def _init_shared_socket(self) -> None:
        holder: Any = getattr(net, "SocketHolder")  # noqa: B009  (left out of what Granian declares)
        self._shd = holder(self._descriptor, False, _BACKLOG)

    def take_no_more(self) -> None:
        """Go on with the connections that are there, and leave new ones to the others.

        Granian knows only how to stop, and would drop what it has just accepted. So its descriptor is made one of a
        socket that nobody can find: whenever it is woken, nothing is there.
        """
        with socket.socket(socket.AF_UNIX) as nobody:
            # A name of the kernel's choice, which is no file's.
            nobody.bind("")
            nobody.listen(1)
            nobody.setblocking(False)
            os.dup2(nobody.fileno(), self._descriptor, inheritable=False)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listening.setblocking(False)
    return listening
