"""Routes of the information point, for components: what a party holds for another, and what was delegated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, Delegation, Receiver, SubjectFacts, SubjectRef
from havn.contracts.delegation_rules import CurrentChange, CurrentChangesQuery, RolesAndPackages
from havn.contracts.register import Party
from havn.contracts.resources import resource_id
from havn.guard.facts import FactCache
from havn.guard.platform_token import PlatformTokenVerifier, require_caller
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.askers import PLATFORM
from havn.platform.authorization.delegations import with_app
from havn.platform.authorization.pip import InformationPoint, Who
from havn.platform.authorization.store.delegations import DelegationStore
from havn.platform.authorization.store.resources import ResourceStore

_Place = tuple[str, int, Receiver, str | None]


class InformationApi:
    """Handlers for platform components."""

    def __init__(
        self,
        information: InformationPoint,
        delegations: DelegationStore,
        resources: ResourceStore,
        facts: FactCache,
        components: PlatformTokenVerifier,
        *,
        clock: Clock,
    ) -> None:
        self._information = information
        self._delegations = delegations
        self._resources = resources
        self._facts = facts
        self._components = components
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/roles-and-accesspackages", self.roles_and_packages, methods=["GET"]),
            Route(f"{base}/accesspackages", self.packages, methods=["GET"]),
            Route(f"{base}/getdelegationchanges", self.changes, methods=["POST"]),
        ]

    async def roles_and_packages(self, request: Request) -> Response:
        """GET roles-and-accesspackages?to=&from=: what the party `to` holds for the party `from`."""
        found = await self._between(request)
        roles = [
            f"{pair.id}:{pair.value}"
            for pair in found.attributes
            if pair.id not in (contract.ACCESS_PACKAGE, contract.PARTY_ID)
        ]
        return json_response(RolesAndPackages(roles, _packages(found)))

    async def packages(self, request: Request) -> Response:
        """GET accesspackages?to=&from=."""
        return json_response(_packages(await self._between(request)))

    async def changes(self, request: Request) -> Response:
        """POST getdelegationchanges: what a party lets a subject do with a resource, by each giver and receiver."""
        await require_caller(request, self._components, issuers=(PLATFORM,))
        asked = await read_json(request, CurrentChangesQuery)
        wanted = _resource_of(asked.resource)
        if not wanted:
            raise Problem(400, "Name the resource by org and app, or by its id.", code="resource_invalid")
        party = await self._party(asked.party)
        who = await self._information.resolve(_subject(asked.subject))
        if who is None or party is None:
            return json_response([])
        return json_response(await self._current(who, party, wanted))

    async def _current(self, who: Who, party: Party, wanted: str) -> list[CurrentChange]:
        givers, acts_for = await self._information.relations(who, party.party_id)
        receivers = [*acts_for, *([who.party_id] if who.party_id is not None else [])]
        history = await self._delegations.history(
            givers=givers, user=who.user_id, to_parties=receivers, system_user=who.system_user_id, at=self._clock()
        )
        last: dict[_Place, tuple[int, str, Delegation]] = {}
        in_force: set[_Place] = set()
        for number, change, held, holds in history:
            # What a main unit gives on an instance of its own does not reach its sub-units.
            if _resource_of(held.resource or []) != wanted or (
                held.instance_id is not None and held.from_party_id != party.party_id
            ):
                continue
            place = (wanted, held.from_party_id, held.to, held.instance_id)
            last[place] = (number, change, held)
            if holds:
                in_force.add(place)
        concerned = {place[1] for place in in_force}
        concerned.update(place[2].party_id for place in in_force if place[2].party_id is not None)
        known = {one.party_id: one for one in await self._information.parties(sorted(concerned))}
        kind = await self._kind(wanted)
        return [_change(*last[place], wanted, kind, known) for place in last if place in in_force]

    async def _kind(self, id_: str) -> str:
        found = await self._resources.get(id_)
        return found.resource_type or "Default" if found is not None else "AltinnApp"

    async def _between(self, request: Request) -> SubjectFacts:
        await require_caller(request, self._components, issuers=(PLATFORM,))
        to, giver = _uuid(request, "to"), _uuid(request, "from")
        party = await self._information.party_of(uuid=giver)
        if party is None:
            raise Problem(404, "There is no party with the uuid `from`.", code="party_not_found")
        return (await self._facts.subject(SubjectRef(party_uuid=to), [party.party_id]))[party.party_id]

    async def _party(self, named: AttributePair) -> Party | None:
        value = named.value
        if named.id == contract.PARTY_ID and value.isascii() and value.isdigit() and 0 < int(value[:11]) < 2**31:
            found = await self._information.parties([int(value)])
            return found[0] if found else None
        if named.id in (contract.PARTY_UUID, contract.PERSON_UUID, contract.ORGANISATION_UUID):
            return await self._information.party_of(uuid=_as_uuid(value))
        raise Problem(400, "Name the party by its id or uuid.", code="party_invalid")


def _change(
    number: int, change: str, held: Delegation, resource: str, kind: str, known: dict[int, Party]
) -> CurrentChange:
    giver = known.get(held.from_party_id)
    receiver = known.get(held.to.party_id) if held.to.party_id is not None else None
    by_kind, _, by = held.given_by.partition(":")
    app = kind == "AltinnApp"
    type_: Literal[1, 2] = 1 if change == "grant" else 2
    return CurrentChange(
        delegationchangeid=number if app else 0,
        resourceregistrydelegationchangeid=0 if app else number,
        delegationchangetype=type_,
        resourceid=resource,
        resourcetype=kind,
        instanceid=held.instance_id,
        offeredbypartyid=held.from_party_id,
        fromuuid=giver.party_uuid if giver is not None else None,
        fromuuidtype=_uuid_type(giver),
        coveredbypartyid=held.to.party_id,
        coveredbyuserid=held.to.user_id,
        touuid=held.to.system_user_id or (receiver.party_uuid if receiver is not None else None),
        touuidtype=contract.SYSTEM_USER_UUID if held.to.system_user_id else _uuid_type(receiver),
        performedbyuserid=int(by) if by_kind == "user" and by.isdigit() else None,
        created=held.given,
    )


def _uuid_type(party: Party | None) -> str | None:
    if party is None:
        return None
    return contract.ORGANISATION_UUID if party.org_number else contract.PERSON_UUID


def _packages(found: SubjectFacts) -> list[str]:
    return [f"{pair.id}:{pair.value}" for pair in found.attributes if pair.id == contract.ACCESS_PACKAGE]


def _resource_of(pairs: Sequence[AttributePair]) -> str:
    held = {pair.id: pair.value for pair in with_app(pairs)}
    if contract.ORG in held and contract.APP in held:
        return resource_id(held[contract.ORG], held[contract.APP])
    return held.get(contract.RESOURCE_ID, "")


def _subject(named: AttributePair) -> SubjectRef:
    value = named.value
    number = int(value[:11]) if value.isascii() and value.isdigit() else 0
    if named.id == contract.USER_ID and 0 < number < 2**31:
        return SubjectRef(user_id=number)
    if named.id == contract.PARTY_ID and 0 < number < 2**31:
        return SubjectRef(party_id=number)
    if named.id == contract.SYSTEM_USER_UUID:
        return SubjectRef(system_user_id=_as_uuid(value))
    if named.id in (contract.PARTY_UUID, contract.PERSON_UUID, contract.ORGANISATION_UUID):
        return SubjectRef(party_uuid=_as_uuid(value))
    raise Problem(400, "Name the subject by user id, party id or uuid.", code="subject_invalid")


def _uuid(request: Request, name: str) -> str:
    text = request.query_params.get(name)
    if text is None:
        raise Problem(400, f"{name} is needed: the uuid of a party.", code="invalid_query")
    return _as_uuid(text)


def _as_uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Problem(400, "That is not a uuid.", code="invalid_uuid") from None
