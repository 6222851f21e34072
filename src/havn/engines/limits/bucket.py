"""The generic cell rate algorithm (GCRA) with portions held elsewhere: the one idea behind every rate.

GCRA is a bucket of `capacity` units that fills by `requests` units in `seconds`, kept as a single time: the theoretical
arrival time, the moment at which the bucket is full again. Here units are handed out in portions to holders that spend
them later. A unit that is held and not yet spent still counts as lying in the bucket, so the bucket fills only up to
`capacity` less what is held. That makes the promise exact, however units are handed out: in any stretch of t seconds
at most `capacity + t * requests / seconds` are spent.

All times are whole microseconds on one clock, all rounding is against the caller. The same arithmetic is done inside
the counter store; both stay below 2**53, so that it comes out alike in doubles.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

SECOND = 1_000_000
MAX_CAPACITY = 1_000_000
MAX_SECONDS = 3600


class Bucket(msgspec.Struct, frozen=True):
    """A bucket of `capacity` units that fills by `requests` units in `micros` microseconds.

    With `requests` 0 it never fills by itself: its units are slots that are given back, as of requests under way.
    """

    capacity: int
    requests: int
    micros: int

    @classmethod
    def rate(cls, requests: int, seconds: int) -> Bucket:
        """`requests` at once, and as many in `seconds` in the long run. ValueError beyond what can be counted."""
        if requests < 1 or not 0 < seconds <= MAX_SECONDS:
            raise ValueError("a rate is at least one request in one to 3600 seconds")
        # A bucket larger than can be counted is smaller in the burst only.
        return cls(min(requests, MAX_CAPACITY), requests, seconds * SECOND)

    @classmethod
    def slots(cls, at_once: int) -> Bucket:
        """`at_once` units that come back only when they are given back."""
        return cls(at_once, 0, 0)

    def cost(self, units: int) -> int:
        """How long the bucket takes to fill by `units`, rounded up."""
        return -(-units * self.micros // self.requests) if self.requests else 0


class Ledger(msgspec.Struct, frozen=True):
    """The state of one bucket: the theoretical arrival time, and what each holder has (units, expiry)."""

    tat: int = 0
    held: Mapping[str, tuple[int, int]] = {}


class Taken(msgspec.Struct, frozen=True):
    """What came of one call: units granted, units left in the bucket, and microseconds until there is one more."""

    granted: int
    remaining: int
    wait: int


def take(
    bucket: Bucket,
    ledger: Ledger,
    *,
    now: int,
    holder: str,
    keeps: int,
    returned: int,
    need: int,
    want: int,
    valid: int,
) -> tuple[Ledger, Taken]:
    """Settle with `holder`, and hand it a new portion.

    It keeps `keeps` units of earlier portions and gives `returned` unspent ones back; the rest of what it had is spent.
    It needs `need` units at once and would like `want`, which may be more: what it gets beyond its need is bounded by
    `spare`. Its portion may be spent for `valid` microseconds from `now`.
    """
    before = ledger.held.get(holder, (0, 0))[0]
    keeps = min(max(keeps, 0), before)
    returned = min(max(returned, 0), before - keeps)
    others = {name: part for name, part in ledger.held.items() if name != holder and part[1] > now}
    outstanding = keeps + sum(units for units, _ in others.values())

    if bucket.requests:
        full = now + bucket.cost(bucket.capacity)
        # A time beyond `full` was written before the clock was set back: the caller waits one filling at most.
        tat = min(ledger.tat, full) - returned * bucket.micros // bucket.requests
        tat = max(tat, now + bucket.cost(outstanding))
        free = max(0, full - tat) * bucket.requests // bucket.micros
        free = min(free, bucket.capacity - outstanding)
    else:
        tat, free = 0, bucket.capacity - outstanding
    free = max(free, 0)
    granted = min(free, max(need, min(want, spare(bucket.capacity, outstanding))))
    if bucket.requests:
        tat += bucket.cost(granted)

    if keeps + granted:
        others[holder] = (keeps + granted, now + valid)
    remaining = free - granted
    wait = 0
    if remaining == 0 and bucket.requests:
        wait = max(1, tat + bucket.cost(1) - now - bucket.cost(bucket.capacity))
    return Ledger(tat, others), Taken(granted, remaining, wait)


def spare(capacity: int, outstanding: int) -> int:
    """How much may be handed out beyond the need: 4 % of the limit over all holders.

    What lies unspent with one holder is what another is denied, so this bounds how far below the limit they may stay.
    """
    return max(0, capacity // 25 - outstanding)
