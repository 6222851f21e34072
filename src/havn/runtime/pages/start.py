"""Before the form: whom it is for, which unfinished one to go on with, and starting a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.register import SUB_UNIT_TYPES, Party, PartyType
from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.runtime import instances, parties
from havn.runtime.api.session import sign_in
from havn.runtime.pages import posted
from havn.runtime.pages.dates import moment
from havn.runtime.pages.site import LANGUAGE_COOKIE, Site

MANY = 10
"""From so many parties on there is a search field."""
SHOWN = 100
"""Parties on one page; searching finds the others."""


class Candidate(msgspec.Struct, frozen=True):
    """A party one may choose."""

    id: int
    name: str
    about: str
    choosable: bool
    below: Sequence[Candidate]


async def home(request: Request) -> Response:
    """The app's front page: sign-in, then the party, then a choice of what to fill in."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return sign_in(request)
    if site.actor.principal.kind is not Kind.USER:
        raise Problem(403, "Only a person fills in forms.", code="not_a_user")
    response = await _home(site)
    if LANGUAGE_COOKIE not in request.cookies and "lang" not in request.query_params:
        await _prefer(site, response)
    return response


async def _home(site: Site) -> Response:
    allowed = await parties.parties(site.context, site.actor, allowed_to_instantiate=True)
    choosable = _choosable(allowed)
    if not choosable:
        frame = site.frame(site.word("forbidden_title"))
        return site.page("message.html", frame, status=403, body=site.word("party_none"), links=(), reference=None)
    current = await parties.current(site.context, site.actor, site.request.cookies)
    chosen = next((party for party in choosable if party.party_id == current.party_id), None)
    prompt = site.context.folder.metadata_raw.get("promptForParty")
    asked = parties.PARTY_COOKIE in site.request.cookies and site.request.query_params.get("party") == "chosen"
    if chosen is None and len(choosable) == 1:
        chosen = choosable[0]
    elif chosen is None or (len(choosable) > 1 and not asked and prompt != "never"):
        return site.go("/party-selection", status=302)
    return await _choices(site, chosen, many=len(choosable) > 1)


async def _choices(site: Site, party: Party, *, many: bool) -> Response:
    """Unfinished forms to go on with, where the app shows them, and the button for a new one."""
    show = site.context.folder.metadata.on_entry.show if site.context.folder.metadata.on_entry else None
    active = []
    if show == "select-instance":
        active = await instances.active(site.context, site.actor, party.party_id)
    selection = _selection(site)
    if selection.get("sortDirection") != "desc":
        active = active[::-1] if selection else active
    size = _rows(selection)
    number = _number(site.request.query_params.get("page", "1"), -(-len(active) // size) or 1)
    lines = [
        (
            one.id,
            " – ".join(text for text in one.presentation_texts.values() if text) or site.app_name,
            site.word("last_changed", when=moment(one.last_changed), who=one.last_changed_by),
        )
        for one in active[(number - 1) * size : number * size]
    ]
    return site.page(
        "start.html",
        site.frame(site.app_name, acting_for=party.name),
        party=party,
        many=many,
        lines=lines,
        number=number,
        total=-(-len(active) // size),
    )


async def party_selection(request: Request) -> Response:
    """Whom to act for; a choice made is kept as a cookie."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return sign_in(request, goto=site.home)
    if request.method == "POST":
        return await _choose(site)
    allowed = await parties.parties(site.context, site.actor, allowed_to_instantiate=True)
    wanted = request.query_params.get("q", "").strip()[:100]
    found = [candidate for party in allowed if (candidate := _candidate(site, party, wanted)) is not None]
    return site.page(
        "parties.html",
        site.frame(site.word("party_title")),
        parties=found[:SHOWN],
        query=wanted,
        search=bool(wanted) or len(_choosable(allowed)) >= MANY,
        cut=len(found) > SHOWN,
    )


async def _choose(site: Site) -> Response:
    sent = await posted.read(site.request)
    await site.check()
    value = sent.one("party")
    party_id = int(value) if value.isascii() and value.isdigit() and len(value) < 12 else 0
    if not await parties.may_represent(site.context, site.actor, party_id):
        raise Problem(403, "You cannot represent this party.", code="not_represented")
    response = site.go("/?party=chosen")
    response.set_cookie(
        parties.PARTY_COOKIE, str(party_id), path="/", secure=site.context.settings.scheme == "https", samesite="lax"
    )
    return response


async def start(request: Request) -> Response:
    """Make an instance for a party and open it."""
    site = Site(request)
    if not site.actor.principal.authenticated:
        return sign_in(request, goto=site.home)
    sent = await posted.read(request)
    await site.check()
    value = sent.one("party")
    if not (value.isascii() and value.isdigit() and len(value) < 12):
        raise Problem(400, "The form names no party.", code="invalid_party")
    return await instantiate(site, int(value), {})


async def instantiate(site: Site, party_id: int, prefill: Mapping[str, Any]) -> Response:
    """A new instance for a party, and the way to it."""
    owner = instances.OwnerRef(party_id=str(party_id))
    made = await instances.create(site.context, site.actor, owner, prefill=prefill or None)
    return site.go(f"/instance/{made.id}")


def _choosable(found: Sequence[Party]) -> list[Party]:
    every = [one for party in found for one in (party, *(party.child_parties or ()))]
    return [party for party in every if not party.only_hierarchy_element_with_no_access and not party.is_deleted]


def _candidate(site: Site, party: Party, wanted: str) -> Candidate | None:
    below = [found for child in party.child_parties or () if (found := _candidate(site, child, wanted)) is not None]
    matches = not wanted or wanted.casefold() in (party.name or "").casefold() or wanted in (party.org_number or "")
    if not matches and not below:
        return None
    if party.party_type_name is PartyType.ORGANISATION:
        unit = party.organization.unit_type if party.organization else party.unit_type
        about = site.word("sub_unit" if unit in SUB_UNIT_TYPES else "organisation", number=party.org_number)
    else:
        about = site.word("person")
    choosable = not party.only_hierarchy_element_with_no_access and not party.is_deleted
    return Candidate(party.party_id, party.name or "", about, choosable, below)


def _selection(site: Site) -> Mapping[str, Any]:
    entry = site.context.folder.metadata_raw.get("onEntry")
    found = entry.get("instanceSelection") if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _rows(selection: Mapping[str, Any]) -> int:
    options = selection.get("rowsPerPageOptions")
    index = selection.get("defaultSelectedOption", selection.get("defaultRowsPerPage", 0))
    if isinstance(options, list) and isinstance(index, int) and 0 <= index < len(options):
        return max(1, int(options[index])) if isinstance(options[index], int) else 10
    return 10


def _number(text: str, most: int) -> int:
    return max(1, min(int(text), most)) if text.isascii() and text.isdigit() and len(text) < 6 else 1


async def _prefer(site: Site, response: Response) -> None:
    """Take the language of the user's profile from the next page on."""
    user = site.actor.principal.user_id
    if user is None:
        return
    try:
        profile = await site.context.clients.profile.user(user, site.actor.credentials)
    except Problem:
        return
    preference = profile.profile_setting_preference.language if profile and profile.profile_setting_preference else ""
    if preference in site.languages:
        site.set_language(response, str(preference))
