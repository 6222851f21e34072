"""The ingress process: listens on the loopback addresses and takes its table from the parent over a socket.

`HAVN_CONTROL_FD` is one end of a socket pair. The parent writes a `Command` a line in JSON, and reads an `Answer` for
each; only with its first table does the process listen. When the parent is gone, so is the other end of the socket, and
the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path

import msgspec
import setproctitle
import structlog
import uvloop

from havn.gateway.ingress.control import Answer, Command
from havn.gateway.ingress.limits import Limits
from havn.gateway.ingress.records import AccessLog
from havn.gateway.ingress.server import Ingress
from havn.kit import log, settings
from havn.kit.background import cancel
from havn.kit.signals import stop_event

_log = structlog.get_logger("ingress")
_MAX_LINE = 16 * 1024 * 1024
_DECODER = msgspec.json.Decoder(Command)


class IngressSettings(msgspec.Struct, frozen=True):
    """`port` to listen on, the public `scheme`, the descriptor of the control socket, and the bounds of `Limits`."""

    control_fd: int
    port: int = 8000
    scheme: str = "http"
    access_log: str = ""
    """Where every request is recorded; empty: nowhere."""
    max_body_bytes: int = Limits().body_bytes
    address_requests: int = Limits().address_requests
    address_rate: float = Limits().address_rate
    address_burst: int = Limits().address_burst
    org_requests: int = Limits().org_requests


async def main(settings: IngressSettings) -> None:
    """Serve until the parent goes or SIGTERM comes."""
    access_log = AccessLog(Path(settings.access_log)) if settings.access_log else None
    limits = Limits(
        body_bytes=settings.max_body_bytes,
        address_requests=settings.address_requests,
        address_rate=settings.address_rate,
        address_burst=settings.address_burst,
        org_requests=settings.org_requests,
    )
    ingress = Ingress(scheme=settings.scheme, limits=limits, access_log=access_log)
    stopping = asyncio.create_task(stop_event().wait())
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=settings.control_fd), limit=_MAX_LINE)
    # The table comes first: whoever found us listening without it would hear that there is nothing at an address.
    first = asyncio.create_task(reader.readline())
    await asyncio.wait({first, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if first.done() and (line := first.result()):
        command = _taken(ingress, line, writer)
        await ingress.listen("127.0.0.1", settings.port)
        # No IPv6 on this machine: browsers fall back on IPv4 by themselves.
        with contextlib.suppress(OSError):
            await ingress.listen("::1", settings.port)
        control = asyncio.create_task(_control(ingress, command, reader, writer))
        await asyncio.wait({control, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await ingress.close()
        await cancel(control)
    await cancel(first)
    stopping.cancel()
    if access_log is not None:
        access_log.close()


async def _control(
    ingress: Ingress, command: Command | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async with asyncio.TaskGroup() as tasks:
        while True:
            if command is not None:
                # Draining takes its time, and must not hold up the next table.
                tasks.create_task(_finish(ingress, command, writer))
            if not (line := await reader.readline()):
                return
            command = _taken(ingress, line, writer)


def _taken(ingress: Ingress, line: bytes, writer: asyncio.StreamWriter) -> Command | None:
    """The command on this line, its table in use; one that cannot be read is answered, and None."""
    try:
        command = _DECODER.decode(line)
        if command.table is not None:
            ingress.replace(command.table)
    except (msgspec.DecodeError, ValueError) as error:
        _answer(writer, Answer(id=0, version=ingress.version, error=str(error)))
        return None
    return command


async def _finish(ingress: Ingress, command: Command, writer: asyncio.StreamWriter) -> None:
    drained = await ingress.drained(command.drain, command.timeout) if command.drain else True
    _answer(writer, Answer(id=command.id, version=ingress.version, drained=drained))


def _answer(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(msgspec.json.encode(answer) + b"\n")


if __name__ == "__main__":
    setproctitle.setproctitle("havn ingress")
    log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
    wanted = settings.load(IngressSettings)
    try:
        uvloop.run(main(wanted))
    except OSError as error:
        sys.exit(f"The gateway could not listen on port {wanted.port}: {error.strerror}.")
