"""Who acts, and for whom they may: the operator for everybody, an organisation or its managers for themselves."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from havn.clients.credentials import Credentials
from havn.clients.register import RegisterClient
from havn.contracts.management import ALL_ORGS, PLATFORM
from havn.contracts.register import SUB_UNIT_TYPES, Party, PartyType
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.principal import Kind, Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management.owners import Owners

MANAGE_SCOPE = "havn:apis/manage"
"""A service owner's token with this scope manages that owner's Apis."""
CONSUME_SCOPE = "havn:apis/consume"
"""An organisation's token with this scope manages its own applications, subscriptions and keys."""
ROLES = frozenset({"dagl", "lede", "innh", "dtso", "bobe", "hadm", "apiadm"})
"""Roles that let a person speak for an organisation here: those who lead it, and those it has made administrators."""
LEVEL = 3
_KEPT_SECONDS = 30.0
_KEPT = 2000
_AT_ONCE = 1000


class Represented(msgspec.Struct, frozen=True):
    """An organisation that a person may speak for."""

    number: str
    name: str


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts: `who` as the history names them, and from where.

    `operator` is the org whose operator asks through the control plane, `*` for one of all orgs; None for others.
    """

    who: str
    address: str
    principal: Principal
    operator: str | None = None

    @property
    def for_all(self) -> bool:
        """Whether an operator of all orgs asks."""
        return self.operator == ALL_ORGS


class Mandates:
    """Answers for whom an actor may act. A person's roles are asked of the register and kept for half a minute.

    A token for one owner's apps speaks to that owner only and counts for nothing here: an app could otherwise use what
    it was shown.
    """

    def __init__(self, register: RegisterClient, signer: PlatformTokenSigner, owners: Owners, clock: Clock) -> None:
        self._register = register
        self._signer = signer
        self._owners = owners
        self._clock = clock
        self._kept: OrderedDict[int, tuple[float, tuple[Represented, ...]]] = OrderedDict()
        self._asking: dict[int, asyncio.Lock] = {}

    async def require_owner(self, actor: Actor, org: str) -> None:
        """403 unless the actor manages the Apis of `org`."""
        if not await self.manages(actor, org):
            raise Problem(403, f"You may not manage the Apis of {org}.", code="not_your_api")

    async def manages(self, actor: Actor, org: str) -> bool:
        """Whether the actor manages the Apis of `org`; those of the platform are its operator's alone."""
        if actor.operator is not None:
            return actor.operator in (ALL_ORGS, org)
        caller, number = actor.principal, self._owners.number(org)
        if org == PLATFORM or number is None or caller.audience_org is not None:
            return False
        if caller.kind is Kind.SERVICE_OWNER:
            return caller.org == org and caller.has_scope(MANAGE_SCOPE)
        return number in {each.number for each in await self.represented(actor)}

    async def owned(self, actor: Actor) -> list[str]:
        """The owner codes that a person may manage the Apis of."""
        return [code for each in await self.represented(actor) for code in self._owners.codes(each.number)]

    async def require_consumer(self, actor: Actor, number: str) -> None:
        """403 unless the actor speaks for the organisation with this number."""
        caller = actor.principal
        if actor.operator is not None:
            if actor.for_all or number in self._numbers(actor.operator):
                return
        elif caller.kind in (Kind.ORG, Kind.SERVICE_OWNER):
            if caller.org_number == number and caller.has_scope(CONSUME_SCOPE) and caller.audience_org is None:
                return
        elif number in {each.number for each in await self.represented(actor)}:
            return
        raise Problem(403, "You may not act for this organisation here.", code="not_your_organisation")

    def _numbers(self, org: str) -> set[str]:
        number = self._owners.number(org)
        return {number} if number is not None else set()

    async def represented(self, actor: Actor) -> tuple[Represented, ...]:
        """The organisations that a signed-in person may speak for, by name; none for other callers.

        403 when the person's sign-in is below level 3.
        """
        caller = actor.principal
        if caller.kind is not Kind.USER or caller.party_id is None or caller.audience_org is not None:
            return ()
        if caller.auth_level < LEVEL:
            raise Problem(
                403,
                f"Sign in at level {LEVEL} to act for an organisation.",
                code="level_too_low",
                RequiredAuthenticationLevel=str(LEVEL),
            )
        party = caller.party_id
        async with self._asking.setdefault(party, asyncio.Lock()):
            now = self._clock().timestamp()
            kept = self._kept.get(party)
            if kept is None or now >= kept[0]:
                kept = (now + _KEPT_SECONDS, await self._ask(party))
                self._kept[party] = kept
                while len(self._kept) > _KEPT:
                    gone, _ = self._kept.popitem(last=False)
                    self._asking.pop(gone, None)
            return kept[1]

    async def name_of(self, number: str) -> str:
        """What the organisation with this number is called. 400 when there is none."""
        found = await self._register.organization(number, self._credentials())
        if found is None:
            raise Problem(400, f"There is no organisation with number {number}.", code="unknown_organisation")
        return found.name

    async def _ask(self, party: int) -> tuple[Represented, ...]:
        answer = await self._register.represented_by(party, self._credentials())
        organisations = {each.party_id: each for each in _flat(answer.data) if _is_organisation(each)}
        ids, found = list(organisations), []
        for start in range(0, len(ids), _AT_ONCE):
            roles = await self._register.roles_for_many(party, ids[start : start + _AT_ONCE], self._credentials())
            for each in roles.data:
                # Roles that come through another organisation (its accountant's chief, say) give no say here.
                if any(role.code in ROLES and "key-role" not in role.inherited for role in each.roles):
                    organisation = organisations[each.party]
                    assert organisation.org_number is not None
                    found.append(Represented(organisation.org_number, organisation.name))
        return tuple(sorted(found, key=lambda each: (each.name, each.number)))

    def _credentials(self) -> Credentials:
        return Credentials(platform_token=self._signer.token())


def _flat(parties: Sequence[Party]) -> list[Party]:
    return [each for party in parties for each in (party, *(party.child_parties or ()))]


def _is_organisation(party: Party) -> bool:
    # A main unit speaks for its sub-units; agreements are made with it.
    return (
        party.party_type_name is PartyType.ORGANISATION
        and party.org_number is not None
        and party.unit_type not in SUB_UNIT_TYPES
        and not party.is_deleted
        and not party.only_hierarchy_element_with_no_access
    )
