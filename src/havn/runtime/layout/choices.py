"""The choices of a selection component: written in the layout, fetched by id, or the rows of a list in the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from havn.engines.expressions import Arguments, ExpressionError
from havn.runtime.layout.compiled import compiled
from havn.runtime.layout.nodes import Node, NodeContext, State, is_true
from havn.runtime.layout.surroundings import Choice
from havn.runtime.layout.tree import Binding
from havn.runtime.model import fields

SELECTIONS = frozenset(
    {"Checkboxes", "Dropdown", "MultipleSelect", "RadioButtons", "Likert", "LikertItem", "FileUploadWithTag", "Option"}
)
MANY = frozenset({"Checkboxes", "MultipleSelect"})
"""Selections of several values, kept as one text with commas between."""


class Wanted(msgspec.Struct, frozen=True):
    """Options to fetch before a form is drawn."""

    id: str
    query: tuple[tuple[str, str], ...] = ()
    secure: bool = False

    @property
    def key(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """Under which `Surroundings.choices` keeps them."""
        return (self.id.lower(), frozenset(self.query))


class Drawn(msgspec.Struct, frozen=True):
    """A choice as it is shown, texts resolved."""

    value: str
    label: str
    description: str | None = None
    help_text: str | None = None
    raw: str | float | bool | None = None


def wanted(nodes: Iterable[Node]) -> list[Wanted]:
    """What to fetch for these nodes, each once."""
    found: dict[Wanted, None] = {}
    for node in nodes:
        if (options := of_node(node)) is not None:
            found[options] = None
        for options_id in _in_expressions(node.raw):
            found[Wanted(options_id)] = None
    return list(found)


def of_node(node: Node) -> Wanted | None:
    """What to fetch for one node."""
    options_id = node.prop("optionsId")
    if not isinstance(options_id, str) or not options_id:
        return None
    query: dict[str, str] = {}
    mapping = node.raw.get("mapping")
    for path, name in mapping.items() if isinstance(mapping, dict) else ():
        value = node.value(binding=Binding(node.component.default_data_type, str(path)))
        if value is not None:
            query[str(name)] = as_text(value)
    parameters = node.raw.get("queryParameters")
    for name, expression in parameters.items() if isinstance(parameters, dict) else ():
        value = node.evaluate(expression, f"queryParameters.{name}")
        if value is not None:
            query[str(name)] = as_text(value)
    return Wanted(options_id, tuple(sorted(query.items())), bool(node.raw.get("secure")))


def _in_expressions(raw: Any) -> Iterator[str]:
    if isinstance(raw, dict):
        for value in raw.values():
            yield from _in_expressions(value)
    elif isinstance(raw, list):
        if len(raw) == 3 and raw[0] == "optionLabel" and isinstance(raw[1], str):
            yield raw[1]
        for value in raw:
            yield from _in_expressions(value)


def choices(node: Node) -> list[Drawn]:
    """The choices of a node in the order they are shown, those that `optionFilter` refuses left out."""
    drawn = [_drawn(node, choice) for choice in _found(node) if _passes(node, choice)]
    unique: dict[str, Drawn] = {}
    for choice in drawn:
        unique.setdefault(choice.value, choice)
    order = node.raw.get("sortOrder")
    listed = list(unique.values())
    return sorted(listed, key=lambda choice: choice.label.casefold(), reverse=order == "desc") if order else listed


def chosen(node: Node) -> list[str]:
    """The values that are chosen now, as texts."""
    value = node.value()
    if node.type in MANY and isinstance(value, str):
        return [part for part in (part.strip() for part in value.split(",")) if part]
    if node.type in MANY and isinstance(value, list):
        return [as_text(item) for item in value]
    return [] if value is None or value == "" else [as_text(value)]


def labels(node: Node) -> list[str]:
    """The labels of what is chosen; the value itself where it is no longer among the choices."""
    known = {choice.value: choice.label for choice in choices(node)}
    return [known.get(value, value) for value in chosen(node)]


def as_text(value: Any) -> str:
    """A value as it stands in a form field: numbers and booleans as in JSON."""
    return "" if value is None else fields.text(value) if isinstance(value, str | bool | int | float) else str(value)


def _found(node: Node) -> Sequence[Choice]:
    written = node.raw.get("options")
    if isinstance(written, list):
        return [
            Choice(item.get("value"), str(item.get("label", "")), item.get("description"), item.get("helpText"))
            for item in written
            if isinstance(item, dict)
        ]
    source = node.raw.get("source")
    if isinstance(source, dict):
        return list(_from_rows(node, source))
    options = of_node(node)
    return () if options is None else node.state.surroundings.choices.get(options.key, ())


def _from_rows(node: Node, source: dict[str, Any]) -> Iterator[Choice]:
    data_type = str(source.get("dataType") or node.component.default_data_type)
    group = str(source.get("group", "")).removesuffix("[{0}]")
    rows = node.value(binding=Binding(data_type, group)) if group else None
    prefix = node.indexed(Binding(data_type, group))
    for index, _ in enumerate(rows if isinstance(rows, list) else []):
        place = f"{prefix}[{index}]"
        value = _leaf(node.state, data_type, place, group, str(source.get("value", "")))
        if value in (None, ""):
            continue
        texts = [
            _row_text(node, source.get(name), data_type, place, index) for name in ("label", "description", "helpText")
        ]
        yield Choice(value, texts[0] or as_text(value), texts[1], texts[2])


def _row_text(node: Node, raw: Any, data_type: str, place: str, index: int) -> str | None:
    """A text of one row: an expression evaluated in it, or a text key with `[{0}]` standing for the row."""
    if raw is None:
        return None
    if isinstance(raw, list):
        context = _RowContext(node, data_type, place)
        return as_text(node.state.evaluate(raw, context, "", node.component.id, "source"))
    return node.state.text(str(raw), (index,))


class _RowContext(NodeContext):
    """Paths into the source's list mean the row at hand."""

    def __init__(self, node: Node, data_type: str, place: str) -> None:
        super().__init__(node.state, node, node.component.page)
        self._data_type = data_type
        self._place = place

    def data_model(self, path: str, data_type: str | None) -> Any:
        """The row's own value, where the path runs through the list."""
        from havn.runtime.model.paths import without_indices

        group = without_indices(self._place)
        if (data_type or self._default_data_type) == self._data_type and path.startswith(f"{group}."):
            return self._state.value(self._data_type, self._place + path.removeprefix(group))
        return super().data_model(path, data_type)


def _leaf(state: State, data_type: str, place: str, group: str, path: str) -> Any:
    # The value's path is written from the root, with or without `[{0}]`, or from the row.
    relative = path.replace("[{0}]", "").removeprefix(f"{group}.")
    return state.value(data_type, f"{place}.{relative}") if relative else None


def _passes(node: Node, choice: Choice) -> bool:
    raw = node.raw.get("optionFilter")
    if raw is None:
        return True
    arguments = Arguments(values={"value": choice.value, "label": choice.label}, default_key="value")
    try:
        return is_true(compiled(raw).evaluate(node.context, arguments))
    except ExpressionError:
        return True


def _drawn(node: Node, choice: Choice) -> Drawn:
    return Drawn(
        as_text(choice.value),
        node.lookup(choice.label),
        node.lookup(choice.description) if choice.description else None,
        node.lookup(choice.help_text) if choice.help_text else None,
        choice.value,
    )
