"""The policy information point: what holds between a subject and a party, from register and from delegations.

A source that cannot be asked is a 503, never "no roles".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from havn.clients.credentials import Credentials
from havn.clients.register import RegisterClient
from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, DelegatedRight, Delegation, SubjectFacts, SubjectRef
from havn.contracts.register import Party, PartyLookup, Role, UserQuery
from havn.engines.app_policy.roles import KEY_ROLES
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import Clock
from havn.platform.authorization import packages
from havn.platform.authorization.store.delegations import DelegationStore

BACKSTOP_MS = 5 * 60 * 1000
_REMEMBERED_USERS = 50_000
_NOBODY = 1
"""A party id for questions that are not about anybody."""


class Who(msgspec.Struct, frozen=True):
    """A subject resolved: the user, the party it is, or the system user."""

    user_id: int | None = None
    party_id: int | None = None
    system_user_id: str | None = None


class InformationPoint:
    """Resolves subjects and gathers facts."""

    def __init__(
        self,
        register: RegisterClient,
        signer: PlatformTokenSigner,
        delegations: DelegationStore,
        *,
        clock: Clock,
        catalogue: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._register = register
        self._signer = signer
        self._delegations = delegations
        self._clock = clock
        self._catalogue = packages.load() if catalogue is None else catalogue
        # Which party a user is never changes.
        self._users: OrderedDict[SubjectRef, Who] = OrderedDict()

    async def role_version(self, _: int) -> int:
        """Register's version of all parties and roles. 503 `Problem` when it is away."""
        return (await self._register.roles_for_many(_NOBODY, [], self._credentials())).version

    async def resolve(self, subject: SubjectRef) -> Who | None:
        """Who is meant; None when there is no such user or party."""
        if subject.system_user_id is not None:
            try:
                return Who(system_user_id=str(UUID(subject.system_user_id)))
            except ValueError:
                return None
        if subject.user_id is not None and subject.party_id is not None:
            return Who(subject.user_id, subject.party_id)
        if subject in self._users:
            self._users.move_to_end(subject)
            return self._users[subject]
        who = await self._look_up(subject)
        if who is not None:
            self._users[subject] = who
            if len(self._users) > _REMEMBERED_USERS:
                self._users.popitem(last=False)
        return who

    async def person(self, number: str) -> Who | None:
        """The user with this national identity number; None when there is none."""
        user = await self._register.user(UserQuery(ssn=number), self._credentials())
        return Who(user.user_id, user.party.party_id) if user is not None else None

    async def party_of(
        self, *, uuid: str | None = None, org_number: str | None = None, person_number: str | None = None
    ) -> Party | None:
        """The party with one of these keys; None when there is none."""
        if uuid is not None:
            found = await self._register.party_list_by_uuid([uuid], self._credentials())
            return found[0] if found else None
        return await self._register.lookup(PartyLookup(ssn=person_number, org_no=org_number), self._credentials())

    async def exists(self, party: int) -> bool:
        """Whether register knows the party."""
        return bool(await self.parties([party]))

    async def parties(self, party_ids: Sequence[int]) -> list[Party]:
        """Those of `party_ids` (at most 1,000) that exist."""
        return await self._register.party_list(party_ids, self._credentials()) if party_ids else []

    async def represented(self, subject_party: int, given_by: Sequence[int]) -> list[Party]:
        """The parties a subject may act for: by roles, sub-units inside their main unit, and by delegation."""
        answer = await self._register.represented_by(subject_party, self._credentials(), include_deleted=True)
        tree = answer.data
        known = {party.party_id for main in tree for party in (main, *(main.child_parties or ()))}
        missing = [party for party in given_by if party not in known]
        for start in range(0, len(missing), 1000):
            # What a main unit has delegated holds for its sub-units: they are shown inside it.
            tree = tree + await self._register.party_list(
                missing[start : start + 1000], self._credentials(), fetch_sub_units=True
            )
        return tree

    async def delegating(self, who: Who) -> list[int]:
        """Parties that have delegated something general to the subject, or to an organisation it acts for."""
        now = self._clock()
        own = [who.party_id] if who.party_id is not None else []
        found = await self._delegations.givers(user=who.user_id, to_parties=own, system_user=who.system_user_id, at=now)
        if who.party_id is not None:
            answer = await self._register.represented_by(who.party_id, self._credentials())
            organisations = [
                party.party_id
                for main in answer.data
                for party in (main, *(main.child_parties or ()))
                if party.org_number is not None and not party.only_hierarchy_element_with_no_access
            ]
            for start in range(0, len(organisations), 1000):
                acts_for = await self.acts_for(who.party_id, organisations[start : start + 1000])
                if acts_for:
                    found += await self._delegations.givers(user=None, to_parties=acts_for, system_user=None, at=now)
        return sorted(set(found))

    async def _look_up(self, subject: SubjectRef) -> Who | None:
        if subject.user_id is not None:
            user = await self._register.user(UserQuery(user_id=subject.user_id), self._credentials())
            return Who(user.user_id, user.party.party_id) if user is not None else None
        if subject.party_uuid is not None:
            by_uuid = await self._register.user(UserQuery(user_uuid=subject.party_uuid), self._credentials())
            if by_uuid is not None:
                return Who(by_uuid.user_id, by_uuid.party.party_id)
            party = await self.party_of(uuid=subject.party_uuid)
            return Who(party_id=party.party_id) if party is not None else None
        if subject.org_number is not None:
            party = await self.party_of(org_number=subject.org_number)
            return Who(party_id=party.party_id) if party is not None else None
        return Who(party_id=subject.party_id) if subject.party_id is not None else None

    async def subject_facts(self, subject: SubjectRef, parties: list[int]) -> list[SubjectFacts]:
        """Roles, access packages, organisations acted for, and delegated rights, for each of `parties` in order."""
        who = await self.resolve(subject)
        if who is None:
            return [SubjectFacts(party, [], [], 0) for party in parties]
        now = self._clock()
        # A system user holds no roles, but which of the parties are sub-units must be known for it too.
        answer = await self._register.roles_for_many(who.party_id or _NOBODY, parties, self._credentials())
        roles = {entry.party: entry.roles for entry in answer.data} if who.party_id is not None else {}
        mains = {entry.party: entry.main_unit for entry in answer.data if entry.main_unit is not None}
        givers = sorted({*parties, *mains.values()})
        acts_for: list[int] = []
        found = await self._delegations.between(
            givers, user=who.user_id, to_parties=[who.party_id] if who.party_id is not None else [],
            system_user=who.system_user_id, at=now,
        )  # fmt: skip
        if who.party_id is not None:
            # Only where somebody has delegated to an organisation does it matter for whom the subject acts.
            receivers = await self._delegations.organisations(givers, at=now)
            receivers = [party for party in receivers if party != who.party_id]
            if receivers:
                acts_for = await self.acts_for(who.party_id, receivers)
            if acts_for:
                found += await self._delegations.between(
                    givers, user=None, to_parties=acts_for, system_user=None, at=now
                )
        return [
            self._facts(party, mains.get(party), roles.get(party, []), found, set(acts_for), now) for party in parties
        ]

    async def relations(self, who: Who, party: int) -> tuple[list[int], list[int]]:
        """Whose delegations hold for `party` (itself and its main unit), and through which organisations `who` acts."""
        answer = await self._register.roles_for_many(who.party_id or _NOBODY, [party], self._credentials())
        mains = [entry.main_unit for entry in answer.data if entry.main_unit is not None]
        givers = [party, *mains]
        if who.party_id is None:
            return givers, []
        receivers = await self._delegations.organisations(givers, at=self._clock())
        receivers = [receiver for receiver in receivers if receiver != who.party_id]
        return givers, await self.acts_for(who.party_id, receivers) if receivers else []

    async def acts_for(self, subject_party: int, organisations: Sequence[int]) -> list[int]:
        """Those of `organisations` for which the subject itself holds a key role."""
        answer = await self._register.roles_for_many(subject_party, organisations, self._credentials())
        return [
            entry.party
            for entry in answer.data
            if any(role.code in KEY_ROLES and "key-role" not in role.inherited for role in entry.roles)
        ]

    def _facts(
        self,
        party: int,
        main: int | None,
        roles: list[Role],
        delegations: Iterable[Delegation],
        acts_for: set[int],
        now: datetime,
    ) -> SubjectFacts:
        codes = {role.code.lower() for role in roles}
        urns = {role.urn for role in roles if role.urn}
        given_packages: set[str] = set()
        organisations: set[int] = set()
        rights: list[DelegatedRight] = []
        boundaries: list[datetime] = []
        for held in delegations:
            # What a main unit gives holds for its sub-units, except what it gives on an instance of its own.
            if held.from_party_id != party and (held.from_party_id != main or held.instance_id is not None):
                continue
            if held.valid_from > now:
                boundaries.append(held.valid_from)
                continue
            if held.valid_to is not None:
                boundaries.append(held.valid_to)
            if held.to.party_id in acts_for and held.to.party_id is not None:
                organisations.add(held.to.party_id)
            if held.kind == "role" and held.role:
                codes.add(held.role.lower())
            elif held.kind == "accessPackage" and held.access_package:
                given_packages.add(held.access_package)
            elif held.action and held.resource:
                rights.append(DelegatedRight(held.id, held.resource, held.action, held.instance_id, held.valid_to))
        all_packages = given_packages.union(packages.carried_by(self._catalogue, codes))
        attributes = [AttributePair(contract.ROLE_CODE, code) for code in sorted(codes)]
        attributes += [AttributePair(*urn.rsplit(":", 1)) for urn in sorted(urns)]
        attributes += [AttributePair(contract.ACCESS_PACKAGE, code) for code in sorted(all_packages)]
        attributes += [AttributePair(contract.PARTY_ID, str(id_)) for id_ in sorted(organisations)]
        until = min(boundaries, default=None)
        age = BACKSTOP_MS if until is None else max(0, int((until - now).total_seconds() * 1000))
        return SubjectFacts(party, attributes, rights, min(age, BACKSTOP_MS), main)

    def _credentials(self) -> Credentials:
        return Credentials(platform_token=self._signer.token())
