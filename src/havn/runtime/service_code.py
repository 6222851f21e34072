"""Between the runtime and an app's own code: contexts filled in, models typed, the hooks of a write in their order."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from havn.contracts.application import DataType
from havn.contracts.storage import DataElement, Instance
from havn.kit.problem import Problem
from havn.runtime import access, texts
from havn.runtime.hooks import (
    Abandon,
    ChangesContext,
    CreateContext,
    Hook,
    InstanceContext,
    Issue,
    ReadContext,
    WriteContext,
)
from havn.runtime.hooks.calling import call, merge, typed
from havn.runtime.issues import ValidationIssue
from havn.runtime.model.rows import without_nulls
from havn.runtime.work import Model, NewElement, Work

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

T = TypeVar("T")


class HookData:
    """The `Data` that hooks are given: a `Work` seen through the app's own types."""

    def __init__(self, work: Work, *, read_only: bool = False) -> None:
        self._work = work
        self._read_only = read_only
        self._given: list[tuple[Model, Any, Any]] = []

    @property
    def elements(self) -> Sequence[DataElement]:
        """All data elements, those to be removed left out."""
        return [element for element in self._work.instance.data if element.id not in self._work.removed]

    async def model(self, data_type: str, as_: type[T]) -> T:
        """The model of the first element of the type."""
        found = self._work.form_elements(data_type)
        if not found:
            raise LookupError(f"the instance has no data of type {data_type}")
        return self._give((await self._work.form(found[0])).model, as_)

    async def models(self, data_type: str, as_: type[T]) -> Mapping[str, T]:
        """The models of all elements of the type."""
        return {
            entry.element.id or "": self._give(entry.model, as_)
            for entry in await self._work.forms(self._work.form_elements(data_type))
        }

    async def clean_model(self, data_type: str, as_: type[T]) -> T:
        """A copy without what is hidden in the current task."""
        from havn.runtime import visible

        found = self._work.form_elements(data_type)
        if not found:
            raise LookupError(f"the instance has no data of type {data_type}")
        entry = await self._work.form(found[0])
        evaluated = await visible.evaluate(self._work)
        model = copy.deepcopy(entry.model) if evaluated is None else evaluated.without_hidden(entry)
        value: Any = typed(model, as_)
        return value  # type: ignore[no-any-return]

    async def content(self, element_id: str) -> bytes:
        """The bytes of an attachment."""
        return await self._work.content(element_id)

    def add_form(self, data_type: str, model: Any) -> None:
        """Add a form element."""
        self._changing()
        plain = without_nulls(msgspec.to_builtins(model))
        self._work.add(NewElement(access.data_type(self._work.context, data_type), model=plain))

    def add_file(self, data_type: str, filename: str, content_type: str, content: bytes) -> None:
        """Add an attachment."""
        self._changing()
        type_ = access.data_type(self._work.context, data_type)
        self._work.add(NewElement(type_, content=content, filename=filename, content_type=content_type))

    def update_file(self, element_id: str, content: bytes) -> None:
        """Replace an attachment's bytes."""
        self._changing()
        if self._work.instance.element(element_id) is None:
            raise LookupError("the instance has no such element")
        self._work.replaced[element_id] = content

    def remove(self, element_id: str) -> None:
        """Delete an element."""
        self._changing()
        self._work.remove(element_id)

    def put_back(self) -> None:
        """Carry changes of typed models over to the plain ones; called when the hook has returned."""
        given, self._given = self._given, []
        if self._read_only:
            return
        for model, before, value in given:
            merge(model, before, msgspec.to_builtins(value))

    def _give(self, model: Model, as_: type[T]) -> T:
        source = copy.deepcopy(model) if self._read_only else model
        value: Any = typed(source, as_)
        if isinstance(value, msgspec.Struct):
            self._given.append((model, msgspec.to_builtins(value), value))
        return value  # type: ignore[no-any-return]

    def _changing(self) -> None:
        if self._read_only:
            raise RuntimeError("a validator reads; it may not change data")


def common(context: AppContext, actor: Actor) -> dict[str, Any]:
    """The members every hook context has."""
    return {
        "org": context.folder.org,
        "app": context.folder.app,
        "environment": context.settings.environment,
        "language": actor.language,
        "principal": actor.principal,
        "now": context.clock(),
        "settings": context.folder.settings.raw,
        "folder": PurePath(context.folder.root),
    }


