"""Apps as resources of the registry: the policy of `app_{org}_{app}`, and what it grants, to whoever may read it."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import TypedValue
from havn.engines.app_policy.reading import rules
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.platform.authorization.askers import asker, may_read_org
from havn.platform.authorization.policies import PolicyAdministration, check_names

_Pairs = tuple[TypedValue, ...]


class PolicyRule(msgspec.Struct, rename="camel", frozen=True):
    """One combination that a Permit rule covers."""

    subject: _Pairs
    action: TypedValue
    resource: _Pairs


class PolicyRight(msgspec.Struct, rename="camel", frozen=True):
    """An action on a resource and who has it; `right_key` names it."""

    action: TypedValue
    resource: _Pairs
    subjects: list[_Pairs]
    right_key: str
    subject_types: list[str]


class RegistryApi:
    """Handlers; nothing but translation."""

    def __init__(self, administration: PolicyAdministration, components: PlatformTokenVerifier) -> None:
        self._administration = administration
        self._components = components

    def routes(self, registry: str) -> list[Route]:
        """The route table, under `registry`."""
        policy = f"{registry}/resource/{{resource}}/policy"
        return [
            Route(policy, self.policy, methods=["GET"]),
            Route(f"{policy}/rules", self.rules, methods=["GET"]),
            Route(f"{policy}/rights", self.rights, methods=["GET"]),
            Route(f"{policy}/subjects", self.subjects, methods=["GET"]),
        ]

    async def policy(self, request: Request) -> Response:
        """GET resource/{id}/policy: the app's policy as XML."""
        org, app = await self._app(request)
        xml, _ = await self._administration.document(org, app)
        return Response(xml, media_type="text/xml")

    async def rules(self, request: Request) -> Response:
        """GET resource/{id}/policy/rules: every combination that is permitted."""
        return json_response({"links": {}, "data": await self._rules(request)})

    async def rights(self, request: Request) -> Response:
        """GET resource/{id}/policy/rights: actions on resources, each with its subjects."""
        held: dict[tuple[_Pairs, TypedValue], dict[_Pairs, None]] = {}
        for rule in await self._rules(request):
            held.setdefault((rule.resource, rule.action), {})[rule.subject] = None
        data = [
            PolicyRight(
                action,
                resource,
                list(subjects),
                ";".join([*(f"{pair.type}={pair.value}" for pair in resource), action.value]),
                sorted({pair.type for subject in subjects for pair in subject}),
            )
            for (resource, action), subjects in held.items()
        ]
        return json_response({"links": {}, "data": data})

    async def subjects(self, request: Request) -> Response:
        """GET resource/{id}/policy/subjects: whoever some rule permits something."""
        found = dict.fromkeys(pair for rule in await self._rules(request) for pair in rule.subject)
        data = [{"type": pair.type, "value": pair.value, "urn": f"{pair.type}:{pair.value}"} for pair in found]
        return json_response({"links": {}, "data": data})

    async def _rules(self, request: Request) -> list[PolicyRule]:
        org, app = await self._app(request)
        _, document = await self._administration.document(org, app)
        return [
            PolicyRule(
                tuple(TypedValue(pair.id, pair.value) for pair in grant.subject),
                TypedValue(contract.ACTION_ID, grant.action.value),
                tuple(sorted((TypedValue(pair.id, pair.value) for pair in grant.resource), key=lambda p: p.type)),
            )
            for view in rules(document)
            if view.permits
            for grant in view.grants
            if grant.action is not None
        ]

    async def _app(self, request: Request) -> tuple[str, str]:
        # Split at most twice: an app's name may hold an underscore.
        parts = request.path_params["resource"].split("_", 2)
        if len(parts) != 3 or parts[0] != "app":
            raise Problem(404, "There is no such resource.", code="resource_not_found")
        check_names(parts[1], parts[2])
        may_read_org(await asker(request, self._components), parts[1])
        return parts[1], parts[2]
