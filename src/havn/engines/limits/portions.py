"""How large a portion to ask for: as much as is used between two settlements, and no more."""

from __future__ import annotations

import math


def share(limit: int, taken: int, outstanding: int, need: int, want: int) -> int:
    """How much of a quota to hand out: `limit` requests of which `taken` are handed out, `outstanding` unspent.

    The need at once, if it is there; beyond it up to `want`, so that at most 4 % of the quota, and a quarter of what
    is left of it, lies unspent.
    """
    left = max(0, limit - taken)
    beyond = max(0, min(limit // 25 - outstanding, left // 4))
    return min(left, max(need, min(want, beyond)))


class Demand:
    """How much one holder uses of one limit, in units a second."""

    __slots__ = ("_rate", "_since", "_used")

    def __init__(self, now: float) -> None:
        self._rate = 0.0
        self._since = now
        self._used = 0

    def used(self, units: int = 1) -> None:
        """Count use."""
        self._used += units

    def portion(self, now: float, seconds: float) -> int:
        """What `seconds` will use if use goes on as lately.

        Growth is believed at once, a decline by half each time. A stretch shorter than a quarter of `seconds` says too
        little to be called a rate: what it has used so far is the least that is expected.
        """
        passed = now - self._since
        if passed < seconds / 4:
            return math.ceil(max(self._rate * seconds, self._used))
        latest = self._used / passed
        self._rate = latest if latest > self._rate else (self._rate + latest) / 2
        self._since = now
        self._used = 0
        return math.ceil(self._rate * seconds)
