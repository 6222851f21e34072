"""A consumer's pages: asking for a plan, what one has, keys shown once, usage, giving up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.management import (
    Api,
    Application,
    NewApplication,
    NewKey,
    NewSubscription,
    Plan,
    Subscription,
    SubscriptionChange,
)
from havn.kit.problem import Problem
from havn.platform.management.actors import Actor
from havn.platform.management.keys import LIVE_KEYS
from havn.platform.management.pages.visit import Visit

# Codes of refusals that the form can tell about, and what it then says.
_TOLD = {
    "application_exists": "name_taken",
    "invalid_name": "wants_name",
    "subscription_exists": "has_plan",
    "plan_closed": "plan_closed",
}


async def ask(request: Request) -> Response:
    """GET /ask?plan=&owner=: the form."""
    visit = Visit(request)
    return await _form(visit, visit.require_actor(), request.query_params.get("owner"))


async def asked(request: Request) -> Response:
    """POST /ask: make the application if it is new, and ask."""
    visit = Visit(request)
    actor, form = visit.require_actor(), await visit.posted()
    owner = form.get("owner", "")
    if not owner:
        return await _form(visit, actor, None, form, "wants_organisation")
    await visit.desk.mandates.require_consumer(actor, owner)
    try:
        application = await _application(visit, actor, owner, form)
        made = await visit.desk.subscriptions.ask(
            actor,
            application,
            NewSubscription(
                application=application.id, plan=form.get("plan", ""), purpose=form.get("purpose", "")[:1000]
            ),
        )
    except Problem as problem:
        if problem.code not in _TOLD:
            raise
        return await _form(visit, actor, owner, form, _TOLD[problem.code or ""])
    return visit.go(f"/subscriptions/{made.id}?said=sent_{made.state}")


async def mine(request: Request) -> Response:
    """GET /mine: the organisations one speaks for, their systems and what these have."""
    visit = Visit(request)
    actor = visit.require_actor()
    organisations = await visit.desk.mandates.represented(actor)
    found = await visit.desk.subscriptions_of(*(each.number for each in organisations))
    of = {each.owner: [other for other in found if other.owner == each.owner] for each in found}
    groups = [(each, of[each.number]) for each in organisations if each.number in of]
    titles = {api.id: api for api in await visit.desk.all_apis()}
    return visit.page("mine.html", visit.word("mine"), groups=groups, apis=titles, any_organisation=bool(organisations))


async def subscription(request: Request) -> Response:
    """GET /subscriptions/{subscription}."""
    visit = Visit(request)
    _, found, api = await _mine(visit)
    return await _subscription(visit, found, api)


async def make_keys(request: Request) -> Response:
    """POST /subscriptions/{subscription}/keys: as many as are missing, shown in this answer only."""
    visit = Visit(request)
    await visit.posted()
    actor, found, api = await _mine(visit)
    live = [key for key in await visit.desk.keys.listed(found.id) if key.state == "active"]
    made = await visit.desk.keys.make(actor, found, api, count=max(LIVE_KEYS - len(live), 1))
    return _shown(visit, found, api, made)


async def rotate_key(request: Request) -> Response:
    """POST /subscriptions/{subscription}/keys/{prefix}/rotate: another in its place, shown in this answer only."""
    visit = Visit(request)
    await visit.posted()
    actor, found, api = await _mine(visit)
    made = await visit.desk.keys.rotate(actor, found, api, request.path_params["prefix"])
    return _shown(visit, found, api, [made])


async def revoke_key(request: Request) -> Response:
    """POST /subscriptions/{subscription}/keys/{prefix}/revoke."""
    visit = Visit(request)
    await visit.posted()
    actor, found, api = await _mine(visit)
    await visit.desk.keys.revoke(actor, found, api, request.path_params["prefix"])
    return visit.go(f"/subscriptions/{found.id}?said=done")


async def give_up(request: Request) -> Response:
    """POST /subscriptions/{subscription}/revoke."""
    visit = Visit(request)
    await visit.posted()
    actor, found, _ = await _mine(visit)
    change = SubscriptionChange(reason=visit.word("give_up"))
    await visit.desk.subscriptions.change(actor, found.id, "revoke", change)
    return visit.go(f"/subscriptions/{found.id}?said=done")


async def _application(visit: Visit, actor: Actor, owner: str, form: dict[str, str]) -> Application:
    chosen = form.get("application", "")
    if chosen and chosen != "new":
        application = await visit.desk.subscriptions.application(chosen)
        await visit.desk.mandates.require_consumer(actor, application.owner)
        return application
    try:
        new = msgspec.convert(
            {"name": form.get("name", ""), "owner": owner, "contact": form.get("contact", "")}, NewApplication
        )
    except msgspec.ValidationError:
        raise Problem(400, "An application needs a name.", code="invalid_name") from None
    # Asked twice, as after a mistake elsewhere in the form, it is the same application.
    for application in await visit.desk.applications_of(owner):
        if application.name == new.name.strip():
            return application
    return await visit.desk.subscriptions.register(actor, new, await visit.desk.mandates.name_of(owner))


async def _form(
    visit: Visit, actor: Actor, owner: str | None, form: dict[str, str] | None = None, mistake: str | None = None
) -> Response:
    organisations = await visit.desk.mandates.represented(actor)
    if owner is None and len(organisations) == 1:
        owner = organisations[0].number
    if owner is not None:
        await visit.desk.mandates.require_consumer(actor, owner)
    wanted = (form or {}).get("plan") or visit.request.query_params.get("plan", "")
    plan, api = await _plan(visit, wanted)
    return visit.page(
        "ask.html",
        visit.word("ask_for", plan=plan.title.say(visit.language)),
        status=200 if mistake is None else 422,
        plan=plan,
        api=api,
        organisations=organisations,
        owner=next((each for each in organisations if each.number == owner), None),
        applications=await visit.desk.applications_of(owner) if owner is not None else [],
        form=form or {},
        mistake=visit.word(mistake) if mistake is not None else None,
        field="owner" if mistake == "wants_organisation" else "name",
    )


async def _plan(visit: Visit, id_: str) -> tuple[Plan, Api]:
    plan, api = await visit.desk.apis.find_plan(id_)
    if api.state == "draft":
        raise Problem(404, "There is no such plan.", code="unknown_plan")
    return plan, api


async def _mine(visit: Visit) -> tuple[Actor, Subscription, Api]:
    actor = visit.require_actor()
    found, api = await visit.desk.subscriptions.find(visit.request.path_params["subscription"])
    await visit.desk.mandates.require_consumer(actor, found.owner)
    return actor, found, api


async def _subscription(visit: Visit, found: Subscription, api: Api) -> Response:
    keys = await visit.desk.keys.listed(found.id)
    live = sum(key.state == "active" for key in keys)
    plan, _ = await visit.desk.apis.find_plan(found.plan)
    said = visit.request.query_params.get("said", "")
    return visit.page(
        "subscription.html",
        f"{found.application_name}: {api.title.say(visit.language)}",
        subscription=found,
        api=api,
        plan=plan,
        keys=keys,
        missing=LIVE_KEYS - live if found.state == "active" else 0,
        days=await visit.desk.figures.daily(found.id),
        quotas=await visit.desk.figures.quotas(found.id, plan),
        history=await visit.desk.history(
            org=None, consumer=found.owner, object_=f"subscription/{found.id}", before=None
        ),
        said=visit.word(said) if said in ("sent_pending", "sent_active", "done") else None,
    )


def _shown(visit: Visit, found: Subscription, api: Api, made: Sequence[NewKey]) -> Response:
    return visit.page(
        "keys.html",
        visit.word("keys_once" if len(made) > 1 else "key_once"),
        subscription=found,
        keys=made,
        url=visit.office.catalogue.address(api) + api.paths[0].rstrip("/"),
    )
