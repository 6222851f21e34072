"""Instances: make, get, list, delete, complete, mark, copy.

Every function checks access by the app's policy before it acts (storage checks again), and raises
`havn.kit.problem.Problem` with the status that the HTTP API documents.
"""

from __future__ import annotations

import asyncio
import copy as copying
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from havn.contracts.application import CopyInstanceSettings, DataType
from havn.contracts.register import Party, PartyLookup
from havn.contracts.storage import (
    Instance,
    InstanceOwner,
    InstanceQuery,
    InstanceStatus,
    ProcessElementInfo,
    ProcessState,
    Substatus,
)
from havn.engines.process import RoutingError, Task
from havn.guard.pep import Resource
from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.runtime import access, content_types, hook_data, parties, prefilling, process, service_code, texts
from havn.runtime.hooks import InstanceContext, InstantiationContext, Refusal
from havn.runtime.hooks.calling import call
from havn.runtime.messages import message
from havn.runtime.model import paths
from havn.runtime.model.rows import without_row_ids
from havn.runtime.process import move, start
from havn.runtime.work import NewElement, Work, new_id

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

MAX_ACTIVE = 500
_log = structlog.get_logger("runtime")


class OwnerRef(msgspec.Struct, frozen=True, rename="camel"):
    """Names the party that will own an instance: by its id, or by its number."""

    party_id: str | None = None
    person_number: str | None = None
    organisation_number: str | None = None


class Part(msgspec.Struct, frozen=True):
    """One data element sent along at instantiation."""

    data_type: str
    content_type: str
    content: bytes
    filename: str | None = None


