"""Service levels put together for the management API: routes, and what runs beside them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from havn.contracts.management import PLATFORM
from havn.engines.levels import periods
from havn.guard.platform_token import PlatformTokenSigner, PlatformTokenVerifier, require_caller
from havn.kit.clock import Clock
from havn.kit.http import HttpClient, ProxiedTransport
from havn.kit.problem import Problem
from havn.kit.queue import Worker
from havn.kit.trust import Trust
from havn.platform.management import asking
from havn.platform.management.actors import Mandates
from havn.platform.management.levels.agreements import Agreements
from havn.platform.management.levels.alerts import Alerts, every
from havn.platform.management.levels.api import LevelsApi
from havn.platform.management.levels.ingest import Ingest
from havn.platform.management.levels.measuring import Measuring
from havn.platform.management.levels.reporting import Reporting
from havn.platform.management.levels.senders import Senders
from havn.platform.management.levels.store.agreements import DELIVERY, AgreementStore, Author
from havn.platform.management.levels.store.counts import BATCHES_KEPT, CountStore
from havn.platform.management.levels.store.senders import SenderStore

_LOOK_SECONDS = 60.0
_FORGET_SECONDS = 3600.0


_RECORDS = "records"
"""The component that sends what an ingress recorded."""


class Questions:
    """Who may ask, answered as the rest of the management API does: `mandates` and `verifier` are its own."""

    def __init__(self, mandates: Mandates, verifier: PlatformTokenVerifier) -> None:
        self._mandates = mandates
        self._verifier = verifier

    async def owner(self, request: Request, org: str) -> Author:
        """The operator, or whoever manages the Apis of `org`. 401, 403."""
        actor = await asking.actor(request, self._verifier)
        await self._mandates.require_owner(actor, org)
        return Author(actor.who, actor.address)

    async def ingress(self, request: Request) -> None:
        """The component `records`. 401, 403."""
        caller = await require_caller(request, self._verifier, issuers={PLATFORM})
        if caller.app != _RECORDS:
            raise Problem(403, "This component may not do this.", code="platform_token_refused")


class Levels:
    """`database` is management's pool, `database_url` its address for the queue, `key` the component's private JWK.

    `egress_url` is the proxy for outbound calls: empty, and no alert can be set. `trust` verifies it. `outbound` stands
    in for the network.
    """

    def __init__(
        self,
        database: Any,
        database_url: str,
        clock: Clock,
        *,
        key: str,
        egress_url: str,
        questions: Questions,
        trust: Trust | None = None,
        outbound: Any = None,
    ) -> None:
        self._url = database_url
        self._clock = clock
        self.counts = CountStore(database)
        store = AgreementStore(database)
        measuring = Measuring(self.counts, clock)
        self._http: HttpClient | None = None
        if egress_url or outbound is not None:
            signer = PlatformTokenSigner(issuer="platform", app="management", audience="egress", key=key, clock=clock)
            transport = outbound if outbound is not None else ProxiedTransport(egress_url, signer.token, trust=trust)
            self._http = HttpClient("", name="The receiver", timeout=15, transport=transport)
        self.agreements = Agreements(
            store,
            clock,
            key=hmac.digest(key.encode(), b"havn level alerts", hashlib.sha256),
            way_out=self._http is not None,
        )
        self.alerts = Alerts(store, measuring, clock, secret=self.agreements.secret, http=self._http)
        self._api = LevelsApi(
            ingest=Ingest(self.counts, clock),
            agreements=self.agreements,
            store=store,
            measuring=measuring,
            reporting=Reporting(store, measuring, clock),
            senders=Senders(SenderStore(database), clock),
            sender_store=SenderStore(database),
            org_access=questions.owner,
            ingress=questions.ingress,
            clock=clock,
        )

    def routes(self, base: str) -> list[BaseRoute]:
        """The routes, below `base`."""
        return self._api.routes(base)

    def pages(self, base: str) -> list[Route]:
        """What people see of it on the host of the pages."""
        return self._api.pages(base)

    async def forget(self) -> None:
        """Remove what is older than it is kept for."""
        now = self._clock()
        while await self.counts.forget(
            minutes_before=periods.first_minute_kept(now),
            days_before=periods.midnight(periods.forgotten_before(now)),
            batches_before=now - BATCHES_KEPT,
        ):
            pass

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for alerts, deliver them, and forget, while the block runs."""
        tasks = [asyncio.create_task(every(_FORGET_SECONDS, self.forget, "retention"), name="retention")]
        # Without a way out no alert can be set, and a message of one that was set before waits.
        if self._http is not None:
            worker = Worker(self._url, "management", {DELIVERY: self.alerts.deliver}, at_once=4)
            tasks += [
                asyncio.create_task(worker.run(), name="level alerts"),
                asyncio.create_task(every(_LOOK_SECONDS, self.alerts.look, "alerts"), name="burn rates"),
            ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._http is not None:
                await self._http.close()
