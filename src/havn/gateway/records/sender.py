"""The work of the sender: read, count, keep, deliver, again and again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from havn.contracts.levels import MAX_COUNTS, Batch, MinuteCount
from havn.engines.levels.cells import Gathering
from havn.engines.levels.counts import Counts
from havn.engines.levels.records import MAX_LINE, read
from havn.gateway.records.following import Follower
from havn.gateway.records.spool import Spool
from havn.kit.problem import Problem

_AT_ONCE = min(1000, MAX_COUNTS)
"""Counts in a batch: about a second's work for the management API."""

Deliver = Callable[[Batch], Awaitable[object]]

_log = structlog.get_logger("records")


class Sender:
    """Sends what the log at `path` has about the apps of `domain` (a host name without port).

    `source` names this ingress, `folder` is where it keeps what is not delivered. `deliver` raises a `Problem` when a
    batch was not taken; it is then tried again, for ever, except when it is refused as wrong (a 4xx that waiting does
    not mend): then it is put aside with the suffix `.refused`, and the log says so.
    """

    def __init__(self, path: Path, folder: Path, *, domain: str, source: str, deliver: Deliver) -> None:
        self._follower = Follower(path)
        self._spool = Spool(folder)
        self._domain = domain.partition(":")[0].lower()
        self._source = source
        self._deliver = deliver
        self.unreadable = 0
        """Lines that were no access records."""

    async def run(self, seconds: float = 10.0) -> None:
        """Go on until cancelled."""
        while True:
            try:
                await self.turn()
            except OSError as error:
                _log.error("records_not_read", reason=str(error))
            await asyncio.sleep(seconds)

    async def turn(self) -> None:
        """Read all that is new, keep it, and deliver what waits, in order, as far as it is taken."""
        while await asyncio.to_thread(self._read):
            pass
        for path in self._spool.waiting():
            try:
                for batch in self._spool.batches(path):
                    await self._deliver(batch)
            except Problem as problem:
                if problem.status in (400, 413, 422):
                    _log.error("batch_refused", file=path.name, reason=problem.detail)
                    path.replace(path.with_suffix(".refused"))
                    continue
                _log.warning("batch_waits", status=problem.status, reason=problem.detail)
                return
            self._spool.done(path)

    def _read(self) -> bool:
        piece = self._follower.read(self._spool.place)
        if piece is None:
            return False
        gathering = Gathering()
        for line in piece.lines:
            if not line or len(line) > MAX_LINE:
                continue
            try:
                record = read(line, self._domain)
            except ValueError:
                self.unreadable += 1
                continue
            if record is not None:
                gathering.add(record)
        counts = [
            _minute(cell.org, cell.app, cell.version, cell.subscription, cell.minute, amount)
            for cell, amount in gathering.take().items()
        ]
        batches = [
            Batch(id=f"{self._source}-{uuid.uuid4().hex}", source=self._source, counts=tuple(part))
            for part in _parts(counts)
        ]
        self._spool.put(batches, piece.place)
        return True


def _parts(counts: list[MinuteCount]) -> Iterable[list[MinuteCount]]:
    for start in range(0, len(counts), _AT_ONCE):
        yield counts[start : start + _AT_ONCE]


def _minute(org: str, app: str, version: str, subscription: str, minute: int, counts: Counts) -> MinuteCount:
    return MinuteCount(
        org=org, app=app, version=version, subscription=subscription, minute=minute, good=counts.good, bad=counts.bad,
        excluded=counts.excluded, refused=counts.refused, probes=counts.probes, probes_bad=counts.probes_bad,
        total=counts.total, backend=counts.backend, gateway=counts.gateway,
    )  # fmt: skip
