"""The bucket, held against an oracle that remembers every single request."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from havn.engines.limits import Bucket, Ledger, take
from havn.engines.limits.bucket import SECOND, spare

VALID = 2 * SECOND


@given(
    requests=st.integers(1, 2000),
    seconds=st.integers(1, 90),
    steps=st.lists(
        st.tuples(
            st.integers(0, 5 * SECOND),  # time that passes
            st.sampled_from("ab"),  # who
            st.integers(0, 60),  # spends of what it has
            st.integers(0, 60),  # gives back
            st.integers(0, 40),  # needs
            st.integers(0, 200),  # wants
        ),
        max_size=60,
    ),
)
@settings(max_examples=300, deadline=None)
def test_no_stretch_of_time_ever_sees_more_than_the_capacity_and_what_flows_in(requests, seconds, steps):
    bucket, ledger, now = Bucket.rate(requests, seconds), Ledger(), 10**15
    has = {"a": (0, 0), "b": (0, 0)}
    spent: list[tuple[int, int]] = []
    for pause, who, spending, giving, need, want in steps:
        now += pause
        units, until = has[who]
        if until <= now:
            units = 0
        spends = min(spending, units)
        if spends:
            spent.append((now, spends))
        gives = min(giving, units - spends)
        keeps = units - spends - gives
        ledger, taken = take(
            bucket, ledger, now=now, holder=who, keeps=keeps, returned=gives, need=need, want=want, valid=VALID
        )
        use = min(need, taken.granted)
        if use:
            spent.append((now, use))
        has[who] = (keeps + taken.granted - use, now + VALID)
    for first, (start, _) in enumerate(spent):
        total = 0
        for end, units in spent[first:]:
            total += units
            assert total <= bucket.capacity + Fraction((end - start) * requests, seconds * SECOND)


@given(
    requests=st.integers(1, 100_000),
    seconds=st.integers(1, 3600),
    steps=st.lists(st.tuples(st.integers(0, 20 * SECOND), st.integers(0, 500)), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_one_caller_gets_what_an_exact_bucket_would_give(requests, seconds, steps):
    bucket, ledger, now = Bucket.rate(requests, seconds), Ledger(), 0
    per_micro = Fraction(requests, seconds * SECOND)
    level = Fraction(bucket.capacity)
    for steps_taken, (pause, need) in enumerate(steps):
        now += pause
        level = min(Fraction(bucket.capacity), level + pause * per_micro)
        # Spent at once: nothing is held between two calls.
        ledger, taken = take(
            bucket, ledger, now=now, holder="a", keeps=0, returned=0, need=need, want=need, valid=VALID
        )
        exact = min(need, int(level))
        rounding = (steps_taken + 1) * per_micro
        assert taken.granted <= exact
        assert taken.granted >= min(need, int(max(0, level - rounding)))
        level -= taken.granted


def test_what_one_holder_has_not_spent_is_not_filled_up_again():
    bucket = Bucket.rate(100, 10)
    ledger, first = take(bucket, Ledger(), now=0, holder="a", keeps=0, returned=0, need=40, want=40, valid=60 * SECOND)
    assert first.granted == 40
    # Ten seconds fill the bucket, but for the forty that a still has.
    ledger, second = take(
        bucket, ledger, now=10 * SECOND, holder="b", keeps=0, returned=0, need=200, want=200, valid=SECOND
    )
    assert second.granted == 60


def test_what_is_given_back_is_there_for_others_at_once():
    bucket = Bucket.rate(100, 100)
    ledger, _ = take(bucket, Ledger(), now=0, holder="a", keeps=0, returned=0, need=100, want=100, valid=SECOND)
    ledger, none = take(bucket, ledger, now=0, holder="b", keeps=0, returned=0, need=1, want=1, valid=SECOND)
    assert (none.granted, none.remaining, none.wait) == (0, 0, SECOND)
    ledger, back = take(bucket, ledger, now=0, holder="a", keeps=0, returned=30, need=0, want=0, valid=SECOND)
    assert back.remaining == 30
    _, some = take(bucket, ledger, now=0, holder="b", keeps=0, returned=0, need=31, want=31, valid=SECOND)
    assert some.granted == 30


def test_nobody_gives_back_more_than_they_have():
    bucket = Bucket.rate(10, 10)
    ledger, _ = take(bucket, Ledger(), now=0, holder="a", keeps=0, returned=0, need=10, want=10, valid=SECOND)
    ledger, again = take(bucket, ledger, now=0, holder="b", keeps=0, returned=10, need=10, want=10, valid=SECOND)
    assert again.granted == 0
    _, again = take(bucket, ledger, now=0, holder="a", keeps=50, returned=50, need=0, want=0, valid=SECOND)
    assert again.remaining == 0


def test_a_portion_beyond_the_need_is_small_beside_the_limit():
    bucket = Bucket.rate(1000, 1)
    ledger, first = take(bucket, Ledger(), now=0, holder="a", keeps=0, returned=0, need=1, want=900, valid=SECOND)
    _, second = take(bucket, ledger, now=0, holder="b", keeps=0, returned=0, need=1, want=900, valid=SECOND)
    assert first.granted + second.granted <= 41
    assert first.granted == spare(1000, 0) == 40


def test_a_limit_too_small_to_divide_is_handed_out_one_by_one():
    _, taken = take(
        Bucket.rate(10, 60), Ledger(), now=0, holder="a", keeps=0, returned=0, need=1, want=10, valid=SECOND
    )
    assert (taken.granted, taken.remaining) == (1, 9)


def test_a_clock_set_back_costs_one_filling_at_most():
    bucket = Bucket.rate(10, 10)
    ledger, _ = take(bucket, Ledger(), now=10**12, holder="a", keeps=0, returned=0, need=10, want=10, valid=SECOND)
    early = 10**9
    ledger, taken = take(bucket, ledger, now=early, holder="b", keeps=0, returned=0, need=1, want=1, valid=SECOND)
    assert (taken.granted, taken.wait) == (0, SECOND)
    # A's portion looks as if it never ends; it is a tenth of a second's worth until A settles again.
    ledger, _ = take(bucket, ledger, now=early, holder="a", keeps=0, returned=0, need=0, want=0, valid=SECOND)
    _, taken = take(
        bucket, ledger, now=early + 10 * SECOND, holder="b", keeps=0, returned=0, need=10, want=10, valid=SECOND
    )
    assert taken.granted == 10


def test_slots_come_back_when_they_are_given_back_or_their_holder_is_gone():
    bucket = Bucket.slots(5)
    ledger, first = take(bucket, Ledger(), now=0, holder="a", keeps=0, returned=0, need=4, want=4, valid=SECOND)
    ledger, second = take(bucket, ledger, now=0, holder="b", keeps=0, returned=0, need=4, want=4, valid=SECOND)
    assert (first.granted, second.granted) == (4, 1)
    ledger, third = take(bucket, ledger, now=1, holder="a", keeps=2, returned=2, need=0, want=0, valid=SECOND)
    assert third.remaining == 2
    _, fourth = take(bucket, ledger, now=5 * SECOND, holder="c", keeps=0, returned=0, need=9, want=9, valid=SECOND)
    assert fourth.granted == 5


@pytest.mark.parametrize(("requests", "seconds"), [(0, 1), (1, 0), (1, 3601), (-1, 10)])
def test_a_rate_that_says_nothing_is_refused(requests, seconds):
    with pytest.raises(ValueError, match="at least one request"):
        Bucket.rate(requests, seconds)
