"""From a resource's id to the address of its policy: owner and name."""

from __future__ import annotations

from havn.contracts.resources import app_of, registered_name
from havn.platform.authorization.store.resources import ResourceStore

Address = tuple[str, str]


class Addresses:
    """Knows where the policy of any resource is kept."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store

    async def of(self, resource_id: str) -> Address | None:
        """Owner and name; for `app_{org}_{app}` without asking whether there is such an app. None for no resource."""
        app = app_of(resource_id)
        if app is not None:
            return app
        if len(resource_id) > 100:
            return None
        org = await self._store.owner(resource_id)
        return (org, registered_name(resource_id)) if org is not None else None
