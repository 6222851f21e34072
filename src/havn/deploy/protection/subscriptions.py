"""A blocked subscription is suspended at the environment's management API, and resumed when the block ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from havn.contracts.management import ACTING_FOR, ACTING_ORG, SubscriptionChange
from havn.deploy.access import ALL_ORGS
from havn.kit.problem import Problem

Manage = Callable[..., Awaitable[Any]]
"""Calls an environment's management API: `Publisher.manage`."""


async def suspend(manage: Manage, subscription: str, reason: str, who: str) -> None:
    """Suspend it. Raises the API's `Problem`."""
    await _change(manage, subscription, "suspend", reason, who)


async def resume(manage: Manage, subscription: str, who: str) -> None:
    """Give it back, unless it was ended or resumed by somebody else meanwhile. Raises the API's `Problem`."""
    try:
        await _change(manage, subscription, "resume", "The block has ended.", who)
    except Problem as problem:
        if problem.status not in (404, 409):
            raise


async def _change(manage: Manage, subscription: str, act: Literal["suspend", "resume"], reason: str, who: str) -> None:
    answer = await manage(
        "POST",
        f"subscriptions/{subscription}/{act}",
        query={},
        body=msgspec.json.encode(SubscriptionChange(reason=reason)),
        headers={
            ACTING_FOR: quote(who, safe=" @.+-_"),
            ACTING_ORG: ALL_ORGS,
            "content-type": "application/json",
        },
    )
    if not answer.is_success:
        try:
            document = msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.MsgspecError:
            document = {}
        raise Problem(
            answer.status_code, str(document.get("detail") or "The subscription could not be changed."),
            code=document.get("code"),
        )  # fmt: skip
