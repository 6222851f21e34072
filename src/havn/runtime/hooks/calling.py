"""Calling service code: models in and out of their types, threads for what may wait, failures told apart."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from typing import Any

import msgspec
import structlog

from havn.kit.problem import Problem
from havn.runtime.hooks.registry import Hook
from havn.runtime.hooks.results import Abandon
from havn.runtime.model.patch import equal
from havn.runtime.model.rows import without_nulls

TIMEOUT_SECONDS = 60
_log = structlog.get_logger("app")


async def call(hook: Hook, context: Any, *models: Any) -> Any:
    """Call a hook; models that are dicts are given as the annotated type, and what it changed is put back into them.

    `Problem` 500 `app_code_failed` for any exception of the app's own, logged with file and line; `Abandon` and
    `Problem` pass through.
    """
    try:
        given = [typed(model, _type(hook, index)) for index, model in enumerate(models)]
        before = [
            msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) and isinstance(model, dict) else None
            for model, value in zip(models, given, strict=True)
        ]
    except msgspec.ValidationError as error:
        raise _failed(hook, error) from error
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if inspect.iscoroutinefunction(hook.function):
                result = await hook.function(context, *given)
            else:
                result = await asyncio.to_thread(hook.function, context, *given)
                if inspect.isawaitable(result):
                    result = await result
    except (Abandon, Problem):
        raise
    except Exception as error:
        raise _failed(hook, error) from error
    for model, value, was in zip(models, given, before, strict=True):
        if was is not None and isinstance(model, dict):
            merge(model, was, msgspec.to_builtins(value))
    return result


def typed(model: Any, type_: Any) -> Any:
    """`model` as `type_`; dicts stay what they are."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(model, dict):
        return msgspec.convert(without_nulls(model), type_, strict=False)
    return model


def merge(model: dict[str, Any], before: Any, after: Any) -> None:
    """Put into `model` what differs between `before` and `after`, so that members the type lacks stay as they are."""
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if equal(old, new):
            continue
        if new is None:
            model.pop(name, None)
        elif isinstance(new, dict) and isinstance(old, dict) and isinstance(model.get(name), dict):
            merge(model[name], old, new)
        elif _same_rows(old, new, model.get(name)):
            for row, was, now in zip(model[name], old, new, strict=True):
                merge(row, was, now)
        else:
            model[name] = without_nulls(new)


def _same_rows(*lists: Any) -> bool:
    return all(isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in lists) and (
        len({len(rows) for rows in lists}) == 1
    )


def _type(hook: Hook, index: int) -> Any:
    return hook.parameters[index] if index < len(hook.parameters) else dict


def _failed(hook: Hook, error: Exception) -> Problem:
    frames = traceback.extract_tb(error.__traceback__)
    code = hook.function.__code__
    # The deepest line in the app's own files says most; the function's first line when it was never entered.
    own = [frame for frame in frames if "/logic/" in frame.filename]
    where = (own[-1].filename, own[-1].lineno) if own else (code.co_filename, code.co_firstlineno)
    _log.error("app_code_failed", hook=hook.kind, function=hook.name, file=where[0], line=where[1], exc_info=error)
    return Problem(500, "The app's own code failed.", title="Internal Server Error", code="app_code_failed")
