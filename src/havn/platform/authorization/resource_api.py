"""Routes of the resource registry: everybody reads, owners write their own."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.resources import CompetentAuthority, ServiceResource, app_of
from havn.guard.middleware import require_principal
from havn.guard.platform_token import PlatformTokenVerifier
from havn.guard.principal import Kind, Principal
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.askers import asker
from havn.platform.authorization.freshness import Stamp
from havn.platform.authorization.registry import Registry

_ORG = re.compile(r"[a-z][a-z0-9]{1,49}")
WRITE, ADMIN = "altinn:resourceregistry/resource.write", "altinn:resourceregistry/resource.admin"


class ResourceApi:
    """Handlers; nothing but translation."""

    def __init__(self, registry: Registry, components: PlatformTokenVerifier) -> None:
        self._registry = registry
        self._components = components

    def routes(self, registry: str, stamp: Stamp) -> list[Route]:
        """The route table, under `registry`; `stamp` has writes tell their version."""
        base = f"{registry}/resource"
        by_subjects = [
            Route(path, self.by_subjects, methods=["POST"]) for path in (f"{base}/bysubjects", f"{base}/bysubjects/")
        ]
        return [
            Route(f"{base}/resourcelist", self.listed, methods=["GET"]),
            *by_subjects,
            Route(base, stamp(self.create), methods=["POST"]),
            Route(f"{base}/{{resource}}", self.get, methods=["GET"]),
            Route(f"{base}/{{resource}}", stamp(self.replace), methods=["PUT"]),
            Route(f"{base}/{{resource}}", stamp(self.delete), methods=["DELETE"]),
        ]

    async def get(self, request: Request) -> Response:
        """GET resource/{id}?versionId=: open to everybody."""
        text = request.query_params.get("versionId")
        if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise Problem(400, "versionId must be a number.", code="invalid_query")
        found = await self._registry.get(request.path_params["resource"], int(text) if text else None)
        return json_response(found)

    async def listed(self, request: Request) -> Response:
        """GET resource/resourcelist?includeApps=&includeMigratedApps=: open to everybody."""
        apps = _flag(request, "includeApps", default=True)
        migrated = _flag(request, "includeMigratedApps", default=False)
        return json_response(await self._registry.all(apps=apps, migrated=migrated))

    async def by_subjects(self, request: Request) -> Response:
        """POST resource/bysubjects: for whoever is signed in, an app or a component."""
        await asker(request, self._components)
        found = await self._registry.by_subjects(await read_json(request, list[str]))
        return json_response({"links": {}, "data": found})

    async def create(self, request: Request) -> Response:
        """POST resource."""
        owner = writer(request)
        resource = await read_json(request, ServiceResource)
        org = _authority(owner, resource.has_competent_authority)
        made = await self._registry.put(resource, org, new=True, by=_by(owner))
        return json_response(made, 201, {"location": f"{request.url.path}/{made.identifier}"})

    async def replace(self, request: Request) -> Response:
        """PUT resource/{id}."""
        id_ = _registered(request)
        owner = writer(request)
        resource = await read_json(request, ServiceResource)
        if resource.identifier != id_:
            raise Problem(400, "The identifier is not that of the address.", code="resource_invalid")
        await own(self._registry, owner, id_)
        org = _authority(owner, resource.has_competent_authority)
        return json_response(await self._registry.put(resource, org, new=False, by=_by(owner)))

    async def delete(self, request: Request) -> Response:
        """DELETE resource/{id}."""
        id_ = _registered(request)
        org = await own(self._registry, writer(request), id_)
        await self._registry.delete(id_, org)
        return Response(status_code=204)


def writer(request: Request) -> Principal:
    """The owner that writes: 401 without a token, 403 unless it is an owner's with a scope for it."""
    found = require_principal(request)
    if found.kind is not Kind.SERVICE_OWNER or found.org is None:
        raise Problem(403, "Resources are for their owner only.", code="forbidden")
    if not found.has_scope(WRITE, ADMIN):
        raise Problem(403, "The token lacks the scope for resources.", code="scope_missing")
    return found


async def own(registry: Registry, owner: Principal, id_: str) -> str:
    """Whose a resource is; 404 for none, 403 when it is not the writer's (and the writer is no administrator)."""
    org, _ = await registry.address(id_)
    if org != owner.org and not owner.has_scope(ADMIN):
        raise Problem(403, "Only its owner may change a resource.", code="forbidden")
    return org


def _authority(owner: Principal, named: CompetentAuthority | None) -> str:
    """The owner code that the entry names; 400 without one, 403 unless it is the writer's own."""
    code = (named.orgcode or "").lower() if named is not None else ""
    if named is None or not _ORG.fullmatch(code):
        raise Problem(400, "hasCompetentAuthority.orgcode must be an owner's code.", code="resource_invalid")
    if owner.has_scope(ADMIN):
        return code
    if code != owner.org or (named.organization is not None and named.organization != owner.org_number):
        raise Problem(403, "The competent authority is not the owner of the token.", code="foreign_authority")
    return code


def _registered(request: Request) -> str:
    id_: str = request.path_params["resource"]
    if app_of(id_) is not None:
        raise Problem(400, "An app is changed by deploying it.", code="resource_is_app")
    return id_


def _by(owner: Principal) -> str:
    return f"org:{owner.org}"


def _flag(request: Request, name: str, *, default: bool) -> bool:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise Problem(400, f"{name} is true or false.", code="invalid_query")
    return text.lower() == "true"
