"""Expressions compiled once per process, however many requests evaluate them."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.engines.expressions import CompileError, Expression, compile  # noqa: A004

_MAX_KEPT = 4000
_kept: dict[bytes, Expression | CompileError] = {}


def compiled(raw: Any) -> Expression:
    """`raw` compiled; each expression is compiled once per process. Raises `CompileError`."""
    key = msgspec.json.encode(raw)
    found = _kept.get(key)
    if found is None:
        try:
            found = compile(raw)
        except CompileError as error:
            found = error
        if len(_kept) >= _MAX_KEPT:
            _kept.clear()
        _kept[key] = found
    if isinstance(found, CompileError):
        raise found
    return found
