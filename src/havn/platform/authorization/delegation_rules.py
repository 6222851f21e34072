"""Delegation rules: the older way to speak of delegated rights, translated to and from delegations.

A *rule* is one right. Rights to one app from one giver to one receiver belong together: they are written all or none.
There is one store: a rule's id is its delegation's, and what was given in one form is seen and ended in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, Delegation, Grant, Receiver, SubjectRef
from havn.contracts.delegation_rules import (
    DelegationChange,
    DelegationChangeEvent,
    DelegationChangeEvents,
    DelegationRule,
    RuleQuery,
    RulesToDelete,
    RuleType,
)
from havn.engines.app_policy.reading import rules
from havn.guard.principal import Kind, Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.delegations import Delegations, check_right, with_app
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.store.delegations import DelegationStore

MAX_RULES = 200
"""Rules or entries in one call."""
MAX_EVENTS = 1000
"""Change events in one answer."""
_Group = tuple[int, Receiver, str, str]
_Pairs = tuple[AttributePair, ...]


class DelegationRules:
    """Gives, tells and ends delegated rights in the form of rules."""

    def __init__(
        self,
        delegations: Delegations,
        store: DelegationStore,
        information: InformationPoint,
        administration: PolicyAdministration,
        *,
        clock: Clock,
    ) -> None:
        self._delegations = delegations
        self._store = store
        self._information = information
        self._administration = administration
        self._clock = clock

    async def add(self, asked: Sequence[DelegationRule]) -> list[DelegationRule]:
        """Write rules, in the order asked; a rule of a group that failed has no id and `created_successfully` false.

        A group fails when the app's policy has no Permit for exactly that resource and action, or when the delegating
        user may not give the right away. A right that is held already counts as written.
        """
        _bounded(asked)
        groups: dict[_Group, list[int]] = {}
        for number, rule in enumerate(asked):
            check_right(rule.resource, rule.action.value)
            groups.setdefault(_group(rule.offered_by_party_id, rule.covered_by, rule.resource), []).append(number)
        ids: dict[int, str] = {}
        for group, numbers in groups.items():
            try:
                written = await self._add_group(group, [asked[number] for number in numbers])
            except Problem as problem:
                if problem.status >= 500:
                    raise
                continue
            ids.update(zip(numbers, written, strict=True))
        return [
            msgspec.structs.replace(rule, rule_id=ids.get(number, ""), created_successfully=number in ids)
            for number, rule in enumerate(asked)
        ]

    async def find(self, query: RuleQuery, *, direct_only: bool) -> list[DelegationRule]:
        """Rules in force, each with how it came to the one asked about. 400 without a giver or a receiver."""
        if query.offered_by_party_id <= 0:
            raise Problem(400, "Say who gives: offeredByPartyId.", code="filter_missing")
        if len(query.key_role_party_ids) > MAX_RULES or len(query.resources) > MAX_RULES:
            raise Problem(400, f"At most {MAX_RULES} of each can be asked about.", code="too_many")
        to = _receiver(query.covered_by) if query.covered_by or not query.key_role_party_ids else Receiver()
        key_parties = set(query.key_role_party_ids) if not direct_only else set()
        givers = [query.offered_by_party_id]
        if query.parent_party_id > 0 and not direct_only:
            givers.append(query.parent_party_id)
        parties = key_parties | ({to.party_id} if to.party_id is not None else set())
        users = [to.user_id] if to.user_id is not None else []
        held = await self._store.rights(givers=givers, users=users, parties=sorted(parties), at=self._clock())
        wanted = [set(with_app(resource)) for resource in query.resources]
        found = []
        for one in held:
            if wanted and not any(pairs.issubset(one.resource or []) for pairs in wanted):
                continue
            inherited = one.from_party_id != query.offered_by_party_id
            if one.to == to:
                how = RuleType.INHERITED_AS_SUBUNIT if inherited else RuleType.DIRECTLY_DELEGATED
            elif inherited:
                how = RuleType.INHERITED_AS_SUBUNIT_VIA_KEY_ROLE
            else:
                how = RuleType.INHERITED_VIA_KEY_ROLE
            found.append(_rule(one, how))
        return found

    async def delete(self, asked: Sequence[RulesToDelete], *, whole: bool) -> tuple[list[DelegationRule], bool]:
        """End the rules named, or with `whole` all of each match; those that ended, and whether that is all of them."""
        _bounded(asked)
        groups = [
            _group(entry.policy_match.offered_by_party_id, entry.policy_match.covered_by, entry.policy_match.resource)
            for entry in asked
        ]
        if len(set(groups)) != len(groups):
            raise Problem(400, "The same giver, receiver and app is named twice.", code="duplicate_match")
        wanted = [[] if whole else _rule_ids(entry) for entry in asked]
        ended: list[DelegationRule] = []
        complete = True
        for entry, group, ids in zip(asked, groups, wanted, strict=True):
            held = await self._held(group)
            named = set(ids) if not whole else set(held)
            complete = complete and bool(named) and named.issubset(held)
            try:
                who = await self._user(entry.deleted_by_user_id)
                for id_ in sorted(named.intersection(held)):
                    await self._delegations.revoke(id_, who)
                    ended.append(_rule(held[id_], RuleType.NONE))
            except Problem as problem:
                if problem.status >= 500:
                    raise
                complete = False
        return ended, complete

    async def events(self, first: int, last: int | None) -> DelegationChangeEvents:
        """Recorded changes of rights by number, oldest first, at most 1,000: ask again from the last one on."""
        found = []
        for row in await self._store.right_changes(first, last, limit=MAX_EVENTS):
            by = row["by"]
            change = DelegationChange(
                i=row["id"], a=f"{row['org']}/{row['app']}", o=row["from_party"], cp=row["to_party"],
                cu=row["to_user"], u=_user_id(by), t=row["at"],
            )  # fmt: skip
            kind = 1 if row["change"] == "grant" else 2 if row["remaining"] else 3
            found.append(DelegationChangeEvent(kind, change))  # type: ignore[arg-type]  # one of the three
        return DelegationChangeEvents(found)

    async def _add_group(self, group: _Group, asked: Sequence[DelegationRule]) -> list[str]:
        giver_party, to, org, app = group
        permitted = await self._permitted(org, app)
        held = {(tuple(one.resource or ()), one.action): id_ for id_, one in (await self._held(group)).items()}
        new: list[Delegation] = []
        ids = []
        for rule in asked:
            right = (tuple(with_app(rule.resource)), rule.action.value)
            if right not in permitted:
                raise Problem(400, "The app's policy has no such right.", code="right_not_in_policy")
            if right not in held:
                if rule.delegated_by_user_id is None:
                    raise Problem(400, "Say which user gives the right.", code="giver_missing")
                giver = await self._user(rule.delegated_by_user_id)
                grant = Grant(giver_party, to, list(right[0]), right[1])
                prepared = await self._delegations.prepare(grant, giver)
                new.append(prepared)
                held[right] = prepared.id
            ids.append(held[right])
        if new:
            await self._delegations.write(new)
        return ids

    async def _permitted(self, org: str, app: str) -> set[tuple[_Pairs, str]]:
        """(resource, action) of every Permit rule of the app's policy, the resource in its one form."""
        _, document = await self._administration.document(org, app)
        return {
            (tuple(with_app([AttributePair(pair.id, pair.value) for pair in grant.resource])), grant.action.value)
            for view in rules(document)
            if view.permits
            for grant in view.grants
            if grant.action is not None and grant.resource
        }

    async def _held(self, group: _Group) -> dict[str, Delegation]:
        giver, to, org, app = group
        held = await self._store.rights(
            givers=[giver],
            users=[to.user_id] if to.user_id is not None else [],
            parties=[to.party_id] if to.party_id is not None else [],
            at=self._clock(),
        )
        about = {AttributePair(contract.ORG, org), AttributePair(contract.APP, app)}
        return {one.id: one for one in held if about.issubset(one.resource or [])}

    async def _user(self, user_id: int) -> Principal:
        """The user on whose word something is done: what they may not do themselves is not done for them."""
        who = await self._information.resolve(SubjectRef(user_id=user_id)) if user_id > 0 else None
        if who is None:
            raise Problem(400, "The user is not known.", code="user_invalid")
        return Principal(kind=Kind.USER, user_id=who.user_id, party_id=who.party_id)


