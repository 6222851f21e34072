"""Delegation: a party lets someone do something on its behalf, for a time, to be passed on so and so many times.

Who may give: whoever holds the right and may administer the party's access; or whoever was given it with leave to pass
it on. What was passed on ends with what it came from.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, Change, Delegation, Grant, Receiver, SubjectFacts, SubjectRef
from havn.contracts.resources import app_of
from havn.engines.app_policy.roles import KEY_ROLES, REGISTER_ROLES
from havn.engines.xacml import Attribute, DecisionRequest, Request
from havn.guard.principal import Kind, Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.pdp import DecisionPoint
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.store.delegations import DelegationStore
from havn.platform.authorization.store.resources import ResourceStore

ADMINISTERING_ROLES = KEY_ROLES | {"priv", "seln", "admai", "hadm"}
"""Who may give away what a party has: its key people, its access administrators, a person for herself."""
ADMINISTERING_PACKAGES = frozenset({"tilgangsstyring", "hovedadministrator"})
_RIGHT_ATTRIBUTES = frozenset(
    {contract.ORG, contract.APP, contract.RESOURCE_ID, contract.TASK, contract.END_EVENT, contract.APP_RESOURCE}
)
_TEXT = 200


class Delegations:
    """Gives, lists and revokes delegations."""

    def __init__(
        self,
        store: DelegationStore,
        information: InformationPoint,
        decisions: DecisionPoint,
        resources: ResourceStore,
        *,
        clock: Clock,
        max_depth: int,
        announce: Callable[[Change], None],
    ) -> None:
        self._announce = announce
        self._store = store
        self._information = information
        self._decisions = decisions
        self._resources = resources
        self._clock = clock
        self._max_depth = max_depth

    async def give(self, grant: Grant, giver: Principal) -> Delegation:
        """Write a delegation. 400 when it makes no sense, 403 when the giver may not give this."""
        given = await self.prepare(grant, giver)
        await self.write([given])
        return given

    async def write(self, given: Sequence[Delegation]) -> None:
        """Write what was prepared, all or nothing, and have it count at once."""
        await self._store.add(*given)
        for party in {one.from_party_id for one in given}:
            self._announce(Change("facts", party_id=party))

    async def prepare(self, grant: Grant, giver: Principal) -> Delegation:
        """The delegation that `grant` asks for, not yet written. 400 and 403 as `give`."""
        now = self._clock()
        kind = self._check(grant, now)
        await self._check_receiver(grant)
        await self._check_delegable(grant)
        parent = await self._authority(grant, kind, giver, now)
        valid_from = grant.valid_from or now
        valid_to = grant.valid_to
        depth = 0
        if parent is not None:
            depth = parent.depth + 1
            if grant.further >= parent.further:
                raise Problem(
                    400, f"This may be passed on {parent.further - 1} more times at most.", code="chain_too_long"
                )
            # What is passed on never outlives what it came from.
            if parent.valid_to is not None and (valid_to is None or valid_to > parent.valid_to):
                valid_to = parent.valid_to
            valid_from = max(valid_from, parent.valid_from)
        return Delegation(
            id=str(uuid.uuid4()),
            from_party_id=grant.from_party_id,
            to=grant.to,
            kind=kind,
            resource=with_app(grant.resource) if grant.resource else None,
            action=grant.action,
            role=grant.role.lower() if grant.role else None,
            access_package=grant.access_package,
            instance_id=grant.instance_id,
            valid_from=valid_from,
            valid_to=valid_to,
            further=grant.further,
            depth=depth,
            parent=parent.id if parent is not None else None,
            given=now,
            given_by=_by(giver),
            reason=grant.reason,
        )

    async def revoke(self, id_: str, who: Principal) -> int:
        """End a delegation and what was passed on from it; how many ended.

        The giver, the receiver (who gives it back) and whoever administers the party may. 404 to everybody else.
        """
        found = await self._get(id_)
        if not await self._concerns(found, who, administering=True):
            raise _not_found()
        ended = await self._store.revoke(id_, at=self._clock(), by=_by(who))
        self._announce(Change("facts", party_id=found.from_party_id))
        return ended

    async def may_give(
        self, who: Principal, party: int, rights: Sequence[tuple[Sequence[AttributePair], str]]
    ) -> list[str | None]:
        """For each right (resource, action) why `who` may not give it away for `party`; None where they may.

        `right-not-held`: nobody gives away more than they have; `not-administrator`: they have it, but neither
        administer the party's access nor were given it to pass on.
        """
        facts, now = await self._facts(who, party), self._clock()
        to_pass_on = [held for held in await self._held(who, party, now) if held.further > 0 and held.valid_from <= now]
        has = await self._permitted(who, party, [(resource, action, None) for resource, action in rights])
        reasons: list[str | None] = []
        for (resource, action), permitted in zip(rights, has, strict=True):
            grant = Grant(party, Receiver(), list(resource), action)
            if any(_covers(held, grant, "right") for held in to_pass_on):
                reasons.append(None)
            elif not permitted:
                reasons.append("right-not-held")
            else:
                reasons.append(None if self._administering(facts) else "not-administrator")
        return reasons

    async def one(self, id_: str, who: Principal) -> Delegation:
        """One delegation, to those it concerns; 404 to everybody else."""
        found = await self._get(id_)
        if not await self._concerns(found, who, administering=False):
            raise _not_found()
        return found

    async def search(
        self, who: Principal, *, from_party: int | None, to_party: int | None, to_user: int | None, ended: bool
    ) -> list[Delegation]:
        """Delegations from a party that `who` administers, or to a party or user that `who` is or acts for."""
        if from_party is None and to_party is None and to_user is None:
            raise Problem(400, "Say from or to whom: fromPartyId, toPartyId or toUserId.", code="filter_missing")
        own_user = to_user is not None and to_user == who.user_id
        own_party = to_party is not None and (to_party == who.party_id or bool(await self._roles(who, to_party)))
        if not (own_user or own_party or (from_party is not None and await self._administers(who, from_party))):
            raise Problem(403, "You may see only what you give or receive.", code="forbidden")
        return await self._store.search(
            from_party=from_party, to_party=to_party, to_user=to_user,
            in_force_at=None if ended else self._clock(),
        )  # fmt: skip

    def _check(self, grant: Grant, now: datetime) -> Literal["right", "role", "accessPackage"]:
        receivers = (grant.to.user_id, grant.to.party_id, grant.to.system_user_id)
        if sum(value is not None for value in receivers) != 1:
            raise Problem(400, "Name exactly one receiver.", code="receiver_invalid")
        _check_uuid(grant.to.system_user_id)
        if not 0 <= grant.further < self._max_depth:
            raise Problem(
                400, f"A delegation may be passed on {self._max_depth - 1} times at most.", code="chain_too_long"
            )
        if grant.valid_to is not None and grant.valid_to <= max(now, grant.valid_from or now):
            raise Problem(400, "The delegation would be over before it began.", code="period_invalid")
        if grant.reason is not None and len(grant.reason) > 1000:
            raise Problem(400, "The reason has at most 1000 characters.", code="reason_invalid")
        right = grant.resource is not None or grant.action is not None
        if sum((right, grant.role is not None, grant.access_package is not None)) != 1:
            raise Problem(400, "Give one thing: a right, a role or an access package.", code="grant_invalid")
        for text in (grant.role, grant.access_package, grant.action, grant.instance_id):
            if text is not None and not 0 < len(text) <= _TEXT:
                raise Problem(400, "A name in the delegation is empty or too long.", code="grant_invalid")
        if not right:
            if grant.instance_id is not None:
                raise Problem(400, "Only a right can be for one instance.", code="grant_invalid")
            return "role" if grant.role is not None else "accessPackage"
        check_right(grant.resource, grant.action)
        # Instances of apps say whose they are; what instances of other resources are called is their owner's matter.
        head = grant.instance_id.partition("/")[0] if grant.instance_id is not None else None
        if head not in (None, str(grant.from_party_id)) and registered_resource(grant.resource or []) is None:
            raise Problem(400, "The instance belongs to another party.", code="grant_invalid")
        return "right"

    async def _check_receiver(self, grant: Grant) -> None:
        if grant.to.party_id is not None and grant.to.party_id == grant.from_party_id:
            raise Problem(400, "A party needs no delegation from itself.", code="receiver_invalid")
        if grant.to.user_id is not None:
            who = await self._information.resolve(SubjectRef(user_id=grant.to.user_id))
            if who is None:
                raise Problem(400, "The receiver is not known.", code="receiver_invalid")
            if who.party_id == grant.from_party_id:
                raise Problem(400, "A party needs no delegation from itself.", code="receiver_invalid")
        elif grant.to.party_id is not None and not await self._information.exists(grant.to.party_id):
            raise Problem(400, "The receiver is not known.", code="receiver_invalid")

    async def _check_delegable(self, grant: Grant) -> None:
        registered = registered_resource(grant.resource or [])
        if registered is not None:
            found = await self._resources.get(registered)
            if found is None or not found.delegable:
                raise Problem(400, "Rights to that resource cannot be given.", code="not_delegable")

    async def _authority(self, grant: Grant, kind: str, giver: Principal, now: datetime) -> Delegation | None:
        """By what the giver may give: None as the party's administrator, else the delegation that is passed on."""
        facts = await self._facts(giver, grant.from_party_id)
        if self._administering(facts) and await self._holds(grant, kind, giver, facts):
            return None
        for held in await self._held(giver, grant.from_party_id, now):
            if held.further > 0 and held.valid_from <= now and _covers(held, grant, kind):
                return held
        raise Problem(403, "You may not give this away for that party.", code="delegation_forbidden")

    async def _holds(self, grant: Grant, kind: str, giver: Principal, facts: SubjectFacts) -> bool:
        """Whether the giver holds what is given away: nobody gives away more than they have."""
        if kind == "role":
            wanted = (grant.role or "").lower()
            # Key people may hand out the platform's own roles, which no register assigns to anyone.
            return wanted in roles_of(facts) or (bool(roles_of(facts) & KEY_ROLES) and wanted not in REGISTER_ROLES)
        if kind == "accessPackage":
            held = {pair.value for pair in facts.attributes if pair.id == contract.ACCESS_PACKAGE}
            return grant.access_package in held
        right = (grant.resource or [], grant.action or "", grant.instance_id)
        return (await self._permitted(giver, grant.from_party_id, [right]))[0]

    async def _permitted(
        self, who: Principal, party: int, rights: Sequence[tuple[Sequence[AttributePair], str, str | None]]
    ) -> list[bool]:
        """Whether `who` has each right (resource, action, instance) of `party`; 503 when that cannot be told."""
        requests = []
        for resource, action, instance in rights:
            pairs = [*with_app(resource), AttributePair(contract.PARTY_ID, str(party))]
            if instance is not None:
                pairs.append(AttributePair(contract.INSTANCE_ID, instance))
            attributes = [
                Attribute(category=contract.SUBJECT, id=contract.USER_ID, values=(str(who.user_id),)),
                Attribute(category=contract.ACTION, id=contract.ACTION_ID, values=(action,)),
                *(Attribute(category=contract.RESOURCE, id=pair.id, values=(pair.value,)) for pair in pairs),
            ]
            requests.append(Request.of(attributes, now=self._clock()))
        answer = await self._decisions.decide(DecisionRequest(requests=tuple(requests)))
        if answer.fault:
            raise Problem(503, "Your own rights cannot be checked just now.", code="authorization_unavailable")
        return [result.permitted for result in answer.results]

    async def _held(self, who: Principal, party: int, now: datetime) -> list[Delegation]:
        to_parties: Sequence[int] = [who.party_id] if who.party_id is not None else []
        return await self._store.between([party], user=who.user_id, to_parties=to_parties, system_user=None, at=now)

    async def _concerns(self, found: Delegation, who: Principal, *, administering: bool) -> bool:
        if found.given_by == _by(who):
            return True
        if found.to.user_id is not None and found.to.user_id == who.user_id:
            return True
        if found.to.party_id is not None and await self._administers(who, found.to.party_id):
            return True
        return await self._administers(who, found.from_party_id)

    async def _administers(self, who: Principal, party: int) -> bool:
        return self._administering(await self._facts(who, party))

    @staticmethod
    def _administering(facts: SubjectFacts) -> bool:
        packages = {pair.value for pair in facts.attributes if pair.id == contract.ACCESS_PACKAGE}
        return bool(roles_of(facts) & ADMINISTERING_ROLES) or bool(packages & ADMINISTERING_PACKAGES)

    async def _roles(self, who: Principal, party: int) -> set[str]:
        return roles_of(await self._facts(who, party))

    async def _facts(self, who: Principal, party: int) -> SubjectFacts:
        if who.kind is not Kind.USER or who.user_id is None:
            raise Problem(403, "Only a person may do this.", code="not_a_person")
        subject = SubjectRef(user_id=who.user_id, party_id=who.party_id)
        return (await self._information.subject_facts(subject, [party]))[0]

    async def _get(self, id_: str) -> Delegation:
        try:
            found = await self._store.get(str(UUID(id_)))
        except ValueError:
            raise _not_found() from None
        if found is None:
            raise _not_found()
        return found


