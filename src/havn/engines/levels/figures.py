"""From counts to figures: availability, share under a time, error budget and burn rate.

Shares are exact fractions until they are shown. Where nothing was asked, there is no share: an app that nobody called
was neither available nor away.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec

from havn.engines.levels.counts import Counts, within

FAST_HOUR = Fraction("14.4")
"""Two per cent of a month's budget in one hour (of thirty days: 720 hours, times 0.02)."""
FAST_SIX_HOURS = Fraction(6)
"""Five per cent of a month's budget in six hours."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is agreed, in per cent: availability, and the share of good requests within `latency_ms`.

    `latency_ms` is one of the histogram's bounds and is measured on the app's own time.
    """

    availability: Fraction
    latency_ms: int | None = None
    latency_share: Fraction | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, in per cent; None where there was nothing to measure."""

    counts: Counts
    availability: Fraction | None
    backend_share: Fraction | None
    gateway_share: Fraction | None
    total_share: Fraction | None
    budget_left: Fraction | None
    """Per cent of the bad requests allowed that are left; negative when more were bad."""
    bad_left: Fraction | None
    """The same as requests."""
    kept: bool | None
    """Whether every target is met."""


def figures(counts: Counts, target: Target | None) -> Figures:
    """The figures of `counts`, against `target` when there is one."""
    availability = percent(counts.good, counts.valid)
    shares: list[Fraction | None] = [None, None, None]
    if target is not None and target.latency_ms is not None:
        shares = [
            percent(within(histogram, target.latency_ms), counts.good)
            for histogram in (counts.backend, counts.gateway, counts.total)
        ]
    budget_left = bad_left = None
    kept = None
    if target is not None and availability is not None:
        allowed = counts.valid * (100 - target.availability) / 100
        bad_left = allowed - counts.bad
        if allowed:
            budget_left = bad_left / allowed * 100
        elif counts.bad == 0:
            budget_left = Fraction(100)
        kept = availability >= target.availability
        if kept and target.latency_share is not None and shares[0] is not None:
            kept = shares[0] >= target.latency_share
    return Figures(
        counts=counts,
        availability=availability,
        backend_share=shares[0],
        gateway_share=shares[1],
        total_share=shares[2],
        budget_left=budget_left,
        bad_left=bad_left,
        kept=kept,
    )


def burn_rate(counts: Counts, availability: Fraction) -> Fraction | None:
    """How many times faster than agreed the budget is used: 1 would use it up exactly at the end of the window.

    None when nothing was asked, or when the target leaves no budget and something was bad.
    """
    if counts.valid == 0:
        return None
    share = Fraction(counts.bad, counts.valid)
    allowed = (100 - availability) / 100
    if allowed == 0:
        return None if share else Fraction(0)
    return share / allowed


def burns_fast(hour: Counts, six_hours: Counts, availability: Fraction) -> bool:
    """Whether somebody should be told now: the last hour at 14.4 or the last six at 6, and at least ten were bad.

    The floor keeps a single failure at night, of the only three requests, from waking people.
    """
    return any(
        counts.bad >= 10 and (rate is None or rate >= limit)
        for counts, limit in ((hour, FAST_HOUR), (six_hours, FAST_SIX_HOURS))
        for rate in (burn_rate(counts, availability),)
    )


def percent(part: int, whole: int) -> Fraction | None:
    """`part` of `whole` in per cent; None of nothing."""
    return Fraction(part * 100, whole) if whole else None
