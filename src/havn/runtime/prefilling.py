"""A new model: empty, prefilled from the request, the profile and the register, then handed to the app's own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from havn.contracts.application import DataType
from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.runtime import service_code
from havn.runtime.model import prefill
from havn.runtime.model.prefill import PrefillError, PrefillSources
from havn.runtime.work import Model, Work, add_row_ids

if TYPE_CHECKING:
    from havn.contracts.register import Party
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

_log = structlog.get_logger("runtime")


async def new_model(work: Work, type_: DataType, requested: Mapping[str, Any] | None = None) -> Model:
    """A model for a new element of `type_`."""
    return await complete(work, type_, {}, requested)


async def complete(work: Work, type_: DataType, model: Model, requested: Mapping[str, Any] | None = None) -> Model:
    """`model`, prefilled where it is empty, and through the app's hooks for new data. 500 when prefill is wrong."""
    context, actor = work.context, work.actor
    rules = context.folder.rules.get(type_.id)
    config = rules.prefill if rules is not None else None
    wanted = config is not None and bool(config.user_profile or config.er or config.dsf)
    found = await sources(context, actor, work.instance.party_id) if wanted else PrefillSources()
    apply(context, type_, model, config, found, requested)
    await service_code.create(work, type_, model, requested or {})
    service_code.finish(context, type_, model)
    return model


def apply(
    context: AppContext,
    type_: DataType,
    model: Model,
    config: Any,
    found: PrefillSources,
    requested: Mapping[str, Any] | None,
) -> None:
    """Fill `model` in place; 500 when the app's prefill file does not fit its model, 400 when the request does not."""
    shape = context.models.shape(type_.id)
    try:
        prefill.prefill(model, shape, None, PrefillSources(), requested)
    except (PrefillError, ValueError) as error:
        raise Problem(400, f"The prefill cannot be used: {error}", code="invalid_prefill") from None
    try:
        prefill.prefill(model, shape, config, found)
    except (PrefillError, ValueError) as error:
        _log.error("prefill_failed", data_type=type_.id, reason=str(error))
        raise Problem(500, "The app's prefill file does not fit its model.", code="prefill_failed") from error
    add_row_ids(model)


async def sources(context: AppContext, actor: Actor, party_id: int) -> PrefillSources:
    """The profile of the user (if it is one), and what the register knows of the party."""
    profile = None
    if actor.principal.kind is Kind.USER and actor.principal.user_id is not None:
        profile = await context.clients.profile.user(actor.principal.user_id, actor.credentials)
    party: Party | None = await context.clients.register.party(party_id, actor.credentials)
    return PrefillSources(
        user_profile=None if profile is None else msgspec.to_builtins(profile),
        organisation=_plain(party.organization) if party else None,
        person=_plain(party.person) if party else None,
    )


def _plain(value: Any) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = None if value is None else msgspec.to_builtins(value)
    return found
