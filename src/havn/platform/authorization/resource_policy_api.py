"""The policy of a resource of the registry, app or not, and what it grants, to whoever may read it."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.access_lists import TypedValue
from havn.contracts.resources import app_of
from havn.engines.app_policy.reading import rules
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.web import json_response
from havn.platform.authorization.addresses import Address
from havn.platform.authorization.askers import asker, may_read_org
from havn.platform.authorization.freshness import Stamp
from havn.platform.authorization.multipart import read_file
from havn.platform.authorization.policies import MAX_BYTES, PolicyAdministration, check_names
from havn.platform.authorization.registry import Registry
from havn.platform.authorization.resource_api import own, writer

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


class ResourcePolicyApi:
    """Handlers; nothing but translation."""

    def __init__(
        self, registry: Registry, administration: PolicyAdministration, components: PlatformTokenVerifier
    ) -> None:
        self._registry = registry
        self._administration = administration
        self._components = components

    def routes(self, registry: str, stamp: Stamp) -> list[Route]:
        """The route table, under `registry`; `stamp` has writes tell their version."""
        policy = f"{registry}/resource/{{resource}}/policy"
        return [
            Route(policy, self.policy, methods=["GET"]),
            Route(policy, stamp(self.publish), methods=["POST", "PUT"]),
            Route(f"{policy}/rules", self.rules, methods=["GET"]),
            Route(f"{policy}/rights", self.rights, methods=["GET"]),
            Route(f"{policy}/subjects", self.subjects, methods=["GET"]),
        ]

    async def policy(self, request: Request) -> Response:
        """GET resource/{id}/policy: the policy in force as XML."""
        org, name = await self._readable(request)
        xml, _ = await self._administration.document(org, name)
        return Response(xml, media_type="text/xml")

    async def publish(self, request: Request) -> Response:
        """POST or PUT resource/{id}/policy: the file `policyFile` of a form, in force at once."""
        owner = writer(request)
        id_ = request.path_params["resource"]
        await own(self._registry, owner, id_)
        xml = await read_file(request, "policyFile", MAX_BYTES)
        return json_response(await self._registry.publish_policy(id_, xml, by=f"org:{owner.org}"), 201)

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
        org, name = await self._readable(request)
        _, document = await self._administration.document(org, name)
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

    async def _readable(self, request: Request) -> Address:
        """Where the resource's policy is kept, for whoever may read it."""
        id_ = request.path_params["resource"]
        org, name = await self._registry.address(id_)
        if app_of(id_) is not None:
            check_names(org, name)
        may_read_org(await asker(request, self._components), org)
        return org, name
