"""Routes of an instance's process, events, lock and signatures: HTTP in and out, nothing else."""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.signing import SignRequest
from havn.contracts.storage import (
    InstanceEvent,
    InstanceEventList,
    InstanceLockRequest,
    InstanceLockResponse,
    ProcessState,
    ProcessStateUpdate,
)
from havn.guard.middleware import require_principal
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.platform.storage import bodies
from havn.platform.storage.access import Access
from havn.platform.storage.changes import Call
from havn.platform.storage.events import Events
from havn.platform.storage.instances import as_guid
from havn.platform.storage.instances_api import flag, guid_of
from havn.platform.storage.locks import Locks
from havn.platform.storage.process import Processes
from havn.platform.storage.replies import Replies
from havn.platform.storage.signing import Signing


class ProcessApi:
    """Handlers."""

    def __init__(
        self,
        processes: Processes,
        events: Events,
        locks: Locks,
        signing: Signing,
        access: Access,
        replies: Replies,
    ) -> None:
        self._processes = processes
        self._events = events
        self._locks = locks
        self._signing = signing
        self._access = access
        self._replies = replies

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/instances/{{party:int}}/{{guid}}"
        return [
            Route(f"{one}/process", self.put, methods=["PUT"]),
            Route(f"{one}/process/instanceandevents", self.move, methods=["PUT"]),
            Route(f"{one}/process/history", self.history, methods=["GET"]),
            Route(f"{one}/process/authinfo", self.auth_info, methods=["GET"]),
            Route(f"{one}/events", self.add_event, methods=["POST"]),
            Route(f"{one}/events", self.list_events, methods=["GET"]),
            Route(f"{one}/events/{{event}}", self.get_event, methods=["GET"]),
            Route(f"{one}/lock", self.lock, methods=["POST"]),
            Route(f"{one}/lock", self.extend_lock, methods=["PATCH"]),
            Route(f"{one}/sign", self.sign, methods=["POST"]),
        ]

    async def put(self, request: Request) -> Response:
        """PUT process."""
        call = Call.of(request)
        stored = await self._processes.put(call, guid_of(request), await bodies.read(request, ProcessState))
        return await self._replies.instance(request, stored)

    async def move(self, request: Request) -> Response:
        """PUT process/instanceandevents?deleteGeneratedElements=."""
        call = Call.of(request)
        update = await bodies.read(request, ProcessStateUpdate)
        delete = flag(request, "deleteGeneratedElements", default=True)
        stored = await self._processes.move(call, guid_of(request), update, delete_generated=delete)
        return await self._replies.instance(request, stored)

    async def history(self, request: Request) -> Response:
        """GET process/history."""
        return json_response(await self._processes.history(require_principal(request), guid_of(request)))

    async def auth_info(self, request: Request) -> Response:
        """GET process/authinfo, for platform components."""
        await self._access.component(request)
        return json_response(await self._processes.auth_info(request.path_params["party"], guid_of(request)))

    async def add_event(self, request: Request) -> Response:
        """POST events."""
        principal = require_principal(request)
        event = await self._events.add(principal, guid_of(request), await bodies.read(request, InstanceEvent))
        return json_response(event, 201)

    async def list_events(self, request: Request) -> Response:
        """GET events?eventTypes=&from=&to=."""
        principal, params = require_principal(request), request.query_params
        types = [each for value in params.getlist("eventTypes") for each in value.split(",") if each]
        start, end = _time(params.get("from")), _time(params.get("to"))
        found = await self._events.listed(principal, guid_of(request), types, start, end)
        return json_response(InstanceEventList(instance_events=found))

    async def get_event(self, request: Request) -> Response:
        """GET events/{event}."""
        event_guid = as_guid(request.path_params["event"])
        return json_response(await self._events.one(require_principal(request), guid_of(request), event_guid))

    async def lock(self, request: Request) -> Response:
        """POST lock."""
        call = Call.of(request)
        body = await bodies.read(request, InstanceLockRequest)
        token = await self._locks.take(call, request.path_params["party"], guid_of(request), body.ttl_seconds)
        return json_response(InstanceLockResponse(lock_token=token))

    async def extend_lock(self, request: Request) -> Response:
        """PATCH lock."""
        call = Call.of(request)
        body = await bodies.read(request, InstanceLockRequest)
        await self._locks.extend(call, guid_of(request), body.ttl_seconds)
        return Response(status_code=204)

    async def sign(self, request: Request) -> Response:
        """POST sign."""
        call = Call.of(request)
        element_id = await self._signing.sign(call, guid_of(request), await bodies.read(request, SignRequest))
        return json_response(element_id, 201)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise Problem(400, "from and to must be times.", code="invalid_time") from None
    return bodies.aware(moment)
