"""What makes sense to shut, for how long; the same everywhere."""

from __future__ import annotations

import ipaddress
import uuid
from datetime import timedelta

from havn.appfolder.ids import AppId
from havn.contracts.protection import Block, BlockRequest, ClosedApp, ClosingRequest
from havn.deploy.author import Author
from havn.kit.problem import Problem

MAX_BLOCKS = 1000


def closing(app: AppId, wanted: ClosingRequest, author: Author) -> ClosedApp:
    """The maintenance as it is kept. Raises a 400 `Problem`."""
    if wanted.until is not None and wanted.until.tzinfo is None:
        raise Problem(400, "Give the time with its zone, such as 2026-03-01T22:00:00+01:00.", code="invalid_time")
    if wanted.until is not None and wanted.until <= author.now:
        raise Problem(400, "That time has passed: give one to come, or none.", code="invalid_time")
    return ClosedApp(
        org=app.org, app=app.app, message=wanted.message, until=wanted.until, since=author.now, who=author.who
    )


def blocking(wanted: BlockRequest, author: Author) -> Block:
    """The block as it is kept, with an id of its own. Raises a 400 `Problem`."""
    if (wanted.network is None) == (wanted.subscription is None):
        raise Problem(400, "Block either a network or a subscription.", code="invalid_block")
    return Block(
        id=uuid.uuid4().hex[:12],
        network=_network(wanted.network) if wanted.network is not None else None,
        subscription=wanted.subscription,
        until=author.now + timedelta(seconds=wanted.seconds),
        reason=wanted.reason,
        since=author.now,
        who=author.who,
    )


def too_many() -> Problem:
    """The 409 when there are `MAX_BLOCKS`."""
    return Problem(409, "There are too many blocks: take some away first.", code="too_many_blocks")


def not_closed(app: AppId) -> Problem:
    """The 404 for an app that is open."""
    return Problem(404, f"{app} is not in maintenance.", code="not_in_maintenance")


def no_block() -> Problem:
    """The 404 for a block that there is not."""
    return Problem(404, "There is no such block.", code="unknown_block")


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Problem(400, f"{text} is neither an address nor a range.", code="invalid_block") from None
    if network.prefixlen < (8 if network.version == 4 else 24):
        raise Problem(400, f"{text} is too wide a range to block.", code="invalid_block")
    return str(network)
