"""Routes about people and whom they act for: roles, parties, validation, and what a person may do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import Role, SubjectRef
from havn.guard.facts import FactCache
from havn.guard.middleware import require_principal
from havn.guard.principal import Principal
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.platform.authorization.delegations import roles_of
from havn.platform.authorization.pip import InformationPoint, Who


class PartyApi:
    """Handlers; nothing but translation."""

    def __init__(self, information: InformationPoint, facts: FactCache) -> None:
        self._information = information
        self._facts = facts

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/roles", self.roles, methods=["GET"]),
            Route(f"{base}/parties", self.parties, methods=["GET"]),
            Route(f"{base}/parties/{{party:int}}/validate", self.validate, methods=["GET"]),
        ]

    async def roles(self, request: Request) -> Response:
        """GET roles?coveredByUserId=&offeredByPartyId=: the caller's own roles for a party."""
        user, party = _number(request, "coveredByUserId"), _number(request, "offeredByPartyId")
        if user == 0 or party == 0:
            raise Problem(400, "coveredByUserId and offeredByPartyId are needed.", code="invalid_query")
        caller = _own(request, user)
        found = (await self._facts.subject(_ref(caller), [party], token=caller.token))[party]
        roles = [Role("altinn", code.upper()) for code in sorted(roles_of(found))]
        if not roles:
            raise Problem(404, "The user has no roles for that party.", code="no_roles")
        return json_response(roles)

    async def parties(self, request: Request) -> Response:
        """GET parties?userId=: everyone the caller may act for, sub-units inside their main unit."""
        user = _number(request, "userId")
        if user == 0:
            raise Problem(404, "userId is needed.", code="no_user")
        who = await self._who(_own(request, user))
        tree = await self._information.represented(who.party_id or 0, await self._information.delegating(who))
        if not tree:
            raise Problem(404, "The user may act for nobody.", code="no_parties")
        return json_response(tree)

    async def validate(self, request: Request) -> Response:
        """GET parties/{partyId}/validate?userId=: whether the caller may act for a party."""
        user, party = _number(request, "userId"), request.path_params["party"]
        if user == 0 or party == 0:
            raise Problem(404, "userId and partyId are needed.", code="no_user")
        if party >= 2**31:
            return json_response(value=False)
        caller = _own(request, user)
        who = await self._who(caller)
        if who.party_id == party:
            return json_response(value=True)
        found = (await self._facts.subject(_ref(caller), [party], token=caller.token))[party]
        general = any(right.instance_id is None for right in found.rights)
        held = any(pair.id in (contract.ROLE_CODE, contract.ACCESS_PACKAGE) for pair in found.attributes)
        return json_response(value=held or general)

    async def _who(self, caller: Principal) -> Who:
        who = await self._information.resolve(_ref(caller))
        if who is None or who.party_id is None:
            raise Problem(404, "The user is not known.", code="no_user")
        return who


def _own(request: Request, user: int) -> Principal:
    caller = require_principal(request)
    if caller.user_id != user:
        raise Problem(403, "Only the user may ask about that user.", code="foreign_subject")
    return caller


def _ref(caller: Principal) -> SubjectRef:
    return SubjectRef(user_id=caller.user_id, party_id=caller.party_id)


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise Problem(400, f"{name} must be a number.", code="invalid_query")
    return int(text)
