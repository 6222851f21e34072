"""Routes of access lists: for their owner, and for platform components that ask who is on them."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.access_lists import AccessListAnswer, AccessListQuestion
from havn.contracts.resources import resource_id
from havn.guard.middleware import require_principal
from havn.guard.platform_token import PlatformTokenVerifier, require_caller
from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.access_lists import AccessLists, told
from havn.platform.authorization.askers import PLATFORM
from havn.platform.authorization.freshness import Stamp
from havn.platform.authorization.store.access_lists import Connected, StoredList

READ = ("altinn:resourceregistry/access-list.read", "altinn:resourceregistry/access-list.write")
WRITE = READ[1:]


class ListBody(msgspec.Struct, frozen=True):
    """Body of making a list."""

    name: str
    description: str = ""


class MembersBody(msgspec.Struct, frozen=True):
    """Body of changing members: organisations as `urn:altinn:organization:identifier-no:{number}` or by party uuid."""

    data: list[str]


class ConnectionBody(msgspec.Struct, rename="camel", frozen=True):
    """Body of connecting a list to an app."""

    action_filters: list[str] | None = None


class LimitBody(msgspec.Struct, rename="camel", frozen=True):
    """Body of limiting an app to its lists."""

    access_list_mode: Literal["Enabled", "Disabled"]


class AccessListApi:
    """Handlers; nothing but translation."""

    def __init__(self, lists: AccessLists, components: PlatformTokenVerifier) -> None:
        self._lists = lists
        self._components = components

    def routes(self, base: str, registry: str, stamp: Stamp) -> list[Route]:
        """The question under `base`, the lists under `registry`; `stamp` has writes tell their version."""
        all_, one = f"{registry}/access-lists/{{owner}}", f"{registry}/access-lists/{{owner}}/{{identifier}}"
        limit = f"{registry}/resource/{{resource}}/access-list-mode"
        return [
            Route(f"{base}/accesslist/accessmanagement/authorization", self.authorize, methods=["POST"]),
            Route(f"{registry}/access-lists/memberships", self.memberships, methods=["GET"]),
            Route(f"{registry}/access-lists/get-by-member", self.by_member, methods=["GET"]),
            Route(all_, self.all, methods=["GET"]),
            Route(one, self.one, methods=["GET"]),
            Route(one, stamp(self.put), methods=["PUT"]),
            Route(one, stamp(self.delete), methods=["DELETE"]),
            Route(f"{one}/members", self.members, methods=["GET"]),
            Route(f"{one}/members", stamp(self.change_members), methods=["POST", "PUT", "DELETE"]),
            Route(f"{one}/resource-connections", self.connections, methods=["GET"]),
            Route(f"{one}/resource-connections/{{resource}}", stamp(self.connect), methods=["PUT"]),
            Route(f"{one}/resource-connections/{{resource}}", stamp(self.disconnect), methods=["DELETE"]),
            Route(limit, stamp(self.limit), methods=["PUT"]),
        ]

    async def authorize(self, request: Request) -> Response:
        """POST accesslist/accessmanagement/authorization: whether lists let a party do something."""
        await require_caller(request, self._components, issuers=(PLATFORM,))
        asked = await read_json(request, AccessListQuestion)
        verdict = await self._lists.verdict(
            (asked.subject.type, asked.subject.value), asked.resource.value, asked.action.value
        )
        return json_response(AccessListAnswer(asked.subject, asked.resource, asked.action, verdict))

    async def memberships(self, request: Request) -> Response:
        """GET access-lists/memberships?party=&resource=: the lists for a resource that a party is on."""
        resource = request.query_params.get("resource", "").removeprefix("urn:altinn:resource:")
        if not resource:
            raise Problem(400, "Name the resource, such as app_{org}_{app}.", code="invalid_query")
        party, urn = await self._party(request)
        rows = await self._lists.memberships(party, resource) if party else []
        data = [
            {
                "party": urn,
                "resource": f"urn:altinn:resource:{resource}",
                "since": row["since"],
                "actionFilters": row["actions"],
            }
            for row in rows
        ]
        return _page(data)

    async def by_member(self, request: Request) -> Response:
        """GET access-lists/get-by-member?party=: every list a party is on."""
        party, _ = await self._party(request)
        rows = await self._lists.store.memberships(party) if party else []
        return _page([{"owner": row["org"], "identifier": row["identifier"], "since": row["since"]} for row in rows])

    async def _party(self, request: Request) -> tuple[int | None, str]:
        await require_caller(request, self._components, issuers=(PLATFORM,))
        urn = request.query_params.get("party", "")
        type_, _, value = urn.rpartition(":")
        if not type_ or len(urn) > 200:
            raise Problem(400, "Name the party by urn.", code="invalid_query")
        found = await self._lists.party(type_, value)
        return (found.party_id if found is not None else None), urn

    async def all(self, request: Request) -> Response:
        """GET access-lists/{owner}."""
        owner = _owner(request, READ)
        return _page([_list(one) for one in await self._lists.store.lists(owner)])

    async def one(self, request: Request) -> Response:
        """GET access-lists/{owner}/{identifier}."""
        owner = _owner(request, READ)
        return json_response(_list(await self._lists.get(owner, request.path_params["identifier"])))

    async def put(self, request: Request) -> Response:
        """PUT access-lists/{owner}/{identifier}."""
        owner = _owner(request, WRITE)
        body = await read_json(request, ListBody)
        made = await self._lists.put(
            owner, request.path_params["identifier"], body.name, body.description, by=_by(request)
        )
        return json_response(_list(made))

    async def delete(self, request: Request) -> Response:
        """DELETE access-lists/{owner}/{identifier}."""
        await self._lists.delete(_owner(request, WRITE), request.path_params["identifier"])
        return Response(status_code=204)

    async def members(self, request: Request) -> Response:
        """GET access-lists/{owner}/{identifier}/members."""
        found = await self._lists.get(_owner(request, READ), request.path_params["identifier"])
        return _page([told(member) for member in await self._lists.store.members(found.org, found.identifier)])

    async def change_members(self, request: Request) -> Response:
        """POST (add), PUT (replace) or DELETE (remove) access-lists/{owner}/{identifier}/members."""
        owner = _owner(request, WRITE)
        how: Literal["add", "remove", "replace"] = (
            "add" if request.method == "POST" else "replace" if request.method == "PUT" else "remove"
        )
        urns = (await read_json(request, MembersBody)).data
        found = await self._lists.change_members(owner, request.path_params["identifier"], urns, how, by=_by(request))
        return _page([told(member) for member in found])

    async def connections(self, request: Request) -> Response:
        """GET access-lists/{owner}/{identifier}/resource-connections."""
        found = await self._lists.get(_owner(request, READ), request.path_params["identifier"])
        connected = await self._lists.store.connections(found.org, found.identifier)
        return _page([_connection(found.org, one) for one in connected])

    async def connect(self, request: Request) -> Response:
        """PUT access-lists/{owner}/{identifier}/resource-connections/{resource}."""
        owner = _owner(request, WRITE)
        body = await read_json(request, ConnectionBody)
        connected = await self._lists.connect(
            owner, request.path_params["identifier"], request.path_params["resource"], body.action_filters,
            by=_by(request),
        )  # fmt: skip
        return json_response(_connection(owner, connected))

    async def disconnect(self, request: Request) -> Response:
        """DELETE access-lists/{owner}/{identifier}/resource-connections/{resource}."""
        owner = _owner(request, WRITE)
        await self._lists.disconnect(owner, request.path_params["identifier"], request.path_params["resource"])
        return Response(status_code=204)

    async def limit(self, request: Request) -> Response:
        """PUT resource/{resource}/access-list-mode: limit an app to its lists, or open it again."""
        resource = request.path_params["resource"]
        owner = _owner(request, WRITE, owner=await self._lists.owner(resource))
        body = await read_json(request, LimitBody)
        await self._lists.limit(owner, resource, on=body.access_list_mode == "Enabled", by=_by(request))
        return json_response(body)


def _owner(request: Request, scopes: tuple[str, ...], owner: str | None = None) -> str:
    """The owner whose lists are meant: 401 without a token, 403 unless it is the caller's own and the scope is held."""
    wanted: str = request.path_params["owner"] if owner is None else owner
    caller = require_principal(request)
    if caller.kind is not Kind.SERVICE_OWNER or caller.org != wanted:
        raise Problem(403, "Access lists are for their owner only.", code="forbidden")
    if not caller.has_scope(*scopes):
        raise Problem(403, "The token lacks the scope for access lists.", code="scope_missing")
    return wanted


def _by(request: Request) -> str:
    return f"org:{require_principal(request).org}"


def _page(data: object) -> Response:
    return json_response({"links": {}, "data": data})


def _list(one: StoredList) -> dict[str, object]:
    return {
        "urn": f"urn:altinn:access-list:{one.org}:{one.identifier}",
        "identifier": one.identifier,
        "name": one.name,
        "description": one.description,
        "createdAt": one.created,
        "updatedAt": one.updated,
    }


def _connection(org: str, one: Connected) -> dict[str, object]:
    return {"resourceIdentifier": resource_id(org, one.app), "actionFilters": one.actions}
