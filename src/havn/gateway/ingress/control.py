"""What the parent and the gateway say to each other over the control socket, a JSON object a line."""

from __future__ import annotations

import msgspec

from havn.gateway.ingress.routes import Table


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line from the parent: a new table, or upstreams to wait for, or both in that order."""

    id: int
    table: Table | None = None
    drain: tuple[str, ...] = ()
    timeout: float = 30.0


class Answer(msgspec.Struct, frozen=True):
    """One line to the parent, for the command of the same `id` (0: it could not be read)."""

    id: int
    version: int
    drained: bool = True
    error: str | None = None
