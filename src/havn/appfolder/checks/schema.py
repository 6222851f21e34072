"""A model's JSON Schema as a map of paths: which exist, and whether each is a leaf, an object or a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

Shape = Literal["leaf", "object", "list", "unknown"]
_MAX_STEPS = 200


class Found(msgspec.Struct, frozen=True):
    """What is at a path."""

    shape: Shape
    missing: str | None = None
    """The first name on the way that does not exist; then nothing is at the path."""
    near: str | None = None
    """A name that exists and looks like it."""

    @property
    def exists(self) -> bool:
        """Whether the path is there."""
        return self.missing is None


class Schema:
    """Look-ups in one schema document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        info = document.get("info")
        pointer = info.get("rootNode") if isinstance(info, Mapping) else None
        has_root = any(name in document for name in ("properties", "$ref", "allOf", "anyOf", "oneOf"))
        self._root: Any = document
        if not has_root and isinstance(pointer, str) and pointer.startswith("#/"):
            self._root = {"$ref": pointer}

    def find(self, names: Sequence[str]) -> Found:
        """What is at a path given by its names; lists are passed through."""
        here = [self._root]
        for name in names:
            nodes = self._expanded(here, items=True)
            following = [node["properties"][name] for node in nodes if name in _members(node)]
            if not following:
                if any(_is_open(node) for node in nodes):
                    return Found("unknown")
                known = sorted({member for node in nodes for member in _members(node)})
                near = get_close_matches(name, known, 1, 0.7)
                return Found("unknown", name, near[0] if near else None)
            here = following
        return Found(self._shape(here))

    def _shape(self, nodes: list[Any]) -> Shape:
        expanded = self._expanded(nodes, items=False)
        if any(_has_type(node, "array") or "items" in node for node in expanded):
            return "list"
        if any(_members(node) or _has_type(node, "object") for node in expanded):
            return "object"
        if any("type" in node or "enum" in node or "const" in node for node in expanded):
            return "leaf"
        return "unknown"

    def _expanded(self, nodes: list[Any], *, items: bool) -> list[Mapping[str, Any]]:
        """The nodes with references and combinations followed, and with `items` those inside lists."""
        found: list[Mapping[str, Any]] = []
        waiting, seen = list(nodes), set()
        for _ in range(_MAX_STEPS):
            if not waiting:
                break
            node = waiting.pop()
            if not isinstance(node, Mapping) or id(node) in seen:
                continue
            seen.add(id(node))
            found.append(node)
            waiting.append(self._referred(node.get("$ref")))
            for name in ("allOf", "anyOf", "oneOf"):
                if isinstance(parts := node.get(name), list):
                    waiting += parts
            if items:
                waiting.append(node.get("items"))
        return found

    def _referred(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        here: Any = self._document
        for part in reference.removeprefix("#").split("/")[1:]:
            here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
        return here


def _members(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found = node.get("properties")
    return found if isinstance(found, Mapping) else {}


def _is_open(node: Mapping[str, Any]) -> bool:
    """Whether an object may hold members that the schema does not name."""
    extra = node.get("additionalProperties")
    return isinstance(extra, Mapping) or (extra is True) or "patternProperties" in node


def _has_type(node: Mapping[str, Any], name: str) -> bool:
    kind = node.get("type")
    return kind == name or (isinstance(kind, list) and name in kind)


def names_of(path: str) -> tuple[str, ...]:
    """The names in a path, its indices left out."""
    return tuple(part.partition("[")[0] for part in path.split("."))
