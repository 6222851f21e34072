"""Values copied from models to the instance: presentation texts (shown in lists) and data values (searched by)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from havn.runtime.model.paths import get


class Field(Protocol):
    """A line of `presentationFields` or `dataFields`."""

    @property
    def id(self) -> str:
        """Its name on the instance."""

    @property
    def path(self) -> str:
        """Where in the model."""

    @property
    def data_type_id(self) -> str:
        """Which model."""


def changed_values(
    fields: Iterable[Field], models: Mapping[str, Mapping[str, Any]], current: Mapping[str, str]
) -> dict[str, str]:
    """The entries of `current` that must change, for the data types in `models`; an empty text removes the entry."""
    changes: dict[str, str] = {}
    for field in fields:
        model = models.get(field.data_type_id)
        if model is None:
            continue
        value = text(get(model, field.path))
        if value != current.get(field.id, ""):
            changes[field.id] = value
    return changes


def text(value: Any) -> str:
    """A leaf value as text: numbers and booleans as in JSON, absent and compound ones empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if float(value).is_integer() else repr(value)
    return value if isinstance(value, str) else ""
