"""Apis and their plans: written by their owner or with a deployment, deprecated, retired, removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.management import (
    OWN_ROUTES,
    PLATFORM,
    Api,
    ApiDeclaration,
    ApiTerms,
    Declarations,
    Deprecation,
    Plan,
    PlanTerms,
    api_id,
    claimed_paths,
    is_own_route,
    plan_id,
)
from havn.kit.problem import Problem
from havn.platform.management.actors import Actor
from havn.platform.management.recording import Recorder
from havn.platform.management.store import Connection, Database, apis

_ORG = re.compile(r"[a-z][a-z0-9]{0,49}")
_APP = re.compile(r"[a-z][a-z0-9-]{0,49}")
_ID = re.compile(r"([a-z][a-z0-9]{0,49})\.([a-z][a-z0-9-]{0,49})\.([a-z][a-z0-9-]{0,39})\.([a-z0-9][a-z0-9-]{0,19})")
_TERMS = frozenset(ApiTerms.__struct_fields__)


class Apis:
    """The operations. Who may do them is decided before."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._db = database
        self._recorder = recorder

    async def find(self, id_: str) -> Api:
        """One Api; 404 when there is none."""
        found = await apis.find(self._db, id_)
        if found is None:
            raise _unknown()
        return found

    async def find_plan(self, id_: str) -> tuple[Plan, Api]:
        """One plan and its Api; 404 when there is none."""
        plan = await apis.find_plan(self._db, id_)
        if plan is None:
            raise Problem(404, "There is no such plan.", code="unknown_plan")
        return plan, await self.find(plan.api)

    async def write(self, actor: Actor, org: str, app: str, terms: ApiDeclaration) -> Api:
        """Make or change one Api with its plans.

        409 when it came with a deployment, which alone may change it, or another Api of the app has one of its paths.
        """
        _check_names(org, app)
        id_ = api_id(org, app, terms.name, terms.version)
        async with self._db.transaction() as connection:
            await self._not_declared(connection, id_)
            written = await self._write(connection, actor, org, app, terms, declared=False)
            await self._one_api_a_path(connection, org, app)
            return written

    async def declare(self, actor: Actor, org: str, app: str, wanted: Declarations) -> list[Api]:
        """Make the app's declared Apis exactly `wanted`, as a deployment does; safe to repeat.

        One that is no longer wanted is removed when nobody ever asked for it, else retired with its plans closed.
        """
        _check_names(org, app)
        async with self._db.transaction() as connection:
            ids = {api_id(org, app, each.name, each.version) for each in wanted.apis}
            for before in await apis.declared(connection, org, app):
                if before.id not in ids:
                    await self._withdraw(connection, actor, before, declared=True)
            written = [await self._write(connection, actor, org, app, each, declared=True) for each in wanted.apis]
            await self._one_api_a_path(connection, org, app)
            return written

    async def write_plan(self, actor: Actor, api: str, terms: PlanTerms) -> Plan:
        """Make or change one plan, open to new subscribers. 404, or 409 as for `write`."""
        async with self._db.transaction() as connection:
            owner = await self._not_declared(connection, api)
            if owner is None:
                raise _unknown()
            return await self._write_plan(connection, actor, owner, terms)

    async def close_plan(self, actor: Actor, api: str, name: str) -> None:
        """Take a plan away: removed when nobody ever asked for it, else closed to new subscribers."""
        async with self._db.transaction() as connection:
            owner = await self._not_declared(connection, api)
            plan = await apis.find_plan(connection, plan_id(api, name))
            if owner is None or plan is None:
                raise Problem(404, "There is no such plan.", code="unknown_plan")
            await self._close(connection, actor, owner, plan)

    async def deprecate(self, actor: Actor, id_: str, wanted: Deprecation) -> Api:
        """Say that an Api should no longer be taken into use, and when it ends. 404, or 409 as for `write`."""
        async with self._db.transaction() as connection:
            before = await self._not_declared(connection, id_)
            if before is None:
                raise _unknown()
            now = self._recorder.clock()
            changed = {
                "state": "deprecated",
                "deprecated": wanted.deprecated or before.deprecated or now.replace(microsecond=0),
                "sunset": wanted.sunset or before.sunset,
                "successor": _successor(before.org, before.app, before.name, wanted.successor or before.successor),
            }
            try:
                after = msgspec.structs.replace(before, **changed)
            except ValueError as error:
                raise Problem(400, f"The times cannot be: {error}.", code="invalid_times") from None
            await self._put(connection, actor, "deprecate", before, after, declared=False)
            return after

    async def remove(self, actor: Actor, id_: str) -> bool:
        """Remove an Api that nobody ever asked for, else retire it; returns whether it is gone."""
        async with self._db.transaction() as connection:
            before = await self._not_declared(connection, id_)
            if before is None:
                raise _unknown()
            return await self._withdraw(connection, actor, before, declared=False)

    async def _write(
        self, connection: Connection, actor: Actor, org: str, app: str, terms: ApiDeclaration, *, declared: bool
    ) -> Api:
        _check_paths(org, app, terms)
        id_ = api_id(org, app, terms.name, terms.version)
        held = await apis.hold(connection, id_)
        members = {name: getattr(terms, name) for name in _TERMS}
        members["successor"] = _successor(org, app, terms.name, terms.successor)
        after = Api(id=id_, org=org, app=app, **members)
        if held is None or held != (after, declared):
            await self._put(connection, actor, "write", held[0] if held else None, after, declared=declared)
        names = {plan.name for plan in terms.plans}
        for plan in await apis.plans_of(connection, id_):
            if plan.name not in names and plan.state == "open":
                await self._close(connection, actor, after, plan)
        for each in terms.plans:
            await self._write_plan(connection, actor, after, each)
        return after

    async def _one_api_a_path(self, connection: Connection, org: str, app: str) -> None:
        claimed = claimed_paths(await apis.managed_apis(connection, org, app))
        twice = next((path for place, path in enumerate(claimed) if path in claimed[:place]), None)
        if twice is not None:
            raise Problem(
                409, f"Another Api of the app has the path {twice}: a request belongs to one.", code="path_taken"
            )

    async def _put(
        self, connection: Connection, actor: Actor, action: str, before: Api | None, after: Api, *, declared: bool
    ) -> None:
        await apis.put(connection, after, declared=declared, now=self._recorder.clock())
        await self._recorder.record(
            connection, actor, action, f"api/{after.id}", org=after.org, before=before, after=after
        )

    async def _write_plan(self, connection: Connection, actor: Actor, api: Api, terms: PlanTerms) -> Plan:
        members = {name: getattr(terms, name) for name in PlanTerms.__struct_fields__}
        after = Plan(id=plan_id(api.id, terms.name), api=api.id, **members)
        before = await apis.find_plan(connection, after.id)
        if before != after:
            await apis.put_plan(connection, after)
            await self._recorder.record(
                connection, actor, "write", f"plan/{after.id}", org=api.org, before=before, after=after
            )
        return after

    async def _withdraw(self, connection: Connection, actor: Actor, before: Api, *, declared: bool) -> bool:
        plans = await apis.plans_of(connection, before.id)
        if any([await apis.plan_is_used(connection, plan.id) for plan in plans]):
            for plan in plans:
                await self._close(connection, actor, before, plan)
            if before.state != "retired":
                after = msgspec.structs.replace(before, state="retired")
                await self._put(connection, actor, "retire", before, after, declared=declared)
            return False
        await apis.remove(connection, before.id)
        await self._recorder.record(connection, actor, "remove", f"api/{before.id}", org=before.org, before=before)
        return True

    async def _close(self, connection: Connection, actor: Actor, api: Api, plan: Plan) -> None:
        object_ = f"plan/{plan.id}"
        if not await apis.plan_is_used(connection, plan.id):
            await apis.remove_plan(connection, plan.id)
            await self._recorder.record(connection, actor, "remove", object_, org=api.org, before=plan)
        elif plan.state == "open":
            after = msgspec.structs.replace(plan, state="closed")
            await apis.put_plan(connection, after)
            await self._recorder.record(connection, actor, "close", object_, org=api.org, before=plan, after=after)

    async def _not_declared(self, connection: Connection, id_: str) -> Api | None:
        held = await apis.hold(connection, id_)
        if held is not None and held[1]:
            raise Problem(
                409,
                f"{id_} came with a deployment of its app: change deployment/api.yaml there and deploy.",
                code="declared_by_app",
            )
        return held[0] if held is not None else None


