"""Who may do what with an instance: the app's own policy, asked with what is stored, never with what the path says."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request

from havn.contracts.storage import Application, DataElement, DataType, ProcessState
from havn.guard.pep import Enforcer, Resource
from havn.guard.platform_token import HEADER, PlatformTokenVerifier, require_caller
from havn.guard.principal import Principal
from havn.kit.problem import Problem
from havn.platform.storage.store.rows import Outline, Stored

SYNC_SCOPE = "altinn:storage/instances.syncadapter"
READ_SCOPE = "altinn:serviceowner/instances.read"
OWNER_SCOPE_PREFIX = "altinn:serviceowner"
DESIGNER = "studio.designer"
_COMPONENTS = frozenset({"platform"})

_TASK_ACTIONS = {
    **dict.fromkeys(("data", "feedback", "pdf", "eFormidling", "fiksArkiv", "subformPdf"), ("write",)),
    "payment": ("pay", "write"),
    "confirmation": ("confirm",),
    "signing": ("sign", "write"),
}


def process_actions(task_type: str | None) -> tuple[str, ...]:
    """Actions of which any one lets a caller work on a task of this type; without a task, write."""
    if task_type is None:
        return "write", "reject"
    return *_TASK_ACTIONS.get(task_type, (task_type,)), "reject"


def resource(stored: Stored | Outline) -> Resource:
    """What a decision about the stored instance is about."""
    instance = f"{stored.party}/{stored.guid}"
    return Resource(stored.org, stored.app, stored.party, instance, stored.task, stored.end_event)


def is_owner(principal: Principal, org: str) -> bool:
    """Whether the caller is the service owner."""
    return principal.org is not None and principal.org == org


def not_found(what: str = "instance") -> Problem:
    """404 for something that is not there, or not for this caller."""
    return Problem(404, f"There is no such {what}.", code=f"{what.replace(' ', '_')}_not_found")


def require_audience(principal: Principal, org: str) -> None:
    """403 for a token made for another owner's apps: one owner's host must not reach into another's."""
    if principal.audience_org is not None and principal.audience_org != org:
        raise Problem(403, "This token is for another service owner's apps.", code="wrong_audience")


def require_visible(principal: Principal, stored: Stored) -> None:
    """404 for a hard-deleted instance, except to its owner."""
    if stored.status.is_hard_deleted and not is_owner(principal, stored.org):
        raise not_found()


