"""Which requests count, to whom, and how."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from havn.contracts import levels as contract
from havn.engines.levels import counts, periods
from havn.engines.levels.cells import MAX_KINDS, OTHER, Gathering
from havn.engines.levels.counts import Counts, Tally, add_up, within
from havn.engines.levels.figures import Target, burn_rate, burns_fast, figures
from havn.engines.levels.periods import Month
from havn.engines.levels.records import Record, read, stamp

DOMAIN = "tt02.example.no"


def line(host: str = f"ttd.apps.{DOMAIN}", path: str = "/first", **changes: object) -> bytes:
    fields = {
        "StartUTC": "2026-03-01T12:00:59.999999999Z", "DownstreamStatus": 200, "OriginStatus": 200,
        "RequestHost": host, "RequestPath": path, "RouterName": "r", "Duration": 5, "OriginDuration": 3, "Overhead": 2,
    }  # fmt: skip
    return json.dumps(fields | changes).encode()


def record(
    status: int = 200, *, ms: float = 1, probe: bool = False, passed_on: bool = True, **changes: object
) -> Record:
    fields = {
        "org": "ttd", "app": "first", "version": "", "subscription": "", "minute": 29_000_000, "status": status,
        "total": round(ms * 1e6), "backend": round(ms * 1e6), "gateway": 0, "probe": probe, "passed_on": passed_on,
    }  # fmt: skip
    return Record(**(fields | changes))


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        (f"ttd.apps.{DOMAIN}", "/first", ("ttd", "first", False)),
        (f"TTD.apps.{DOMAIN}", "/first/x?a=/other", ("ttd", "first", False)),
        (f"ttd.apps.{DOMAIN}", "/ttd/first/x", ("ttd", "first", False)),
        (f"ttd.apps.{DOMAIN}", "/first/health", ("ttd", "first", True)),
        (f"ttd.apps.{DOMAIN}", "/ttd/first/health", ("ttd", "first", True)),
        (f"ttd.apps.{DOMAIN}", "/first/healthy", ("ttd", "first", False)),
        (f"platform.{DOMAIN}", "/storage/api/v1/instances", ("platform", "storage", False)),
        (f"platform.{DOMAIN}", "/storage/api/v1/health/ready", ("platform", "storage", True)),
    ],
)
def test_a_request_belongs_to_the_app_that_its_address_names(host, path, found):
    got = read(line(host, path), DOMAIN)
    assert (got.org, got.app, got.probe) == found


@pytest.mark.parametrize(
    "data",
    [
        line("ttd.apps.elsewhere.no"), line(DOMAIN), line(f"ttd.apps.x.{DOMAIN}"), line(f"console.{DOMAIN}"),
        line(path="/"), line(path="/UPPER"), line(RouterName=""), line(DownstreamStatus=0),
        line(RouterName="ttd-havn-unknown-1a2b@kubernetescrd"),
        line(f"platform.{DOMAIN}", "/storages/x", RouterName="default-tt02-havn-unknown-1a2b@kubernetescrd"),
    ],
)  # fmt: skip
def test_what_led_to_no_app_counts_for_nobody(data):
    assert read(data, DOMAIN) is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"{}", line(StartUTC="2026-03-01 12:00"), line(StartUTC=1), line(Duration="x")]
)
def test_what_is_no_record_is_said_to_be_none(data):
    with pytest.raises(ValueError, match="access record"):
        read(data, DOMAIN)


def test_a_nanosecond_before_the_minute_ends_is_still_in_it():
    assert periods.moment(read(line(), DOMAIN).minute) == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_stamp_is_read_back():
    moment = 1_772_366_459_999_999_999
    assert stamp(moment) == "2026-03-01T12:00:59.999999999Z"
    assert read(line(StartUTC=stamp(moment)), DOMAIN).minute == moment // 60_000_000_000


def test_marks_that_are_not_marks_are_left_out():
    fields = {"origin_X-Havn-Version": "<b>", "origin_X-Havn-Subscription": "a" * 81}
    got = read(line(**fields), DOMAIN)
    assert (got.version, got.subscription) == ("", "")


@pytest.mark.parametrize(
    ("status", "good", "bad", "excluded"),
    [
        (200, 1, 0, 0), (302, 1, 0, 0), (304, 1, 0, 0), (400, 0, 0, 1), (404, 0, 0, 1), (429, 0, 0, 1), (499, 0, 0, 1),
        (500, 0, 1, 0), (502, 0, 1, 0), (503, 0, 1, 0), (504, 0, 1, 0), (101, 0, 0, 1),
    ],
)  # fmt: skip
def test_how_each_status_counts(status, good, bad, excluded):
    tally = Tally()
    tally.add(record(status))
    got = tally.counts()
    assert (got.good, got.bad, got.excluded, got.probes) == (good, bad, excluded, 0)
    tally = Tally()
    tally.add(record(status, probe=True))
    got = tally.counts()
    assert (got.valid, got.excluded, got.probes, got.probes_bad) == (0, 0, 1, bad)


def test_the_bounds_belong_to_their_buckets():
    for bound in counts.BOUNDS_MS:
        tally = Tally()
        tally.add(record(ms=bound))
        tally.add(record(ms=bound + 0.000001))
        got = tally.counts()
        assert within(got.backend, bound) == 1
        assert sum(got.backend) == 2
    with pytest.raises(ValueError, match="not in tuple"):
        within(got.backend, 42)


def test_the_contract_has_the_same_bounds():
    assert contract.BOUNDS_MS == counts.BOUNDS_MS
    assert counts.BUCKETS == 26


def test_sums_of_parts_are_the_sum_of_the_whole():
    records = [record(status, ms=ms, passed_on=status != 429) for status in (200, 429, 500) for ms in (1, 100, 99_999)]
    whole, parts = Tally(), []
    for each in records:
        whole.add(each)
        part = Tally()
        part.add(each)
        parts.append(part.counts())
    assert add_up(parts) == whole.counts()
    assert add_up([]) == Counts()


def test_versions_without_end_count_as_other():
    gathering = Gathering()
    for number in range(MAX_KINDS + 50):
        gathering.add(record(version=f"v{number}"))
    cells = gathering.take()
    assert len(cells) == MAX_KINDS + 1
    assert next(amount.good for cell, amount in cells.items() if cell.version == OTHER) == 50
    assert gathering.take() == {}


def counted(good: int = 0, bad: int = 0, *, fast: int = 0) -> Counts:
    histogram = [0] * counts.BUCKETS
    histogram[counts.BOUNDS_MS.index(100)] = fast
    histogram[-1] = good - fast
    return Counts(good=good, bad=bad, backend=tuple(histogram))


def test_figures_are_exact():
    target = Target(availability=Fraction("99.9"), latency_ms=100, latency_share=Fraction(95))
    got = figures(counted(2999, 1, fast=2900), target)
    assert got.availability == Fraction(299_900, 3000)
    assert got.backend_share == Fraction(290_000, 2999)
    assert got.bad_left == 2
    assert got.budget_left == Fraction(200, 3)
    assert got.kept is True
    assert figures(counted(996, 4, fast=996), target).kept is False
    assert figures(counted(996, 4, fast=996), target).budget_left == -300
    assert figures(counted(1000, 0, fast=900), target).kept is False


def test_nothing_asked_is_neither_kept_nor_broken():
    got = figures(Counts(), Target(availability=Fraction(99), latency_ms=100, latency_share=Fraction(95)))
    assert (got.availability, got.backend_share, got.budget_left, got.kept) == (None, None, None, None)


def test_a_target_of_all_has_no_budget():
    target = Target(availability=Fraction(100))
    assert figures(counted(5), target).budget_left == 100
    assert figures(counted(5, 1), target).budget_left is None
    assert burn_rate(counted(5), Fraction(100)) == 0
    assert burn_rate(counted(5, 1), Fraction(100)) is None


def test_a_burn_rate_of_one_uses_the_budget_up_in_time():
    assert burn_rate(counted(999, 1), Fraction("99.9")) == 1
    assert burn_rate(counted(9856, 144), Fraction("99.9")) == Fraction("14.4")
    assert burn_rate(Counts(), Fraction(99)) is None


def test_an_alert_wants_a_fast_burn_and_more_than_a_handful_of_failures():
    calm, fast = counted(100_000, 10), counted(9856, 144)
    assert burns_fast(fast, calm, Fraction("99.9"))
    assert not burns_fast(counted(9857, 143), calm, Fraction("99.9"))
    assert burns_fast(Counts(), counted(9940, 60), Fraction("99.9"))
    assert not burns_fast(counted(0, 9), counted(0, 9), Fraction("99.9"))
    assert burns_fast(counted(0, 10), Counts(), Fraction(100))


@pytest.mark.parametrize(
    ("month", "starts", "ends", "hours"),
    [
        (Month(2026, 3), datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC), 743),
        (Month(2026, 10), datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC), 745),
        (Month(2026, 12), datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC), 744),
    ],
)
def test_months_are_those_of_oslo(month, starts, ends, hours):
    assert (month.starts, month.ends) == (starts, ends)
    assert (ends - starts).total_seconds() == hours * 3600
    assert Month.of(starts) == month
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-00", "26-01", "2026-1", "２０２６-01", "2026-01-01", "x-y"]
)
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match="is not a month"):
        Month.parse(text)


def test_twenty_five_whole_months_are_kept():
    assert periods.forgotten_before(datetime(2026, 11, 30, 23, 30, tzinfo=UTC)) == date(2024, 11, 1)
    assert periods.forgotten_before(datetime(2026, 11, 21, tzinfo=UTC)) == date(2024, 10, 1)
