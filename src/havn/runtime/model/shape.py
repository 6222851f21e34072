"""The shape a JSON Schema gives to a model: which members there are and what kind of value each may hold.

This is the strict half of reading a model, done on every write: a member the schema does not know, or a value of the
wrong type, is refused. Lengths, patterns and the like are validation, which a half-filled form may still fail.
Null stands for "not filled in" anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from havn.runtime.model.paths import Step, join
from havn.runtime.model.rows import ROW_ID

MAX_DEPTH = 40


class ShapeError(Exception):
    """A value does not have the schema's shape; `path` tells where."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class Shape:
    """One place of a model. Members and items are found when first asked for, since schemas may be recursive."""

    def __init__(self, schema: Mapping[str, Any], parts: list[Mapping[str, Any]]) -> None:
        self._root = schema
        self._parts = parts
        self.kinds = _kinds(parts)
        self.open = any(part.get("additionalProperties") not in (None, False) for part in parts)
        self._members: dict[str, Shape] | None = None
        self._items: Shape | None = None

    @property
    def members(self) -> Mapping[str, Shape]:
        """The members an object here may have."""
        if self._members is None:
            found: dict[str, list[Mapping[str, Any]]] = {}
            for part in self._parts:
                for name, child in part.get("properties", {}).items():
                    found.setdefault(name, []).append(child)
            self._members = {name: _shape(self._root, children) for name, children in found.items()}
        return self._members

    @property
    def items(self) -> Shape:
        """What a list here holds."""
        if self._items is None:
            self._items = _shape(
                self._root, [part["items"] for part in self._parts if isinstance(part.get("items"), dict)]
            )
        return self._items

    def at(self, path: tuple[Step, ...]) -> Shape | None:
        """The shape at a path; names run through lists without an index, as in bindings."""
        here: Shape | None = self
        for step in path:
            if here is None:
                return None
            if isinstance(step, int):
                here = here.items
                continue
            if "array" in here.kinds and "object" not in here.kinds:
                here = here.items
            here = here.members.get(step)
        return here


def read(schema: bytes) -> Shape:
    """The shape of the model that `schema` (JSON Schema 07 or 2020-12) describes."""
    document = msgspec.json.decode(schema)
    root = document
    pointer = (document.get("info") or {}).get("rootNode") or ""
    if pointer.startswith("#/"):
        root = _follow(document, pointer)
    return _shape(document, [root])


def check(shape: Shape, value: Any) -> None:
    """Raise `ShapeError` for the first place where `value` does not fit."""
    if not isinstance(value, dict):
        raise ShapeError("", "a model is an object")
    _check(shape, value, [], in_list=False)


def _check(shape: Shape, value: Any, path: list[Step], *, in_list: bool) -> None:
    if value is None:
        return
    if len(path) > MAX_DEPTH:
        raise ShapeError(join(path), "the model is nested too deep")
    kind = _kind(value)
    if kind not in shape.kinds and not (kind == "integer" and "number" in shape.kinds):
        wanted = " or ".join(sorted(shape.kinds))
        raise ShapeError(join(path), f"{join(path) or 'the model'} must be {wanted}, not {kind}")
    if isinstance(value, dict):
        _check_members(shape, value, path, in_list=in_list)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(shape.items, item, [*path, index], in_list=True)


def _check_members(shape: Shape, value: dict[str, Any], path: list[Step], *, in_list: bool) -> None:
    # A schema part that names no members says nothing about them.
    if not shape.members and not any("properties" in part for part in shape._parts):  # noqa: SLF001
        return
    for name, item in value.items():
        if name == ROW_ID and in_list:
            if item is not None and not isinstance(item, str):
                raise ShapeError(join([*path, name]), f"{join([*path, name])} must be string")
            continue
        member = shape.members.get(name)
        if member is None:
            if shape.open:
                continue
            raise ShapeError(join([*path, name]), f"{join([*path, name])} is not a member of the model")
        _check(member, item, [*path, name], in_list=False)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


_ALL = frozenset({"object", "array", "string", "number", "integer", "boolean"})


def _kinds(parts: list[Mapping[str, Any]]) -> frozenset[str]:
    found: set[str] = set()
    for part in parts:
        declared = part.get("type")
        if isinstance(declared, str):
            found.add(declared)
        elif isinstance(declared, list):
            found.update(declared)
        elif "properties" in part:
            found.add("object")
        elif "items" in part:
            found.add("array")
        elif "enum" in part:
            found.update(_kind(value) for value in part["enum"] if value is not None)
        elif "const" in part and part["const"] is not None:
            found.add(_kind(part["const"]))
    found.discard("null")
    if "number" in found:
        found.add("integer")
    return frozenset(found) or _ALL


def _shape(root: Mapping[str, Any], schemas: list[Mapping[str, Any]]) -> Shape:
    parts: list[Mapping[str, Any]] = []
    for schema in schemas:
        _flatten(root, schema, parts, set())
    return Shape(root, parts)


def _flatten(root: Mapping[str, Any], schema: Any, parts: list[Mapping[str, Any]], seen: set[str]) -> None:
    """Collect `schema` and everything it refers to or combines: a member may come from any of them."""
    if not isinstance(schema, Mapping):
        return
    parts.append(schema)
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#") and reference not in seen:
        seen.add(reference)
        _flatten(root, _follow(root, reference), parts, seen)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for child in schema.get(keyword, ()):
            _flatten(root, child, parts, seen)
    for keyword in ("then", "else"):
        _flatten(root, schema.get(keyword), parts, seen)


def _follow(root: Mapping[str, Any], pointer: str) -> Any:
    here: Any = root
    for part in pointer.lstrip("#").split("/")[1:]:
        if not isinstance(here, Mapping):
            return {}
        here = here.get(part.replace("~1", "/").replace("~0", "~"), {})
    return here