def _group(giver: int, covered_by: Sequence[AttributePair], resource: Sequence[AttributePair]) -> _Group:
    named = {pair.id: pair.value for pair in with_app(resource)}
    org, app = named.get(contract.ORG), named.get(contract.APP)
    if giver <= 0 or org is None or app is None:
        raise Problem(400, "Name the giver, and the app by org and app.", code="rule_invalid")
    return giver, _receiver(covered_by), org, app


def _receiver(pairs: Sequence[AttributePair]) -> Receiver:
    if len(pairs) == 1:
        pair = pairs[0]
        number = int(pair.value) if pair.value.isascii() and pair.value.isdigit() and len(pair.value) <= 10 else 0
        if 0 < number < 2**31 and pair.id == contract.USER_ID:
            return Receiver(user_id=number)
        if 0 < number < 2**31 and pair.id == contract.PARTY_ID:
            return Receiver(party_id=number)
    raise Problem(400, "coveredBy is one user id or one party id.", code="receiver_invalid")


def _rule(one: Delegation, how: RuleType) -> DelegationRule:
    if one.to.user_id is not None:
        to = AttributePair(contract.USER_ID, str(one.to.user_id))
    else:
        to = AttributePair(contract.PARTY_ID, str(one.to.party_id))
    return DelegationRule(
        rule_id=one.id,
        type=how,
        created_successfully=True,
        delegated_by_user_id=_user_id(one.given_by),
        offered_by_party_id=one.from_party_id,
        covered_by=[to],
        resource=one.resource or [],
        action=AttributePair(contract.ACTION_ID, one.action or ""),
    )


def _user_id(by: str) -> int | None:
    kind, _, number = by.partition(":")
    return int(number) if kind == "user" and number.isdigit() else None


def _rule_ids(entry: RulesToDelete) -> list[str]:
    if not 1 <= len(entry.rule_ids) <= MAX_RULES:
        raise Problem(400, f"Name between 1 and {MAX_RULES} rule ids.", code="rule_ids_invalid")
    try:
        return [str(UUID(id_)) for id_ in entry.rule_ids]
    except ValueError:
        raise Problem(400, "A rule id is not a uuid.", code="rule_ids_invalid") from None


def _bounded(asked: Sequence[DelegationRule] | Sequence[RulesToDelete]) -> None:
    if not 1 <= len(asked) <= MAX_RULES:
        raise Problem(400, f"Send between 1 and {MAX_RULES} entries.", code="too_many_or_none")
