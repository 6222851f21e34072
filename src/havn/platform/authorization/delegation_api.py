"""Routes for giving, listing and revoking delegations."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, Grant
from havn.engines.app_policy.reading import rules
from havn.guard.middleware import require_principal
from havn.guard.principal import PORTAL_SCOPE, Kind, Principal
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.delegations import Delegations
from havn.platform.authorization.freshness import Stamp
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.registry import Registry

_MINIMUM_LEVEL = 2
READ_SCOPES = (PORTAL_SCOPE, "altinn:accessmanagement/enduser:delegation.read", "altinn:accessmanagement/delegations")
WRITE_SCOPES = (PORTAL_SCOPE, "altinn:accessmanagement/enduser:delegation.write", "altinn:accessmanagement/delegations")


class RightToGive(msgspec.Struct, rename="camel", frozen=True):
    """Whether one may give a right away; `reason` says why not."""

    resource: list[AttributePair]
    action: str
    status: Literal["Delegable", "NotDelegable"]
    reason: str | None


class DelegationApi:
    """Handlers; nothing but translation."""

    def __init__(self, delegations: Delegations, registry: Registry, administration: PolicyAdministration) -> None:
        self._delegations = delegations
        self._registry = registry
        self._administration = administration

    def routes(self, base: str, stamp: Stamp) -> list[Route]:
        """The route table, under `base`; `stamp` has writes tell their version."""
        return [
            Route(f"{base}/delegations", stamp(self.give), methods=["POST"]),
            Route(f"{base}/delegations", self.search, methods=["GET"]),
            Route(f"{base}/delegations/check", self.check, methods=["GET"]),
            Route(f"{base}/delegations/{{id}}", self.one, methods=["GET"]),
            Route(f"{base}/delegations/{{id}}", stamp(self.revoke), methods=["DELETE"]),
        ]

    async def give(self, request: Request) -> Response:
        """POST delegations."""
        giver = _person(request, WRITE_SCOPES)
        given = await self._delegations.give(await read_json(request, Grant), giver)
        return json_response(given, 201, {"location": f"{request.url.path}/{given.id}"})

    async def search(self, request: Request) -> Response:
        """GET delegations?fromPartyId=&toPartyId=&toUserId=&includeEnded=."""
        who = _person(request, READ_SCOPES)
        found = await self._delegations.search(
            who,
            from_party=_number(request, "fromPartyId"),
            to_party=_number(request, "toPartyId"),
            to_user=_number(request, "toUserId"),
            ended=request.query_params.get("includeEnded", "").lower() == "true",
        )
        return json_response(found)

    async def check(self, request: Request) -> Response:
        """GET delegations/check?fromPartyId=&resource=: which rights to a resource one may give away, and why not."""
        who = _person(request, READ_SCOPES)
        party = _number(request, "fromPartyId")
        if not party:
            raise Problem(400, "fromPartyId is needed.", code="invalid_query")
        _, document = await self._administration.document(
            *await self._registry.address(request.query_params.get("resource", ""))
        )
        rights = list(
            dict.fromkeys(
                (tuple(AttributePair(pair.id, pair.value) for pair in grant.resource), grant.action.value)
                for view in rules(document)
                if view.permits
                for grant in view.grants
                if grant.action is not None and grant.resource
            )
        )[: contract.MAX_SUB_REQUESTS]
        reasons = await self._delegations.may_give(who, party, rights) if rights else []
        return json_response(
            [
                RightToGive(list(resource), action, "NotDelegable" if reason else "Delegable", reason)
                for (resource, action), reason in zip(rights, reasons, strict=True)
            ]
        )

    async def one(self, request: Request) -> Response:
        """GET delegations/{id}."""
        who = _person(request, READ_SCOPES)
        return json_response(await self._delegations.one(request.path_params["id"], who))

    async def revoke(self, request: Request) -> Response:
        """DELETE delegations/{id}: ends it and whatever was passed on from it."""
        who = _person(request, WRITE_SCOPES)
        await self._delegations.revoke(request.path_params["id"], who)
        return Response(status_code=204)


def _person(request: Request, scopes: tuple[str, ...]) -> Principal:
    who = require_principal(request)
    if who.kind is not Kind.USER:
        raise Problem(403, "Only a person may do this.", code="not_a_person")
    if who.auth_level < _MINIMUM_LEVEL:
        raise Problem(
            403, "This needs a stronger sign-in.", code="authentication_level_too_low",
            RequiredAuthenticationLevel=str(_MINIMUM_LEVEL),
        )  # fmt: skip
    # An owner's app holds a token for its own host: it must not hand out a person's rights with it.
    if who.audience_org is not None or not who.has_scope(*scopes):
        raise Problem(403, "This token may not administer access.", code="scope_missing")
    return who


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise Problem(400, f"{name} must be a number.", code="invalid_query")
    return int(text)
