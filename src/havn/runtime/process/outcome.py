"""What a process hook answered, as a failure of the move where it is one."""

from __future__ import annotations

from typing import Any

import structlog

from havn.kit.problem import Problem
from havn.runtime.hooks import Failed, Retry

_log = structlog.get_logger("app")


def check(result: Any, hook: str) -> None:
    """500 when a hook says that it failed; `Retry-After` when trying again may help."""
    if isinstance(result, Retry | Failed):
        _log.warning("process_hook_failed", hook=hook, reason=result.reason)
        raise failure(result)


def failure(result: Retry | Failed) -> Problem:
    """The answer to a move that a hook stopped."""
    if isinstance(result, Retry):
        return Problem(500, result.reason, code="retry_later", headers={"Retry-After": "5"})
    return Problem(500, result.reason, code="process_hook_failed")