def owner_of(id_: str) -> tuple[str, str, str, str]:
    """Org, app, name and version in the id of an Api; 404 when it is none."""
    match = _ID.fullmatch(id_)
    if match is None:
        raise _unknown()
    return match[1], match[2], match[3], match[4]


def newest_first(found: Sequence[Api]) -> list[Api]:
    """The versions of Apis, the newest of each first: by the numbers in their names."""
    return sorted(found, key=lambda api: (api.org, api.app, api.name, _rank(api.version)))


def is_being_left(api: Api, now: datetime) -> bool:
    """Whether nobody new should begin with the Api: it is deprecated by now, or retired."""
    return api.state == "retired" or (
        api.state == "deprecated" and api.deprecated is not None and api.deprecated <= now
    )


def _rank(version: str) -> tuple[tuple[int, str], ...]:
    return tuple((-int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", version))


def _successor(org: str, app: str, name: str, wanted: str | None) -> str | None:
    if wanted is None or wanted == "":
        return None
    found = wanted if "." in wanted else api_id(org, app, name, wanted)
    if _ID.fullmatch(found) is None:
        raise Problem(
            400, "The successor is neither the id of an Api nor a version of this one.", code="invalid_successor"
        )
    return found


def _check_names(org: str, app: str) -> None:
    if not _ORG.fullmatch(org) or not _APP.fullmatch(app):
        raise Problem(400, "The names of org and app cannot be used.", code="invalid_app")
    if org == PLATFORM and app not in OWN_ROUTES:
        # An Api that nothing enforces would promise limits that nobody keeps.
        names = ", ".join(sorted(OWN_ROUTES))
        raise Problem(400, f"Of the platform's own APIs, {names} can be managed; {app} cannot.", code="not_managed")


def _check_paths(org: str, app: str, terms: ApiTerms) -> None:
    own = next((path for path in terms.paths if org == PLATFORM and is_own_route(app, path.rstrip("/"))), None)
    if own is not None:
        raise Problem(
            400,
            f"The platform itself lives by {own} of {app}: no key can be asked for there, so no Api can have it.",
            code="own_route",
        )


def _unknown() -> Problem:
    return Problem(404, "There is no such Api.", code="unknown_api")
