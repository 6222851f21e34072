"""Options of selection components, rows of data lists, and external data: the app's providers, then its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from havn.kit.problem import Problem
from havn.runtime import service_code
from havn.runtime.hooks import DataListPage, Hook, Option, Options, OptionsContext
from havn.runtime.hooks.calling import call

if TYPE_CHECKING:
    from havn.contracts.storage import Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

__all__ = ["DataListPage", "Option", "Options", "data_list", "external", "find"]

MAX_QUERY = 50


async def find(
    context: AppContext,
    actor: Actor,
    options_id: str,
    query: Mapping[str, str],
    *,
    instance: Instance | None = None,
) -> Options:
    """The options called `options_id` (any case). With `instance`, the app's providers for instances come first.

    Problem 404 when no provider and no file has that id.
    """
    hook = _hook(context, "options", options_id, instance)
    if hook is not None:
        found = await call(hook, _context(context, actor, query, instance))
        return found if isinstance(found, Options) else Options(list(found or ()))
    items = context.folder.options(options_id)
    if items is None:
        hint = " It is there for instances only." if context.hooks.first("instance_options", options_id) else ""
        raise Problem(404, f"There are no options called {options_id!r}.{hint}", code="unknown_options")
    return Options([Option(item.value, item.label, item.description, item.help_text, item.tags) for item in items])


async def data_list(
    context: AppContext,
    actor: Actor,
    list_id: str,
    query: Mapping[str, str],
    *,
    instance: Instance | None = None,
) -> DataListPage:
    """A page of the data list `list_id`; only service code has them. Problem 404 when there is none."""
    hook = _hook(context, "data_list", list_id, instance)
    if hook is None:
        raise Problem(404, f"There is no data list called {list_id!r}.", code="unknown_data_list")
    found = await call(hook, _context(context, actor, query, instance))
    if not isinstance(found, DataListPage):
        raise Problem(500, "The app's own code failed.", code="app_code_failed")
    return found


async def external(
    context: AppContext, actor: Actor, api_id: str, query: Mapping[str, str], *, instance: Instance
) -> Any:
    """What the app's external API `api_id` answers, any JSON. Problem 400 when there is none."""
    hook = context.hooks.first("external_api", api_id)
    if hook is None:
        raise Problem(400, f"There is no external API called {api_id!r}.", code="unknown_external_api")
    return await call(hook, _context(context, actor, query, instance))


def _hook(context: AppContext, kind: str, wanted: str, instance: Instance | None) -> Hook | None:
    per_instance = context.hooks.first(f"instance_{kind}", wanted) if instance is not None else None
    return per_instance or context.hooks.first(kind, wanted)


def _context(context: AppContext, actor: Actor, query: Mapping[str, str], instance: Instance | None) -> OptionsContext:
    if len(query) > MAX_QUERY:
        raise Problem(400, f"At most {MAX_QUERY} query parameters.", code="too_many_parameters")
    return OptionsContext(**service_code.common(context, actor), query=dict(query), instance=instance)