def of_instance(work: Work, *, task: str | None = None, read_only: bool = False) -> dict[str, Any]:
    """The members of an `InstanceContext`."""
    return {
        **common(work.context, work.actor),
        "instance": work.instance,
        "task": task if task is not None else current_task(work.instance),
        "data": HookData(work, read_only=read_only),
    }


def current_task(instance: Instance) -> str | None:
    """The id of the task the instance stands in."""
    process = instance.process
    return process.current_task.element_id if process and process.current_task else None


async def run(hook: Hook, context: Any, *models: Any) -> Any:
    """Call a hook and carry over what it changed through `context.data`."""
    result = await call(hook, context, *models)
    if isinstance(context, InstanceContext) and isinstance(context.data, HookData):
        context.data.put_back()
    return result


async def read(work: Work, element: DataElement, type_: DataType, model: Model) -> None:
    """The read hooks of one model, which they may change."""
    for hook in work.context.hooks.of("read_data", type_.id):
        context = ReadContext(**common(work.context, work.actor), instance=work.instance, element_id=element.id)
        await call(hook, context, model)


async def read_stateless(context: AppContext, actor: Actor, type_: DataType, model: Model) -> None:
    """As `read`, without an instance."""
    for hook in context.hooks.of("read_data", type_.id):
        await call(hook, ReadContext(**common(context, actor)), model)


async def create(work: Work, type_: DataType, model: Model, prefill: Mapping[str, Any]) -> None:
    """The hooks of one new model, after prefill."""
    for hook in work.context.hooks.of("create_data", type_.id):
        given = CreateContext(**common(work.context, work.actor), instance=work.instance, prefill=prefill)
        await call(hook, given, model)


async def write(work: Work) -> None:
    """The hooks of a save: each changed model's own, then those that see all changes, then row ids.

    400 `File validation failed` when a hook abandons; 500 when a hook leaves a model that does not fit its schema.
    """
    from havn.runtime import calculation

    hooks, context = work.context.hooks, work.context
    try:
        for entry in list(work.loaded.values()):
            if not entry.changed:
                continue
            for hook in hooks.of("write_data", entry.type.id):
                given = WriteContext(
                    **common(context, work.actor), instance=work.instance, element_id=entry.element.id
                )
                await call(hook, given, entry.model, copy.deepcopy(entry.original))
        await calculation.run(work)
        for hook in hooks.of("after_write"):
            if changes := work.changes():
                await run(hook, ChangesContext(**of_instance(work), changes=changes))
    except Abandon as abandoned:
        raise abandoned_problem(work, abandoned) from None
    for entry in work.loaded.values():
        if entry.changed:
            finish(context, entry.type, entry.model)
    for new in work.added:
        if new.model is not None:
            finish(context, new.type, new.model)


def finish(context: AppContext, type_: DataType, model: Model) -> None:
    """Row ids, and the model's shape once more: hooks may have put in anything."""
    from havn.runtime.work import add_row_ids

    try:
        context.models.check(type_.id, model)
    except Problem as problem:
        raise Problem(
            500, "The app's own code made data that does not fit its model.", code="app_code_failed"
        ) from problem
    add_row_ids(model)


def abandoned_problem(work: Work, abandoned: Abandon) -> Problem:
    """What the caller gets when a data hook abandons the request."""
    issues = to_issues(work.context, work.actor, abandoned.issues, "DataProcessorAbandon", None)
    return Problem(
        400,
        "; ".join(issue.description for issue in issues if issue.description) or "The app refused the change.",
        title="File validation failed",
        code="abandoned",
        uploadValidationIssues=issues,
    )


def to_issues(
    context: AppContext,
    actor: Actor,
    found: Iterable[Issue] | None,
    source: str,
    element_id: str | None,
    *,
    incremental: bool = True,
) -> list[ValidationIssue]:
    """The app's issues as the API writes them, texts looked up in the user's language."""
    result: list[ValidationIssue] = []
    for issue in found or ():
        description = issue.description
        if issue.text_key is not None:
            sources = texts.TextSources(parameters=issue.parameters or {})
            description = texts.find(context.folder, actor.language, issue.text_key, sources) or description
        result.append(
            ValidationIssue(
                severity=issue.severity,
                data_element_id=issue.element_id or element_id,
                field=issue.field,
                code=issue.code or issue.text_key,
                description=description or issue.text_key,
                source=source,
                no_incremental_updates=not incremental,
                custom_text_key=issue.text_key,
                custom_text_parameters=issue.parameters,
            )
        )
    return result
