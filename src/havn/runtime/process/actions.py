"""User actions: the app's code behind a custom button, or behind an action that moves the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from havn.kit.problem import Problem
from havn.runtime import hook_data, validation, writing
from havn.runtime.hooks import ActionContext, ActionDone, ActionFailed, ActionRedirect, ActionResult
from havn.runtime.issues import ValidationIssue
from havn.runtime.work import Model, Work

STATUS = {"bad_request": 400, "unauthorized": 401, "conflict": 409, "internal": 500}


class ActionAnswer(msgspec.Struct, frozen=True):
    """What an action led to."""

    result: ActionResult
    models: Mapping[str, Model]
    """Element id to model, for the form data it changed."""
    issues: Mapping[str, Mapping[str, list[ValidationIssue]]]
    """Element id (or empty) to source to issues."""


async def handle(
    work: Work,
    action: str,
    *,
    button_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_behalf_of: str | None = None,
    ignored_validators: list[str] | None = None,
) -> ActionAnswer | None:
    """Run the app's code for `action` and save what it changed; None when it has none. A failure saves nothing."""
    hook = work.context.hooks.first("action", action)
    if hook is None:
        return None
    given = ActionContext(
        **hook_data.of_instance(work),
        action=action,
        button_id=button_id,
        metadata=metadata or {},
        on_behalf_of=on_behalf_of,
    )
    result = await hook_data.run(hook, given)
    if result is None:
        result = ActionDone()
    if isinstance(result, ActionFailed):
        return ActionAnswer(result, {}, {})
    if isinstance(result, ActionRedirect) and not result.url.startswith("https://"):
        raise Problem(
            500, "The app's own code wants a redirect to an address that is not https.", code="app_code_failed"
        )
    if not isinstance(result, ActionDone | ActionRedirect):
        raise Problem(500, "The app's own code failed.", code="app_code_failed")
    await writing.run_hooks(work)
    changed = {entry.element.id or "": entry.model for entry in work.loaded.values() if entry.changed}
    issues: dict[str, dict[str, list[ValidationIssue]]] = {}
    if work.changes():
        for source, found in (await validation.incremental(work, ignored_validators or ())).items():
            for element_id in {issue.data_element_id or "" for issue in found} or {""}:
                issues.setdefault(element_id, {})[source] = [
                    issue for issue in found if (issue.data_element_id or "") == element_id
                ]
    await work.save()
    return ActionAnswer(result, changed, issues)


def failure(result: ActionFailed) -> Problem:
    """The answer to a move that the action's code stopped."""
    return Problem(STATUS[result.kind], result.message, code=result.code)
