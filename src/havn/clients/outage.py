"""How long an API may be away before whoever asks it again and again gives up."""

from __future__ import annotations

import asyncio

from havn.kit.problem import Problem


class Outage:
    """Borne for `patience` seconds since the API was last heard, which begins now. For a running loop."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._clock = asyncio.get_running_loop().time
        self._heard = self._clock()

    def ended(self) -> None:
        """It was heard."""
        self._heard = self._clock()

    def bear(self, problem: Problem) -> None:
        """Raises `problem` when it is no outage (502, 503, 504), or when that has lasted too long."""
        if problem.status not in (502, 503, 504) or self._clock() - self._heard > self._patience:
            raise problem