class Access:
    """Asks for decisions; every method raises 401, 403 or 503 unless the caller may."""

    def __init__(self, enforcer: Enforcer, components: PlatformTokenVerifier) -> None:
        self._enforcer = enforcer
        self._components = components

    async def component(self, request: Request) -> None:
        """The caller is a platform component."""
        await require_caller(request, self._components, issuers=_COMPONENTS)

    async def publisher(self, request: Request, principal: Principal) -> None:
        """The caller may write application metadata: a platform component, or the designer tool."""
        if principal.authenticated and principal.claims.get("urn:altinn:app") == DESIGNER:
            return
        await self.component(request)

    async def instantiate(self, principal: Principal, org: str, app: str, party: int) -> None:
        """The caller may make an instance of the app for the party."""
        require_audience(principal, org)
        await self._enforcer.require(principal, Resource(org, app, party), "instantiate")

    async def act(self, principal: Principal, stored: Stored, *actions: str, sync: bool = False) -> None:
        """The caller may do any of `actions`; `sync`: so may a caller with the scope of the sync adapter."""
        require_audience(principal, stored.org)
        if not (sync and principal.has_scope(SYNC_SCOPE)):
            await self._enforcer.require(principal, resource(stored), *actions)
        require_visible(principal, stored)

    async def read(self, principal: Principal, stored: Stored) -> None:
        """The caller may read the instance."""
        await self.act(principal, stored, "read", sync=True)

    async def process(self, principal: Principal, stored: Stored) -> None:
        """The caller may work on the current task, in whatever way its type asks for."""
        await self.act(principal, stored, *process_actions(_task_type(stored)))

    async def move(self, principal: Principal, stored: Stored, new: ProcessState) -> None:
        """The caller may move the process to `new`: judged by the task left, or the task entered when going back."""
        require_audience(principal, stored.org)
        require_visible(principal, stored)
        if stored.task is None:
            raise Problem(403, "The instance stands in no task, so there is nothing to leave.", code="no_current_task")
        flow = new.current_task.flow_type if new.current_task else None
        if flow == "AbandonCurrentMoveToNext":
            await self._enforcer.require(principal, resource(stored), "reject")
        elif flow is not None and flow != "CompleteCurrentMoveToNext":
            assert new.current_task is not None
            entered = msgspec.structs.replace(resource(stored), task=new.current_task.element_id, end_event=None)
            actions = process_actions(new.current_task.altinn_task_type)
            await self._enforcer.require(principal, entered, *actions)
        else:
            await self._enforcer.require(principal, resource(stored), *process_actions(_task_type(stored)))

    async def read_type(self, principal: Principal, stored: Stored, data_type: DataType | None) -> None:
        """The caller may read elements of the type, beyond reading the instance."""
        if data_type is not None and data_type.action_required_to_read:
            await self._enforcer.require(principal, resource(stored), data_type.action_required_to_read)

    async def write_type(self, principal: Principal, stored: Stored, data_type: DataType | None) -> None:
        """The caller may write elements of the type, beyond writing to the instance."""
        if data_type is not None and data_type.action_required_to_write:
            await self._enforcer.require(principal, resource(stored), data_type.action_required_to_write)

    async def shown(
        self, request: Request, principal: Principal, stored: Stored, application: Application | None
    ) -> Sequence[DataElement]:
        """The elements of the instance that the caller is shown.

        Hard-deleted ones are for the owner only. Of types that take an action to read, only those whose action is
        permitted; the app itself, proven by its platform token, is shown all, since it counts and checks them.
        """
        return (await self.shown_many(request, principal, [(stored, application)]))[0]

    async def shown_many(
        self, request: Request, principal: Principal, rows: Sequence[tuple[Stored, Application | None]]
    ) -> list[Sequence[DataElement]]:
        """As `shown`, for each of some instances; instances that take the same actions are decided about together."""
        shown: list[Sequence[DataElement]] = []
        asked: dict[tuple[str, ...], list[int]] = {}
        for number, (stored, application) in enumerate(rows):
            elements = stored.instance.data
            if not is_owner(principal, stored.org):
                elements = [each for each in elements if each.delete_status is None]
            shown.append(elements)
            restricted = _restricted(application)
            if wanted := {restricted[each.data_type] for each in elements if each.data_type in restricted}:
                asked.setdefault(tuple(sorted(wanted)), []).append(number)
        caller = await require_caller(request, self._components) if asked and HEADER in request.headers else None
        for actions, those in asked.items():
            numbers = [
                number for number in those
                if caller is None or (caller.org, caller.app) != (rows[number][0].org, rows[number][0].app)
            ]  # fmt: skip
            decided = await self._enforcer.decide_many(principal, [resource(rows[n][0]) for n in numbers], actions)
            for number, decisions in zip(numbers, decided, strict=True):
                restricted = _restricted(rows[number][1])
                shown[number] = [
                    each
                    for each in shown[number]
                    if each.data_type not in restricted or decisions[restricted[each.data_type]].permitted
                ]
        return shown

    async def permitted(
        self, principal: Principal, instances: Sequence[Stored | Outline], actions: Sequence[str]
    ) -> list[frozenset[str]]:
        """For each instance those of `actions` that the caller may; none for another owner's audience."""
        mine = [each for each in instances if principal.audience_org in (None, each.org)]
        decisions = await self._enforcer.decide_many(principal, [resource(each) for each in mine], actions)
        by_guid = {
            each.guid: frozenset(action for action, decision in found.items() if decision.permitted)
            for each, found in zip(mine, decisions, strict=True)
        }
        return [by_guid.get(each.guid, frozenset()) for each in instances]


def _restricted(application: Application | None) -> dict[str, str]:
    """The action that reading takes, by data type, of those types that take one."""
    if application is None:
        return {}
    return {each.id: each.action_required_to_read for each in application.data_types if each.action_required_to_read}


def _task_type(stored: Stored) -> str | None:
    process = stored.instance.process
    if process is None or process.current_task is None or process.current_task.element_id is None:
        return None
    return process.current_task.altinn_task_type or ""
