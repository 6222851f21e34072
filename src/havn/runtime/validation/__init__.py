"""Validation: what is wrong with an instance, or with what just changed.

Sources with fixed names: `DataAnnotations` (the JSON Schema), `Required` (layout), `Expression`
(`<model>.validation.json`), `File` (attachments), `DefaultTaskValidator-<task>` (counts), and one per validator in the
app's own code, under the name the app gave it.

A validator looks at the whole task and reports all it finds, so that what it reports replaces what it reported before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from havn.contracts.storage import Instance
from havn.kit.problem import Problem
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.validation import files, forms, own
from havn.runtime.validation.subject import Subject, Validator
from havn.runtime.work import Work, current_task

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

__all__ = ["Severity", "ValidationIssue", "after_file", "full", "has_errors", "incremental", "validate"]


async def validate(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    *,
    ignored_validators: Sequence[str] = (),
    only_incremental: bool | None = None,
) -> list[ValidationIssue]:
    """Every issue of the instance in its current task; with `only_incremental`, of validators that run on PATCH.

    Problem 409 when the process has no current task.
    """
    return await full(
        Work(context, actor, instance), ignored_validators=ignored_validators, only_incremental=only_incremental
    )


async def full(
    work: Work, *, ignored_validators: Sequence[str] = (), only_incremental: bool | None = None
) -> list[ValidationIssue]:
    """As `validate`, on what a request has already read."""
    task = current_task(work.instance)
    if task is None:
        raise Problem(409, "The process has no current task.", code="no_current_task")
    subject = await Subject.of(work, task)
    chosen = [
        validator
        for validator in _validators(subject)
        if validator.source not in ignored_validators
        and (only_incremental is None or validator.incremental == only_incremental)
    ]
    found = await asyncio.gather(*(validator.run(subject) for validator in chosen))
    return [issue for issues in found for issue in issues]


async def incremental(work: Work, ignored_validators: Sequence[str] = ()) -> dict[str, list[ValidationIssue]]:
    """Source to issues, of the validators that what changed in `work` matters to; call it before saving."""
    task = current_task(work.instance)
    if task is None:
        return {}
    subject = await Subject.of(work, task)
    changed = subject.changed_fields()
    chosen = [
        validator
        for validator in _validators(subject)
        if validator.incremental and validator.source not in ignored_validators and validator.concerned(changed)
    ]
    found = await asyncio.gather(*(validator.run(subject) for validator in chosen))
    return {validator.source: issues for validator, issues in zip(chosen, found, strict=True)}


async def after_file(work: Work, ignored_validators: Sequence[str] = ()) -> dict[str, list[ValidationIssue]]:
    """Source to issues of every incremental validator, after an attachment came or went."""
    task = current_task(work.instance)
    if task is None:
        return {}
    subject = await Subject.of(work, task)
    chosen = [v for v in _validators(subject) if v.incremental and v.source not in ignored_validators]
    found = await asyncio.gather(*(validator.run(subject) for validator in chosen))
    return {validator.source: issues for validator, issues in zip(chosen, found, strict=True)}


def has_errors(issues: Sequence[ValidationIssue]) -> bool:
    """Whether any issue stops the process."""
    return any(issue.severity is Severity.ERROR for issue in issues)


def _validators(subject: Subject) -> list[Validator]:
    return [*forms.validators(subject), *files.validators(subject), *own.validators(subject)]
