"""Validation: what is wrong with an instance, or with what just changed.

Sources with fixed names: `DataAnnotations` (the JSON Schema), `Required` (layout), `Expression`
(`<model>.validation.json`), `File` and `MimeTypeValidator` (attachments), `DefaultTaskValidator-<task>` (counts), and
one per validator in the app's own code, under the name the app gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from havn.runtime.issues import Severity, ValidationIssue

if TYPE_CHECKING:
    from havn.contracts.storage import Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

__all__ = ["Severity", "ValidationIssue", "has_errors", "validate"]


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
    raise NotImplementedError


def has_errors(issues: Sequence[ValidationIssue]) -> bool:
    """Whether any issue stops the process."""
    return any(issue.severity is Severity.ERROR for issue in issues)
