"""Routes of those who use Apis: applications, asking for plans, keys, usage."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.management import Api, KeyRequest, NewApplication, NewSubscription, Subscription
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.management import asking
from havn.platform.management.actors import Actor
from havn.platform.management.desk import Desk

_LIMIT = 16 * 1024
# An answer that shows a key is kept nowhere on its way.
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class ConsumerApi:
    """Handlers."""

    def __init__(self, desk: Desk, verifier: PlatformTokenVerifier) -> None:
        self._desk = desk
        self._verifier = verifier

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/subscriptions/{{subscription}}"
        return [
            Route(f"{base}/applications", self.register, methods=["POST"]),
            Route(f"{base}/applications", self.applications, methods=["GET"]),
            Route(f"{base}/subscriptions", self.ask, methods=["POST"]),
            Route(f"{base}/subscriptions", self.subscriptions, methods=["GET"]),
            Route(one, self.one, methods=["GET"]),
            Route(f"{one}/keys", self.keys, methods=["GET"]),
            Route(f"{one}/keys", self.make_key, methods=["POST"]),
            Route(f"{one}/keys/{{prefix}}", self.revoke_key, methods=["DELETE"]),
            Route(f"{one}/keys/{{prefix}}/rotate", self.rotate_key, methods=["POST"]),
            Route(f"{one}/usage", self.usage, methods=["GET"]),
            Route(f"{one}/quotas", self.quotas, methods=["GET"]),
        ]

    async def register(self, request: Request) -> Response:
        """POST applications."""
        actor = await asking.actor(request, self._verifier)
        new = await read_json(request, NewApplication, limit=_LIMIT)
        await self._desk.mandates.require_consumer(actor, new.owner)
        name = await self._desk.mandates.name_of(new.owner)
        return json_response(await self._desk.subscriptions.register(actor, new, name), 201)

    async def applications(self, request: Request) -> Response:
        """GET applications?owner=."""
        _, owner = await self._consumer(request)
        return json_response(await self._desk.applications_of(owner))

    async def ask(self, request: Request) -> Response:
        """POST subscriptions."""
        actor = await asking.actor(request, self._verifier)
        wanted = await read_json(request, NewSubscription, limit=_LIMIT)
        application = await self._desk.subscriptions.application(wanted.application)
        await self._desk.mandates.require_consumer(actor, application.owner)
        return json_response(await self._desk.subscriptions.ask(actor, application, wanted), 201)

    async def subscriptions(self, request: Request) -> Response:
        """GET subscriptions?owner=."""
        _, owner = await self._consumer(request)
        return json_response(await self._desk.subscriptions_of(owner))

    async def one(self, request: Request) -> Response:
        """GET subscriptions/{subscription}, for the consumer and for the owner of the Api."""
        _, subscription, _ = await self._seen(request)
        return json_response(subscription)

    async def keys(self, request: Request) -> Response:
        """GET subscriptions/{subscription}/keys: what may be shown of them."""
        _, subscription, _ = await self._seen(request)
        return json_response(await self._desk.keys.listed(subscription.id))

    async def make_key(self, request: Request) -> Response:
        """POST subscriptions/{subscription}/keys: the only answer that shows the key."""
        actor, subscription, api = await self._mine(request)
        wanted = await read_json(request, KeyRequest, limit=_LIMIT)
        (made,) = await self._desk.keys.make(actor, subscription, api, expires=wanted.expires)
        return json_response(made, 201, _NO_STORE)

    async def rotate_key(self, request: Request) -> Response:
        """POST subscriptions/{subscription}/keys/{prefix}/rotate: another key in place of this one."""
        actor, subscription, api = await self._mine(request)
        wanted = await read_json(request, KeyRequest, limit=_LIMIT)
        made = await self._desk.keys.rotate(
            actor, subscription, api, request.path_params["prefix"], expires=wanted.expires
        )
        return json_response(made, 201, _NO_STORE)

    async def revoke_key(self, request: Request) -> Response:
        """DELETE subscriptions/{subscription}/keys/{prefix}; the owner of the Api may too."""
        actor, subscription, api = await self._seen(request)
        await self._desk.keys.revoke(actor, subscription, api, request.path_params["prefix"])
        return Response(status_code=204)

    async def usage(self, request: Request) -> Response:
        """GET subscriptions/{subscription}/usage?days=."""
        _, subscription, _ = await self._seen(request)
        text = request.query_params.get("days", "30")
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:5]) <= 800):
            raise Problem(400, "days is a number between 1 and 800.", code="invalid_days")
        return json_response(await self._desk.figures.daily(subscription.id, int(text[:5])))

    async def quotas(self, request: Request) -> Response:
        """GET subscriptions/{subscription}/quotas: what is used of each in the period that goes on."""
        _, subscription, _ = await self._seen(request)
        plan, _ = await self._desk.apis.find_plan(subscription.plan)
        return json_response(await self._desk.figures.quotas(subscription.id, plan))

    async def _consumer(self, request: Request) -> tuple[Actor, str]:
        actor = await asking.actor(request, self._verifier)
        owner = request.query_params.get("owner") or actor.principal.org_number
        if not owner:
            raise Problem(400, "Say for which organisation: owner is missing.", code="owner_missing")
        await self._desk.mandates.require_consumer(actor, owner)
        return actor, owner

    async def _mine(self, request: Request) -> tuple[Actor, Subscription, Api]:
        actor = await asking.actor(request, self._verifier)
        subscription, api = await self._desk.subscriptions.find(request.path_params["subscription"])
        await self._desk.mandates.require_consumer(actor, subscription.owner)
        return actor, subscription, api

    async def _seen(self, request: Request) -> tuple[Actor, Subscription, Api]:
        actor = await asking.actor(request, self._verifier)
        subscription, api = await self._desk.subscriptions.find(request.path_params["subscription"])
        if not await self._desk.mandates.manages(actor, api.org):
            await self._desk.mandates.require_consumer(actor, subscription.owner)
        return actor, subscription, api
