"""What is shut in orgs' clusters: kept as rows, told to each cluster by a job of its own, and ended by another.

A change is told within seconds. A cluster that does not answer is told when it does; what is shut elsewhere does not
wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import msgspec

from havn.appfolder.ids import AppId
from havn.clusters.kubernetes import shut
from havn.clusters.port import ClusterError
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.deploy.author import Author
from havn.deploy.environments import Environments
from havn.deploy.estate.clusters import EstateClusters
from havn.deploy.estate.model import ClusterRow, EnvironmentRow, host
from havn.deploy.estate.store import EstateStore
from havn.deploy.protection import rules, subscriptions
from havn.deploy.protection.store import END_BLOCK, END_MAINTENANCE, TELL, ProtectionStore
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.queue import Handler, Job

_TOLD_WITHIN = 8.0
_POLL_SECONDS = 0.1
_EXPIRY = "expiry"


class _Cluster(msgspec.Struct, frozen=True):
    environment: str
    org: str


class _App(msgspec.Struct, frozen=True):
    environment: str
    org: str
    app: str


class _Block(msgspec.Struct, frozen=True):
    environment: str
    block: str


class ClusterProtection:
    """See `Ingresses`: those of the clusters in `estate`; subscriptions are of the platforms of `environments`."""

    def __init__(
        self,
        store: ProtectionStore,
        *,
        estate: EstateStore,
        clusters: EstateClusters,
        environments: Environments,
        clock: Clock,
    ) -> None:
        self.store = store
        self._estate = estate
        self._clusters = clusters
        self._environments = environments
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        """The jobs, by kind."""
        return {TELL: self._tell, END_MAINTENANCE: self._end_maintenance, END_BLOCK: self._end_block}

    async def closed(self, environment: str, orgs: Collection[str] | None) -> list[ClosedApp]:
        """See `Ingresses.closed`."""
        await self._environments.find(environment)
        return await self.store.closed(environment, orgs)

    async def close(self, environment: str, app: AppId, wanted: ClosingRequest, author: Author) -> ClosedApp:
        """See `Ingresses.close`."""
        await self._environments.find(environment)
        made = rules.closing(app, wanted, author)
        jobs = await self.store.close(environment, made, author)
        return msgspec.structs.replace(made, in_force=not await self._untold(jobs))

    async def open(self, environment: str, app: AppId, author: Author) -> bool:
        """See `Ingresses.open`."""
        await self._environments.find(environment)
        jobs = await self.store.open(environment, app, author)
        if jobs is None:
            raise rules.not_closed(app)
        return not await self._untold(jobs)

    async def blocks(self, environment: str) -> list[Block]:
        """See `Ingresses.blocks`."""
        await self._environments.find(environment)
        now, behind = self._clock(), await self._behind_proxy(environment)
        return [
            msgspec.structs.replace(each, behind_proxy=behind if each.network is not None else ())
            for each in await self.store.blocks(environment)
            if each.until > now
        ]

    async def block(self, environment: str, wanted: BlockRequest, author: Author) -> Block:
        """See `Ingresses.block`."""
        place = await self._environments.find(environment)
        made = rules.blocking(wanted, author)
        if made.subscription is not None:
            await subscriptions.suspend(place.publisher.manage, made.subscription, made.reason, author.who)
        try:
            jobs = await self.store.add_block(environment, made, author)
        except Problem:
            if made.subscription is not None:
                await subscriptions.resume(place.publisher.manage, made.subscription, author.who)
            raise
        behind = await self._behind_proxy(environment) if made.network is not None else ()
        return msgspec.structs.replace(made, waiting=tuple(await self._untold(jobs)), behind_proxy=behind)

    async def unblock(self, environment: str, id_: str, author: Author) -> bool:
        """See `Ingresses.unblock`."""
        found = await self.store.block(environment, id_)
        if found is None:
            raise rules.no_block()
        jobs = await self._remove(environment, found, author)
        return not await self._untold(jobs)

    async def _remove(self, environment: str, block: Block, author: Author) -> Sequence[int]:
        if block.subscription is not None:
            others = [each for each in await self.store.blocks(environment) if each.id != block.id]
            if all(each.subscription != block.subscription for each in others):
                place = await self._environments.find(environment)
                await subscriptions.resume(place.publisher.manage, block.subscription, author.who)
        return await self.store.remove_block(environment, block.id, author) or []

    async def _behind_proxy(self, environment: str) -> tuple[str, ...]:
        """Traefik's rules go by who connects, and by no header field."""
        return tuple(
            row.org
            for row in await self._estate.clusters(None)
            if row.environment == environment and row.base_values.get("protection", {}).get("proxiesInFront", 0)
        )

    async def _untold(self, jobs: Sequence[int]) -> list[str]:
        """The orgs whose clusters could not be told, or not in time."""
        until = asyncio.get_running_loop().time() + _TOLD_WITHIN
        while untold := await self.store.untold(jobs):
            if all(untold.values()) or asyncio.get_running_loop().time() > until:
                return sorted(untold)
            # Another process may do the job.
            await asyncio.sleep(_POLL_SECONDS)
        return []

    # Jobs.

    async def _tell(self, job: Job) -> None:
        which = msgspec.json.decode(job.payload, type=_Cluster)
        row = await self._estate.cluster(which.org, which.environment)
        place = await self._estate.environment(which.environment)
        if row is None or place is None:
            return
        closed = [
            shut.Shut(app=each.app, message=each.message, until=each.until)
            for each in await self.store.closed(which.environment, [which.org])
        ]
        now = self._clock()
        blocks = await self.store.blocks(which.environment)
        networks = {each.network for each in blocks if each.network is not None and each.until > now}
        try:
            async with self._clusters.reach(row) as reached:
                await shut.put(reached.kube, _entrance(row, place), closed, networks)
        except ClusterError as error:
            # Tried again soon, and again.
            raise Problem(503, str(error)) from error

    async def _end_maintenance(self, job: Job) -> None:
        which = msgspec.json.decode(job.payload, type=_App)
        author = self._expiry()
        # What was changed since ends when it says now, by a job of its own.
        await self.store.open(which.environment, AppId(which.org, which.app), author, due=author.now)

    async def _end_block(self, job: Job) -> None:
        which = msgspec.json.decode(job.payload, type=_Block)
        found = await self.store.block(which.environment, which.block)
        if found is not None:
            await self._remove(which.environment, found, self._expiry())

    def _expiry(self) -> Author:
        return Author(_EXPIRY, "", self._clock())


def _entrance(row: ClusterRow, place: EnvironmentRow) -> shut.Entrance:
    base = row.base_values
    return shut.Entrance(
        org=row.org,
        host=host(row.org, place.domain),
        entry_point=str(base.get("entryPoints", {}).get("https", "https")),
        tls_secret=str(base.get("tlsSecret", "")),
    )
