"""The V1 routes, the V2 query, organisations and persons: HTTP in and out, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.register import (
    NamesLookup,
    Organization,
    Party,
    PartyIdentifiers,
    PartyLookup,
    PartyName,
    PartyNames,
    PartyQuery,
    PartyRecords,
    PartyType,
    PersonName,
)
from havn.engines.identifiers import EnvironmentType, organisation_number_fault, person_number_fault
from havn.guard.callers import Callers
from havn.guard.middleware import principal, require_principal
from havn.guard.principal import Kind, Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.register import query
from havn.platform.register.access import require_known_caller, require_level_two
from havn.platform.register.parties import StoredParty, parse_fields, to_party, to_record, validation_problem
from havn.platform.register.persons import PersonLookup, read_headers
from havn.platform.register.store import Store

_MAX_LIST = 1000
_MAX_IDENTIFIERS = 100


class Api:
    """Handlers of the routes that apps call."""

    def __init__(
        self, store: Store, callers: Callers, persons: PersonLookup, environment_type: EnvironmentType, clock: Clock
    ) -> None:
        self._store = store
        self._callers = callers
        self._persons = persons
        self._environment_type = environment_type
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/parties/lookup", self.lookup, methods=["POST"]),
            Route(f"{base}/parties/nameslookup", self.names_lookup, methods=["POST"]),
            Route(f"{base}/parties/partylist", self.party_list, methods=["POST"]),
            Route(f"{base}/parties/partylistbyuuid", self.party_list_by_uuid, methods=["POST"]),
            Route(f"{base}/parties/identifiers", self.identifiers, methods=["GET"]),
            Route(f"{base}/parties/byuuid/{{party_uuid}}", self.party_by_uuid, methods=["GET"]),
            Route(f"{base}/parties/{{party_id}}", self.party, methods=["GET"]),
            Route(f"{base}/organizations", self.search_organizations, methods=["GET"]),
            Route(f"{base}/organizations/{{number}}", self.organization, methods=["GET"]),
            Route(f"{base}/persons", self.person, methods=["GET"]),
            Route(f"{base}/apps/parties/query", self.query, methods=["POST"]),
            Route(f"{base}/access-management/parties/query", self.query, methods=["POST"]),
            Route(f"{base}/access-management/parties/{{party_uuid}}", self.record, methods=["GET"]),
        ]

    async def party(self, request: Request) -> Response:
        """GET parties/{partyId}."""
        user = await self._party_reader(request)
        text = request.path_params["party_id"]
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 2**31):
            raise validation_problem("REG.VLD-00009", "The party id is not valid.", "/$PATH/partyId")
        return await self._one(request, user, await self._store.by_ids([int(text)]))

    async def party_by_uuid(self, request: Request) -> Response:
        """GET parties/byuuid/{partyUuid}."""
        user = await self._party_reader(request)
        uuid = _uuid(request.path_params["party_uuid"], "/$PATH/partyUuid")
        return await self._one(request, user, await self._store.by_uuids([uuid]))

    async def _party_reader(self, request: Request) -> Principal:
        await require_known_caller(request, self._callers.components)
        return require_principal(request)

    async def _one(self, request: Request, user: Principal, found: list[StoredParty]) -> Response:
        stored = found[0] if found else None
        if user.kind is not Kind.SERVICE_OWNER:
            # The same answer for a foreign party and for none, so that ids cannot be probed.
            mine = stored is not None and user.party_id is not None
            if not mine or not await self._store.may_represent(user.party_id or 0, stored.id if stored else 0):
                raise Problem(403, "You may not represent this party.", code="party_not_yours")
        if stored is None:
            raise _not_found()
        return _tagged(request, stored.version, to_party(stored))

    async def lookup(self, request: Request) -> Response:
        """POST parties/lookup."""
        caller = await require_known_caller(request, self._callers.components)
        who = await read_json(request, PartyLookup)
        type_, number = self._number(who, "")
        found = await self._store.by_numbers(type_, [number])
        await self._store.audit(
            self._clock(),
            action="party.lookup",
            caller=f"{caller.org}/{caller.app}",
            performed_by=principal(request).performed_by(),
            party=found[0].uuid if found else None,
        )
        if not found:
            raise _not_found()
        return json_response(to_party(found[0]))

    async def names_lookup(self, request: Request) -> Response:
        """POST parties/nameslookup."""
        await require_known_caller(request, self._callers.components)
        asked = (await read_json(request, NamesLookup)).parties
        if len(asked) > _MAX_LIST:
            raise validation_problem("REG.VLD-00001", f"At most {_MAX_LIST} names can be asked for.", "/parties")
        wanted = [self._number(who, f"/parties/{index}") for index, who in enumerate(asked)]
        found: dict[tuple[PartyType, str | None], StoredParty] = {}
        for type_ in (PartyType.PERSON, PartyType.ORGANISATION):
            numbers = [number for kind, number in wanted if kind is type_]
            if numbers:
                found.update({(type_, s.number): s for s in await self._store.by_numbers(type_, numbers)})
        parts = request.query_params.get("partyComponentOption", "").lower() == "namecomponents"
        return json_response(
            PartyNames(
                party_names=[_name(who, found.get(key), parts=parts) for who, key in zip(asked, wanted, strict=True)]
            )
        )

    async def party_list(self, request: Request) -> Response:
        """POST parties/partylist."""
        await require_known_caller(request, self._callers.components)
        ids = await read_json(request, list[int])
        _bounded(ids)
        # An id that no party can have is simply not found.
        return await self._list(request, await self._store.by_ids([i for i in ids if 0 < i < 2**31]))

    async def party_list_by_uuid(self, request: Request) -> Response:
        """POST parties/partylistbyuuid."""
        await require_known_caller(request, self._callers.components)
        uuids = await read_json(request, list[UUID])
        _bounded(uuids)
        return await self._list(request, await self._store.by_uuids([str(uuid) for uuid in uuids]))

    async def _list(self, request: Request, found: list[StoredParty]) -> Response:
        if request.query_params.get("fetchSubUnits", "").lower() != "true":
            return json_response([to_party(stored) for stored in found])
        mains = [stored.id for stored in found if stored.type is PartyType.ORGANISATION and stored.main_unit is None]
        below = await self._store.sub_units(mains)
        answer: list[Party] = []
        for stored in found:
            children = [to_party(child) for child in below.get(stored.id, [])] if stored.id in mains else None
            answer.append(to_party(stored, children))
        return json_response(answer)

    async def identifiers(self, request: Request) -> Response:
        """GET parties/identifiers."""
        await require_known_caller(request, self._callers.components)
        ids, uuids, orgs = (_many(request, name) for name in ("ids", "uuids", "orgs"))
        if not ids and not uuids and not orgs:
            raise validation_problem("STD.VLD-00000", "Give ids, uuids or orgs.", "/$QUERY")
        if len(ids) + len(uuids) + len(orgs) > _MAX_IDENTIFIERS:
            raise validation_problem("REG.VLD-00001", f"At most {_MAX_IDENTIFIERS} parties.", "/$QUERY")
        for text in ids:
            if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 2**31):
                raise validation_problem("REG.VLD-00009", "A party id is not valid.", "/$QUERY/ids")
        for text in orgs:
            if organisation_number_fault(text) is not None:
                raise validation_problem("REG.VLD-00006", "An organisation number is not valid.", "/$QUERY/orgs")
        found = [
            *(await self._store.by_ids([int(text) for text in ids]) if ids else []),
            *(await self._store.by_uuids([_uuid(text, "/$QUERY/uuids") for text in uuids]) if uuids else []),
            *(await self._store.by_numbers(PartyType.ORGANISATION, orgs) if orgs else []),
        ]
        distinct = {stored.id: stored for stored in found}
        return json_response(
            [
                PartyIdentifiers(
                    party_id=stored.id,
                    party_uuid=stored.uuid,
                    org_number=stored.number if stored.type is PartyType.ORGANISATION else None,
                )
                for stored in distinct.values()
            ]
        )

    async def organization(self, request: Request) -> Response:
        """GET organizations/{orgNr}."""
        await require_known_caller(request, self._callers.components)
        number = request.path_params["number"]
        if organisation_number_fault(number) is not None:
            raise validation_problem("REG.VLD-00006", "The organisation number is not valid.", "/$PATH/orgNr")
        found = await self._store.by_numbers(PartyType.ORGANISATION, [number])
        if not found or found[0].organization is None:
            raise Problem(404, "No organisation has this number.", code="REG-00006")
        return _tagged(request, found[0].version, found[0].organization)

    async def search_organizations(self, request: Request) -> Response:
        """GET organizations?query=."""
        await require_known_caller(request, self._callers.components)
        text = request.query_params.get("query", "").strip()
        if not 2 <= len(text) <= 100:
            raise validation_problem("STD.VLD-00000", "query needs 2 to 100 characters.", "/$QUERY/query")
        found = await self._store.search_organizations(text, 20)
        answer: list[Organization] = [stored.organization for stored in found if stored.organization is not None]
        return json_response(answer)

    async def person(self, request: Request) -> Response:
        """GET persons."""
        user = require_level_two(require_principal(request))
        caller = await require_known_caller(request, self._callers.components)
        number, last_name = read_headers(
            request.headers.get("x-ai-nationalidentitynumber", ""),
            request.headers.get("x-ai-lastname", ""),
            request.headers.get("x-ai-lastname-encoding"),
            self._environment_type,
        )
        person, left = await self._persons.find(number, last_name, user, caller)
        return json_response(person, headers={"Cache-Control": "no-store", "X-Remaining-Attempts": str(left)})

    async def query(self, request: Request) -> Response:
        """POST apps/parties/query and access-management/parties/query."""
        await require_known_caller(request, self._callers.components)
        fields = parse_fields(request.query_params.get("fields"))
        urns = (await read_json(request, PartyQuery)).data
        records, complete = await query.run(self._store, urns, fields, self._environment_type)
        return json_response(PartyRecords(data=records), 200 if complete else 206)

    async def record(self, request: Request) -> Response:
        """GET access-management/parties/{uuid}."""
        await require_known_caller(request, self._callers.components)
        fields = parse_fields(request.query_params.get("fields"))
        found = await self._store.by_uuids([_uuid(request.path_params["party_uuid"], "/$PATH/uuid")])
        if not found:
            raise _not_found()
        return _tagged(request, found[0].version, to_record(found[0], fields))

    def _number(self, who: PartyLookup, path: str) -> tuple[PartyType, str]:
        if who.ssn is not None and who.org_no is not None:
            raise validation_problem("REG.VLD-00008", "Give ssn or orgNo, not both.", path or "/")
        if who.ssn is not None:
            if (fault := person_number_fault(who.ssn, self._environment_type)) is not None:
                raise validation_problem("REG.VLD-00007", fault.value, f"{path}/ssn")
            return PartyType.PERSON, who.ssn
        if who.org_no is not None:
            if (fault := organisation_number_fault(who.org_no)) is not None:
                raise validation_problem("REG.VLD-00006", fault.value, f"{path}/orgNo")
            return PartyType.ORGANISATION, who.org_no
        raise validation_problem("STD.VLD-00000", "Give ssn or orgNo.", path or "/")


def _name(who: PartyLookup, stored: StoredParty | None, *, parts: bool) -> PartyName:
    answer = PartyName(ssn=who.ssn, org_no=who.org_no, name=stored.name if stored else None)
    if not parts:
        return answer
    person = stored.person if stored else None
    name = (
        PersonName(first_name=person.first_name, middle_name=person.middle_name, last_name=person.last_name)
        if person
        else None
    )
    return PartyName(ssn=answer.ssn, org_no=answer.org_no, name=answer.name, person_name=name)


def _tagged(request: Request, version: int, body: Any) -> Response:
    tag = f'"v{version}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=60"}
    sent = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if tag in sent:
        return Response(status_code=304, headers=headers)
    return json_response(body, headers=headers)


def _many(request: Request, name: str) -> list[str]:
    values = ",".join(request.query_params.getlist(name)).split(",")
    return [value.strip() for value in values if value.strip()]


def _bounded(items: Iterable[Any]) -> None:
    if len(list(items)) > _MAX_LIST:
        raise validation_problem("REG.VLD-00001", f"At most {_MAX_LIST} parties can be asked for.", "/")


def _uuid(text: str, path: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise validation_problem("REG.VLD-00010", "A party uuid is not valid.", path) from None


def _not_found() -> Problem:
    return Problem(404, "There is no such party.", code="REG-00007")