def roles_of(facts: SubjectFacts) -> set[str]:
    """The role codes among a subject's facts, lower case."""
    return {pair.value for pair in facts.attributes if pair.id == contract.ROLE_CODE}


def check_right(resource: Sequence[AttributePair] | None, action: str | None) -> None:
    """400 unless it names an app or a registered resource, and only what a right can be about, each attribute once."""
    if not action or not resource:
        raise Problem(400, "A right is an action on a resource.", code="grant_invalid")
    names = [pair.id for pair in resource]
    if (
        len(names) != len(set(names))
        or not _RIGHT_ATTRIBUTES.issuperset(names)
        or any(not 0 < len(pair.value) <= _TEXT for pair in resource)
    ):
        raise Problem(400, "The resource has an attribute that a right cannot be about.", code="grant_invalid")
    held = {pair.id for pair in with_app(resource)}
    if held != {contract.RESOURCE_ID} and (contract.ORG not in held or contract.APP not in held):
        raise Problem(
            400, "The resource must name an app by org and app, or be a registered one by itself.", code="grant_invalid"
        )


def registered_resource(resource: Sequence[AttributePair]) -> str | None:
    """The id of a resource that is no app; None when the attributes name an app."""
    held = {pair.id: pair.value for pair in with_app(resource)}
    return held.get(contract.RESOURCE_ID) if contract.APP not in held else None


