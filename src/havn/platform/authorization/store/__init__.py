"""SQL of the schema `authorization`."""

from __future__ import annotations

from havn.kit.db import Database
from havn.platform.authorization.store.access_lists import AccessListStore
from havn.platform.authorization.store.changes import VersionStore
from havn.platform.authorization.store.decisions import DecisionStore
from havn.platform.authorization.store.delegations import DelegationStore
from havn.platform.authorization.store.policies import PolicyStore
from havn.platform.authorization.store.resources import ResourceStore


class Stores:
    """All stores on one pool."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.policies = PolicyStore(database)
        self.delegations = DelegationStore(database)
        self.access_lists = AccessListStore(database)
        self.resources = ResourceStore(database)
        self.decisions = DecisionStore(database)
        self.versions = VersionStore(database)

    @classmethod
    async def open(cls, url: str) -> Stores:
        """Connect; raises OSError when the database cannot be reached."""
        return cls(await Database.open(url, "authorization"))

    async def ready(self) -> None:
        """Return when the database answers; 503 `Problem` otherwise."""
        await self._database.fetchval("select 1")

    async def close(self) -> None:
        """Close every connection."""
        await self._database.close()
