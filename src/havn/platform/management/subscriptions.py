"""Applications and their subscriptions: asked for, approved or rejected, suspended, resumed, revoked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from havn.contracts.management import (
    LIVE,
    Api,
    Application,
    NewApplication,
    NewSubscription,
    Plan,
    Subscription,
    SubscriptionAct,
    SubscriptionChange,
    SubscriptionState,
)
from havn.kit.problem import Problem
from havn.platform.management.actors import Actor
from havn.platform.management.apis import is_being_left
from havn.platform.management.recording import Recorder
from havn.platform.management.store import Database, UniqueViolation, apis, applications, subscriptions

_FROM: Mapping[SubscriptionAct, tuple[frozenset[SubscriptionState], SubscriptionState]] = {
    "approve": (frozenset(("pending",)), "active"),
    "reject": (frozenset(("pending",)), "rejected"),
    "suspend": (frozenset(("active",)), "suspended"),
    "resume": (frozenset(("suspended",)), "active"),
    "revoke": (LIVE, "revoked"),
}
_WANTS_REASON: frozenset[SubscriptionAct] = frozenset(("reject", "suspend", "revoke"))
_MOST_APPLICATIONS = 100


class Subscriptions:
    """The operations. Who may do them is decided before."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._db = database
        self._recorder = recorder

    async def register(self, actor: Actor, new: NewApplication, owner_name: str) -> Application:
        """Make an application; 409 when its owner has one of that name, or too many."""
        made = Application(
            id=_new_id(self._recorder.clock()),
            name=new.name.strip(),
            owner=new.owner,
            owner_name=owner_name,
            contact=new.contact.strip(),
            created=self._recorder.clock(),
        )
        if not made.name:
            raise Problem(400, "An application needs a name.", code="invalid_name")
        if len(await applications.owned_by(self._db, new.owner)) >= _MOST_APPLICATIONS:
            raise Problem(409, "The organisation has too many applications.", code="too_many_applications")
        try:
            async with self._db.transaction() as connection:
                await applications.add(connection, made)
                await self._recorder.record(
                    connection, actor, "register", f"application/{made.id}", consumer=made.owner, after=made
                )
        except UniqueViolation:
            raise Problem(409, "The organisation has an application of this name.", code="application_exists") from None
        return made

    async def application(self, id_: str) -> Application:
        """One application; 404 when there is none."""
        found = await applications.find(self._db, as_uuid(id_))
        if found is None:
            raise Problem(404, "There is no such application.", code="unknown_application")
        return found

    async def ask(self, actor: Actor, application: Application, wanted: NewSubscription) -> Subscription:
        """Ask for a plan: active at once when the plan says so, else waiting for the owner of the Api.

        404 for an unknown plan; 409 when it cannot be had, or the application has or awaits it already.
        """
        now = self._recorder.clock()
        try:
            async with self._db.transaction() as connection:
                plan = await apis.find_plan(connection, wanted.plan)
                api = await apis.find(connection, plan.api) if plan is not None else None
                if plan is None or api is None or api.state == "draft":
                    raise Problem(404, "There is no such plan.", code="unknown_plan")
                if plan.state != "open" or is_being_left(api, now):
                    raise Problem(409, "This plan can no longer be asked for.", code="plan_closed")
                if api.access != "key":
                    raise Problem(409, "This Api is open to all: no plan is needed.", code="no_plan_needed")
                auto = plan.approval == "auto"
                await subscriptions.settle(connection, application.id, plan.id, now)
                made = Subscription(
                    id=_new_id(now),
                    application=application.id,
                    plan=plan.id,
                    api=api.id,
                    state="active" if auto else "pending",
                    created=now,
                    expires=_end(plan, now) if auto else None,
                    purpose=wanted.purpose.strip(),
                    application_name=application.name,
                    owner=application.owner,
                    owner_name=application.owner_name,
                )
                await subscriptions.add(connection, made)
                await self._recorder.record(
                    connection, actor, "ask", f"subscription/{made.id}", org=api.org, consumer=made.owner, after=made
                )
                return made
        except UniqueViolation:
            raise Problem(
                409, "The application has this plan already, or awaits an answer.", code="subscription_exists"
            ) from None

    async def find(self, id_: str) -> tuple[Subscription, Api]:
        """One subscription and its Api; 404 when there is none."""
        found = await subscriptions.find(self._db, as_uuid(id_), self._recorder.clock())
        api = await apis.find(self._db, found.api) if found is not None else None
        if found is None or api is None:
            raise Problem(404, "There is no such subscription.", code="unknown_subscription")
        return found, api

    async def change(self, actor: Actor, id_: str, act: SubscriptionAct, wanted: SubscriptionChange) -> Subscription:
        """Approve, reject, suspend, resume or revoke.

        404 when there is none, 400 without a reason where one is owed, 409 from a state that does not allow it.
        """
        reason = wanted.reason.strip()
        if act in _WANTS_REASON and not reason:
            raise Problem(400, "Say why: the consumer reads the reason.", code="reason_missing")
        now = self._recorder.clock()
        if wanted.expires is not None and (act != "approve" or wanted.expires <= now):
            raise Problem(400, "An end can be given with approve, and lies ahead.", code="invalid_expires")
        before_states, after_state = _FROM[act]
        async with self._db.transaction() as connection:
            before = await subscriptions.hold(connection, as_uuid(id_), now)
            api = await apis.find(connection, before.api) if before is not None else None
            if before is None or api is None:
                raise Problem(404, "There is no such subscription.", code="unknown_subscription")
            if before.state not in before_states:
                raise Problem(
                    409, f"A subscription that is {before.state} cannot be changed so.", code="wrong_state",
                    state=before.state,
                )  # fmt: skip
            expires = before.expires
            if act == "approve":
                plan = await apis.find_plan(connection, before.plan)
                expires = wanted.expires or (_end(plan, now) if plan is not None else None)
            after = msgspec.structs.replace(before, state=after_state, reason=reason, expires=expires)
            await subscriptions.change(connection, after.id, after.state, after.reason, after.expires)
            await self._recorder.record(
                connection, actor, act, f"subscription/{after.id}", org=api.org, consumer=after.owner,
                before=before, after=after,
            )  # fmt: skip
            return after


def as_uuid(text: str) -> str:
    """`text` as a uuid in its usual form; 404 when it is none, for then there is nothing with that id."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Problem(404, "There is nothing with this id.", code="unknown_id") from None


def _end(plan: Plan, now: datetime) -> datetime | None:
    return now + timedelta(days=plan.days) if plan.days is not None else None


def _new_id(now: datetime) -> str:
    """A UUID version 7 (RFC 9562): newest sorts last."""
    milliseconds = int(now.timestamp() * 1000)
    random = uuid.uuid4().int & ((1 << 74) - 1)
    value = (milliseconds << 80) | (7 << 76) | ((random >> 62) << 64) | (2 << 62) | (random & ((1 << 62) - 1))
    return str(uuid.UUID(int=value))
