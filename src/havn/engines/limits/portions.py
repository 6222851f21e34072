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
    """How much one holder uses of one limit: a moving average, in units a second."""

    __slots__ = ("_rate", "_since", "_used")

    def __init__(self, now: float) -> None:
        self._rate = 0.0
        self._since = now
        self._used = 0

    def used(self, units: int = 1) -> None:
        """Count use."""
        self._used += units

    def portion(self, now: float, seconds: float) -> int:
        """What `seconds` will use if use goes on as lately: half of it is the time since the last question."""
        passed = now - self._since
        if passed > 0:
            # A stretch shorter than the one asked for says little, so it is not taken for more than it is.
            latest = self._used / max(passed, seconds)
            weight = min(1.0, passed / (2 * seconds))
            self._rate += (latest - self._rate) * max(weight, 0.5 if latest > self._rate else 0.0)
            self._since = now
            self._used = 0
        return math.ceil(self._rate * seconds)
