"""Routes of policy administration: publish, versions, put in force, and what a policy grants."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import Activation, AttributePair
from havn.engines.xacml import PolicyError
from havn.guard.middleware import require_principal
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_body, read_json
from havn.platform.authorization.askers import asker, may_publish, may_read_org
from havn.platform.authorization.freshness import Stamp
from havn.platform.authorization.policies import (
    MAX_BYTES,
    AppPolicies,
    PolicyAdministration,
    check_address,
    check_names,
    inspect,
    list_grants,
    no_policy,
)
from havn.platform.authorization.replay import Replay, ReplayQuery
from havn.platform.authorization.store.policies import PolicyStore

DESIGNER = "studio.designer"
_MAX_APPS = 200


class PolicyApi:
    """Handlers; nothing but translation."""

    def __init__(
        self,
        administration: PolicyAdministration,
        store: PolicyStore,
        replay: Replay,
        components: PlatformTokenVerifier,
    ) -> None:
        self._administration = administration
        self._store = store
        self._replay = replay
        self._components = components

    def routes(self, base: str, stamp: Stamp) -> list[Route]:
        """The route table, under `base`; `stamp` has writes tell their version."""
        one = f"{base}/policies/{{org}}/{{app}}"
        return [
            Route(f"{base}/policies", stamp(self.publish_as_designer), methods=["POST"]),
            Route(f"{base}/policies/GetPolicies", self.get_policies, methods=["POST"]),
            Route(f"{base}/policies/roleswithaccess/{{org}}/{{app}}", self.roles_with_access, methods=["GET"]),
            Route(f"{one}/versions", self.versions, methods=["GET"]),
            Route(f"{one}/versions/{{version:int}}", self.version, methods=["GET"]),
            Route(f"{one}/versions/{{version:int}}/activate", stamp(self.activate), methods=["POST"]),
            Route(f"{one}/history", self.history, methods=["GET"]),
            Route(f"{one}/lint", self.lint, methods=["POST"]),
            Route(f"{one}/dry-run", self.dry_run, methods=["POST"]),
            Route(one, stamp(self.publish), methods=["PUT"]),
            Route(one, self.in_force, methods=["GET"]),
        ]

    async def publish(self, request: Request) -> Response:
        """PUT policies/{org}/{app}: the next version, put in force."""
        who = await asker(request, self._components)
        may_publish(who)
        org, app = _app(request)
        check_names(org, app)
        xml = await read_body(request, MAX_BYTES)
        by = request.headers.get("X-Havn-Actor") or who.name()
        published = await self._administration.publish(
            org, app, xml, by=by[:200], release=request.query_params.get("release")
        )
        return json_response(published)

    async def publish_as_designer(self, request: Request) -> Response:
        """POST policies?org=&app=: the route of design tools, by claim."""
        caller = require_principal(request)
        if caller.claims.get("urn:altinn:app") != DESIGNER:
            raise Problem(403, "Only the design tool publishes here.", code="forbidden")
        org, app = request.query_params.get("org", ""), request.query_params.get("app", "")
        check_names(org, app)
        xml = await read_body(request, MAX_BYTES)
        if not xml.strip():
            raise Problem(400, "The body holds no policy.", code="empty_body")
        await self._administration.publish(org, app, xml, by=DESIGNER)
        return Response(status_code=200)

    async def in_force(self, request: Request) -> Response:
        """GET policies/{org}/{app}: the XML in force, to the owner."""
        return await self._xml(request, None)

    async def version(self, request: Request) -> Response:
        """GET policies/{org}/{app}/versions/{version}: the XML of one version, to the owner."""
        return await self._xml(request, request.path_params["version"])

    async def _xml(self, request: Request, version: int | None) -> Response:
        org, app = _app(request)
        may_read_org(await asker(request, self._components), org)
        xml, document = await self._administration.document(org, app, version)
        return Response(xml, media_type="application/xml", headers={"etag": f'"{document.digest}"'})

    async def versions(self, request: Request) -> Response:
        """GET policies/{org}/{app}/versions."""
        org, app = _app(request)
        may_read_org(await asker(request, self._components), org)
        return json_response(await self._administration.versions(org, app))

    async def history(self, request: Request) -> Response:
        """GET policies/{org}/{app}/history: when which version came into force, by whom and why."""
        org, app = _app(request)
        may_read_org(await asker(request, self._components), org)
        rows = await self._store.history(org, app)
        names = {"activated_by": "activatedBy"}
        return json_response([{names.get(key, key): value for key, value in row.items()} for row in rows])

    async def activate(self, request: Request) -> Response:
        """POST policies/{org}/{app}/versions/{version}/activate."""
        who = await asker(request, self._components)
        may_publish(who)
        org, app = _app(request)
        body = await read_body(request, 16 * 1024)
        reason = msgspec.json.decode(body, type=Activation).reason if body.strip() else None
        by = request.headers.get("X-Havn-Actor") or who.name()
        version = request.path_params["version"]
        return json_response(await self._administration.activate(org, app, version, by=by[:200], reason=reason))

    async def lint(self, request: Request) -> Response:
        """POST policies/{org}/{app}/lint: findings of a policy that is not kept."""
        org, app = _app(request)
        may_read_org(await asker(request, self._components), org)
        _, findings = inspect(org, app, await read_body(request, MAX_BYTES))
        return json_response(findings)

    async def dry_run(self, request: Request) -> Response:
        """POST policies/{org}/{app}/dry-run: what recorded requests would become under another policy."""
        org, app = _app(request)
        may_read_org(await asker(request, self._components), org)
        query = await read_json(request, ReplayQuery, limit=MAX_BYTES * 2)
        return json_response(await self._replay.run(org, app, query))

    async def roles_with_access(self, request: Request) -> Response:
        """GET policies/roleswithaccess/{org}/{app}: open, as it tells only which roles a citizen needs."""
        org, app = _app(request)
        return json_response(await self._administration.roles_with_access(org, app))

    async def get_policies(self, request: Request) -> Response:
        """POST policies/GetPolicies: what each app grants to roles; an app that cannot be told has an error text."""
        wanted = await read_json(request, list[list[AttributePair]])
        if len(wanted) > _MAX_APPS:
            raise Problem(400, f"At most {_MAX_APPS} apps can be asked about at once.", code="too_many")
        return json_response([await self._grants(app_id) for app_id in wanted])

    async def _grants(self, app_id: list[AttributePair]) -> Any:
        held = {pair.id: pair.value for pair in app_id}
        org, app = held.get(contract.ORG), held.get(contract.APP)
        if not org or not app:
            return AppPolicies(app_id, [], error_response="org and app are needed.")
        try:
            _, document = await self._administration.document(org, app)
            return list_grants(app_id, document)
        except Problem as problem:
            if problem.status != 404:
                raise
            return AppPolicies(app_id, [], error_response=no_policy(org, app).detail)
        except PolicyError as error:
            return AppPolicies(app_id, [], error_response=f"The policy cannot be read: {error.message}")


def _app(request: Request) -> tuple[str, str]:
    """An owner and its app, or `resource:{id}` of the registry."""
    org, app = request.path_params["org"], request.path_params["app"]
    check_address(org, app)
    return org, app
