"""Between the runtime and an app's own code: contexts filled in, data hooks called, issues in the user's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from havn.contracts.application import DataType
from havn.contracts.storage import DataElement
from havn.kit.problem import Problem
from havn.runtime import texts
from havn.runtime.hooks import (
    Abandon,
    CreateContext,
    Issue,
    ReadContext,
    WriteContext,
)
from havn.runtime.hooks.calling import call
from havn.runtime.issues import ValidationIssue
from havn.runtime.work import Model, Work, add_row_ids

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


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
        "http": context.http,
        "secrets": context.secrets,
    }


async def read(work: Work, element: DataElement, type_: DataType, model: Model) -> None:
    """The read hooks of one model, which they may change."""
    for hook in work.context.hooks.of("read_data", type_.id):
        context = ReadContext(**common(work.context, work.actor), instance=work.instance, element_id=element.id)
        await call(hook, context, model)


async def read_stateless(context: AppContext, actor: Actor, type_: DataType, model: Model) -> None:
    """As `read`, without an instance."""
    for hook in context.hooks.of("read_data", type_.id):
        await call(hook, ReadContext(**common(context, actor)), model)


async def write_stateless(context: AppContext, actor: Actor, type_: DataType, model: Model) -> None:
    """The write hooks of a model that belongs to no instance; nothing was there before it."""
    for hook in context.hooks.of("write_data", type_.id):
        await call(hook, WriteContext(**common(context, actor)), model, {})


async def create(work: Work, type_: DataType, model: Model, prefill: Mapping[str, Any]) -> None:
    """The hooks of one new model, after prefill."""
    for hook in work.context.hooks.of("create_data", type_.id):
        given = CreateContext(**common(work.context, work.actor), instance=work.instance, prefill=prefill)
        await call(hook, given, model)


def finish(context: AppContext, type_: DataType, model: Model) -> None:
    """Row ids, and the model's shape once more: hooks may have put in anything."""
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
