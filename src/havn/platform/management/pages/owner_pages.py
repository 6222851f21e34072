"""An owner's pages: who waits for an answer, which Apis one offers, and who uses them."""

from __future__ import annotations

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.management import Api, Consumer, Subscription, SubscriptionAct, SubscriptionChange
from havn.engines.levels.periods import Month
from havn.kit.problem import Problem
from havn.platform.management import apis
from havn.platform.management.pages.visit import Visit


async def offered(request: Request) -> Response:
    """GET /offered."""
    return await _offered(Visit(request))


async def act(request: Request) -> Response:
    """POST /offered/subscriptions/{subscription}/{act}."""
    visit = Visit(request)
    actor, form = visit.require_actor(), await visit.posted()
    wanted = request.path_params["act"]
    if wanted not in get_args(SubscriptionAct):
        raise Problem(404, "There is no such act.", code="unknown_act")
    subscription, api = await visit.desk.subscriptions.find(request.path_params["subscription"])
    await visit.desk.mandates.require_owner(actor, api.org)
    change = SubscriptionChange(reason=form.get("reason", "")[:1000])
    try:
        await visit.desk.subscriptions.change(actor, subscription.id, wanted, change)
    except Problem as problem:
        if problem.code != "reason_missing":
            raise
        mistake = (subscription.id, visit.word("reason_missing"))
        return await (_one(visit, api.id, mistake) if form.get("from") == "api" else _offered(visit, mistake))
    return visit.go(f"/offered/{api.id}?said=done" if form.get("from") == "api" else "/offered?said=done")


async def one(request: Request) -> Response:
    """GET /offered/{api}: who uses it."""
    return await _one(Visit(request), request.path_params["api"])


async def _offered(visit: Visit, mistake: tuple[str, str] | None = None) -> Response:
    actor = visit.require_actor()
    mine: list[Api] = []
    waiting: list[Subscription] = []
    orgs = await visit.desk.mandates.owned(actor)
    for org in orgs:
        mine.extend(await visit.desk.all_apis(org))
        waiting.extend(each for each in await visit.desk.subscriptions_to(org) if each.state == "pending")
    return visit.page(
        "offered.html",
        visit.word("offered"),
        status=200 if mistake is None else 422,
        apis=apis.newest_first(mine),
        by_id={api.id: api for api in mine},
        waiting=waiting,
        orgs=orgs,
        month=str(Month.of(visit.office.clock())),
        mistake=mistake,
        said=_said(visit),
    )


async def _one(visit: Visit, id_: str, mistake: tuple[str, str] | None = None) -> Response:
    actor = visit.require_actor()
    await visit.desk.mandates.require_owner(actor, apis.owner_of(id_)[0])
    api = await visit.desk.apis.find(id_)
    consumers = await visit.desk.figures.consumers(id_)
    return visit.page(
        "offered_api.html",
        f"{api.title.say(visit.language)} {api.version}",
        status=200 if mistake is None else 422,
        api=api,
        plans=await visit.desk.plans(id_),
        consumers=consumers,
        still=sum(_has_access(each) for each in consumers) if api.state == "deprecated" else 0,
        mistake=mistake,
        said=_said(visit),
    )


def _has_access(consumer: Consumer) -> bool:
    return consumer.state in ("active", "suspended")


def _said(visit: Visit) -> str | None:
    return visit.word("done") if visit.request.query_params.get("said") == "done" else None
