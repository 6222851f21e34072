"""A layout as the app wrote it, made into a tree once: pages, components, what holds what, and bindings.

Layout files list components flat and name children by id; containers differ in where they keep those names. A component
belongs to one parent; one that no container claims stands on the page itself. Names change between the format's
versions: `Heading` of version 9 is `Header` here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_ALIASES = {"Heading": "Header"}
_PAGE_OF_CHILD = re.compile(r"^\d+:")
LISTS = frozenset({"RepeatingGroup", "Likert"})
"""Containers that draw their children once per row of a list."""


class Binding(msgspec.Struct, frozen=True):
    """Where in which model a component keeps its value; the path has no indices."""

    data_type: str
    path: str


class Component:
    """One component of the layout. Equal only to itself."""

    def __init__(self, raw: Mapping[str, Any], page: str, default_data_type: str) -> None:
        self.raw = raw
        self.id: str = str(raw.get("id", ""))
        self.type: str = _type(raw)
        self.page = page
        self.parent: Component | None = None
        self.children: list[Component] = []
        self.outer: list[Component] = []
        """What a list of rows draws once, before and after its rows."""
        self.texts: Mapping[str, Any] = _mapping(raw.get("textResourceBindings"))
        self.bindings: Mapping[str, Binding] = {
            name: binding
            for name, value in _mapping(raw.get("dataModelBindings")).items()
            if (binding := _binding(value, default_data_type)) is not None
        }
        self.default_data_type = default_data_type

    @property
    def list_binding(self) -> Binding | None:
        """The list that this component draws its children for, when it is a list of rows."""
        if self.type not in LISTS:
            return None
        return self.bindings.get("group") or self.bindings.get("questions")

    @property
    def lists(self) -> tuple[Component, ...]:
        """The lists of rows this component stands in, from the outside in."""
        found: list[Component] = []
        below, place = self, self.parent
        while place is not None:
            if place.list_binding is not None and below not in place.outer:
                found.append(place)
            below, place = place, place.parent
        return tuple(reversed(found))

    def child_ids(self) -> list[str]:
        """The ids of the components this one holds, in drawing order."""
        ids: list[str] = [_PAGE_OF_CHILD.sub("", child) for child in _strings(self.raw.get("children"))]
        for tab in _mappings(self.raw.get("tabs")):
            ids += _strings(tab.get("children"))
        for card in _mappings(self.raw.get("cards")):
            ids += _strings(card.get("children"))
            if isinstance(card.get("media"), str):
                ids.append(card["media"])
        return ids + _cells(self.raw.get("rows"))

    def outer_ids(self) -> list[str]:
        """The ids of what a list of rows draws once."""
        return _cells(self.raw.get("rowsBefore")) + _cells(self.raw.get("rowsAfter"))

    def walk(self) -> Iterator[Component]:
        """This component and all below it."""
        yield self
        for child in (*self.outer, *self.children):
            yield from child.walk()

    def __repr__(self) -> str:
        return f"Component({self.id!r}, {self.type!r})"


class Page(msgspec.Struct, frozen=True):
    """One page: the components that stand on it, and when it is hidden."""

    name: str
    components: Sequence[Component]
    hidden: Any = False
    raw: Mapping[str, Any] = {}


class Group(msgspec.Struct, frozen=True):
    """A named part of the page order, for navigation."""

    name: str | None
    pages: Sequence[str]


class Layout:
    """A layout set as a tree."""

    def __init__(
        self,
        set_id: str,
        *,
        default_data_type: str,
        pages: Mapping[str, Mapping[str, Any]],
        order: Sequence[str] = (),
        groups: Sequence[Group] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`pages`: page name to the `data` object of its layout file. Pages not in `order` are never shown."""
        self.id = set_id
        self.default_data_type = default_data_type
        self.settings: Mapping[str, Any] = settings or {}
        self.order: Sequence[str] = order or [page for group in groups for page in group.pages] or list(pages)
        self.groups = groups
        self.components: dict[str, Component] = {}
        self.pages: dict[str, Page] = {}
        for name, data in pages.items():
            on_page = [Component(raw, name, default_data_type) for raw in _mappings(data.get("layout"))]
            for component in on_page:
                self.components.setdefault(component.id, component)
            self.pages[name] = Page(name, self._nest(on_page), data.get("hidden", False), data)

    def _nest(self, on_page: Sequence[Component]) -> list[Component]:
        here = {component.id: component for component in reversed(on_page)}
        for component in on_page:
            for held, ids in ((component.outer, component.outer_ids()), (component.children, component.child_ids())):
                for child in (here[child_id] for child_id in ids if child_id in here):
                    # A component that two containers claim stays with the first; one cannot hold what holds it.
                    if child.parent is None and not _holds(child, component):
                        child.parent = component
                        held.append(child)
        return [component for component in on_page if component.parent is None]

    def walk(self) -> Iterator[Component]:
        """Every component, in page order."""
        for name in self.order:
            if name in self.pages:
                for component in self.pages[name].components:
                    yield from component.walk()

    @property
    def data_types(self) -> list[str]:
        """Every data type that some binding names, the default one first."""
        found = {self.default_data_type: None}
        for component in self.components.values():
            for binding in component.bindings.values():
                found[binding.data_type] = None
        return [data_type for data_type in found if data_type]


def _holds(outer: Component, inner: Component) -> bool:
    place: Component | None = inner
    while place is not None:
        if place is outer:
            return True
        place = place.parent
    return False


def _type(raw: Mapping[str, Any]) -> str:
    """The type by its present name. In older layouts a list of rows is a Group that may come more than once."""
    name = str(raw.get("type", ""))
    many = raw.get("maxCount")
    if name == "Group" and isinstance(many, int | float) and many > 1:
        return "RepeatingGroup"
    return _ALIASES.get(name, name)


def _cells(rows: Any) -> list[str]:
    cells = [cell for row in _mappings(rows) for cell in _mappings(row.get("cells"))]
    return [cell["component"] for cell in cells if isinstance(cell.get("component"), str)]


def _binding(value: Any, default_data_type: str) -> Binding | None:
    if isinstance(value, str) and value:
        return Binding(default_data_type, value)
    if isinstance(value, Mapping) and isinstance(value.get("field"), str):
        return Binding(str(value.get("dataType") or default_data_type), value["field"])
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
