"""Whom a user may act for, whom they act for now, and which kinds of party the app is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from havn.contracts.register import Party
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

PARTY_COOKIE = "AltinnPartyId"


async def parties(context: AppContext, actor: Actor, *, allowed_to_instantiate: bool = False) -> list[Party]:
    """The parties the user can represent, sub-units under their parents; with the flag, only those the app is for."""
    raise NotImplementedError


async def current(context: AppContext, actor: Actor, cookies: Mapping[str, str]) -> Party:
    """The party chosen earlier (cookie), if the user can still represent it, else the user's own."""
    raise NotImplementedError


async def may_represent(context: AppContext, actor: Actor, party_id: int) -> bool:
    """Whether the user may act for the party."""
    raise NotImplementedError


def may_instantiate(context: AppContext, party: Party) -> bool:
    """Whether the app is for this kind of party (`partyTypesAllowed`; all four false means everyone)."""
    raise NotImplementedError
