"""The hooks of one app: decorators put them here while `logic/hooks.py` is being loaded."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """Gives the function back unchanged, so that type checkers know it as before."""

    def __call__(self, function: F, /) -> F:
        """Register `function`."""
        ...


class HookError(Exception):
    """A hook cannot be registered; the message says which and why."""


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One function of the app's code and what it is for."""

    kind: str
    keys: tuple[str, ...]
    """Data types, tasks or ids it is for; `*` for all."""
    function: Callable[..., Any]
    name: str
    """A validator's stable source name; else the function's own."""
    incremental: bool = True
    fields: tuple[str, ...] = ()
    """A validator's fields: it runs on a save only when one of them (without indices) changed; empty means any."""
    without_hidden: bool = False
    parameters: tuple[Any, ...] = ()
    """The annotated types after the context; `dict` where there is none."""

    def matches(self, key: str | None) -> bool:
        """Whether it is for `key` (ids in any case)."""
        return "*" in self.keys or (key is not None and key.lower() in (own.lower() for own in self.keys))


class Hooks:
    """All hooks of one app, in the order in which they stand in the file."""

    def __init__(self) -> None:
        self._hooks: list[Hook] = []

    def add(self, hook: Hook) -> None:
        """Register. Raises `HookError` when the place is taken (one provider per id, one source per name)."""
        for other in self._hooks:
            if other.kind != hook.kind:
                continue
            if hook.kind in _ONE_PER_KEY and (taken := {*map(str.lower, other.keys)} & {*map(str.lower, hook.keys)}):
                raise HookError(f"{hook.kind} {min(taken)!r} is there twice")
            if hook.kind in _ONE:
                raise HookError(f"{hook.kind} is there twice")
        if hook.kind in _VALIDATORS and any(o.kind in _VALIDATORS and o.name == hook.name for o in self._hooks):
            raise HookError(f"two validators are called {hook.name!r}: give each a name of its own")
        self._hooks.append(hook)

    def of(self, kind: str, key: str | None = None) -> Iterator[Hook]:
        """The hooks of a kind that are for `key`; without a key, all of the kind."""
        return (hook for hook in self._hooks if hook.kind == kind and (key is None or hook.matches(key)))

    def first(self, kind: str, key: str | None = None) -> Hook | None:
        """The first of `of`."""
        return next(self.of(kind, key), None)

    def all(self) -> Sequence[Hook]:
        """Every hook."""
        return tuple(self._hooks)


_ONE = frozenset({"validate_instantiation", "validate_copy", "validate_query_prefill", "format_pdf"})
_ONE_PER_KEY = frozenset({"options", "instance_options", "data_list", "instance_data_list", "external_api", "action",
                          "service_task", "gateway", "analyse_file", "validate_file"})  # fmt: skip
_VALIDATORS = frozenset({"validate_form", "validate_task", "validate_element"})

_loading: ContextVar[Hooks | None] = ContextVar("havn_hooks", default=None)


@contextmanager
def loading() -> Iterator[Hooks]:
    """Collect what decorators register inside the block."""
    hooks = Hooks()
    token = _loading.set(hooks)
    try:
        yield hooks
    finally:
        _loading.reset(token)


def register(kind: str, keys: Sequence[str], **details: Any) -> Decorator:
    """A decorator that registers its function and gives it back unchanged.

    Outside of loading (a unit test that imports the app's code) it does nothing.
    """

    def decorate(function: F) -> F:
        hooks = _loading.get()
        if hooks is not None:
            name = details.pop("name", None) or function.__name__
            hooks.add(
                Hook(
                    kind=kind,
                    keys=tuple(keys) or ("*",),
                    function=function,
                    name=name,
                    parameters=_parameters(function),
                    **details,
                )
            )
        return function

    return decorate


def _parameters(function: Callable[..., Any]) -> tuple[Any, ...]:
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise HookError(f"{function.__name__}: {error}") from None
    names = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return tuple(hints.get(name, dict) for name in names[1:])
