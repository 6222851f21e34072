"""Metering wired together: the counter store that the settings name, the hub, the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Route

from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.clock import Clock
from havn.platform.management.metering.api import MeteringApi
from havn.platform.management.metering.book import Book
from havn.platform.management.metering.hub import ChangeHub
from havn.platform.management.metering.leases import Leases
from havn.platform.management.metering.rates import MemoryRates, RateStore
from havn.platform.management.store import Queries, changes


class Metering:
    """`routes` to serve and `running()` to hold open while they are served.

    `counters_url` names the counter store, Valkey or Redis; without one rates are kept in memory, which is right for
    one process of the management API only.
    """

    def __init__(
        self,
        queries: Queries,
        database_url: str,
        components: PlatformTokenVerifier,
        *,
        clock: Clock,
        counters_url: str | None = None,
        rates: RateStore | None = None,
    ) -> None:
        self._rates = rates or open_rates(counters_url)
        self.hub = ChangeHub(
            lambda heard, gone: changes.listening(database_url, heard, gone), lambda: changes.version(queries)
        )
        book = Book(queries, lambda: self.hub.version if self.hub.fresh() else None, clock)
        self._api = MeteringApi(queries, self.hub, Leases(queries, self._rates, book, clock), components, clock)

    def routes(self, base: str) -> list[Route]:
        """The routes below `base`."""
        return self._api.routes(base)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow changes for as long as the block lasts."""
        async with self.hub.running():
            yield
        await self._rates.close()


def open_rates(url: str | None) -> RateStore:
    """The counter store at `url`; this process's memory without one."""
    if url is None:
        return MemoryRates()
    # Only where it is used: every other process does without the client.
    from havn.platform.management.metering.valkey import ValkeyRates

    return ValkeyRates(url)
