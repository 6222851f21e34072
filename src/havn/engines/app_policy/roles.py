"""The role codes there are, from the catalogue beside this file."""

from __future__ import annotations

from importlib.resources import files

import msgspec


class RegisterRole(msgspec.Struct, frozen=True):
    """A role of the business register. `key`: its holder may do what others have delegated to the organisation."""

    code: str
    name: str
    key: bool


class Catalogue(msgspec.Struct, frozen=True):
    """Roles that the register gives, that people have for themselves, and that are only ever delegated."""

    register: list[RegisterRole]
    own: list[str]
    delegated: list[str]


CATALOGUE = msgspec.json.decode(
    files("havn.engines.app_policy").joinpath("roles.json").read_bytes(), type=Catalogue, strict=True
)
KEY_ROLES = frozenset(role.code for role in CATALOGUE.register if role.key)
"""Register roles whose holder may do what others have delegated to the organisation."""
REGISTER_ROLES = frozenset({*(role.code for role in CATALOGUE.register), *CATALOGUE.own})
"""Roles that follow from a register or from being oneself, and so cannot be handed out."""
KNOWN_ROLES = frozenset({*REGISTER_ROLES, *CATALOGUE.delegated})
"""Role codes that registers give out or that can be delegated; compared without case."""
