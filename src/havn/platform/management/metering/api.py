"""The routes that enforcing processes use: what is managed, whose key, the stream of changes, and leases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from havn.contracts.metering import Grant, KeyAnswer, KeyQuestion, Managed, ManagedApi, Settlement, Stamp
from havn.engines import api_keys
from havn.guard.platform_token import Caller, PlatformTokenVerifier, require_caller
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.management.metering.book import anonymous_plan
from havn.platform.management.metering.hub import ChangeHub
from havn.platform.management.metering.leases import Leases, Whose
from havn.platform.management.store import Queries, apis, changes, keys


class MeteringApi:
    """For apps and components, each about itself."""

    def __init__(
        self, queries: Queries, hub: ChangeHub, leases: Leases, components: PlatformTokenVerifier, clock: Clock
    ) -> None:
        self._queries = queries
        self._hub = hub
        self._leases = leases
        self._components = components
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The routes below `base`."""
        return [
            Route(f"{base}/enforcement/events", self.events, methods=["GET"]),
            Route(f"{base}/enforcement/{{org}}/{{app}}/apis", self.managed, methods=["GET"]),
            Route(f"{base}/enforcement/{{org}}/{{app}}/keys", self.key, methods=["POST"]),
            Route(f"{base}/leases", self.settle, methods=["POST"]),
        ]

    async def managed(self, request: Request) -> Response:
        """GET enforcement/{org}/{app}/apis."""
        own = await self._own(request)
        # The number first: what is read after it is at least as new.
        version = await changes.version(self._queries)
        found = [
            ManagedApi(api=api, anonymous=await anonymous_plan(self._queries, api) if api.access == "open" else None)
            for api in await apis.managed_apis(self._queries, own.org, own.app)
        ]
        return json_response(Managed(version=version, apis=tuple(found)))

    async def key(self, request: Request) -> Response:
        """POST enforcement/{org}/{app}/keys."""
        own = await self._own(request)
        question = await read_json(request, KeyQuestion, limit=1024)
        return json_response(await self._answer(own, question.key))

    async def _answer(self, own: Caller, text: str) -> KeyAnswer:
        parsed = api_keys.parse(text)
        found = None if parsed is None else await keys.find_key(self._queries, parsed.prefix, self._clock())
        if parsed is None or found is None or not api_keys.matches(parsed, found.salt, found.digest):
            return KeyAnswer(known=False)
        if (found.api.org, found.api.app) != (own.org, own.app):
            return KeyAnswer(known=True)
        ends = [moment for moment in (found.key.expires, found.subscription.expires) if moment is not None]
        return KeyAnswer(
            known=True,
            grant=Grant(
                prefix=found.key.prefix,
                key_state=found.key.state,
                subscription=found.subscription.id,
                state=found.subscription.state,
                api=found.api.id,
                plan=found.plan,
                owner=found.application.owner,
                until=min(ends, default=None),
            ),
        )

    async def events(self, request: Request) -> Response:
        """GET enforcement/events: the number of the last change, twice a second and at every change."""
        await require_caller(request, self._components)
        return StreamingResponse(
            self._lines(), media_type="application/x-ndjson", headers={"cache-control": "no-store"}
        )

    async def _lines(self) -> AsyncIterator[bytes]:
        async for version in self._hub.subscribe():
            yield msgspec.json.encode(Stamp(version=version)) + b"\n"

    async def settle(self, request: Request) -> Response:
        """POST leases."""
        caller = await require_caller(request, self._components)
        settlement = await read_json(request, Settlement)
        return json_response(await self._leases.settle(Whose(caller.org, caller.app), settlement))

    async def _own(self, request: Request) -> Caller:
        caller = await require_caller(request, self._components)
        if (caller.org, caller.app) != (request.path_params["org"], request.path_params["app"]):
            raise Problem(403, "An app enforces its own Apis only.", code="foreign_app")
        return caller
