"""Which parts of the models a form asks for, and which it hides: for validators, and for removing hidden data.

A path that is bound by a shown component is shown, whatever else binds it. A path bound only by hidden components is
hidden, and so is everything below it; a path that nothing binds is neither.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from havn.runtime.layout.nodes import Node, State
from havn.runtime.layout.tree import LISTS
from havn.runtime.model.paths import Step, parse

Place = tuple[str, str]
"""Data type and path with indices."""


class Missing(msgspec.Struct, frozen=True):
    """A required binding without a value."""

    node: Node
    binding: str
    data_type: str
    path: str


class Reach:
    """Worked out once for a state."""

    def __init__(self, state: State) -> None:
        self._shown: set[Place] = set()
        self._hidden: dict[Place, bool] = {}
        for node in state.walk(hidden=True):
            for place, removable in _places(node):
                if node.hidden:
                    self._hidden[place] = self._hidden.get(place, True) and removable
                else:
                    self._shown.add(place)
            for row in node.row_list:
                if row.hidden and not node.hidden and (path := _list_path(node)) is not None:
                    self._hidden[(path[0], f"{path[1]}[{row.index}]")] = node.raw.get("removeWhenHidden") is not False

    def shows(self, data_type: str, path: str) -> bool:
        """Whether a shown component is bound to the path."""
        return (data_type, path) in self._shown

    def hides(self, data_type: str, path: str) -> bool:
        """Whether the path, or something that it lies in, is bound by hidden components only."""
        if self.shows(data_type, path):
            return False
        return any((data_type, above) in self._hidden and not self.shows(data_type, above) for above in _above(path))

    def removable(self) -> list[Place]:
        """What to take out of the models when hidden data is removed: the last rows of a list first.

        Paths whose component says `removeWhenHidden: false` stay, and so does what a shown component asks for.
        """
        places = [
            place
            for place, removable in self._hidden.items()
            if removable and place not in self._shown and not self._covers_shown(place)
        ]
        return sorted(places, key=lambda place: (place[0], _order(place[1])), reverse=True)

    def _covers_shown(self, place: Place) -> bool:
        data_type, path = place
        return any(kind == data_type and shown.startswith((f"{path}.", f"{path}[")) for kind, shown in self._shown)


def missing(state: State) -> Iterator[Missing]:
    """The required bindings of shown components that hold nothing: null, blank text, or an empty list."""
    for node in state.walk():
        if node.component.bindings and node.required:
            for name, binding in node.component.bindings.items():
                if name in ("label", "metadata", "group", "checked") and node.component.list_binding is None:
                    continue
                if name in ("careOf", "houseNumber"):
                    continue
                if _blank(node.value(name)):
                    yield Missing(node, name, binding.data_type, node.indexed(binding))


def _blank(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _places(node: Node) -> Iterator[tuple[Place, bool]]:
    removable = node.raw.get("removeWhenHidden") is not False
    for binding in node.component.bindings.values():
        yield (binding.data_type, node.indexed(binding)), removable


def _list_path(node: Node) -> Place | None:
    binding = node.component.list_binding
    return None if binding is None or node.type not in LISTS else (binding.data_type, node.indexed(binding))


def _above(path: str) -> Iterator[str]:
    yield path
    for index in range(len(path) - 1, 0, -1):
        if path[index] in ".[":
            yield path[:index]


def _order(path: str) -> tuple[tuple[int, str, int], ...]:
    steps: tuple[Step, ...] = parse(path)
    return tuple((1, "", step) if isinstance(step, int) else (0, step, 0) for step in steps)
