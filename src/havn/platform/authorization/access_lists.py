"""Access lists: a service owner limits what it offers to parties on its lists, and says who is on them.

The limit comes after the policy: a Permit for a party that is on none of the app's lists becomes a Deny.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import Change
from havn.contracts.register import Party
from havn.contracts.resources import app_of
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.addresses import Addresses
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.policies import check_names
from havn.platform.authorization.store.access_lists import (
    AccessListStore,
    Connected,
    ListFull,
    StoredList,
    StoredMember,
)

MAX_MEMBERS = 10_000
"""Members of one list: a list travels with the app's policy."""
MAX_IN_CALL = 1_000
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9_-]{1,99}")
_ACTIONS = 50
Verdict = Literal["NotDetermined", "NotAuthorized", "Authorized"]


class AccessLists:
    """Makes lists, fills them, and tells who is on them."""

    def __init__(
        self,
        store: AccessListStore,
        information: InformationPoint,
        addresses: Addresses,
        *,
        clock: Clock,
        announce: Callable[[Change], None],
        max_members: int = MAX_MEMBERS,
    ) -> None:
        self.store = store
        self._addresses = addresses
        self._max_members = max_members
        self._information = information
        self._clock = clock
        self._announce = announce

    async def get(self, org: str, identifier: str) -> StoredList:
        """One list; 404 when the owner has none by that name."""
        found = await self.store.get(org, identifier)
        if found is None:
            raise Problem(404, "There is no such access list.", code="access_list_not_found")
        return found

    async def put(self, org: str, identifier: str, name: str, description: str, *, by: str) -> StoredList:
        """Make or rename a list; 400 when a name is not valid."""
        check_names(org, "app")
        if not _IDENTIFIER.fullmatch(identifier):
            raise Problem(400, "A list is named by small letters, digits, - and _.", code="invalid_name")
        if not 0 < len(name) <= 200 or len(description) > 2000:
            raise Problem(400, "The name is missing, or a text is too long.", code="invalid_list")
        return await self.store.put(org, identifier, name, description, at=self._clock(), by=by)

    async def delete(self, org: str, identifier: str) -> None:
        """Remove a list; 404 when there is none."""
        connected = await self.store.connections(org, identifier)
        if not await self.store.delete(org, identifier):
            raise Problem(404, "There is no such access list.", code="access_list_not_found")
        self._changed(org, [one.app for one in connected])

    async def change_members(
        self, org: str, identifier: str, urns: Sequence[str], how: Literal["add", "remove", "replace"], *, by: str
    ) -> list[StoredMember]:
        """Change who is on a list; the members after it. 400 naming the first that is not a known organisation."""
        await self.get(org, identifier)
        if len(urns) > MAX_IN_CALL:
            raise Problem(400, f"At most {MAX_IN_CALL} members can be named in one call.", code="too_many")
        parties = [await self._organisation(urn) for urn in urns]
        now = self._clock()
        named = {
            party.party_id: StoredMember(
                party=party.party_id, party_uuid=party.party_uuid, org_number=party.org_number or "", since=now
            )
            for party in parties
        }
        try:
            await self.store.change_members(
                org,
                identifier,
                add=[] if how == "remove" else list(named.values()),
                remove=None if how == "replace" else list(named) if how == "remove" else [],
                at_most=self._max_members,
                by=by,
            )
        except ListFull:
            raise Problem(400, f"A list has at most {self._max_members} members.", code="list_full") from None
        self._changed(org, [one.app for one in await self.store.connections(org, identifier)])
        return await self.store.members(org, identifier)

    async def connect(
        self, org: str, identifier: str, resource: str, actions: Sequence[str] | None, *, by: str
    ) -> Connected:
        """Make a list count for one of the owner's resources, for all actions or for `actions`."""
        await self.get(org, identifier)
        app = await self._own(org, resource)
        if actions is not None and not (
            1 <= len(actions) <= _ACTIONS and all(0 < len(action) <= 100 for action in actions)
        ):
            raise Problem(400, f"Name between 1 and {_ACTIONS} actions, or none for all.", code="invalid_actions")
        await self.store.connect(org, identifier, app, actions, by=by)
        self._changed(org, [app])
        return Connected(app=app, actions=list(actions) if actions is not None else None)

    async def disconnect(self, org: str, identifier: str, resource: str) -> None:
        """Have a list no longer count for a resource; 404 when it does not."""
        app = await self._own(org, resource)
        if not await self.store.disconnect(org, identifier, app):
            raise Problem(404, "The list is not connected to that resource.", code="not_connected")
        self._changed(org, [app])

    async def limit(self, org: str, resource: str, *, on: bool, by: str) -> None:
        """Have a resource be only for parties on its lists, or for everybody again."""
        app = await self._own(org, resource)
        await self.store.limit(org, app, on=on, at=self._clock(), by=by)
        self._changed(org, [app])

    async def verdict(self, subject: tuple[str, str], resource: str, action: str) -> Verdict:
        """Whether access lists let a party do `action` with a resource.

        NotDetermined for a subject or resource that is not known. A resource without limit lets everybody.
        """
        address = await self._addresses.of(resource)
        if address is None:
            return "NotDetermined"
        party = await self.party(*subject)
        if party is None:
            return "NotDetermined"
        org, app = address
        if not await self.store.limited(org, app):
            return "Authorized"
        for row in await self.store.memberships(party.party_id, org=org, app=app):
            if row["actions"] is None or action in row["actions"]:
                return "Authorized"
        return "NotAuthorized"

    async def party(self, type_: str, value: str) -> Party | None:
        """The party that an attribute names; None when there is none, or the attribute names no party."""
        try:
            if type_ in (contract.ORG_NUMBER, contract.ORG_NUMBER_OLD):
                return await self._information.party_of(org_number=value)
            if type_ in (contract.PARTY_UUID, contract.ORGANISATION_UUID, contract.PERSON_UUID):
                return await self._information.party_of(uuid=str(UUID(value)))
            if type_ == contract.PARTY_ID and value.isascii() and value.isdigit() and 0 < int(value[:11]) < 2**31:
                found = await self._information.parties([int(value)])
                return found[0] if found else None
        except ValueError:
            return None
        except Problem as problem:
            # Register refuses what can be no number of anybody.
            if problem.status != 400:
                raise
        return None

    async def _organisation(self, urn: str) -> Party:
        type_, _, value = urn.rpartition(":")
        party = await self.party(type_, value) if len(urn) <= 200 else None
        if party is None or not party.org_number:
            raise Problem(400, "A member is not a known organisation.", code="member_invalid")
        return party

    async def memberships(self, party: int, resource: str) -> list[Any]:
        """The lists for a resource that a party is on; 404 for no resource."""
        address = await self._addresses.of(resource)
        if address is None:
            raise Problem(404, "There is no such resource.", code="resource_not_found")
        return await self.store.memberships(party, org=address[0], app=address[1])

    async def owner(self, resource: str) -> str:
        """Whose a resource is; empty for no resource."""
        address = await self._addresses.of(resource)
        return address[0] if address is not None else ""

    async def _own(self, org: str, resource: str) -> str:
        """The name of one of the owner's resources; 400 for any other."""
        address = await self._addresses.of(resource)
        if address is None or address[0] != org:
            raise Problem(
                400, "The resource must be one of the owner's: app_{org}_{app}, or a registered one.",
                code="invalid_resource",
            )  # fmt: skip
        if app_of(resource) is not None:
            check_names(*address)
        return address[1]

    def _changed(self, org: str, apps: Sequence[str]) -> None:
        for app in apps:
            self._announce(Change("policy", org, app))


class Member(msgspec.Struct, rename="camel", frozen=True):
    """An organisation on a list, as it is told."""

    id: str
    since: str
    identifiers: dict[str, str]


def told(member: StoredMember) -> Member:
    """A member in the form of the routes."""
    return Member(member.party_uuid, member.since.isoformat(), {contract.ORG_NUMBER: member.org_number})
