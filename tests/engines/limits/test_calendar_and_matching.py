"""Periods in Norwegian time, which requests a limit counts, and how much of a quota is handed out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.engines.limits import Demand, matcher, share, span
from havn.engines.limits.calendar import ZONE

MOMENTS = st.integers(946684800, 3786912000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(at=MOMENTS, per=st.sampled_from(["day", "week", "month"]))
def test_every_moment_is_in_its_period_and_the_next_begins_where_it_ends(at, per):
    found = span(per, at)
    assert found.start <= at < found.end
    assert span(per, found.start) == found
    assert span(per, found.end).start == found.end
    assert span(per, found.end - timedelta(microseconds=1)) == found
    local = found.start.astimezone(ZONE)
    assert (local.hour, local.minute) == (0, 0)
    assert per != "week" or local.weekday() == 0
    assert per != "month" or local.day == 1


def test_days_follow_norwegian_time_through_summer_time():
    # 23:30 UTC in summer is half past one the next day.
    assert span("day", datetime(2026, 7, 1, 23, 30, tzinfo=UTC)).first == date(2026, 7, 2)
    assert span("day", datetime(2026, 3, 29, 12, tzinfo=UTC)).seconds == 23 * 3600
    assert span("day", datetime(2026, 10, 25, 12, tzinfo=UTC)).seconds == 25 * 3600
    assert span("week", datetime(2027, 1, 1, 12, tzinfo=UTC)).first == date(2026, 12, 28)


SEGMENTS = st.sampled_from(["api", "apifoo", "v1", "x"])
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(methods=st.sets(st.sampled_from(["GET", "POST", "DELETE"])), prefixes=st.lists(PATHS, max_size=3),
       method=st.sampled_from(["GET", "POST", "DELETE"]), path=PATHS)  # fmt: skip
def test_a_prefix_matches_whole_segments_only(methods, prefixes, method, path):
    def under(prefix: str) -> bool:
        wanted = [part for part in prefix.split("/") if part]
        return [part for part in path.split("/") if part][: len(wanted)] == wanted

    expected = (not methods or method in methods) and (not prefixes or any(under(prefix) for prefix in prefixes))
    assert matcher(methods, prefixes)(method, path) is expected


def test_head_is_counted_as_get():
    assert matcher(["GET"])("HEAD", "/x")
    assert not matcher(["POST"])("HEAD", "/x")


@given(limit=st.integers(1, 10**9), taken=st.integers(0, 10**9), outstanding=st.integers(0, 1000),
       need=st.integers(0, 50), want=st.integers(0, 10**6))  # fmt: skip
def test_a_share_is_never_more_than_is_left_and_covers_the_need_when_it_can(limit, taken, outstanding, need, want):
    given = share(limit, taken, outstanding, need, want)
    left = max(0, limit - taken)
    assert 0 <= given <= left
    assert given >= min(need, left)
    assert given <= max(need, want, 0)
    assert given <= max(need, limit // 25)


@pytest.mark.parametrize("rate", [5, 40, 1000])
def test_a_portion_follows_what_is_used(rate):
    demand, now = Demand(0.0), 0.0
    for _ in range(40):
        now += 0.25
        demand.used(rate // 4)
        portion = demand.portion(now, 0.25)
    assert rate / 4 * 0.8 <= portion <= rate / 4 * 1.2 + 1
    for _ in range(40):
        now += 0.25
        portion = demand.portion(now, 0.25)
    assert portion <= 1


def test_a_portion_grows_with_use_before_there_is_a_rate_to_speak_of_and_is_not_shrunk_by_being_asked_for_often():
    demand = Demand(0.0)
    demand.used(30)
    assert demand.portion(0.001, 0.5) == 30
    demand.used(270)
    assert demand.portion(0.2, 0.5) == 750
    for step in range(100):
        assert demand.portion(0.2 + step / 1000, 0.5) == 750
