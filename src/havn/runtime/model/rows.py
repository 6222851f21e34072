"""Row ids: `altinnRowId` on every object inside a list, so that a row keeps its name while others come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ROW_ID = "altinnRowId"
EMPTY = "00000000-0000-0000-0000-000000000000"
NewId = Callable[[], str]


def add_row_ids(model: Any, new_id: NewId) -> bool:
    """Give every row its id, in place; a second row with the same id (a copy) gets its own. True when changed."""
    return _add(model, new_id, in_list=False, seen=set())


def _add(value: Any, new_id: NewId, *, in_list: bool, seen: set[str]) -> bool:
    changed = False
    if isinstance(value, dict):
        if in_list:
            present = value.get(ROW_ID)
            if not isinstance(present, str) or present in ("", EMPTY) or present in seen:
                value[ROW_ID] = new_id()
                changed = True
            seen.add(value[ROW_ID])
        for item in value.values():
            changed |= _add(item, new_id, in_list=False, seen=seen)
    elif isinstance(value, list):
        for item in value:
            changed |= _add(item, new_id, in_list=True, seen=seen)
    return changed


def without_row_ids(value: Any) -> Any:
    """A copy without row ids."""
    if isinstance(value, dict):
        return {key: without_row_ids(item) for key, item in value.items() if key != ROW_ID}
    if isinstance(value, list):
        return [without_row_ids(item) for item in value]
    return value


def without_nulls(value: Any) -> Any:
    """A copy without null members: a member that is null means the same as one that is absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