class ActiveInstance(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the list a user chooses an unfinished instance from."""

    id: str
    presentation_texts: Mapping[str, str]
    due_before: datetime | None
    last_changed: datetime | None
    last_changed_by: str


async def create(
    context: AppContext,
    actor: Actor,
    owner: OwnerRef,
    *,
    prefill: Mapping[str, Any] | None = None,
    parts: Sequence[Part] = (),
    due_before: datetime | None = None,
    visible_after: datetime | None = None,
) -> Instance:
    """Make an instance for `owner` and start its process.

    Problems: 404 unknown party; 403 not allowed (policy, party type, `disallowUserInstantiation`, or the app's own
    instantiation validator: then with `valid`, `message`, `customTextKey`); 400 a part is wrong; 409 the process
    cannot start. When something fails after the instance was made, it is deleted again.
    """
    party, first = await _may_create(context, actor, owner, due_before, visible_after)
    wanted = [(_part_type(context, part), part) for part in parts]
    _check_parts(context, actor, wanted)
    instance = await _store(context, actor, party, first, due_before, visible_after)
    try:
        work = Work(context, actor, instance)
        for type_, part in wanted:
            work.add(await _element(work, type_, part, prefill))
        await start.begin(work, first.id, 1, prefill)
        return await _begun(work, first)
    except BaseException:
        await _undo(context, actor, instance)
        raise


async def _may_create(
    context: AppContext,
    actor: Actor,
    owner: OwnerRef,
    due_before: datetime | None,
    visible_after: datetime | None,
    *,
    copying_: bool = False,
) -> tuple[Party, Task]:
    folder, principal = context.folder, actor.principal
    production = context.settings.environment_type == "production"
    closed = production and folder.metadata.disallow_user_instantiation and not copying_
    if closed and principal.kind is not Kind.SERVICE_OWNER:
        raise Problem(403, "Only the service owner starts this service.", code="user_instantiation_disallowed")
    party = await _party(context, actor, owner)
    resource = Resource(org=folder.org, app=folder.app, party_id=party.party_id)
    await context.enforcer.require(principal, resource, "instantiate")
    if not parties.may_instantiate(context, party):
        raise Problem(403, message(actor.language, "party_type"), code="party_type_not_allowed")
    hook = context.hooks.first("validate_instantiation")
    if hook is not None:
        given = InstantiationContext(
            **service_code.common(context, actor),
            party_id=party.party_id,
            party_type=parties.party_type(party),
            due_before=due_before.isoformat() if due_before else None,
            visible_after=visible_after.isoformat() if visible_after else None,
        )
        _refuse(context, actor, await call(hook, given))
    try:
        first = folder.process.first()
    except RoutingError as error:
        raise Problem(409, "The process cannot be started.", code="no_way_on") from error
    if not isinstance(first, Task):
        raise Problem(409, "The process has no task to start with.", code="no_way_on")
    return party, first


async def _party(context: AppContext, actor: Actor, owner: OwnerRef) -> Party:
    register = context.clients.register
    try:
        if owner.party_id:
            if not (owner.party_id.isascii() and owner.party_id.isdigit() and len(owner.party_id) < 12):
                raise Problem(400, "The party id is not a number.", code="invalid_party")
            found = await register.party(int(owner.party_id), actor.credentials)
        elif owner.person_number or owner.organisation_number:
            who = PartyLookup(ssn=owner.person_number, org_no=owner.organisation_number)
            found = await register.lookup(who, actor.credentials)
        else:
            raise Problem(400, "The instance owner is not named.", code="owner_missing")
    except Problem as problem:
        if problem.status == 401:
            raise Problem(403, "You cannot look up this party.", code="forbidden") from None
        raise
    if found is None:
        raise Problem(404, "There is no such party.", code="unknown_party")
    return found


def _refuse(context: AppContext, actor: Actor, refusal: Any) -> None:
    if refusal is None:
        return
    if not isinstance(refusal, Refusal):
        raise Problem(500, "The app's own code failed.", code="app_code_failed")
    text = refusal.message
    if refusal.text_key is not None:
        sources = texts.TextSources(parameters=refusal.parameters or {})
        text = text or texts.find(context.folder, actor.language, refusal.text_key, sources)
    raise Problem(
        403,
        text or "The app does not let this party start the service.",
        code="instantiation_refused",
        valid=False,
        message=text,
        customTextKey=refusal.text_key,
        customTextParameters=refusal.parameters,
        validParties=list(refusal.valid_party_ids),
    )


async def _store(
    context: AppContext,
    actor: Actor,
    party: Party,
    first: Task,
    due_before: datetime | None,
    visible_after: datetime | None,
) -> Instance:
    now = context.clock()
    template = Instance(
        instance_owner=InstanceOwner(
            party_id=str(party.party_id), person_number=party.ssn or None, organisation_number=party.org_number or None
        ),
        app_id=context.folder.id,
        org=context.folder.org,
        due_before=due_before,
        visible_after=visible_after,
        status=InstanceStatus(read_status="Unread" if actor.principal.org else "Read"),
        process=ProcessState(
            started=now,
            start_event=context.folder.process.start.id,
            current_task=ProcessElementInfo(
                flow=2,
                started=now,
                element_id=first.id,
                name=first.name,
                altinn_task_type=first.task_type,
                flow_type="CompleteCurrentMoveToNext",
            ),
        ),
    )
    return await context.clients.storage.create_instance(
        context.folder.id, template, actor.credentials, idempotency_key=new_id()
    )


async def _begun(work: Work, first: Task) -> Instance:
    storage, instance_id = work.context.clients.storage, work.instance.id or ""
    for event in move.started(work, first):
        await storage.add_event(instance_id, event, work.actor.credentials)
    if first.service:
        moved, _state = await process.next_task(work.context, work.actor, work.instance)
        return moved
    return work.instance


async def _undo(context: AppContext, actor: Actor, instance: Instance) -> None:
    """Take the half-made instance away; when even that fails it is left to storage's clean-up, and said in the log."""
    try:
        await asyncio.shield(context.clients.storage.delete_instance(instance.id or "", actor.credentials, hard=True))
    except Problem as problem:
        _log.error("instance_left_behind", instance=instance.guid, status=problem.status)


def _part_type(context: AppContext, part: Part) -> DataType:
    type_ = context.folder.data_types.get(part.data_type)
    if type_ is None:
        raise Problem(400, f"The app has no data type {part.data_type[:60]!r}.", code="unknown_data_type")
    return type_


def _check_parts(context: AppContext, actor: Actor, wanted: Sequence[tuple[DataType, Part]]) -> None:
    for type_, part in wanted:
        if type_.id == access.PDF_TYPE or not access.may_contribute(actor.principal, type_):
            raise Problem(400, f"Data of type {type_.id} cannot be sent along.", code="not_a_contributor")
        if not part.content:
            raise Problem(400, f"The part {type_.id} is empty.", code="empty_part")
        if type_.max_size and len(part.content) > type_.max_size * 1024 * 1024:
            raise Problem(400, f"The part {type_.id} is too large.", code="part_too_large")
        if not access.is_form(type_) and not content_types.allowed(part.content_type, type_.allowed_content_types):
            raise Problem(400, f"The part {type_.id} has a content type that is not allowed.", code="part_type")
        count = sum(other.id == type_.id for other, _part in wanted)
        if 0 < type_.max_count < count:
            raise Problem(400, f"There are too many parts of type {type_.id}.", code="too_many_parts")


async def _element(work: Work, type_: DataType, part: Part, prefill: Mapping[str, Any] | None) -> NewElement:
    if not access.is_form(type_):
        return NewElement(type_, content=part.content, filename=part.filename, content_type=part.content_type)
    try:
        model = work.context.models.accept(type_.id, part.content, part.content_type)
    except Problem as problem:
        raise Problem(400, f"The part {type_.id}: {problem.detail}", code=problem.code) from None
    return NewElement(type_, model=await prefilling.complete(work, type_, model, prefill))


async def get(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """One instance, elements that the actor may not read left out; marks it read. Problems: 403, 404."""
    instance = await load(context, actor, party_id, instance_guid)
    await access.require(context, actor, instance, "read")
    instance = await _mended(context, actor, instance)
    status = instance.status or InstanceStatus()
    if status.read_status != "Read" and actor.principal.org != instance.org and not status.is_hard_deleted:
        with suppress(Problem):
            marked = await context.clients.storage.set_read_status(instance.id or "", "Read", actor.credentials)
            instance = msgspec.structs.replace(instance, status=marked.status)
    return msgspec.structs.replace(instance, data=await access.readable(context, actor, instance))


async def load(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """An instance of this app as storage has it; 404 when there is none, 403 when the actor may not read it."""
    instance_id = f"{party_id}/{instance_guid}"
    found = await context.clients.storage.instance(instance_id, actor.credentials)
    if found.app_id != context.folder.id or found.id != instance_id:
        raise Problem(404, "There is no such instance.", code="unknown_instance")
    return found


async def _mended(context: AppContext, actor: Actor, instance: Instance) -> Instance:
    """The instance with the data its task wants, where the process that should have made it was killed."""
    current = instance.process.current_task if instance.process else None
    status = instance.status or InstanceStatus()
    if current is None or status.is_archived or status.is_soft_deleted or status.is_hard_deleted:
        return instance
    work = Work(context, actor, instance)
    if not start.missing_types(work, current.element_id or ""):
        return instance
    if not (await access.permitted(context, actor, instance, ["write"]))["write"]:
        return instance
    with suppress(Problem):
        await start.make_missing(work, current.element_id or "", current.flow or 1)
        await work.save()
        _log.warning("task_start_mended", instance=instance.guid, task=current.element_id)
    return work.instance


async def active(context: AppContext, actor: Actor, party_id: int) -> list[ActiveInstance]:
    """The party's unfinished, undeleted instances of this app, last changed first, names instead of ids."""
    query = InstanceQuery(
        app_id=context.folder.id,
        party_id=party_id,
        is_archived=False,
        is_soft_deleted=False,
        order="desc:lastChanged",
        size=100,
        include_data_elements=False,
    )
    found: list[Instance] = []
    while len(found) < MAX_ACTIVE:
        page = await context.clients.storage.query(query, actor.credentials)
        found += page.instances
        token = _token(page.next)
        if token is None:
            break
        query = msgspec.structs.replace(query, continuation_token=token)
    found = [instance for instance in found if not (instance.status and instance.status.is_hard_deleted)]
    names = await _names(context, actor, {instance.last_changed_by or "" for instance in found})
    return [
        ActiveInstance(
            id=instance.id or "",
            presentation_texts=instance.presentation_texts or {},
            due_before=instance.due_before,
            last_changed=instance.last_changed,
            last_changed_by=names.get(instance.last_changed_by or "", instance.last_changed_by or ""),
        )
        for instance in found
    ]


def _token(address: str | None) -> str | None:
    from urllib.parse import parse_qs, urlsplit

    if not address:
        return None
    values = parse_qs(urlsplit(address).query).get("continuationToken")
    return values[0] if values else None


async def _names(context: AppContext, actor: Actor, ids: set[str]) -> dict[str, str]:
    """Who is behind "changed by": organisations by number, users by id; those that cannot be found stay ids."""

    async def name(who: str) -> str:
        with suppress(Problem):
            if len(who) == 9 and who.isdigit():
                organisation = await context.clients.register.organization(who, actor.credentials)
                return organisation.name if organisation else who
            if who.isdigit():
                profile = await context.clients.profile.user(int(who), actor.credentials)
                return profile.party.name if profile else who
        return who

    wanted = sorted(who for who in ids if who)
    return dict(zip(wanted, await asyncio.gather(*(name(who) for who in wanted)), strict=True))


async def delete(context: AppContext, actor: Actor, party_id: int, instance_guid: str, *, hard: bool) -> Instance:
    """Delete, for good when `hard`. Problems: 403, 404."""
    instance = await load(context, actor, party_id, instance_guid)
    await access.require(context, actor, instance, "delete")
    return await context.clients.storage.delete_instance(instance.id or "", actor.credentials, hard=hard)


async def complete(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """The service owner confirms that it has fetched the instance."""
    instance = await load(context, actor, party_id, instance_guid)
    await access.require(context, actor, instance, "complete")
    return await context.clients.storage.complete(instance.id or "", actor.credentials)


async def set_substatus(
    context: AppContext, actor: Actor, party_id: int, instance_guid: str, substatus: Substatus
) -> Instance:
    """Set what the owner wants shown beside the status; only the owning org may (403)."""
    if not substatus.label:
        raise Problem(400, "A substatus has a label.", code="label_missing")
    instance = await load(context, actor, party_id, instance_guid)
    if actor.principal.org is None or actor.principal.org != instance.org:
        raise Problem(403, "Only the service owner sets the substatus.", code="forbidden")
    return await context.clients.storage.set_substatus(instance.id or "", substatus, actor.credentials)


async def copy(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """A new instance with the archived one's data. Problems: 400 not allowed by the app or not archived; 403."""
    settings = context.folder.metadata.copy_instance_settings
    if settings is None or not settings.enabled:
        raise Problem(400, "The app does not let instances be copied.", code="copy_disabled")
    if actor.principal.kind is not Kind.USER:
        raise Problem(403, "Only a person copies an instance.", code="forbidden")
    source = await load(context, actor, party_id, instance_guid)
    await access.require(context, actor, source, "read")
    if source.status is None or not source.status.is_archived:
        raise Problem(400, "Only a submitted instance can be copied.", code="not_archived")
    old = Work(context, actor, source)
    hook = context.hooks.first("validate_copy")
    if hook is not None:
        given = InstanceContext(**hook_data.of_instance(old, read_only=True))
        _refuse(context, actor, await hook_data.run(hook, given))
    owner = OwnerRef(party_id=str(source.party_id))
    party, first = await _may_create(context, actor, owner, None, None, copying_=True)
    instance = await _store(context, actor, party, first, None, None)
    try:
        work = Work(context, actor, instance)
        await _copy_data(old, work, settings, first.id)
        await start.begin(work, first.id, 1)
        return await _begun(work, first)
    except BaseException:
        await _undo(context, actor, instance)
        raise


async def _copy_data(old: Work, work: Work, settings: CopyInstanceSettings, task: str) -> None:
    for element in await access.readable(work.context, work.actor, old.instance):
        type_ = work.context.folder.data_types.get(element.data_type or "")
        if type_ is None or type_.id in (settings.excluded_data_types or ()) or type_.id == access.PDF_TYPE:
            continue
        if access.is_form(type_):
            entry = await old.form(element)
            model = without_row_ids(copying.deepcopy(entry.model))
            for field in settings.excluded_data_fields or ():
                for path in paths.expand(model, field):
                    paths.put(model, path, None)
            work.add(NewElement(type_, model=await prefilling.complete(work, type_, model)))
        elif settings.include_attachments and access.may_contribute(work.actor.principal, type_):
            content = await old.content(element.id or "")
            work.add(
                NewElement(
                    type_,
                    content=content,
                    filename=element.filename,
                    content_type=element.content_type or content_types.OCTETS,
                )
            )
