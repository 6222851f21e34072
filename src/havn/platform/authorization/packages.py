"""Access packages: bundles of rights by subject area, carried by register roles or delegated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files

import msgspec


def load() -> Mapping[str, frozenset[str]]:
    """The catalogue: package code to the role codes that carry it."""
    text = files("havn.platform.authorization.data").joinpath("access_packages.json").read_bytes()
    return {code: frozenset(roles) for code, roles in msgspec.json.decode(text, type=dict[str, list[str]]).items()}


def carried_by(catalogue: Mapping[str, frozenset[str]], roles: Iterable[str]) -> list[str]:
    """The packages that any of `roles` (lower case) carries, sorted."""
    held = set(roles)
    return sorted(code for code, carriers in catalogue.items() if not carriers.isdisjoint(held))
