"""The validators in the app's own code."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable

from havn.runtime import hook_data, service_code
from havn.runtime.hooks import Hook, InstanceContext
from havn.runtime.issues import ValidationIssue
from havn.runtime.validation.subject import Subject, Validator

Run = Callable[[Subject], Awaitable[list[ValidationIssue]]]


def validators(subject: Subject) -> list[Validator]:
    """One per hook, under the name the app gave it."""
    hooks = subject.context.hooks
    found: list[Validator] = []
    for hook in hooks.of("validate_form"):
        types = None if "*" in hook.keys else frozenset(hook.keys)
        if types is None or any(entry.type.id in types for entry in subject.forms):
            found.append(Validator(hook.name, _form(hook), data_types=types, fields=frozenset(hook.fields)))
    found += [
        Validator(hook.name, _task(hook), incremental=hook.incremental)
        for hook in hooks.of("validate_task", subject.task)
    ]
    found += [Validator(hook.name, _element(hook), incremental=False) for hook in hooks.of("validate_element")]
    return found


def _form(hook: Hook) -> Run:
    async def run(subject: Subject) -> list[ValidationIssue]:
        found: list[ValidationIssue] = []
        for entry in subject.forms:
            if not hook.matches(entry.type.id):
                continue
            model = copy.deepcopy(entry.model)
            if hook.without_hidden and subject.layout is not None:
                model = subject.layout.without_hidden(entry)
            issues = await hook_data.run(hook, _context(subject), model)
            found += service_code.to_issues(subject.context, subject.work.actor, issues, hook.name, entry.element.id)
        return found

    return run


def _task(hook: Hook) -> Run:
    async def run(subject: Subject) -> list[ValidationIssue]:
        issues = await hook_data.run(hook, _context(subject))
        return service_code.to_issues(
            subject.context, subject.work.actor, issues, hook.name, None, incremental=hook.incremental
        )

    return run


def _element(hook: Hook) -> Run:
    async def run(subject: Subject) -> list[ValidationIssue]:
        found: list[ValidationIssue] = []
        for element in subject.work.instance.data:
            if hook.matches(element.data_type):
                issues = await hook_data.run(hook, _context(subject), element)
                found += service_code.to_issues(
                    subject.context, subject.work.actor, issues, hook.name, element.id, incremental=False
                )
        return found

    return run


def _context(subject: Subject) -> InstanceContext:
    return InstanceContext(**hook_data.of_instance(subject.work, task=subject.task, read_only=True))
