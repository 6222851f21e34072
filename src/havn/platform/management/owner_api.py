"""Routes of those who offer Apis: Apis, plans, answers to those who ask, who uses what, the history."""

from __future__ import annotations

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.management import (
    Api,
    ApiDeclaration,
    Declarations,
    Deprecation,
    PlanTerms,
    SubscriptionAct,
    SubscriptionChange,
)
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.management import apis, asking
from havn.platform.management.actors import Actor
from havn.platform.management.desk import Desk

_LIMIT = 256 * 1024


class OwnerApi:
    """Handlers."""

    def __init__(self, desk: Desk, verifier: PlatformTokenVerifier) -> None:
        self._desk = desk
        self._verifier = verifier

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        api = f"{base}/apis/{{api}}"
        acts = "|".join(get_args(SubscriptionAct))
        return [
            Route(f"{base}/apps/{{org}}/{{app}}/apis", self.declare, methods=["PUT"]),
            Route(f"{base}/apis", self.listed, methods=["GET"]),
            Route(api, self.one, methods=["GET"]),
            Route(api, self.write, methods=["PUT"]),
            Route(api, self.remove, methods=["DELETE"]),
            Route(f"{api}/deprecate", self.deprecate, methods=["POST"]),
            Route(f"{api}/plans", self.plans, methods=["GET"]),
            Route(f"{api}/plans/{{plan}}", self.write_plan, methods=["PUT"]),
            Route(f"{api}/plans/{{plan}}", self.close_plan, methods=["DELETE"]),
            Route(f"{api}/consumers", self.consumers, methods=["GET"]),
            Route(f"{base}/requests", self.requests, methods=["GET"]),
            Route(f"{base}/history", self.history, methods=["GET"]),
            *(
                Route(f"{base}/subscriptions/{{subscription}}/{act}", self.change, methods=["POST"], name=act)
                for act in acts.split("|")
            ),
        ]

    async def declare(self, request: Request) -> Response:
        """PUT apps/{org}/{app}/apis, from the control plane: what a deployment declares."""
        await asking.require_deploy(request, self._verifier)
        actor = await asking.actor(request, self._verifier)
        wanted = await read_json(request, Declarations, limit=_LIMIT)
        org, app = request.path_params["org"], request.path_params["app"]
        return json_response(await self._desk.apis.declare(actor, org, app, wanted))

    async def listed(self, request: Request) -> Response:
        """GET apis?org=&app=: drafts too."""
        actor = await asking.actor(request, self._verifier)
        org = request.query_params.get("org") or None
        if org is None:
            if not actor.for_all:
                raise Problem(400, "Say whose Apis: org is missing.", code="org_missing")
        else:
            await self._desk.mandates.require_owner(actor, org)
        return json_response(await self._desk.all_apis(org, request.query_params.get("app") or None))

    async def one(self, request: Request) -> Response:
        """GET apis/{api}."""
        _, id_ = await self._owner(request)
        return json_response(await self._desk.apis.find(id_))

    async def write(self, request: Request) -> Response:
        """PUT apis/{api}: make or change it, with its plans."""
        actor, id_ = await self._owner(request)
        terms = await read_json(request, ApiDeclaration, limit=_LIMIT)
        org, app, name, version = apis.owner_of(id_)
        if (terms.name, terms.version) != (name, version):
            raise Problem(400, "Name and version in the body are not those in the address.", code="wrong_id")
        return json_response(await self._desk.apis.write(actor, org, app, terms))

    async def remove(self, request: Request) -> Response:
        """DELETE apis/{api}: 204 when it is gone, 200 with the Api when it is retired because it is in use."""
        actor, id_ = await self._owner(request)
        if await self._desk.apis.remove(actor, id_):
            return Response(status_code=204)
        return json_response(await self._desk.apis.find(id_))

    async def deprecate(self, request: Request) -> Response:
        """POST apis/{api}/deprecate."""
        actor, id_ = await self._owner(request)
        api: Api = await self._desk.apis.deprecate(actor, id_, await read_json(request, Deprecation, limit=_LIMIT))
        return json_response(api)

    async def plans(self, request: Request) -> Response:
        """GET apis/{api}/plans: closed ones too."""
        _, id_ = await self._owner(request)
        return json_response(await self._desk.plans(id_))

    async def write_plan(self, request: Request) -> Response:
        """PUT apis/{api}/plans/{plan}."""
        actor, id_ = await self._owner(request)
        terms = await read_json(request, PlanTerms, limit=_LIMIT)
        if terms.name != request.path_params["plan"]:
            raise Problem(400, "The name in the body is not the one in the address.", code="wrong_id")
        return json_response(await self._desk.apis.write_plan(actor, id_, terms))

    async def close_plan(self, request: Request) -> Response:
        """DELETE apis/{api}/plans/{plan}."""
        actor, id_ = await self._owner(request)
        await self._desk.apis.close_plan(actor, id_, request.path_params["plan"])
        return Response(status_code=204)

    async def consumers(self, request: Request) -> Response:
        """GET apis/{api}/consumers: who uses it, and when they last did."""
        _, id_ = await self._owner(request)
        await self._desk.apis.find(id_)
        return json_response(await self._desk.figures.consumers(id_))

    async def requests(self, request: Request) -> Response:
        """GET requests?org=&state=: subscriptions to an owner's Apis, newest first; `pending` waits for an answer."""
        actor = await asking.actor(request, self._verifier)
        org, state = request.query_params.get("org") or None, request.query_params.get("state")
        if org is not None:
            await self._desk.mandates.require_owner(actor, org)
        elif not actor.for_all:
            raise Problem(400, "Say whose Apis: org is missing.", code="org_missing")
        found = await self._desk.subscriptions_to(org)
        return json_response([each for each in found if not state or each.state == state])

    async def change(self, request: Request) -> Response:
        """POST subscriptions/{subscription}/approve, reject, suspend, resume or revoke."""
        actor = await asking.actor(request, self._verifier)
        subscription, api = await self._desk.subscriptions.find(request.path_params["subscription"])
        act: SubscriptionAct = request.scope["route"].name
        await self._desk.require_may_change(actor, act, subscription, api)
        wanted = await read_json(request, SubscriptionChange, limit=_LIMIT)
        return json_response(await self._desk.subscriptions.change(actor, subscription.id, act, wanted))

    async def history(self, request: Request) -> Response:
        """GET history?org=|consumer=&object=&before=: newest first, a hundred at a time."""
        actor = await asking.actor(request, self._verifier)
        query = request.query_params
        org, consumer = query.get("org") or None, query.get("consumer") or None
        if org is not None:
            await self._desk.mandates.require_owner(actor, org)
        elif consumer is not None:
            await self._desk.mandates.require_consumer(actor, consumer)
        elif not actor.for_all:
            raise Problem(400, "Say whose history: org or consumer is missing.", code="org_missing")
        before = query.get("before", "")
        return json_response(
            await self._desk.history(
                org=org,
                consumer=consumer,
                object_=query.get("object") or None,
                before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
            )
        )

    async def _owner(self, request: Request) -> tuple[Actor, str]:
        actor = await asking.actor(request, self._verifier)
        id_ = request.path_params["api"]
        await self._desk.mandates.require_owner(actor, apis.owner_of(id_)[0])
        return actor, id_