def with_app(resource: Sequence[AttributePair]) -> list[AttributePair]:
    """The resource with org and app in place of `app_{org}_{app}`, sorted."""
    pairs = {pair.id: pair.value for pair in resource}
    app = app_of(pairs.get(contract.RESOURCE_ID, ""))
    if app is not None:
        pairs.pop(contract.RESOURCE_ID)
        pairs.setdefault(contract.ORG, app[0])
        pairs.setdefault(contract.APP, app[1])
    return [AttributePair(name, value) for name, value in sorted(pairs.items())]


def _covers(held: Delegation, grant: Grant, kind: str) -> bool:
    """Whether `grant` is no more than what `held` gives."""
    if held.kind != kind:
        return False
    if kind == "role":
        return held.role == (grant.role or "").lower()
    if kind == "accessPackage":
        return held.access_package == grant.access_package
    wanted = {pair.id: pair.value for pair in with_app(grant.resource or [])}
    return (
        held.action == grant.action
        and (held.instance_id is None or held.instance_id == grant.instance_id)
        and all(wanted.get(pair.id) == pair.value for pair in held.resource or [])
    )


def _by(who: Principal) -> str:
    return f"user:{who.user_id}" if who.user_id is not None else who.performed_by()


def _check_uuid(text: str | None) -> None:
    if text is None:
        return
    try:
        UUID(text)
    except ValueError:
        raise Problem(400, "A system user is named by a uuid.", code="receiver_invalid") from None


def _not_found() -> Problem:
    return Problem(404, "There is no such delegation.", code="delegation_not_found")
