"""Evaluating an expression about one field of a model: in validation rules and calculations."""

from __future__ import annotations

from typing import Any

from havn.engines.expressions import Arguments
from havn.runtime.layout.compiled import compiled
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import NodeContext
from havn.runtime.model import paths
from havn.runtime.model.paths import Step


class FieldContext(NodeContext):
    """Paths without indices mean the rows that the field stands in."""

    def __init__(self, state: FormState, data_type: str, field: str) -> None:
        super().__init__(state, None, "")
        self._field_state = state
        self._data_type = data_type
        self._field = paths.parse(field)

    def data_model(self, path: str, data_type: str | None) -> Any:
        """The value at `path`, in the field's own rows."""
        if (data_type or self._data_type) != self._data_type:
            return super().data_model(path, data_type)
        try:
            wanted = paths.join(beside(paths.parse(path), self._field))
        except paths.PathError:
            return None
        return self._field_state.value(self._data_type, wanted)


def evaluate(raw: Any, state: FormState, data_type: str, field: str) -> Any:
    """The value of `raw` for `field` (with indices). Raises `ExpressionError`."""
    arguments = Arguments(positional=(field,), values={"value": state.value(data_type, field)}, default_key="value")
    return compiled(raw).evaluate(FieldContext(state, data_type, field), arguments)


def beside(path: tuple[Step, ...], field: tuple[Step, ...]) -> tuple[Step, ...]:
    """`path` with the indices of `field` put in, as far as both run through the same lists."""
    found: list[Step] = []
    rest = list(path)
    for place, step in enumerate(field):
        if not rest:
            break
        if isinstance(step, int):
            if isinstance(rest[0], int):
                # The path names its own row from here on.
                break
            found.append(step)
        elif rest[0] == step and (place == 0 or found):
            found.append(rest.pop(0))
        else:
            break
    return (*found, *rest)
