"""The ingress process as its parent sees it: kept running, and given the routes that clusters and platform ask for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from havn.gateway.ingress.control import Answer, Command
from havn.gateway.ingress.routes import Route, Table
from havn.gateway.ingress.shut import Blocked, Closed
from havn.kit.background import cancel
from havn.local.process import Child
from havn.local.supervisor import Supervisor

_ANSWER_WITHIN = 5.0
_BACK_WITHIN = 30.0


OVERRIDING = "dev/"
"""Keys that begin so take precedence."""


class GatewayAway(Exception):
    """The gateway does not run and did not come back in time."""


class Gateway:
    """Supervises `python -m havn.gateway.ingress` on `port` and keeps its routing table.

    Routes are kept by key, one key for each that sets some, and survive a restart of the process. Every request is
    recorded in `access_log`, if that is given.
    """

    def __init__(
        self,
        *,
        port: int,
        scheme: str,
        environ: Mapping[str, str],
        records: Path,
        access_log: Path | None = None,
        output: Callable[[str], None],
    ) -> None:
        self._environ = {**environ, "HAVN_PORT": str(port), "HAVN_SCHEME": scheme}
        if access_log is not None:
            self._environ["HAVN_ACCESS_LOG"] = str(access_log)
        self._records = records
        self._routes: dict[str, tuple[Route, ...]] = {}
        self._closed: tuple[Closed, ...] = ()
        self._blocked: tuple[Blocked, ...] = ()
        self._version = 0
        self._count = 0
        self._writer: asyncio.StreamWriter | None = None
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._listener: asyncio.Task[None] | None = None
        self.supervisor = Supervisor("ingress", self._start, self._probe, output=output, ready_within=20, grace=8)

    async def begin(self) -> None:
        """Start, and return once it listens. Raises `StartFailed`."""
        self.supervisor.begin()
        await self.supervisor.ready(attempts=1)

    async def stop(self) -> None:
        """Stop it; requests under way get some seconds to end."""
        await self.supervisor.stop()
        await self._disconnect()

    async def route(self, key: str, routes: Sequence[Route]) -> None:
        """Replace the routes under `key`; when this returns, every new request follows them. Raises `GatewayAway`."""
        self._routes.pop(key, None)
        if routes:
            self._routes[key] = tuple(routes)
        self._version += 1
        await self._ask(table=self._table())

    async def shut(self, closed: Sequence[Closed], blocked: Sequence[Blocked]) -> None:
        """Replace the apps in maintenance and the blocked addresses. Raises `GatewayAway`."""
        self._closed, self._blocked = tuple(closed), tuple(blocked)
        self._version += 1
        await self._ask(table=self._table())

    async def drained(self, upstreams: Sequence[str], seconds: float) -> bool:
        """Wait until no request is under way at `upstreams`, where no route leads any more."""
        try:
            return (await self._ask(drain=tuple(upstreams), timeout=seconds)).drained
        except GatewayAway:
            return False

    def _table(self) -> Table:
        # Among equal prefixes the first route wins: what a developer runs stands before what is deployed.
        keys = sorted(self._routes, key=lambda key: not key.startswith(OVERRIDING))
        routes = tuple(route for key in keys for route in self._routes[key])
        return Table(self._version, routes, self._closed, self._blocked)

    async def _ask(self, *, table: Table | None = None, drain: tuple[str, ...] = (), timeout: float = 0.0) -> Answer:  # noqa: ASYNC109
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _BACK_WITHIN
        while True:
            with contextlib.suppress(ConnectionError, TimeoutError):
                return await self._send(table, drain, timeout)
            # It died: its successor starts with the newest table, so once that is ready there is only the drain left.
            if loop.time() > give_up:
                raise GatewayAway("the gateway is not running")
            await asyncio.sleep(0.05)

    async def _send(self, table: Table | None, drain: tuple[str, ...], seconds: float) -> Answer:
        if self._writer is None or self._writer.is_closing():
            raise ConnectionError
        self._count += 1
        number = self._count
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            command = Command(id=number, table=table, drain=drain, timeout=seconds)
            self._writer.write(msgspec.json.encode(command) + b"\n")
            await self._writer.drain()
            return await asyncio.wait_for(answer, seconds + _ANSWER_WITHIN)
        finally:
            self._answers.pop(number, None)

    async def _start(self, output: Callable[[str], None]) -> Child:
        await self._disconnect()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.set_inheritable(True)
        with theirs:
            child = await Child.start(
                [sys.executable, "-P", "-m", "havn.gateway.ingress"],
                name="ingress",
                environ={**self._environ, "HAVN_CONTROL_FD": str(theirs.fileno())},
                output=output,
                records=self._records,
                pass_fds=[theirs.fileno()],
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._listener = asyncio.create_task(self._listen(reader))
        return child

    async def _probe(self) -> bool:
        try:
            await self._send(self._table(), (), 0.0)
        except (ConnectionError, TimeoutError):
            return False
        return True

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                answer = msgspec.json.decode(line, type=Answer)
                waiting = self._answers.get(answer.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the gateway ended"))

    async def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._listener is not None:
            await cancel(self._listener)
            self._listener = None
