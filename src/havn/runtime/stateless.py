"""Forms without an instance: a model made, prefilled and calculated anew at each call, and never stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from havn.contracts.application import DataType
from havn.contracts.register import Party, PartyLookup
from havn.guard.pep import Resource
from havn.kit.problem import Problem
from havn.runtime import prefilling, service_code
from havn.runtime.access import data_type, is_form
from havn.runtime.hooks import Context, Issue
from havn.runtime.hooks.calling import call
from havn.runtime.issues import ValidationIssue
from havn.runtime.model import paths
from havn.runtime.model.prefill import PrefillSources
from havn.runtime.work import Model, add_row_ids

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


def is_anonymous(context: AppContext) -> bool:
    """Whether the app's first page is a stateless form that anybody may fill in."""
    layout_set = context.folder.stateless
    if layout_set is None or layout_set.data_type is None:
        return False
    type_ = context.folder.data_types.get(layout_set.data_type)
    return type_ is not None and allows_anonymous(type_)


def allows_anonymous(type_: DataType) -> bool:
    """Whether a data type may be used without signing in."""
    return type_.app_logic is not None and type_.app_logic.allow_anonymous_on_stateless


def form_type(context: AppContext, type_id: str | None) -> DataType:
    """The data type asked for; 400 when it is none, or no form."""
    try:
        type_ = data_type(context, type_id)
    except Problem:
        raise Problem(400, "The app has no such data type.", code="unknown_data_type") from None
    if not is_form(type_):
        raise Problem(400, "The data type is no form.", code="not_form_data")
    return type_


async def party_of(context: AppContext, actor: Actor, header: str | None) -> Party:
    """The party in the header `party`: `partyid:123`, `person:…` or `org:…`. 400 for anything else, 404 unknown."""
    kind, _, value = (header or "").partition(":")
    value = value.strip()
    register = context.clients.register
    if not (value.isascii() and value.isdigit() and len(value) < 12):
        raise Problem(400, "The header party is partyid:, person: or org: and a number.", code="invalid_party")
    match kind.strip().lower():
        case "partyid":
            found = await register.party(int(value), actor.credentials)
        case "person":
            found = await register.lookup(PartyLookup(ssn=value), actor.credentials)
        case "org":
            found = await register.lookup(PartyLookup(org_no=value), actor.credentials)
        case _:
            raise Problem(400, "The header party is partyid:, person: or org: and a number.", code="invalid_party")
    if found is None:
        raise Problem(404, "There is no such party.", code="unknown_party")
    return found


async def require_read(context: AppContext, actor: Actor, party: Party) -> None:
    """403 unless the policy lets the actor read for the party."""
    resource = Resource(org=context.folder.org, app=context.folder.app, party_id=party.party_id)
    await context.enforcer.require(actor.principal, resource, "read")


async def fresh(
    context: AppContext,
    actor: Actor,
    type_: DataType,
    party: Party | None,
    query_prefill: Mapping[str, Any] | None = None,
) -> Model:
    """A new model: prefilled from the page's address, the profile and the register, and through the app's hooks."""
    config = context.folder.prefill(type_.id)
    requested = await _from_query(context, actor, type_, query_prefill) if query_prefill else None
    found = PrefillSources()
    if party is not None and config is not None and (config.user_profile or config.er or config.dsf):
        found = await prefilling.sources(context, actor, party.party_id)
    model: Model = {}
    prefilling.apply(context, type_, model, config, found, requested)
    return await _through_hooks(context, actor, type_, model, written=False)


async def calculated(context: AppContext, actor: Actor, type_: DataType, model: Model) -> Model:
    """A model that a user has changed, through the app's hooks."""
    context.models.check(type_.id, model)
    return await _through_hooks(context, actor, type_, model, written=True)


async def _through_hooks(context: AppContext, actor: Actor, type_: DataType, model: Model, *, written: bool) -> Model:
    if written:
        await service_code.write_stateless(context, actor, type_, model)
    await service_code.read_stateless(context, actor, type_, model)
    service_code.finish(context, type_, model)
    add_row_ids(model)
    return model


async def _from_query(
    context: AppContext, actor: Actor, type_: DataType, given: Mapping[str, Any]
) -> Mapping[str, Any]:
    hook = context.hooks.first("validate_query_prefill")
    if hook is not None:
        issue = await call(hook, Context(**service_code.common(context, actor)), dict(given))
        if isinstance(issue, Issue):
            issues: list[ValidationIssue] = service_code.to_issues(context, actor, [issue], "QueryPrefill", None)
            raise Problem(
                400, issues[0].description or "The address cannot be used.", code="prefill_refused", issue=issues[0]
            )
    config = context.folder.prefill(type_.id)
    mapping = config.query_parameters if config is not None else {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        path = mapping.get(name)
        if path is None:
            raise Problem(400, f"The app takes no parameter {name[:60]!r}.", code="unknown_parameter")
        paths.parse(path)
        found[path] = value
    return found
