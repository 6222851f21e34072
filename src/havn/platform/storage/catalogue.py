"""Application metadata for those who need it with every request: cached, and never stale.

The version in force comes with each instance that is read, so a cached copy is used only while it is that version.
"""

from __future__ import annotations

from havn.contracts.storage import Application
from havn.platform.storage.access import not_found
from havn.platform.storage.store import Database, applications
from havn.platform.storage.store.rows import Outline, Stored

_MOST = 5000


class Catalogue:
    """Looks applications up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[tuple[str, str], tuple[int, Application]] = {}

    async def of(self, stored: Stored | Outline) -> Application | None:
        """The application of an instance; None when it has been removed."""
        if stored.application_version is None:
            return None
        return await self._at(stored.org, stored.app, stored.application_version)

    async def require_of(self, stored: Stored) -> Application:
        """The application of an instance; 404 when it has been removed."""
        application = await self.of(stored)
        if application is None:
            raise not_found("application")
        return application

    async def require_version(self, org: str, app: str) -> int:
        """The version of the metadata now in force; 404 when the application is unknown."""
        version = await applications.version(self._database, org, app)
        if version is None:
            raise not_found("application")
        return version

    async def _at(self, org: str, app: str, version: int) -> Application | None:
        kept = self._kept.get((org, app))
        if kept is not None and kept[0] == version:
            return kept[1]
        found = await applications.find(self._database, org, app)
        if found is None:
            self._kept.pop((org, app), None)
            return None
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[org, app] = found
        return found[1]
