"""Who may do what to an instance and its data elements: the policy, the data types' own rules, custom scopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from havn.contracts.application import ApiScopes, DataType
from havn.guard.pep import Resource
from havn.guard.principal import PORTAL_SCOPE, Kind, Principal
from havn.kit.problem import Problem
from havn.runtime import texts
from havn.runtime.messages import message

if TYPE_CHECKING:
    from havn.contracts.storage import DataElement, Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

PDF_TYPE = "ref-data-as-pdf"

Operation = Literal["create", "update", "delete"]


def resource(context: AppContext, instance: Instance) -> Resource:
    """The instance as a decision is asked about it."""
    process = instance.process
    task = process.current_task.element_id if process and process.current_task else None
    return Resource(
        org=context.folder.org,
        app=context.folder.app,
        party_id=instance.party_id,
        instance_id=instance.id,
        task=task,
        end_event=process.end_event if process and task is None else None,
    )


async def require(context: AppContext, actor: Actor, instance: Instance, *actions: str) -> None:
    """Return when the policy permits any of `actions` on the instance; else 401, 403 or 503."""
    await context.enforcer.require(actor.principal, resource(context, instance), *actions)


async def permitted(context: AppContext, actor: Actor, instance: Instance, actions: Sequence[str]) -> dict[str, bool]:
    """Each action and whether the policy permits it."""
    if not actions:
        return {}
    decisions = await context.enforcer.decide(actor.principal, resource(context, instance), list(actions))
    return {action: decisions[action].permitted for action in actions}


def data_type(context: AppContext, type_id: str | None) -> DataType:
    """The app's data type with that id; 404 when there is none."""
    found = context.folder.data_types.get(type_id or "")
    if found is None:
        raise Problem(404, f"The app has no data type {type_id!r}.", code="unknown_data_type")
    return found


def is_form(type_: DataType) -> bool:
    """Whether elements of the type are form data rather than files."""
    return type_.app_logic is not None and bool(type_.app_logic.class_ref)


async def require_data_read(context: AppContext, actor: Actor, instance: Instance, type_: DataType) -> None:
    """403 when the type asks for an action of its own to be read, and the actor lacks it."""
    if type_.action_required_to_read:
        await require(context, actor, instance, type_.action_required_to_read)


async def readable(context: AppContext, actor: Actor, instance: Instance) -> list[DataElement]:
    """The instance's elements without those of types that the actor may not read."""
    guarded = {
        type_.id: type_.action_required_to_read
        for type_ in context.folder.data_types.values()
        if type_.action_required_to_read
    }
    wanted = sorted({guarded[e.data_type] for e in instance.data if e.data_type in guarded if guarded[e.data_type]})
    if not wanted:
        return list(instance.data)
    allowed = await permitted(context, actor, instance, [action for action in wanted if action])
    return [e for e in instance.data if allowed.get(guarded.get(e.data_type or "") or "", True)]


async def require_data_write(
    context: AppContext, actor: Actor, instance: Instance, type_: DataType, operation: Operation
) -> None:
    """Every rule that stands between an actor and changing an element of `type_`, apart from sizes and counts.

    Problems: 403 receipts, contributors, `actionRequiredToWrite`; 409 archived or deleted instance, or (with the
    setting `EnforceDataTypeTaskId`) a type of another task; 400 `disallowUserCreate`, `disallowUserDelete`, or the one
    required form.
    """
    await require(context, actor, instance, "write")
    if type_.id == PDF_TYPE:
        raise Problem(403, "Receipts are made by the app alone.", code="app_owned")
    status = instance.status
    if status is not None and (status.is_archived or status.is_soft_deleted or status.is_hard_deleted):
        raise Problem(409, "The instance is archived or deleted and cannot be changed.", code="instance_closed")
    current = instance.process.current_task.element_id if instance.process and instance.process.current_task else None
    if context.enforce_task and type_.task_id and type_.task_id != current:
        raise Problem(409, f"Data of type {type_.id} belongs to another task.", code="wrong_task")
    if not may_contribute(actor.principal, type_):
        raise Problem(403, f"Data of type {type_.id} cannot be written by you.", code="not_a_contributor")
    if type_.action_required_to_write:
        await require(context, actor, instance, type_.action_required_to_write)
    _require_user_may(actor.principal, type_, operation)


def may_contribute(principal: Principal, type_: DataType) -> bool:
    """Whether `allowedContributors` (when there are any) name this caller; `app:owned` names nobody from outside."""
    contributors = type_.contributors
    if not contributors:
        return True
    names = {f"org:{principal.org}".lower()} if principal.org else set()
    if principal.org_number:
        names.add(f"orgno:{principal.org_number}")
    return any(contributor.lower() in names for contributor in contributors)


def _require_user_may(principal: Principal, type_: DataType, operation: Operation) -> None:
    logic = type_.app_logic
    if logic is None:
        return
    if operation == "create" and logic.disallow_user_create and principal.kind is not Kind.SERVICE_OWNER:
        raise Problem(400, f"Data of type {type_.id} is made by the app, not by users.", code="user_create_disallowed")
    if operation == "delete":
        if logic.class_ref and type_.min_count == 1 and type_.max_count == 1:
            raise Problem(400, "The form's own data cannot be deleted.", code="required_element")
        if logic.disallow_user_delete and principal.kind is not Kind.SERVICE_OWNER:
            raise Problem(400, f"Data of type {type_.id} cannot be deleted.", code="user_delete_disallowed")


def require_scope(context: AppContext, actor: Actor, *, reads: bool, path: str) -> None:
    """403 unless the caller has the scope that the app's `apiScopes` ask for; nothing when it asks for none."""
    configured = context.folder.metadata.api_scopes
    principal = actor.principal
    if configured is None or not principal.authenticated:
        return
    owner = principal.kind is Kind.SERVICE_OWNER
    scopes: ApiScopes | None = configured.service_owners if owner else configured.users
    wanted = (scopes.read if reads else scopes.write) if scopes else None
    if scopes is None or not wanted:
        return
    wanted = wanted.replace("[app]", context.folder.app)
    if principal.has_scope(wanted) or (not owner and principal.has_scope(PORTAL_SCOPE)):
        return
    key = (
        scopes.error_message_text_resource_key
        or configured.error_message_text_resource_key
        or "authorization.scopes.insufficient"
    )
    detail = texts.find(context.folder, actor.language, key) or message(actor.language, "scopes_insufficient")
    raise Problem(403, detail, code="insufficient_scope", instance=path)
