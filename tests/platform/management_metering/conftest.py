"""Time that stands still until it is told to go."""

from __future__ import annotations

import pytest


class Micros:
    """A clock in microseconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def micros() -> Micros:
    return Micros()
