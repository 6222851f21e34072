"""Options of selection components: the app's providers first, then `options/<id>.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from havn.contracts.storage import Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


class Option(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """One choice; `label`, `description` and `help_text` are text keys or plain text."""

    value: str | float | bool | None
    label: str
    description: str | None = None
    help_text: str | None = None
    tags: Mapping[str, str] | None = None


class Options(msgspec.Struct, frozen=True):
    """The choices, and the parameters the provider asked its source with (header `Altinn-DownstreamParameters`)."""

    options: Sequence[Option]
    parameters: Mapping[str, str] = {}


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
