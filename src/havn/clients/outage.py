"""How long an API may be away before whoever asks it again and again gives up."""

from __future__ import annotations

import time
from collections.abc import Callable

from havn.kit.problem import Problem

Tell = Callable[[float], None]
"""Told once in each outage that lasts: how many more seconds it is borne."""
_UNMENTIONED = 3.0


def untold(left: float) -> None:
    """Nobody waits who could be told."""


class Outage:
    """Borne for `patience` seconds since the API was last heard, which begins now.

    `tell` is called when it has lasted three seconds: a restart is no news.
    """

    def __init__(self, patience: float, tell: Tell = untold, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._tell = tell
        self._told = False
        self._clock = clock
        self._heard = self._clock()

    def ended(self) -> None:
        """It was heard."""
        self._heard = self._clock()
        self._told = False

    def bear(self, problem: Problem) -> None:
        """Raises `problem` when it is no outage (502, 503, 504), or when that has lasted too long."""
        lasted = self._clock() - self._heard
        if problem.status not in (502, 503, 504) or lasted > self._patience:
            raise problem
        if lasted >= _UNMENTIONED and not self._told:
            self._told = True
            self._tell(self._patience - lasted)
