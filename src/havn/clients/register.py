"""Client of the Register API."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.contracts.register import (
    NewSelfIdentifiedUser,
    Organization,
    Party,
    PartyIdentifiers,
    PartyLookup,
    PartyQuery,
    PartyRecords,
    Person,
    RepresentedParties,
    Role,
    RoleChanges,
    RolesAnswer,
    RolesQuery,
    User,
    UserQuery,
)
from havn.kit.http import HttpClient

_BASE = "/register/api/v1"
_NAME = "Register"


class RegisterClient:
    """Calls register through `http`, whose base address is the platform's. Every call needs a platform token.

    A method that returns None does so for 404; every other failure is a `Problem`.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def party(self, party_id: int, credentials: Credentials) -> Party | None:
        """A party that the user may represent, or that a service owner asks for; 403 otherwise."""
        response = await self._http.request("GET", f"{_BASE}/parties/{party_id}", headers=credentials.headers())
        return None if response.status_code == 404 else answers.read(response, Party, of=_NAME)

    async def party_by_uuid(self, party_uuid: str, credentials: Credentials) -> Party | None:
        """As `party`, by uuid."""
        response = await self._http.request(
            "GET", f"{_BASE}/parties/byuuid/{party_uuid}", headers=credentials.headers()
        )
        return None if response.status_code == 404 else answers.read(response, Party, of=_NAME)

    async def lookup(self, who: PartyLookup, credentials: Credentials) -> Party | None:
        """The party behind a national identity or organisation number; 400 when the number is not valid."""
        response = await self._post("/parties/lookup", who, credentials)
        return None if response.status_code == 404 else answers.read(response, Party, of=_NAME)

    async def party_list(
        self, party_ids: Sequence[int], credentials: Credentials, *, fetch_sub_units: bool = False
    ) -> list[Party]:
        """Those of `party_ids` (at most 1000) that exist."""
        flag = "true" if fetch_sub_units else "false"
        response = await self._post(f"/parties/partylist?fetchSubUnits={flag}", list(party_ids), credentials)
        return answers.read(response, list[Party], of=_NAME)

    async def party_list_by_uuid(self, uuids: Sequence[str], credentials: Credentials) -> list[Party]:
        """Those of `uuids` (at most 1000) that exist."""
        response = await self._post("/parties/partylistbyuuid", list(uuids), credentials)
        return answers.read(response, list[Party], of=_NAME)

    async def identifiers(
        self,
        credentials: Credentials,
        *,
        ids: Sequence[int] = (),
        uuids: Sequence[str] = (),
        orgs: Sequence[str] = (),
    ) -> list[PartyIdentifiers]:
        """The keys of parties named by any of them; at most 100 in all."""
        params = {
            name: ",".join(str(value) for value in values)
            for name, values in (("ids", ids), ("uuids", uuids), ("orgs", orgs))
            if values
        }
        response = await self._http.request(
            "GET", f"{_BASE}/parties/identifiers", params=params, headers=credentials.headers()
        )
        return answers.read(response, list[PartyIdentifiers], of=_NAME)

    async def organization(self, number: str, credentials: Credentials) -> Organization | None:
        """An organisation or sub-unit by its number."""
        response = await self._http.request("GET", f"{_BASE}/organizations/{number}", headers=credentials.headers())
        return None if response.status_code == 404 else answers.read(response, Organization, of=_NAME)

    async def person(self, number: str, last_name: str, credentials: Credentials) -> Person | None:
        """A person whose last name the user knows; 429 after too many misses."""
        response = await self._http.request(
            "GET",
            f"{_BASE}/persons",
            headers=credentials.headers()
            | {
                "X-Ai-NationalIdentityNumber": number,
                "X-Ai-LastName": base64.b64encode(last_name.encode()).decode(),
                "X-Ai-LastName-Encoding": "base64",
            },
        )
        return None if response.status_code == 404 else answers.read(response, Person, of=_NAME)

    async def query(self, urns: Sequence[str], credentials: Credentials, *, fields: str | None = None) -> PartyRecords:
        """Parties by URN of any kind (V2); members as `fields` names them."""
        path = "/apps/parties/query" + (f"?fields={fields}" if fields else "")
        response = await self._post(path, PartyQuery(data=list(urns)), credentials)
        return answers.read(response, PartyRecords, of=_NAME)

    # Between platform components only (platform token of issuer `platform`).

    async def roles_for(self, subject_party: int, object_party: int, credentials: Credentials) -> list[Role]:
        """Roles that `subject_party` holds for `object_party`, inherited ones included."""
        answer = await self.roles_for_many(subject_party, [object_party], credentials)
        return answer.data[0].roles

    async def roles_for_many(
        self, subject_party: int, object_parties: Sequence[int], credentials: Credentials
    ) -> RolesAnswer:
        """As `roles_for`, for at most 1000 objects in one call, in the order asked."""
        query = RolesQuery(subject=subject_party, objects=list(object_parties))
        return answers.read(await self._post("/internal/roles", query, credentials), RolesAnswer, of=_NAME)

    async def represented_by(
        self, subject_party: int, credentials: Credentials, *, include_deleted: bool = False
    ) -> RepresentedParties:
        """Parties that `subject_party` may represent, itself first, sub-units inside their main unit."""
        params = {"subject": str(subject_party), "includeDeleted": "true" if include_deleted else "false"}
        response = await self._http.request(
            "GET", f"{_BASE}/internal/represented", params=params, headers=credentials.headers()
        )
        return answers.read(response, RepresentedParties, of=_NAME)

    async def role_changes(self, after: int, credentials: Credentials, *, limit: int = 1000) -> RoleChanges:
        """Role assignments made or withdrawn after version `after`, oldest first."""
        response = await self._http.request(
            "GET",
            f"{_BASE}/internal/role-changes",
            params={"after": str(after), "limit": str(limit)},
            headers=credentials.headers(),
        )
        return answers.read(response, RoleChanges, of=_NAME)

    async def user(self, who: UserQuery, credentials: Credentials) -> User | None:
        """A user and their party."""
        response = await self._post("/internal/user", who, credentials)
        return None if response.status_code == 404 else answers.read(response, User, of=_NAME)

    async def create_user(self, user: NewSelfIdentifiedUser, credentials: Credentials) -> User:
        """The self-identified user with this external identity, made if it is not there."""
        return answers.read(await self._post("/internal/users", user, credentials), User, of=_NAME)

    async def _post(self, path: str, body: Any, credentials: Credentials) -> Any:
        return await self._http.request(
            "POST",
            _BASE + path,
            content=msgspec.json.encode(body),
            headers=credentials.headers() | {"content-type": "application/json"},
        )
