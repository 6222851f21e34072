"""Rates, quotas and requests under way: what is let through, what is told, what is counted."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest

from havn.contracts.management import Match


async def _quota_rows(rig):
    rows = await rig.database.fetch("select first, granted, used, rejected, observed from quota_use order by first")
    return [tuple(row) for row in rows]


async def _days(rig):
    return [tuple(row) for row in await rig.database.fetch("select allowed, rejected, observed from use_by_day")]


async def test_a_rate_lets_through_exactly_what_it_says_and_tells_how_much_is_left(rig, rate):
    key = await rig.managed_key(rates=(rate(10, 60),))
    replica = await rig.replica()
    left = []
    for _ in range(10):
        answer = await replica.get(key=key)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"steady";q=10;w=60'
        left.append(answer.headers["ratelimit"])
    assert left[0] == '"steady";r=9;t=6'
    assert left[-1] == '"steady";r=0;t=6'
    answer = await replica.get(key=key)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "6"
    assert answer.headers["ratelimit"] == '"steady";r=0;t=6'
    assert answer.headers["x-havn-subscription"]
    assert answer.json() == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "You have used up steady. There is more in 6 seconds.",
        "code": "limit_reached",
        "violated-policies": ["steady"],
    }
    rig.time.forward(6)
    assert await replica.burst(2, key) == [200, 429]


async def test_the_older_headers_are_sent_only_when_the_plan_asks(rig, rate):
    api = await rig.api()
    old = await rig.key(await rig.subscription(await rig.plan(api, "old", rates=(rate(10),), legacy_headers=True)))
    new = await rig.key(await rig.subscription(await rig.plan(api, "new", rates=(rate(10),))))
    replica = await rig.replica()
    headers = (await replica.get(key=old)).headers
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("10", "9")
    assert headers["x-ratelimit-reset"] == "6"
    assert "x-ratelimit-limit" not in (await replica.get(key=new)).headers


async def test_every_matching_limit_counts_and_the_tightest_is_told(rig, rate, quota):
    key = await rig.managed_key(rates=(rate(5, 10, name="burst"), rate(8, 3600, name="hourly")), quotas=(quota(100),))
    replica = await rig.replica()
    assert await replica.burst(5, key) == [200] * 5
    answer = await replica.get(key=key)
    assert answer.headers["ratelimit-policy"] == '"burst";q=5;w=10, "hourly";q=8;w=3600, "daily";q=100;w=86400'
    assert answer.json()["violated-policies"] == ["burst"]
    rig.time.forward(10)
    answer = await replica.get(key=key)
    assert answer.status_code == 200, answer.json()
    assert answer.headers["ratelimit"].startswith('"hourly";r=2;')
    assert await replica.burst(4, key) == [200, 200, 429, 429]
    refused = await replica.get(key=key)
    assert refused.json()["violated-policies"] == ["hourly"]
    assert int(refused.headers["retry-after"]) == pytest.approx(440, abs=2)
    # What a rate refuses is not taken from the others.
    rig.time.forward(1)
    await replica.meter.portions.settle()
    [(_, granted, used, _, _)] = await _quota_rows(rig)
    assert used == 8
    assert granted >= used


async def test_limits_count_the_methods_and_paths_they_name(rig, rate):
    key = await rig.managed_key(
        rates=(rate(1, name="writes", methods=("POST",)), rate(2, name="reports", paths=("/api/v1/reports",))),
        excludes=(Match(paths=("/api/v1/reports/free",)),),
    )
    replica = await rig.replica()
    statuses = [(await replica.get("/permit/api/v1/reports/1", key)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    free = await replica.get("/permit/api/v1/reports/free/x", key)
    assert free.status_code == 200
    assert "ratelimit" not in free.headers
    assert await replica.burst(5, key) == [200] * 5


async def test_two_keys_of_one_subscription_share_its_limits(rig, rate):
    subscription = await rig.subscription(await rig.plan(await rig.api(), rates=(rate(3),)))
    keys = [await rig.key(subscription) for _ in range(2)]
    replica = await rig.replica()
    statuses = [(await replica.get(key=keys[turn % 2])).status_code for turn in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


async def test_a_quota_follows_the_calendar_of_norway_and_counts_refusals_apart(rig, quota):
    rig.time.now = datetime(2026, 11, 21, 22, 59, 0, tzinfo=UTC)
    key = await rig.managed_key(quotas=(quota(3),))
    replica = await rig.replica()
    assert await replica.burst(5, key) == [200, 200, 200, 429, 429]
    refused = await replica.get(key=key)
    assert refused.headers["retry-after"] == "60"
    rig.time.forward(1)
    await replica.meter.portions.settle()
    assert await _quota_rows(rig) == [(date(2026, 11, 21), 3, 3, 3, 0)]
    rig.time.forward(59)
    assert await replica.burst(4, key) == [200, 200, 200, 429]
    rig.time.forward(5)
    await replica.meter.portions.settle()
    assert [row[:3] for row in await _quota_rows(rig)] == [(date(2026, 11, 21), 3, 3), (date(2026, 11, 22), 3, 3)]


async def test_what_is_unspent_is_given_back_when_it_lies_idle_and_at_the_end(rig, quota, rate):
    key = await rig.managed_key(quotas=(quota(1000),), rates=(rate(1000),))
    first, second = await rig.replica(), await rig.replica()
    await first.burst(20, key)
    rig.time.forward(0.3)
    await first.meter.portions.settle()
    await first.burst(5, key)
    rig.time.forward(0.3)
    await first.meter.portions.settle()
    [(_, granted, used, _, _)] = await _quota_rows(rig)
    assert granted > used == 25
    rig.time.forward(0.3)
    await first.meter.portions.settle()
    assert [row[1:3] for row in await _quota_rows(rig)] == [(25, 25)]
    assert await second.burst(3, key) == [200] * 3
    await rig.stack.aclose()
    assert [row[1:3] for row in await _quota_rows(rig)] == [(28, 28)]
    assert await _days(rig) == [(28, 0, 0)]


async def test_a_process_that_is_gone_leaves_too_few_never_too_many(rig, quota):
    key = await rig.managed_key(quotas=(quota(100),))
    lost = await rig.replica(settle=False)
    portions = lost.meter.portions
    for _ in range(10):
        asking = asyncio.create_task(lost.get(key=key))
        while not asking.done():
            await asyncio.sleep(0)
            if portions._round is not None:
                waited, portions._round = portions._round, None
                await portions.settle()
                waited.set_result(None)
        assert asking.result().status_code == 200
    del lost
    other = await rig.replica()
    passed = (await other.burst(120, key)).count(200)
    assert 86 <= passed <= 90


async def test_requests_under_way_are_bounded_over_all_processes(rig):
    key = await rig.managed_key(concurrency=3)
    first, second = await rig.replica(), await rig.replica()
    gate = Gate(first, second)
    under_way = [asyncio.create_task(replica.get(key=key)) for replica in (first, first, second)]
    await gate.has(3)
    refused = await second.get(key=key)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
    assert refused.headers["ratelimit-policy"] == '"concurrency";q=3;qu="concurrent-requests"'
    assert refused.headers["retry-after"] == "1"
    gate.open()
    assert [answer.status_code for answer in await asyncio.gather(*under_way)] == [200] * 3
    rig.time.forward(1)
    assert (await second.get(key=key)).status_code == 200
    # Freed where they were used, and after a while everywhere.
    for _ in range(2):
        rig.time.forward(1)
        await first.meter.portions.settle()
        await second.meter.portions.settle()
    gate.close()
    all_three = [asyncio.create_task(second.get(key=key)) for _ in range(3)]
    await gate.has(3)
    gate.open()
    assert [answer.status_code for answer in await asyncio.gather(*all_three)] == [200] * 3


class Gate:
    """Requests that reach the app stay there until the gate is opened."""

    def __init__(self, *replicas):
        self._open = asyncio.Event()
        self._changed = asyncio.Condition()
        self.held = 0
        for replica in replicas:
            transport = replica._http._transport
            transport.app = self._before(transport.app)

    def _before(self, stack):
        async def held(scope, receive, send):
            async def waiting(message):
                if message["type"] == "http.response.start" and message["status"] == 200:
                    await self._count(1)
                    await self._open.wait()
                    await self._count(-1)
                await send(message)

            await stack(scope, receive, waiting)

        return held

    async def _count(self, more):
        async with self._changed:
            self.held += more
            self._changed.notify_all()

    async def has(self, count):
        async with self._changed:
            await self._changed.wait_for(lambda: self.held == count)

    def open(self):
        self._open.set()

    def close(self):
        self._open.clear()


async def test_an_organisation_has_one_bound_for_all_its_subscriptions(rig):
    plan = await rig.plan(await rig.api(), organisation_concurrency=2)
    mine = [await rig.key(await rig.subscription(plan)) for _ in range(2)]
    other = await rig.key(await rig.subscription(plan, owner="310000014"))
    replica = await rig.replica()
    gate = Gate(replica)
    under_way = [asyncio.create_task(replica.get(key=key)) for key in mine]
    await gate.has(2)
    assert (await replica.get(key=mine[0])).json()["violated-policies"] == ["organisation"]
    theirs = asyncio.create_task(replica.get(key=other))
    await gate.has(3)
    gate.open()
    assert [answer.status_code for answer in await asyncio.gather(*under_way, theirs)] == [200] * 3


async def test_a_plan_that_observes_counts_what_it_would_deny(rig, rate, quota):
    key = await rig.managed_key(rates=(rate(2),), quotas=(quota(3),), mode="observe")
    replica = await rig.replica()
    assert await replica.burst(6, key) == [200] * 6
    rig.time.forward(2)
    await replica.meter.portions.settle()
    assert await _days(rig) == [(6, 0, 4)]
    assert [row[2:] for row in await _quota_rows(rig)] == [(2, 0, 0)]


async def test_usage_is_written_down_by_day_and_keys_show_when_they_were_used(rig, rate):
    key = await rig.managed_key(rates=(rate(3),))
    replica = await rig.replica()
    await replica.burst(5, key)
    rig.time.forward(2)
    await replica.meter.portions.settle()
    assert await _days(rig) == [(3, 2, 0)]
    assert await rig.database.fetchval("select last_used from api_key") == rig.time.now


async def test_callers_without_a_key_have_each_their_own_limit_and_ipv6_by_network(rig, rate, quota):
    api = await rig.api(access="open")
    await rig.plan(api, "anonymous", rates=(rate(2),), quotas=(quota(100),))
    replica = await rig.replica()

    async def statuses(*addresses):
        return [(await replica.get(x_forwarded_for=address)).status_code for address in addresses]

    assert await statuses("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2") == [200, 200, 429, 200]
    # Only what our own gateway wrote last is believed.
    assert await statuses("9.9.9.9, 192.0.2.1", "192.0.2.1, 192.0.2.3") == [429, 200]
    assert await statuses("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:1::9", "2001:db8:0:1::1") == [
        200, 200, 429, 200,
    ]  # fmt: skip
    assert await statuses("::ffff:192.0.2.1", "nonsense") == [429, 200]
    rig.time.forward(2)
    await replica.meter.portions.settle()
    # The quota and the usage are of all of them together, and no address is written down.
    assert [tuple(row) for row in await rig.database.fetch("select subject, used from quota_use")] == [
        (f"a:{api.id}", 8)
    ]
    assert [tuple(row) for row in await rig.database.fetch("select subject, allowed, rejected from use_by_day")] == [
        (f"a:{api.id}", 8, 4)
    ]


async def test_an_open_api_without_such_a_plan_is_not_without_limits(rig):
    await rig.api(access="open")
    replica = await rig.replica()
    answer = await replica.get(x_forwarded_for="192.0.2.9")
    assert answer.headers["ratelimit-policy"] == '"address";q=300;w=60'


async def test_a_smaller_limit_is_in_force_once_it_is_heard_of(rig, rate):
    api = await rig.api()
    key = await rig.key(await rig.subscription(await rig.plan(api, rates=(rate(10, 60),))))
    replica = await rig.replica()
    assert await replica.burst(4, key) == [200] * 4
    await rig.plan(api, rates=(rate(5, 60),))
    rig.time.forward(1.1)
    await rig.hear(replica)
    passed = (await replica.burst(8, key)).count(200)
    assert passed <= 5
