"""Wire types of what an operator shuts at an ingress: apps in maintenance, abusive clients. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class ClosingRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Put an app in maintenance. `message` is shown to people as it stands; at `until` it ends by itself."""

    message: Annotated[str, Meta(max_length=500)] = ""
    until: datetime | None = None


class ClosedApp(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An app in maintenance, and who put it there. `in_force` is false while its cluster has not been told yet."""

    org: str
    app: str
    message: str = ""
    until: datetime | None = None
    since: datetime
    who: str
    in_force: bool = True


class BlockRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Block an address or range, or a subscription (one of the two), for some seconds: at most thirty days."""

    network: Annotated[str, Meta(max_length=50)] | None = None
    subscription: Annotated[str, Meta(pattern=r"^[0-9a-f-]{36}$")] | None = None
    seconds: Annotated[int, Meta(ge=1, le=30 * 86_400)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Block(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A block, until when, and who set it.

    `waiting` are orgs whose clusters have not been told yet. `behind_proxy` are those whose ingress sees the addresses
    of a proxy alone, where an address cannot be blocked.
    """

    id: str
    network: str | None = None
    subscription: str | None = None
    until: datetime
    reason: str
    since: datetime
    who: str
    waiting: tuple[str, ...] = ()
    behind_proxy: tuple[str, ...] = ()
