"""How one request counts, and counts that add up: whole numbers only, so that sums of sums stay exact."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from havn.engines.levels.records import Record

BOUNDS_MS = (
    5, 10, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500,
    10_000, 15_000, 30_000, 60_000,
)  # fmt: skip
"""Upper bounds of the histogram's buckets, inclusive; one more bucket has what took longer.

A latency target is one of these, so that the share under it is exact and never interpolated.
"""
BUCKETS = len(BOUNDS_MS) + 1
_BOUNDS_NS = tuple(bound * 1_000_000 for bound in BOUNDS_MS)

Histogram = tuple[int, ...]
_EMPTY: Histogram = (0,) * BUCKETS


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one cell.

    `good` and `bad` together are the valid requests. `excluded` are the caller's own faults (4xx, 429 among them),
    `refused` those of all of these that the ingress did not pass on to the app, `probes` requests to the app's health
    address, counted nowhere else. The histograms have the good requests: whole time, the app's part, the ingress's.
    """

    good: int = 0
    bad: int = 0
    excluded: int = 0
    refused: int = 0
    probes: int = 0
    probes_bad: int = 0
    total: Histogram = _EMPTY
    backend: Histogram = _EMPTY
    gateway: Histogram = _EMPTY

    @property
    def valid(self) -> int:
        """The requests that the availability is measured on."""
        return self.good + self.bad

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            good=self.good + other.good,
            bad=self.bad + other.bad,
            excluded=self.excluded + other.excluded,
            refused=self.refused + other.refused,
            probes=self.probes + other.probes,
            probes_bad=self.probes_bad + other.probes_bad,
            total=_sum(self.total, other.total),
            backend=_sum(self.backend, other.backend),
            gateway=_sum(self.gateway, other.gateway),
        )


def add_up(many: Iterable[Counts]) -> Counts:
    """Their sum."""
    whole = Counts()
    for each in many:
        whole = whole + each
    return whole


def within(histogram: Histogram, milliseconds: int) -> int:
    """How many of the histogram took at most `milliseconds`, which must be one of the bounds (else ValueError)."""
    return sum(histogram[: BOUNDS_MS.index(milliseconds) + 1])


class Tally:
    """Counts in the making."""

    __slots__ = ("_backend", "_bad", "_excluded", "_gateway", "_good", "_probes", "_probes_bad", "_refused", "_total")

    def __init__(self) -> None:
        self._good = self._bad = self._excluded = self._refused = self._probes = self._probes_bad = 0
        self._total = [0] * BUCKETS
        self._backend = [0] * BUCKETS
        self._gateway = [0] * BUCKETS

    def add(self, record: Record) -> None:
        """Count one request.

        Bad is an answer of 5xx, whoever gave it: a timeout of the ingress is 502 or 504, no replica 503. A client that
        left before its answer (499) is its own doing, as every 4xx is. A change of protocol (101) is no answer at all.
        """
        bad = record.status >= 500
        if record.probe:
            self._probes += 1
            self._probes_bad += bad
            return
        if not record.passed_on:
            self._refused += 1
        if bad:
            self._bad += 1
        elif record.status >= 400 or record.status < 200:
            self._excluded += 1
        else:
            self._good += 1
            self._total[bisect_left(_BOUNDS_NS, record.total)] += 1
            self._backend[bisect_left(_BOUNDS_NS, record.backend)] += 1
            self._gateway[bisect_left(_BOUNDS_NS, record.gateway)] += 1

    def counts(self) -> Counts:
        """What was counted until now."""
        return Counts(
            good=self._good,
            bad=self._bad,
            excluded=self._excluded,
            refused=self._refused,
            probes=self._probes,
            probes_bad=self._probes_bad,
            total=tuple(self._total),
            backend=tuple(self._backend),
            gateway=tuple(self._gateway),
        )


def _sum(one: Histogram, other: Histogram) -> Histogram:
    return tuple(a + b for a, b in zip(one, other, strict=True))
