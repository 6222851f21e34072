"""Everything a process needs to enforce API management, wired: the management API over HTTP, portions, consumers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from havn.clients.credentials import Credentials
from havn.clients.metering import MeteringClient
from havn.contracts.metering import KeyAnswer, Managed, Settled, Settlement, Stamp
from havn.guard.metering.allowance import TICK_SECONDS
from havn.guard.metering.consumers import Consumer, Consumers
from havn.guard.metering.following import Following
from havn.guard.metering.portions import Portions
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.http import HttpClient


class Management:
    """The management API, as one app or component of one org uses it.

    `stream` is a client of its own: its one answer never ends, and must not take a connection others wait for.
    """

    def __init__(
        self, client: MeteringClient, stream: MeteringClient, signer: PlatformTokenSigner, *, org: str, app: str
    ) -> None:
        self._client = client
        self._stream = stream
        self._signer = signer
        self._org = org
        self._app = app

    def _credentials(self) -> Credentials:
        return Credentials(platform_token=self._signer.token())

    async def managed(self) -> Managed | None:
        """As `MeteringClient.managed`."""
        return await self._client.managed(self._org, self._app, self._credentials())

    async def key(self, key: str) -> KeyAnswer:
        """As `MeteringClient.key`."""
        return await self._client.key(self._org, self._app, key, self._credentials())

    async def settle(self, settlement: Settlement) -> Settled:
        """As `MeteringClient.settle`."""
        return await self._client.settle(settlement, self._credentials())

    def changes(self) -> AsyncIterator[Stamp]:
        """As `MeteringClient.changes`."""
        return self._stream.changes(self._credentials())


CALL_SECONDS = 2.0
"""Requests wait for these calls."""
STREAM_SECONDS = 35.0


class Meter:
    """What the middleware works with; keep `running()` open while serving."""

    def __init__(
        self,
        management: Management,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self.following = Following(management, monotonic=monotonic)
        self.portions = Portions(management, monotonic=monotonic, tick_seconds=tick_seconds)
        self.consumers = Consumers(management, self.following, self.portions, monotonic=monotonic)

        self._connections: list[HttpClient] = []

    @classmethod
    def over(
        cls, http: Callable[[str, float], HttpClient], signer: PlatformTokenSigner, *, org: str, app: str
    ) -> Meter:
        """For the Apis of `org`'s `app`; `http(name, seconds)` makes a client of the platform with that patience."""
        connections = [http("API management", seconds) for seconds in (CALL_SECONDS, STREAM_SECONDS)]
        clients = [MeteringClient(connection) for connection in connections]
        made = cls(Management(clients[0], clients[1], signer, org=org, app=app))
        made._connections = connections
        return made

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow changes and settle for as long as the block lasts; at its end everything unspent is given back."""
        async with AsyncExitStack() as stack:
            for connection in self._connections:
                stack.push_async_callback(connection.close)
            await stack.enter_async_context(self.portions.running())
            await stack.enter_async_context(self.following.running())
            yield

    def count(self, consumer: Consumer, *, observed: bool = False) -> None:
        """A request was let through; `observed`: although a limit was reached."""
        tally = consumer.tally
        tally.allowed += 1
        if observed:
            tally.observed += 1
        if not tally.active:
            self.portions.tell(tally)

    def count_rejected(self, consumer: Consumer) -> None:
        """A request was not let through for a limit's sake."""
        consumer.tally.rejected += 1
        self.portions.tell(consumer.tally)
