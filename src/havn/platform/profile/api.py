"""The routes of profile: HTTP in and out, nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.authentication import PORTAL_SCOPE
from havn.contracts.profile import GroupName, PartyGroup, SettingsPatch, SettingsPut, UserProfile
from havn.contracts.register import UserQuery
from havn.guard.callers import Callers
from havn.guard.middleware import require_principal
from havn.guard.platform_token import require_caller
from havn.guard.principal import Kind, Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import decode_json, json_response, read_body, read_json
from havn.platform.profile.profiles import Profiles, uuid
from havn.platform.profile.store import Store


class Api:
    """Handlers."""

    def __init__(self, store: Store, profiles: Profiles, callers: Callers, clock: Clock) -> None:
        self._store = store
        self._profiles = profiles
        self._callers = callers
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        settings, groups = f"{base}/users/current/profilesettings", f"{base}/users/current/party-groups"
        return [
            Route(f"{base}/users/current", self.current, methods=["GET"]),
            Route(settings, self.put_settings, methods=["PUT"]),
            Route(settings, self.patch_settings, methods=["PATCH"]),
            Route(groups, self.groups, methods=["GET"]),
            Route(groups, self.add_group, methods=["POST"]),
            Route(f"{groups}/favorites", self.favourites, methods=["GET"]),
            Route(f"{groups}/favorites/{{party_uuid}}", self.add_favourite, methods=["PUT"]),
            Route(f"{groups}/favorites/{{party_uuid}}", self.remove_favourite, methods=["DELETE"]),
            Route(f"{groups}/{{group_id}}", self.group, methods=["GET"]),
            Route(f"{groups}/{{group_id}}", self.rename_group, methods=["PATCH"]),
            Route(f"{groups}/{{group_id}}", self.delete_group, methods=["DELETE"]),
            Route(f"{groups}/{{group_id}}/associations/{{party_uuid}}", self.associate, methods=["PUT"]),
            Route(f"{groups}/{{group_id}}/associations/{{party_uuid}}", self.dissociate, methods=["DELETE"]),
            Route(f"{base}/users/byuuid/{{user_uuid}}", self.by_uuid, methods=["GET"]),
            Route(f"{base}/users/{{user_id}}", self.by_id, methods=["GET"]),
            Route(f"{base}/users", self.by_number, methods=["POST"]),
            Route(f"{base}/internal/user", self.internal, methods=["POST"]),
        ]

    # Reading users.

    async def by_id(self, request: Request) -> Response:
        """GET users/{userId}."""
        text = request.path_params["user_id"]
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise Problem(400, "The user id is not valid.", code="invalid_user_id")
        return await self._for_app(request, UserQuery(user_id=int(text)))

    async def by_uuid(self, request: Request) -> Response:
        """GET users/byuuid/{userUuid}."""
        return await self._for_app(request, UserQuery(user_uuid=uuid(request.path_params["user_uuid"])))

    async def by_number(self, request: Request) -> Response:
        """POST users: the number as a JSON string, or as `{"ssn": …}`."""
        body = decode_json(await read_body(request, 1024), Any)
        number = body.get("ssn") if isinstance(body, dict) else body
        if not isinstance(number, str) or not number:
            raise Problem(400, "Send the number as a JSON string.", code="invalid_body")
        return await self._for_app(request, UserQuery(ssn=number))

    async def _for_app(self, request: Request, who: UserQuery) -> Response:
        await require_caller(request, self._callers.components)
        return _profile(await self._profiles.find_for(who, require_principal(request)))

    async def internal(self, request: Request) -> Response:
        """POST internal/user."""
        await require_caller(request, self._callers.components, issuers={"platform"})
        who = await read_json(request, UserQuery)
        return _profile(await self._profiles.find(who))

    async def current(self, request: Request) -> Response:
        """GET users/current."""
        user_id, _ = _portal_user(request)
        return _profile(await self._profiles.find(UserQuery(user_id=user_id)))

    # Preferences.

    async def put_settings(self, request: Request) -> Response:
        """PUT users/current/profilesettings."""
        user_id, party_id = _portal_user(request)
        new = decode_json(_settings_body(await read_body(request, 4096)), SettingsPut)
        return json_response(await self._profiles.put_settings(user_id, party_id, new))

    async def patch_settings(self, request: Request) -> Response:
        """PATCH users/current/profilesettings."""
        user_id, party_id = _portal_user(request)
        patch = decode_json(_settings_body(await read_body(request, 4096)), SettingsPatch)
        return json_response(await self._profiles.patch_settings(user_id, party_id, patch))

    # Groups.

    async def groups(self, request: Request) -> Response:
        """GET users/current/party-groups."""
        user_id, _ = _portal_user(request)
        return json_response(await self._store.groups(user_id))

    async def add_group(self, request: Request) -> Response:
        """POST users/current/party-groups."""
        user_id, _ = _portal_user(request)
        group_id = await self._store.add_group(user_id, _name(await read_json(request, GroupName)))
        return json_response(await self._group(user_id, group_id), 201)

    async def group(self, request: Request) -> Response:
        """GET users/current/party-groups/{groupId}."""
        user_id, _ = _portal_user(request)
        return json_response(await self._group(user_id, _group_id(request)))

    async def rename_group(self, request: Request) -> Response:
        """PATCH users/current/party-groups/{groupId}."""
        user_id, _ = _portal_user(request)
        group = await self._own_group(user_id, _group_id(request))
        await self._store.rename_group(user_id, group.group_id, _name(await read_json(request, GroupName)))
        return json_response(await self._group(user_id, group.group_id))

    async def delete_group(self, request: Request) -> Response:
        """DELETE users/current/party-groups/{groupId}."""
        user_id, _ = _portal_user(request)
        group = await self._own_group(user_id, _group_id(request))
        await self._store.delete_group(user_id, group.group_id)
        return Response(status_code=204)

    async def associate(self, request: Request) -> Response:
        """PUT …/{groupId}/associations/{partyUuid}."""
        user_id, party_id = _portal_user(request)
        group = await self._group(user_id, _group_id(request))
        party = uuid(request.path_params["party_uuid"])
        await self._profiles.require_representable(party_id, party)
        await self._store.associate(group.group_id, party, self._clock())
        return json_response(await self._group(user_id, group.group_id))

    async def dissociate(self, request: Request) -> Response:
        """DELETE …/{groupId}/associations/{partyUuid}."""
        user_id, _ = _portal_user(request)
        group = await self._group(user_id, _group_id(request))
        await self._store.dissociate(group.group_id, uuid(request.path_params["party_uuid"]))
        return json_response(await self._group(user_id, group.group_id))

    async def favourites(self, request: Request) -> Response:
        """GET users/current/party-groups/favorites."""
        user_id, _ = _portal_user(request)
        return json_response(await self._group(user_id, await self._store.favourites(user_id)))

    async def add_favourite(self, request: Request) -> Response:
        """PUT …/favorites/{partyUuid}: 201 when added, 204 when it was there."""
        user_id, party_id = _portal_user(request)
        party = uuid(request.path_params["party_uuid"])
        await self._profiles.require_representable(party_id, party)
        added = await self._store.associate(await self._store.favourites(user_id), party, self._clock())
        return Response(status_code=201 if added else 204)

    async def remove_favourite(self, request: Request) -> Response:
        """DELETE …/favorites/{partyUuid}."""
        user_id, _ = _portal_user(request)
        party = uuid(request.path_params["party_uuid"])
        if not await self._store.dissociate(await self._store.favourites(user_id), party):
            raise Problem(404, "The party is not among the favourites.", code="not_a_favourite")
        return Response(status_code=204)

    async def _group(self, user_id: int, group_id: int) -> PartyGroup:
        for group in await self._store.groups(user_id):
            if group.group_id == group_id:
                return group
        raise Problem(404, "There is no such group.", code="group_not_found")

    async def _own_group(self, user_id: int, group_id: int) -> PartyGroup:
        group = await self._group(user_id, group_id)
        if group.is_favorite:
            raise Problem(422, "The favourites cannot be renamed or deleted.", code="favourites_are_fixed")
        return group


def _portal_user(request: Request) -> tuple[int, int]:
    user: Principal = require_principal(request)
    if user.kind is not Kind.USER or user.user_id is None or user.party_id is None:
        raise Problem(400, "Only a person has a profile.", code="not_a_person")
    if PORTAL_SCOPE not in user.scopes:
        raise Problem(403, "The token has no scope for this.", code="scope_missing")
    return user.user_id, user.party_id


def _profile(profile: UserProfile | None) -> Response:
    if profile is None:
        raise Problem(404, "There is no such user.", code="user_not_found")
    return json_response(profile, headers={"Cache-Control": "private, no-cache"})


def _settings_body(body: bytes) -> bytes:
    """The body with member names in our spelling: clients write them in any case, and language under its old name."""
    members = decode_json(body, dict[str, Any])
    known = {name.lower(): name for name in (field.encode_name for field in msgspec.structs.fields(SettingsPatch))}
    known["languagetype"] = "language"
    return msgspec.json.encode({known.get(name.lower(), name): value for name, value in members.items()})


def _name(body: GroupName) -> str:
    name = " ".join(body.name.split())
    if not 0 < len(name) <= 100 or name.startswith("__"):
        raise Problem(400, "A group's name has 1 to 100 characters.", code="invalid_group_name")
    return name


def _group_id(request: Request) -> int:
    text = request.path_params["group_id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise Problem(404, "There is no such group.", code="group_not_found")
    return int(text)
