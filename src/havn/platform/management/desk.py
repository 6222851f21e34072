"""Everything a route or a page works with, in one place: the operations, who may do them, and lists to read."""

from __future__ import annotations

import msgspec

from havn.contracts.management import (
    Api,
    Application,
    HistoryEntry,
    Plan,
    Subscription,
    SubscriptionAct,
)
from havn.kit.clock import Clock
from havn.platform.management.actors import Actor, Mandates
from havn.platform.management.apis import Apis
from havn.platform.management.keys import Keys
from havn.platform.management.recording import Recorder
from havn.platform.management.store import Database
from havn.platform.management.store import apis as api_rows
from havn.platform.management.store import applications as application_rows
from havn.platform.management.store import history as history_rows
from havn.platform.management.store import subscriptions as subscription_rows
from havn.platform.management.subscriptions import Subscriptions
from havn.platform.management.usage import Figures


class Desk:
    """The operations on one database."""

    def __init__(self, database: Database, mandates: Mandates, clock: Clock) -> None:
        recorder = Recorder(clock)
        self._db = database
        self._clock = clock
        self.mandates = mandates
        self.apis = Apis(database, recorder)
        self.subscriptions = Subscriptions(database, recorder)
        self.keys = Keys(database, recorder)
        self.figures = Figures(database, clock)

    async def require_may_change(
        self, actor: Actor, act: SubscriptionAct, subscription: Subscription, api: Api
    ) -> None:
        """403 unless the actor owns the Api; the consumer itself may only give its access up."""
        if act == "revoke" and not await self.mandates.manages(actor, api.org):
            await self.mandates.require_consumer(actor, subscription.owner)
            return
        await self.mandates.require_owner(actor, api.org)

    async def all_apis(self, org: str | None = None, app: str | None = None) -> list[Api]:
        """Every Api, drafts too."""
        return await api_rows.all_apis(self._db, org, app)

    async def plans(self, api: str) -> list[Plan]:
        """An Api's plans, closed ones too; 404 when there is no such Api."""
        await self.apis.find(api)
        return await api_rows.plans_of(self._db, api)

    async def applications_of(self, owner: str) -> list[Application]:
        """An organisation's applications, by name."""
        return await application_rows.owned_by(self._db, owner)

    async def subscriptions_of(self, *owners: str) -> list[Subscription]:
        """Organisations' subscriptions, newest first."""
        return await subscription_rows.of_owners(self._db, owners, self._clock())

    async def subscriptions_to(self, org: str | None) -> list[Subscription]:
        """Everybody's subscriptions to an owner's Apis (or to all), newest first."""
        ids = [api.id for api in await self.all_apis(org)]
        return await subscription_rows.of_apis(self._db, ids, self._clock())

    async def history(
        self, *, org: str | None, consumer: str | None, object_: str | None, before: int | None
    ) -> list[HistoryEntry]:
        """Changes, newest first, a hundred at a time.

        An owner (`org`) and a consumer see each other's acts, but not who of the other's people did them from where.
        """
        found = await history_rows.listed(self._db, org=org, consumer=consumer, object_=object_, before=before)
        if org is not None:
            return [each if _is_owners(each) else _veiled(each) for each in found]
        if consumer is not None:
            return [each if _is_consumers(each) else _veiled(each) for each in found]
        return found


def _is_consumers(entry: HistoryEntry) -> bool:
    return entry.action in ("register", "ask") or entry.object.startswith("key/")


def _is_owners(entry: HistoryEntry) -> bool:
    # A revoked subscription may be either's doing: then neither is shown who.
    return not _is_consumers(entry) and entry.action != "revoke"


def _veiled(entry: HistoryEntry) -> HistoryEntry:
    return msgspec.structs.replace(entry, who="", address="")
