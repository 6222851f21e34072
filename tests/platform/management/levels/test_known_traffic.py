"""Traffic that is known to the last request gives exactly the figures worked out from it here, another way."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from havn.contracts.levels import AgreementTerms, NewMaintenance, Targets
from havn.kit.problem import Problem

OSLO = ZoneInfo("Europe/Oslo")
TARGETS = Targets(availability=97.5, latency_ms=100, latency_share=50)
# Spring forward on the 29th of March, autumn back on the 25th of October.
MARCH = (datetime(2026, 3, 1, tzinfo=OSLO), datetime(2026, 4, 1, tzinfo=OSLO))
OCTOBER = (datetime(2026, 10, 1, tzinfo=OSLO), datetime(2026, 11, 1, tzinfo=OSLO))
IN_ADVANCE = (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 30, 12, 0, tzinfo=UTC))
WHOLE_ORG = (datetime(2026, 10, 24, 23, 30, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, tzinfo=UTC))
TOO_LATE = (datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 12, tzinfo=UTC))


def month_of(at: datetime) -> str:
    return at.astimezone(OSLO).strftime("%Y-%m")


def expected(sent, month, *, org="ttd", app="permit", key=lambda each: None, only=lambda each: True):
    """Straight from the made-up requests: counts by `key`, with plain loops and no histogram."""
    found = defaultdict(lambda: dict.fromkeys(
        ("good", "bad", "excluded", "refused", "probes", "fast", "fast_gateway", "planned"), 0))  # fmt: skip
    for each in sent:
        if (each.org, each.app) != (org, app) or month_of(each.at) != month or "unknown" in each.router:
            continue
        if not only(each):
            continue
        counts = found[key(each)]
        planned = (app == "permit" and IN_ADVANCE[0] <= each.at < IN_ADVANCE[1]) or WHOLE_ORG[0] <= each.at < WHOLE_ORG[
            1
        ]
        if each.path.endswith("/health"):
            counts["probes"] += not planned
        elif planned:
            counts["planned"] += not 400 <= each.status < 500
        else:
            counts["refused"] += each.origin_status == 0
            if each.status >= 500:
                counts["bad"] += 1
            elif each.status >= 400:
                counts["excluded"] += 1
            else:
                counts["good"] += 1
                counts["fast"] += round(each.backend_ms * 1e6) <= 100_000_000
                counts["fast_gateway"] += round(each.gateway_ms * 1e6) <= 100_000_000
    return found


def same(measured, counts):
    got = measured.counts
    assert (got.good, got.bad, got.excluded, got.refused, got.probes, measured.planned.valid) == tuple(
        counts[name] for name in ("good", "bad", "excluded", "refused", "probes", "planned")
    )
    valid = counts["good"] + counts["bad"]
    assert got.valid == valid
    assert measured.availability == float(round(Fraction(100 * counts["good"], valid), 4))
    assert measured.backend_share == float(round(Fraction(100 * counts["fast"], counts["good"]), 4))
    assert measured.gateway_share == float(round(Fraction(100 * counts["fast_gateway"], counts["good"]), 4))
    allowed = valid * Fraction(25, 1000)
    assert measured.budget_left == float(round((allowed - counts["bad"]) / allowed * 100, 4))
    assert measured.bad_left == float(round(allowed - counts["bad"], 4))
    assert measured.kept is (
        Fraction(counts["good"], valid) >= Fraction(975, 1000) and 2 * counts["fast"] >= counts["good"]
    )


@pytest.fixture
async def replayed(levels, management, platform, traffic):
    """March and October of 2026, as they were sent by an ingress, some of it twice."""
    await management.publish("ttd", "permit")
    subscription = (await management.subscribe(await management.consumer()))["id"]
    platform.clock.now = datetime(2026, 2, 20, tzinfo=UTC)
    for window, app in ((IN_ADVANCE, "permit"), (WHOLE_ORG, None)):
        wanted = NewMaintenance(app=app, starts=window[0], ends=window[1], reason="Ny database")
        assert (await levels.client.declare("ttd", wanted, levels.operator)).in_advance
    platform.clock.now = TOO_LATE[0] + timedelta(hours=1)
    late = NewMaintenance(app="permit", starts=TOO_LATE[0], ends=TOO_LATE[1], reason="Glemt")
    assert not (await levels.client.declare("ttd", late, levels.operator)).in_advance
    platform.clock.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    await levels.client.put_agreement("ttd", "permit", AgreementTerms(app="permit", targets=TARGETS), levels.operator)
    await levels.client.put_agreement(
        "ttd", "trial", AgreementTerms(app="permit", plan="ttd.permit.cases.v1:trial", targets=TARGETS), levels.operator
    )
    sent = traffic(1, *MARCH, 3000, subscription=subscription) + traffic(2, *OCTOBER, 3000, subscription=subscription)
    log = levels.folder / "access.log"
    # In pieces, and once the answer to a batch is lost: it is sent again, and must not count again.
    lost = [True]

    async def loses_one_answer(batch):
        await levels.client.send(batch, levels.records)
        if lost.pop() if lost else False:
            raise Problem(503, "The answer was lost.")

    sender = levels.sender(log, loses_one_answer)
    with log.open("ab") as file:
        for start in range(0, len(sent), 2000):
            file.write(b"".join(each.line() + b"\n" for each in sent[start : start + 2000]))
            file.flush()
            await sender.turn()
    await sender.turn()
    return sent, subscription


async def test_the_report_is_exactly_what_was_sent(levels, replayed):
    sent, subscription = replayed
    for month in ("2026-03", "2026-10"):
        report = await levels.client.report("ttd", month, levels.operator)
        assert report.complete
        entries = {entry.agreement.name: entry for entry in report.entries}
        same(entries["permit"].whole, expected(sent, month)[None])
        by_version = expected(sent, month, key=lambda each: each.version)
        assert {each.version for each in entries["permit"].versions} == set(by_version)
        for each in entries["permit"].versions:
            same(each, by_version[each.version])
        by_subscription = expected(sent, month, key=lambda each: each.subscription)
        assert {each.subscription for each in entries["permit"].subscriptions} == {"", subscription}
        for each in entries["permit"].subscriptions:
            same(each, by_subscription[each.subscription])
        same(entries["trial"].whole, by_subscription[subscription])
        assert {each.app for each in report.apps} == {"permit", "other"}
        for each in report.apps:
            counts = expected(sent, month, app=each.app)[None]
            assert (each.counts.good, each.counts.bad) == (counts["good"], counts["bad"])
    march = await levels.client.report("ttd", "2026-03", levels.operator)
    assert [(each.reason, each.in_advance) for each in march.maintenance] == [("Ny database", True), ("Glemt", False)]
    # Only what lies within the edges of the month in Oslo, and nothing of another owner.
    assert sum(month_of(each.at) == "2026-02" for each in sent) > 10
    february = await levels.client.report("ttd", "2026-02", levels.operator)
    assert february.entries[0].whole.counts.good == expected(sent, "2026-02")[None]["good"] > 0


async def test_each_figure_is_found_again_by_its_query(levels, replayed):
    report = await levels.client.report("ttd", "2026-03", levels.operator)
    entry = next(each for each in report.entries if each.agreement.name == "permit")
    for row in (entry.whole, *entry.versions, *entry.subscriptions, *report.apps):
        response = await levels.http.request("GET", row.query, headers=levels.operator)
        assert response.status_code == 200, response.text
        (again,) = response.json()["figures"]
        assert (again["availability"], again["counts"]["valid"]) == (row.availability, row.counts.valid)
        assert again["budgetLeft"] == row.budget_left


async def test_the_report_is_a_page_and_a_table_with_the_same_figures(levels, replayed):
    report = await levels.client.report("ttd", "2026-03", levels.operator)
    text = await levels.client.report_text("ttd", "2026-03", "csv", levels.operator)
    rows = [line.split(",") for line in text.strip().splitlines()]
    assert len(rows) == 1 + sum(
        1 + len(each.versions) + len(each.subscriptions) for each in report.entries
    ) + len(report.apps)  # fmt: skip
    whole = dict(zip(rows[0], rows[1], strict=True))
    entry = report.entries[0]
    assert (whole["agreement"], whole["part"]) == (entry.agreement.id, "whole")
    assert whole["availability"] == str(entry.whole.availability)
    assert whole["bad"] == str(entry.whole.counts.bad)
    response = await levels.http.request(
        "GET",
        "/management/api/v1/levels/reports/ttd/2026-03",
        headers={**levels.operator, "accept": "text/html", "accept-language": "nn"},
    )
    assert "<script" not in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert '<html lang="nn">' in response.text
    assert f"<td>{entry.whole.counts.valid}</td>" in response.text
    assert str(entry.whole.availability).replace(".", ",") in response.text
    assert "Ny database" in response.text
    assert "med: meldt etter start" in response.text
