"""What this process holds of one limit of one subject: units to spend, and what it has to tell about them."""

from __future__ import annotations

import math
from datetime import date

from havn.contracts.metering import SLOT_SECONDS, Ask, Lease
from havn.engines.limits import Demand

TICK_SECONDS = 0.25
AHEAD_SECONDS = 0.5
"""A portion is meant to last this long."""
AGAIN_SECONDS = 1.0
"""A limit that was found used up is asked for again after this long at most: others may have given some back."""
SOONEST_SECONDS = 0.02


class Allowance:
    """Units of one limit, spent without asking anybody; `now` is the time on a clock that never jumps.

    `slots`: requests under way, whose units come back when they are done.
    """

    __slots__ = (
        "__weakref__", "active", "away_until", "busy", "demand", "denied_until", "first", "label", "limit", "looked",
        "low", "more_at", "most", "name", "need", "observed", "rejected", "remaining", "renewed", "returning",
        "seen", "sent", "slots", "step", "subject", "units", "until", "used", "waiting",
    )  # fmt: skip

    def __init__(self, subject: str, limit: str, name: str, most: int, *, step: float = 0.0, now: float) -> None:
        self.subject = subject
        self.limit = limit
        self.name = name
        self.label = name.encode()
        self.most = most
        self.step = step
        """Seconds in which a rate fills by one; 0 for other limits."""
        self.slots = limit in ("concurrency", "organisation")
        self.units = 0
        self.until = 0.0
        self.low = 0
        self.busy = 0
        self.used = 0
        self.rejected = 0
        self.observed = 0
        self.need = 0
        self.returning = 0
        self.remaining = most
        self.more_at = 0.0
        self.denied_until = 0.0
        self.away_until = 0.0
        self.first: date | None = None
        self.demand = Demand(now)
        self.active = False
        self.looked = now
        self.seen = False
        self.waiting = 0
        self.renewed = now
        self.sent: Ask | None = None

    def left(self) -> int:
        """How much there is still to have, as far as is known here."""
        return self.remaining + self.units

    def wait(self, now: float) -> int:
        """Whole seconds until there is one more."""
        if self.left() > 0 and self.step:
            return max(1, math.ceil(self.step))
        return max(1, math.ceil(self.more_at - now))

    def ask(self, now: float, *, all_back: bool = False) -> Ask | None:
        """What to send in the settlement that is made now; None when there is nothing to say yet.

        Requests that wait, and running low, are said at once; the rest four times a second. `all_back`: the last words.
        """
        looked = now - self.looked >= TICK_SECONDS or all_back
        if not (looked or self.need or self.units < self.low):
            return None
        expired = self.until <= now or all_back
        self.demand.used(self.used)
        # A slot comes back by itself: one that lies ready is enough, more are taken from the others.
        portion = 0 if self.slots else self.demand.portion(now, AHEAD_SECONDS)
        spare = 0
        if expired:
            spare = self.units
        elif looked:
            idle = not self.used and not self.seen
            spare = max(0, self.units - max(0 if idle else 2 * portion + 1, self.waiting))
        if looked:
            self.looked = now
            self.seen = False
        elif self.used:
            self.seen = True
        self.units -= spare
        self.returning += spare
        keeps = self.busy + self.units if self.slots else self.units
        due = keeps and now - self.renewed > SLOT_SECONDS / 4
        if not (self.returning or self.used or self.need or self.rejected or self.observed or due):
            return None
        want = max(0, portion - self.units) if (self.used or self.need) and not all_back else 0
        asked = Ask(
            subject=self.subject,
            limit=self.limit,
            keeps=keeps,
            returned=self.returning,
            need=self.need,
            want=want,
            used=0 if self.slots else self.used,
            rejected=self.rejected,
            observed=self.observed,
            first=self.first,
        )
        self.used = self.rejected = self.observed = self.need = self.returning = 0
        self.sent = asked
        return asked

    def settled(self, lease: Lease, asked_at: float, now: float) -> None:
        """Take the answer to what was sent at `asked_at`."""
        asked, self.sent = self.sent, None
        if lease.fault is not None:
            self.not_settled(asked, now)
            return
        needed = asked.need if asked is not None else 0
        self.renewed = asked_at
        self.away_until = 0.0
        self.units += lease.granted
        # Half of a portion that was asked for ahead is the sign to ask for the next.
        self.low = self.units // 2 if asked is not None and asked.want else 0
        self.until = asked_at + lease.valid_for
        self.remaining = lease.remaining
        self.more_at = now + lease.more_in
        self.first = lease.first
        self.denied_until = 0.0
        if lease.granted < needed:
            pause = min(lease.more_in, AGAIN_SECONDS) if self.step else AGAIN_SECONDS
            self.denied_until = now + (SOONEST_SECONDS if self.slots else max(pause, SOONEST_SECONDS))

    def not_settled(self, asked: Ask | None, now: float) -> None:
        """What was sent may or may not have arrived: it is told again, and told twice it counts once."""
        self.sent = None
        self.away_until = now + AGAIN_SECONDS
        if asked is not None:
            self.used += asked.used
            self.rejected += asked.rejected
            self.observed += asked.observed
            self.returning += asked.returned

    @property
    def at_rest(self) -> bool:
        """Nothing held and nothing to tell."""
        return not (
            self.units or self.busy or self.used or self.need or self.rejected or self.observed or self.returning
        )


class Tally:
    """Requests of one consumer that are yet to be told for its usage."""

    __slots__ = ("active", "allowed", "observed", "prefix", "rejected", "subject")

    def __init__(self, subject: str, prefix: str | None) -> None:
        self.subject = subject
        self.prefix = prefix
        self.allowed = 0
        self.rejected = 0
        self.observed = 0
        self.active = False
