"""`options/<id>.json`: lists of options that selection components offer."""

from __future__ import annotations

from typing import Any

import msgspec


class OptionItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One option. `label`, `description` and `helpText` are text keys or texts."""

    value: str | int | float | bool | None
    label: str
    description: str | None = None
    help_text: str | None = None
    tags: dict[str, str] | None = None


MEMBERS = frozenset({"value", "label", "description", "helpText", "tags"})


def read(value: Any) -> tuple[OptionItem, ...]:
    """The options of a decoded file. Raises `msgspec.ValidationError` at the first that is wrong."""
    return msgspec.convert(value, tuple[OptionItem, ...])
