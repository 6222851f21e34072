"""The whole form: the nodes of a layout, with what expressions ask about choices and what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from havn.engines.expressions import EvaluationError
from havn.runtime.layout import choices, display
from havn.runtime.layout.nodes import Node, State


class FormState(State):
    """The state of a form, for drawing it, judging it and writing its receipt."""

    def display(self, node: Node) -> str:
        """What the node holds, as a person reads it."""
        if not display.has_value(node):
            raise EvaluationError(f"the component {node.component.id!r} is a {node.type}, which shows no value")
        return display.text(node)

    def option_label(self, options_id: str, value: str | None, rows: Sequence[int]) -> str | None:
        """The label of an option in a list that was fetched for this form."""
        found = self.surroundings.choices.get((options_id.lower(), frozenset()))
        if found is None:
            raise EvaluationError(f"there are no options {options_id!r} here")
        for choice in found:
            if choices.as_text(choice.value) == value:
                return self.text(choice.label, rows)
        return None
