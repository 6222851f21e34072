"""Prefill: values put into a new model from the request, the user's profile and the register (`*.prefill.json`).

In this order: the request's own values, the user's profile, the organisation, the person. An existing value stays
unless the file says `allowOverwrite`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from havn.runtime.model import paths
from havn.runtime.model.shape import Shape


class Config(Protocol):
    """A prefill file: each section maps source path to model path."""

    @property
    def allow_overwrite(self) -> bool:
        """Whether values that are there may be replaced."""

    @property
    def user_profile(self) -> Mapping[str, str]:
        """From the user's profile."""

    @property
    def er(self) -> Mapping[str, str]:
        """From the organisation."""

    @property
    def dsf(self) -> Mapping[str, str]:
        """From the person."""


class PrefillError(Exception):
    """The prefill file names a member that the model does not have, or a value does not fit."""


class PrefillSources(msgspec.Struct, frozen=True):
    """What the sections of a prefill file read from; each is JSON, or None when it does not apply."""

    user_profile: Mapping[str, Any] | None = None
    organisation: Mapping[str, Any] | None = None
    person: Mapping[str, Any] | None = None


def prefill(
    model: dict[str, Any],
    shape: Shape,
    config: Config | None,
    sources: PrefillSources,
    requested: Mapping[str, Any] | None = None,
) -> None:
    """Fill `model` in place.

    Raises `PrefillError` when the file names an unknown member; the request's unknown members are left out.
    """
    for path, value in (requested or {}).items():
        member = _member(shape, path)
        if member is not None:
            paths.put(model, _plain(path), fit(member, value, path))
    if config is None:
        return
    for source, mapping in (
        (sources.user_profile, config.user_profile),
        (sources.organisation, config.er),
        (sources.person, config.dsf),
    ):
        if source is None:
            continue
        for from_path, to_path in mapping.items():
            _fill(model, shape, source, from_path, to_path, overwrite=config.allow_overwrite)


def _fill(
    model: dict[str, Any], shape: Shape, source: Mapping[str, Any], from_path: str, to_path: str, *, overwrite: bool
) -> None:
    member = _member(shape, to_path)
    if member is None:
        raise PrefillError(f"Prefill names {to_path!r}, which is not a member of the model.")
    target = _plain(to_path)
    value = _find(source, from_path)
    if value is None or (not overwrite and paths.get(model, target) not in (None, "")):
        return
    paths.put(model, target, fit(member, value, to_path))


def _plain(path: str) -> str:
    return path.replace("-", "")


def _member(shape: Shape, path: str) -> Shape | None:
    try:
        return shape.at(paths.parse(_plain(path)))
    except paths.PathError:
        return None


def _find(source: Any, path: str) -> Any:
    """A value by dotted path, names in any case (`Party.Person.Name` finds `party.person.name`)."""
    for part in path.split("."):
        if not isinstance(source, Mapping):
            return None
        source = next((value for key, value in source.items() if key.lower() == part.lower()), None)
    return source


def fit(member: Shape, value: Any, path: str) -> Any:
    """`value` as the kind the model wants there: sources and requests hold mostly text."""
    if "string" in member.kinds:
        return value if isinstance(value, str) else _as_text(value)
    if isinstance(value, str):
        try:
            if "integer" in member.kinds and "number" not in member.kinds:
                return int(value)
            if "number" in member.kinds:
                return float(value) if not value.lstrip("-").isdigit() else int(value)
        except ValueError:
            raise PrefillError(f"The value for {path!r} is not a number.") from None
        if "boolean" in member.kinds and value.lower() in ("true", "false"):
            return value.lower() == "true"
    if isinstance(value, dict | list) and not member.kinds & {"object", "array"}:
        raise PrefillError(f"The value for {path!r} is not a single value.")
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise PrefillError("A text was wanted, and the source holds something compound.")
    return str(value)
