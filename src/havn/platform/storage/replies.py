"""An instance as an answer: with the elements that the caller is shown, and its version as the entity tag."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.storage import DataElement
from havn.guard.middleware import require_principal
from havn.kit.web import json_response
from havn.platform.storage.access import Access
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.conditions import etag
from havn.platform.storage.store.rows import Stored


class Replies:
    """Makes answers."""

    def __init__(self, access: Access, catalogue: Catalogue) -> None:
        self._access = access
        self._catalogue = catalogue

    async def instance(self, request: Request, stored: Stored) -> Response:
        """200 with the instance."""
        data = await self.shown(request, stored)
        instance = stored.instance
        if len(data) != len(instance.data):
            instance = msgspec.structs.replace(instance, data=list(data))
        return json_response(instance, headers=etag(stored.version))

    async def shown(self, request: Request, stored: Stored) -> Sequence[DataElement]:
        """The elements that the caller is shown."""
        if not stored.instance.data:
            return ()
        application = await self._catalogue.of(stored)
        return await self._access.shown(request, require_principal(request), stored, application)
