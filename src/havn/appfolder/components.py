"""The pages and components of layout files: their types, bindings and children, with every other member kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

REPEATING = frozenset({"RepeatingGroup", "Likert"})
"""Types whose children are drawn once per row of a list."""

_GROUP_BINDING = {"RepeatingGroup": "group", "Likert": "questions", "Group": "group"}


class Binding(msgspec.Struct, frozen=True):
    """What a component is bound to: a path without indices, in a data type (None: the layout set's own)."""

    field: str
    data_type: str | None = None

    @classmethod
    def read(cls, raw: Any) -> Binding | None:
        """The binding as a path or as `{dataType, field}`; None when it is neither."""
        if isinstance(raw, str) and raw:
            return cls(raw)
        if isinstance(raw, Mapping) and isinstance(raw.get("field"), str) and raw["field"]:
            data_type = raw.get("dataType")
            return cls(raw["field"], data_type if isinstance(data_type, str) else None)
        return None


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component of a page. Every member of the file is in `raw`; those that are read often have a name here."""

    id: str
    type: str
    page: str
    raw: Mapping[str, Any]
    bindings: Mapping[str, Binding] = {}
    """`dataModelBindings`, by name."""
    children: tuple[str, ...] = ()
    """Ids of the components inside, in order; in a repeating group, those drawn in each row."""
    outer_children: tuple[str, ...] = ()
    """In a repeating group: ids in `rowsBefore` and `rowsAfter`, drawn once."""

    @property
    def texts(self) -> Mapping[str, Any]:
        """`textResourceBindings`: name to text key or expression."""
        found = self.raw.get("textResourceBindings")
        return found if isinstance(found, Mapping) else {}

    @property
    def hidden(self) -> Any:
        """Expression or literal; false when not given."""
        return self.raw.get("hidden", False)

    @property
    def required(self) -> Any:
        """Expression or literal; false when not given."""
        return self.raw.get("required", False)

    @property
    def read_only(self) -> Any:
        """Expression or literal; false when not given."""
        return self.raw.get("readOnly", False)

    @property
    def remove_when_hidden(self) -> Any:
        """Expression or literal; None when not given."""
        return self.raw.get("removeWhenHidden")

    @property
    def options_id(self) -> str | None:
        """The list of options that is asked for by id."""
        found = self.raw.get("optionsId")
        return found if isinstance(found, str) and found else None

    @property
    def is_repeating(self) -> bool:
        """Whether its children are drawn once per row of a list."""
        return self.rows is not None

    @property
    def rows(self) -> Binding | None:
        """The list whose rows it repeats over."""
        if self.type in REPEATING or (self.type == "Group" and _count(self.raw.get("maxCount")) > 1):
            return self.bindings.get(_GROUP_BINDING[self.type])
        return None

    @property
    def binding(self) -> Binding | None:
        """`simpleBinding`."""
        return self.bindings.get("simpleBinding")

    @classmethod
    def read(cls, raw: Mapping[str, Any], page: str) -> Component | None:
        """The component as a layout file has it; None when it lacks id or type."""
        own_id, own_type = raw.get("id"), raw.get("type")
        if not isinstance(own_id, str) or not isinstance(own_type, str):
            return None
        bindings = {}
        if isinstance(given := raw.get("dataModelBindings"), Mapping):
            for name, value in given.items():
                if (binding := Binding.read(value)) is not None:
                    bindings[name] = binding
        outer = tuple(ref for ref, _ in outer_child_ids(raw)) if own_type == "RepeatingGroup" else ()
        return cls(
            id=own_id,
            type=own_type,
            page=page,
            raw=raw,
            bindings=bindings,
            children=tuple(ref for ref, _ in child_ids(raw)),
            outer_children=outer,
        )


def _count(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def child_ids(raw: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """The ids of the components inside, each with its path inside `raw`."""
    multi_page = isinstance(edit := raw.get("edit"), Mapping) and bool(edit.get("multiPage"))
    own_type = raw.get("type")
    if isinstance(listed := raw.get("children"), list):
        for index, child in enumerate(listed):
            if isinstance(child, str):
                yield _bare(child, multi_page=multi_page), ("children", index)
    if own_type == "Grid":
        yield from _cells(raw.get("rows"), ("rows",))
    for member in ("tabs", "cards"):
        if own_type == member.capitalize() and isinstance(parts := raw.get(member), list):
            for at, part in enumerate(parts):
                if not isinstance(part, Mapping):
                    continue
                if isinstance(part.get("media"), str):
                    yield part["media"], (member, at, "media")
                inside = part.get("children")
                for index, child in enumerate(inside if isinstance(inside, list) else ()):
                    if isinstance(child, str):
                        yield child, (member, at, "children", index)


def outer_child_ids(raw: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """The ids in `rowsBefore` and `rowsAfter` of a repeating group, each with its path inside `raw`."""
    for member in ("rowsBefore", "rowsAfter"):
        yield from _cells(raw.get(member), (member,))


def _cells(rows: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for at, row in enumerate(rows if isinstance(rows, list) else ()):
        cells = row.get("cells") if isinstance(row, Mapping) else None
        for index, cell in enumerate(cells if isinstance(cells, list) else ()):
            if isinstance(cell, Mapping) and isinstance(cell.get("component"), str):
                yield cell["component"], (*path, at, "cells", index, "component")


def _bare(child: str, *, multi_page: bool) -> str:
    """`0:name` is the child `name` on the first page of a multi-page group."""
    number, colon, rest = child.partition(":")
    return rest if multi_page and colon and number.isdecimal() else child


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page. `raw` is the `data` member of its file."""

    id: str
    components: tuple[Component, ...]
    raw: Mapping[str, Any] = {}

    @property
    def hidden(self) -> Any:
        """Expression or literal; false when not given."""
        return self.raw.get("hidden", False)

    @property
    def top(self) -> tuple[Component, ...]:
        """The components that stand on the page itself, not inside another."""
        inside = {ref for component in self.components for ref in (*component.children, *component.outer_children)}
        return tuple(component for component in self.components if component.id not in inside)

    @classmethod
    def read(cls, page_id: str, data: Mapping[str, Any]) -> Page:
        """The page as its file's `data` member has it; what is no component is left out."""
        listed = data.get("layout")
        raws = [raw for raw in listed if isinstance(raw, Mapping)] if isinstance(listed, list) else []
        components = [found for raw in raws if (found := Component.read(raw, page_id)) is not None]
        return cls(id=page_id, components=tuple(components), raw=data)
