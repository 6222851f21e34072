"""Options of selection components: the app's providers first, then `options/<id>.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from havn.runtime.hooks.results import Option, Options

__all__ = ["Option", "Options", "find"]

if TYPE_CHECKING:
    from havn.contracts.storage import Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


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
    raise NotImplementedError
