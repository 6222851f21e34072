"""JSON Patch (RFC 6902) on a model, with JSON Pointer (RFC 6901), bounded in work."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

MAX_OPERATIONS = 5000
MAX_NODES = 500_000


class PatchError(Exception):
    """An operation could not be applied.

    `index` counts operations from 0; `precondition` is true when a `test` did not hold.
    """

    def __init__(self, index: int, message: str, *, precondition: bool = False) -> None:
        super().__init__(message)
        self.index = index
        self.precondition = precondition


class _Failed(Exception):
    """Inside this module only: the reason, without the index."""


def apply(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """A changed copy of `document`; the original is untouched. Raises `PatchError`."""
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(MAX_OPERATIONS, f"a patch may hold at most {MAX_OPERATIONS} operations")
    result = copy.deepcopy(document)
    budget = MAX_NODES
    for index, operation in enumerate(operations):
        try:
            # `copy` can double the document with every operation, so what is copied is counted.
            budget -= _cost(result, operation)
            if budget < 0:
                raise _Failed("the patch copies too much")
            result = _apply(result, operation)
        except _Failed as failure:
            raise PatchError(index, str(failure), precondition=operation.get("op") == "test") from None
    return result


def _cost(document: Any, operation: Mapping[str, Any]) -> int:
    if operation.get("op") == "copy":
        return _size(_get(document, _pointer(operation, "from")))
    return 1


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_size(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(item) for item in value)
    return 1


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    name = operation.get("op")
    path = _pointer(operation, "path")
    if name == "add":
        return _add(document, path, copy.deepcopy(_value(operation)))
    if name == "remove":
        return _remove(document, path)
    if name == "replace":
        _get(document, path)
        if not path:
            return copy.deepcopy(_value(operation))
        _assign(document, path, copy.deepcopy(_value(operation)))
        return document
    if name == "move":
        source = _pointer(operation, "from")
        if path[: len(source)] == source and len(path) > len(source):
            raise _Failed("a value cannot be moved into itself")
        value = _get(document, source)
        return _add(_remove(document, source), path, value)
    if name == "copy":
        return _add(document, path, copy.deepcopy(_get(document, _pointer(operation, "from"))))
    if name == "test":
        if not equal(_get(document, path), _value(operation)):
            raise _Failed(f"the value at {_text(path)} is not the one expected")
        return document
    raise _Failed(f"unknown operation {name!r}")


def _pointer(operation: Mapping[str, Any], member: str) -> list[str]:
    text = operation.get(member)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _Failed(f"{member!r} is not a JSON Pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise _Failed("the operation has no value")
    return operation["value"]


def _get(document: Any, path: list[str]) -> Any:
    value = document
    for part in path:
        value = _child(value, part, path)
    return value


def _child(value: Any, part: str, path: list[str]) -> Any:
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list):
        return value[_index(part, len(value) - 1, path)]
    raise _Failed(f"{_text(path)} does not exist")


def _index(part: str, highest: int, path: list[str]) -> int:
    # RFC 6901: digits only, no leading zero.
    if part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") and len(part) < 8 and int(part) <= highest:
        return int(part)
    raise _Failed(f"{_text(path)} does not exist")


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent), path), value)
    else:
        raise _Failed(f"{_text(path[:-1])} has no members")
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        raise _Failed("the whole document cannot be removed")
    parent, last = _get(document, path[:-1]), path[-1]
    _child(parent, last, path)
    if isinstance(parent, dict):
        del parent[last]
    else:
        del parent[int(last)]
    return document


def _assign(document: Any, path: list[str], value: Any) -> None:
    parent, last = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    else:
        parent[int(last)] = value


def _text(path: list[str]) -> str:
    return "/" + "/".join(path)


def equal(left: Any, right: Any) -> bool:
    """JSON equality: 1 equals 1.0, true does not equal 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and bool(left == right)


def operations(previous: Any, current: Any, path: str = "") -> list[dict[str, Any]]:
    """The operations that turn `previous` into `current`; lists are replaced whole where their lengths differ."""
    if equal(previous, current):
        return []
    if isinstance(previous, dict) and isinstance(current, dict):
        found: list[dict[str, Any]] = []
        for key in [*previous, *(key for key in current if key not in previous)]:
            here = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in current:
                found.append({"op": "remove", "path": here})
            elif key not in previous:
                found.append({"op": "add", "path": here, "value": current[key]})
            else:
                found.extend(operations(previous[key], current[key], here))
        return found
    if isinstance(previous, list) and isinstance(current, list) and len(previous) == len(current):
        return [
            operation
            for index, (before, after) in enumerate(zip(previous, current, strict=True))
            for operation in operations(before, after, f"{path}/{index}")
        ]
    return [{"op": "replace", "path": path, "value": current}]
