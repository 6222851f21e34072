"""A Likert scale: the rows of a list are questions, all answered from the same choices."""

from __future__ import annotations

import msgspec

from havn.runtime.layout import choices
from havn.runtime.layout.nodes import Node, with_rows


class Line(msgspec.Struct, frozen=True):
    """One question."""

    row_id: str
    question: str
    path: str
    value: str
    label: str


def lines(node: Node) -> list[Line]:
    """The questions within the component's `filter` (row numbers from `start` up to, not including, `stop`)."""
    answer = node.component.bindings.get("answer")
    if answer is None:
        return []
    labels = {choice.value: choice.label for choice in choices.choices(node)}
    start, stop = _bounds(node)
    found = []
    for row in node.row_list[start:stop]:
        if row.hidden:
            continue
        rows = (*node.rows, row.index)
        path = with_rows(answer, (*node.component.lists, node.component), rows)
        value = choices.as_text(node.state.value(answer.data_type, path))
        key = node.in_row(row.index, node.component.texts.get("questions"), "textResourceBindings.questions")
        question = node.state.text(str(key), rows) if key else str(row.index + 1)
        found.append(Line(row.id, question, path, value, labels.get(value, value)))
    return found


def _bounds(node: Node) -> tuple[int, int | None]:
    start, stop = 0, None
    filters = node.raw.get("filter")
    for item in filters if isinstance(filters, list) else []:
        try:
            number = int(item.get("value"))
        except (TypeError, ValueError):
            continue
        if item.get("key") == "start":
            start = number
        elif item.get("key") == "stop":
            stop = number
    return start, stop
