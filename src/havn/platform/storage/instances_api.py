"""Routes of whole instances: HTTP in and out, nothing else."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.storage import (
    IDEMPOTENCY_HEADER,
    OWNER_IDENTIFIER_HEADER,
    DataElementList,
    DataValues,
    Instance,
    PresentationTexts,
    Substatus,
)
from havn.guard.middleware import require_principal
from havn.kit.web import json_response
from havn.platform.storage import bodies
from havn.platform.storage.changes import Call
from havn.platform.storage.conditions import etag
from havn.platform.storage.instances import Instances, as_guid, checked_key
from havn.platform.storage.replies import Replies
from havn.platform.storage.search import Search
from havn.platform.storage.store.rows import Stored


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A query parameter that is true or false, in any case."""
    value = request.query_params.get(name)
    return default if not value else value.lower() == "true"


def guid_of(request: Request) -> str:
    """The instance's guid in the path; 404 when it is none."""
    return as_guid(request.path_params["guid"])


class InstancesApi:
    """Handlers."""

    def __init__(self, instances: Instances, search: Search, replies: Replies) -> None:
        self._instances = instances
        self._search = search
        self._replies = replies

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`; the most asked first."""
        one = f"{base}/instances/{{party:int}}/{{guid}}"
        return [
            Route(one, self.get, methods=["GET"]),
            Route(f"{base}/instances", self.query, methods=["GET"]),
            Route(f"{base}/instances", self.create, methods=["POST"]),
            Route(f"{one}/dataelements", self.elements, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/complete", self.complete, methods=["POST"]),
            Route(f"{one}/readstatus", self.read_status, methods=["PUT"]),
            Route(f"{one}/substatus", self.substatus, methods=["PUT"]),
            Route(f"{one}/presentationtexts", self.texts, methods=["PUT"]),
            Route(f"{one}/datavalues", self.values, methods=["PUT"]),
            Route(f"{base}/instances/{{guid}}", self.get, methods=["GET"]),
        ]

    async def get(self, request: Request) -> Response:
        """GET instances/{party}/{guid} and instances/{guid}."""
        principal = require_principal(request)
        stored = await self._instances.read(principal, guid_of(request))
        return await self._replies.instance(request, stored)

    async def query(self, request: Request) -> Response:
        """GET instances."""
        principal = require_principal(request)
        owner = request.headers.get(OWNER_IDENTIFIER_HEADER)
        return json_response(await self._search.page(request, principal, request.query_params, owner))

    async def create(self, request: Request) -> Response:
        """POST instances?appId=."""
        principal = require_principal(request)
        wanted = await bodies.read(request, Instance)
        key = checked_key(request.headers.get(IDEMPOTENCY_HEADER))
        stored = await self._instances.create(principal, request.query_params.get("appId"), wanted, key)
        links = stored.instance.self_links
        location = (links.platform if links else None) or ""
        return json_response(stored.instance, 201, {"location": location, **etag(stored.version)})

    async def elements(self, request: Request) -> Response:
        """GET instances/{party}/{guid}/dataelements."""
        principal = require_principal(request)
        stored = await self._instances.read_elements(principal, guid_of(request))
        return json_response(DataElementList(data_elements=list(await self._replies.shown(request, stored))))

    async def delete(self, request: Request) -> Response:
        """DELETE instances/{party}/{guid}?hard=."""
        stored = await self._instances.delete(Call.of(request), guid_of(request), hard=flag(request, "hard"))
        return _without_data(stored)

    async def complete(self, request: Request) -> Response:
        """POST instances/{party}/{guid}/complete."""
        return await self._replies.instance(request, await self._instances.complete(Call.of(request), guid_of(request)))

    async def read_status(self, request: Request) -> Response:
        """PUT instances/{party}/{guid}/readstatus?status=."""
        status = request.query_params.get("status")
        stored = await self._instances.set_read_status(Call.of(request), guid_of(request), status)
        return await self._replies.instance(request, stored)

    async def substatus(self, request: Request) -> Response:
        """PUT instances/{party}/{guid}/substatus."""
        call = Call.of(request)
        substatus = await bodies.read(request, Substatus)
        return await self._replies.instance(
            request, await self._instances.set_substatus(call, guid_of(request), substatus)
        )

    async def texts(self, request: Request) -> Response:
        """PUT instances/{party}/{guid}/presentationtexts."""
        call = Call.of(request)
        body = await bodies.read(request, PresentationTexts)
        return await self._replies.instance(
            request, await self._instances.merge_texts(call, guid_of(request), body.texts)
        )

    async def values(self, request: Request) -> Response:
        """PUT instances/{party}/{guid}/datavalues."""
        call = Call.of(request)
        body = await bodies.read(request, DataValues)
        return await self._replies.instance(
            request, await self._instances.merge_values(call, guid_of(request), body.values)
        )


def _without_data(stored: Stored) -> Response:
    return json_response(msgspec.structs.replace(stored.instance, data=[]), headers=etag(stored.version))
