"""The user's profile and parties. National identity numbers are masked in every answer."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from havn.contracts.register import Party
from havn.guard.middleware import principal
from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.runtime import parties
from havn.runtime.api.common import actor, context, flag, route


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        route("/api/v1/profile/user", profile),
        route("/api/v1/parties", list_parties),
        route("/api/v1/parties/validateInstantiation", validate_instantiation, ["POST"]),
        route("/api/v1/parties/{party_id:int}", choose, ["PUT"]),
        route("/api/authorization/parties/current", current),
    ]


async def profile(request: Request) -> Response:
    """The signed-in user's profile; 400 for callers that are no user."""
    who = actor(request)
    if who.principal.kind is not Kind.USER or who.principal.user_id is None:
        raise Problem(400, "The caller is not a user.", code="not_a_user")
    found = await context(request).clients.profile.user(who.principal.user_id, who.credentials)
    if found is None:
        raise Problem(404, "The user has no profile.", code="unknown_user")
    return json_response(msgspec.structs.replace(found, party=parties.masked(found.party)))


async def list_parties(request: Request) -> Response:
    """Whom the user may act for."""
    found = await parties.parties(
        context(request), actor(request), allowed_to_instantiate=flag(request, "allowedtoinstantiatefilter")
    )
    return json_response([parties.masked(party) for party in found])


async def current(request: Request) -> Response:
    """Whom the user acts for now: the whole party, or its number. A choice no longer valid is put right."""
    party = await parties.current(context(request), actor(request), request.cookies)
    whole = flag(request, "returnPartyObject")
    response = json_response(parties.masked(party) if whole else party.party_id)
    if request.cookies.get(parties.PARTY_COOKIE) != str(party.party_id):
        _set(request, response, party.party_id)
    return response


async def choose(request: Request) -> Response:
    """Act for a party from now on."""
    party_id = int(request.path_params["party_id"])
    if not await parties.may_represent(context(request), actor(request), party_id):
        raise Problem(400, "You cannot represent this party.", code="not_represented")
    # The frontend compares this text.
    response = json_response("Party successfully updated")
    _set(request, response, party_id)
    return response


async def validate_instantiation(request: Request) -> Response:
    """Whether the app is for a party, for the frontend's older versions."""
    wanted = request.query_params.get("partyId", "")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 12):
        raise Problem(400, "partyId is a number.", code="invalid_parameter")
    who, app = actor(request), context(request)
    party = _find(await parties.parties(app, who), int(wanted)) if principal(request).user_id else None
    if party is None:
        raise Problem(403, "You cannot represent this party.", code="not_represented")
    valid = parties.may_instantiate(app, party)
    return json_response({"valid": valid, "message": None, "validParties": []})


def _find(found: list[Party], party_id: int) -> Party | None:
    for party in found:
        if party.party_id == party_id:
            return party
        inside = _find(party.child_parties or [], party_id)
        if inside is not None:
            return inside
    return None


def _set(request: Request, response: Response, party_id: int) -> None:
    # Readable by script: the frontend shows whom one acts for. It gives no right by itself.
    response.set_cookie(
        parties.PARTY_COOKIE,
        str(party_id),
        path="/",
        secure=context(request).settings.secure_cookies,
        samesite="lax",
    )
