"""Whom a user may act for, whom they act for now, and which kinds of party the app is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from havn.contracts.authentication import PARTY_COOKIE
from havn.contracts.register import SUB_UNIT_TYPES, Party, PartyType
from havn.guard.principal import Kind
from havn.kit.problem import Problem

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

__all__ = ["PARTY_COOKIE", "current", "masked", "may_instantiate", "may_represent", "parties", "party_type"]


async def parties(context: AppContext, actor: Actor, *, allowed_to_instantiate: bool = False) -> list[Party]:
    """The parties the user can represent, sub-units under their parents; with the flag, only those the app is for.

    A parent that the app is not for stays when one of its sub-units passes, marked as there for the hierarchy only.
    """
    user_id = actor.principal.user_id
    if user_id is None:
        raise Problem(401, "Only a person has parties to choose between.", code="not_a_user")
    raw = await context.clients.authorization.parties(user_id, actor.credentials)
    found = msgspec.json.decode(raw, type=list[Party])
    return _for_app(context, found) if allowed_to_instantiate else found


async def current(context: AppContext, actor: Actor, cookies: Mapping[str, str]) -> Party:
    """The party chosen earlier (cookie), if the user can still represent it, else the user's own."""
    chosen = cookies.get(PARTY_COOKIE, "")
    own = actor.principal.party_id
    if actor.principal.kind is not Kind.USER or own is None:
        raise Problem(401, "Only a person acts for a party.", code="not_a_user")
    if chosen.isascii() and chosen.isdigit() and len(chosen) < 12 and int(chosen) != own:
        party_id = int(chosen)
        if await may_represent(context, actor, party_id):
            party = await context.clients.register.party(party_id, actor.credentials)
            if party is not None:
                return party
    party = await context.clients.register.party(own, actor.credentials)
    if party is None:
        raise Problem(404, "The signed-in user is not a party in the register.", code="unknown_party")
    return party


async def may_represent(context: AppContext, actor: Actor, party_id: int) -> bool:
    """Whether the user may act for the party."""
    principal = actor.principal
    if principal.user_id is None:
        return False
    if principal.party_id == party_id:
        return True
    return await context.clients.authorization.validate_party(principal.user_id, party_id, actor.credentials)


def may_instantiate(context: AppContext, party: Party) -> bool:
    """Whether the app is for this kind of party (`partyTypesAllowed`; all four false means everyone)."""
    allowed = context.folder.metadata.party_types_allowed
    if allowed is None or not (allowed.person or allowed.organisation or allowed.sub_unit or allowed.bankruptcy_estate):
        return True
    if party.party_type_name in (PartyType.PERSON, PartyType.SELF_IDENTIFIED):
        return allowed.person
    if (party.unit_type or "").strip() in SUB_UNIT_TYPES or party.party_type_name is PartyType.SUB_UNIT:
        return allowed.sub_unit
    return allowed.organisation or (allowed.bankruptcy_estate and (party.unit_type or "").strip() == "KBO")


def party_type(party: Party) -> str:
    """`person`, `organisation` or `selfIdentified`, as service code and texts name it."""
    if party.party_type_name is PartyType.PERSON:
        return "person"
    return "selfIdentified" if party.party_type_name is PartyType.SELF_IDENTIFIED else "organisation"


def masked(party: Party) -> Party:
    """`party` with national identity numbers cut to the date of birth: a list of parties is no place to show them."""
    person = party.person
    return msgspec.structs.replace(
        party,
        ssn=_mask(party.ssn),
        person=msgspec.structs.replace(person, ssn=_mask(person.ssn) or "") if person is not None else None,
        child_parties=None if party.child_parties is None else [masked(child) for child in party.child_parties],
    )


def _mask(number: str | None) -> str | None:
    return number if not number else number[:6] + "*" * (len(number) - 6)


def _for_app(context: AppContext, found: Sequence[Party]) -> list[Party]:
    kept: list[Party] = []
    for party in found:
        children = _for_app(context, party.child_parties or ())
        if may_instantiate(context, party):
            kept.append(msgspec.structs.replace(party, child_parties=children))
        elif children:
            kept.append(
                msgspec.structs.replace(party, child_parties=children, only_hierarchy_element_with_no_access=True)
            )
    return kept
