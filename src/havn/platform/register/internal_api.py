"""Routes between platform components: users at sign-in, roles and represented parties for access decisions."""

from __future__ import annotations

from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.register import (
    NewSelfIdentifiedUser,
    PartyRoles,
    PartyType,
    RepresentedParties,
    RoleChanges,
    RolesAnswer,
    RolesQuery,
    User,
    UserQuery,
)
from havn.guard.callers import Callers
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.register.access import require_component
from havn.platform.register.parties import StoredParty, as_tree, to_party, validation_problem
from havn.platform.register.store import Store

_MAX = 1000
_PARTIES = "urn:altinn:person:idporten-email:"


class InternalApi:
    """Handlers for platform components only."""

    def __init__(self, store: Store, callers: Callers, clock: Clock) -> None:
        self._store = store
        self._callers = callers
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/internal/user", self.user, methods=["POST"]),
            Route(f"{base}/internal/users", self.create_user, methods=["POST"]),
            Route(f"{base}/internal/roles", self.roles, methods=["POST"]),
            Route(f"{base}/internal/represented", self.represented, methods=["GET"]),
            Route(f"{base}/internal/role-changes", self.role_changes, methods=["GET"]),
        ]

    async def user(self, request: Request) -> Response:
        """POST internal/user."""
        await require_component(request, self._callers.components)
        who = await read_json(request, UserQuery)
        found: list[StoredParty]
        if who.user_id is not None:
            found = await self._store.by_users(ids=[who.user_id] if abs(who.user_id) < 2**31 else [])
        elif who.user_uuid is not None:
            found = await self._store.by_uuids([_uuid(who.user_uuid)])
        elif who.username is not None:
            found = await self._store.by_users(names=[who.username])
        elif who.ssn is not None:
            found = await self._store.by_numbers(PartyType.PERSON, [who.ssn])
        elif who.external_identity is not None:
            found = await self._store.by_users(identities=[who.external_identity])
        elif who.party_id is not None:
            found = await self._store.by_ids([who.party_id] if abs(who.party_id) < 2**31 else [])
        else:
            raise validation_problem("STD.VLD-00000", "Say which user.", "/")
        if not found or found[0].user_id is None:
            raise Problem(404, "There is no such user.", code="user_not_found")
        return json_response(_user(found[0]))

    async def create_user(self, request: Request) -> Response:
        """POST internal/users."""
        await require_component(request, self._callers.components)
        new = await read_json(request, NewSelfIdentifiedUser)
        if not 0 < len(new.external_identity) <= 400 or not 0 < len(new.username) <= 200:
            raise validation_problem("STD.VLD-00000", "externalIdentity and username are needed.", "/")
        urn = (
            new.external_identity
            if new.external_identity.startswith(_PARTIES)
            else f"urn:altinn:party:external:{quote(new.external_identity, safe=':')}"
        )
        stored = await self._store.create_self_identified(
            new, uuid=str(uuid5(NAMESPACE_URL, urn)), external_urn=urn, now=self._clock()
        )
        return json_response(_user(stored), 201)

    async def roles(self, request: Request) -> Response:
        """POST internal/roles."""
        await require_component(request, self._callers.components)
        asked = await read_json(request, RolesQuery)
        if len(asked.objects) > _MAX:
            raise validation_problem("REG.VLD-00001", f"At most {_MAX} parties can be asked for.", "/objects")
        for party in (asked.subject, *asked.objects):
            if not 0 < party < 2**31:
                raise validation_problem("REG.VLD-00009", "A party id is not valid.", "/")
        # The version is read first: facts may be newer than it says, never older.
        version = await self._store.version()
        found = await self._store.roles(asked.subject, asked.objects)
        mains = await self._store.main_units(asked.objects)
        data = [
            PartyRoles(party=party, roles=found.get(party, []), main_unit=mains.get(party)) for party in asked.objects
        ]
        return json_response(RolesAnswer(version=version, data=data))

    async def represented(self, request: Request) -> Response:
        """GET internal/represented."""
        await require_component(request, self._callers.components)
        subject = _number(request, "subject", 0)
        version = await self._store.version()
        include_deleted = request.query_params.get("includeDeleted", "").lower() == "true"
        found, own = await self._store.represented(subject, include_deleted=include_deleted)
        return json_response(RepresentedParties(version=version, data=as_tree(found, own)))

    async def role_changes(self, request: Request) -> Response:
        """GET internal/role-changes."""
        await require_component(request, self._callers.components)
        after = _number(request, "after", 0, maximum=2**62)
        limit = _number(request, "limit", _MAX)
        changes = await self._store.role_changes(after, min(limit, _MAX))
        return json_response(RoleChanges(next=changes[-1].version if changes else after, data=changes))


def _user(stored: StoredParty) -> User:
    assert stored.user_id is not None
    return User(
        user_id=stored.user_id,
        username=stored.username,
        external_identity=stored.external_identity,
        party=to_party(stored),
    )


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise validation_problem("REG.VLD-00010", "The user uuid is not valid.", "/userUuid") from None


def _number(request: Request, name: str, default: int, *, maximum: int = 2**31 - 1) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= maximum):
        raise validation_problem("STD.VLD-00002", f"{name} must be a number.", f"/$QUERY/{name}")
    return int(text)
