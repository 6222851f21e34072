"""Agreements, maintenance, burn rates and alerts over HTTP, with real databases."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import httpx2
import msgspec
import pytest

from havn.contracts.levels import SENDER_HEADER, AgreementTerms, Batch, FastBurn, MinuteCount, NewMaintenance, Targets
from havn.kit.problem import Problem
from havn.kit.queue import Job
from havn.platform.management.levels.wiring import Levels as Wired
from havn.platform.management.levels.wiring import Questions
from havn.platform.management.store import open_database

NONE = (0,) * 26
BASE = "/management/api/v1/levels"


def count(at: datetime, *, good: int = 0, bad: int = 0, org: str = "ttd", app: str = "permit") -> MinuteCount:
    histogram = (good, *NONE[1:])
    return MinuteCount(
        org=org, app=app, minute=int(at.timestamp()) // 60, good=good, bad=bad, total=histogram, backend=histogram,
        gateway=histogram,
    )  # fmt: skip


@pytest.fixture
def send(levels):
    """`await send(count, …)`: deliver a batch with these; each has an id of its own."""
    number = iter(range(1000))

    async def deliver(*counts: MinuteCount, id_: str | None = None) -> bool:
        batch = Batch(id=id_ or f"test-batch-{next(number)}", source="gw1", counts=counts)
        return await levels.client.send(batch, levels.records)

    return deliver


def terms(**changes: object) -> AgreementTerms:
    return AgreementTerms(**({"app": "permit", "targets": Targets(availability=99)} | changes))


async def refused(work) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value


async def test_only_the_sender_delivers_and_only_the_owner_reads(levels, management, send, platform):
    at = platform.clock.now - timedelta(hours=1)
    assert await send(count(at, good=5), id_="test-batch-x")
    assert not await send(count(at, good=5), id_="test-batch-x")
    batch = Batch(id="test-batch-y", source="gw1", counts=())
    for headers, status in ((levels.operator, 403), ({}, 401)):
        assert (await refused(levels.client.send(batch, headers))).status == status
    assert (await refused(levels.client.report("ttd", "2026-11", levels.records))).status == 403
    assert (await refused(levels.client.report("ttd", "2026-11", {}))).status == 401
    owner = {"authorization": (await management.owner()).headers["authorization"]}
    report = await levels.client.report("ttd", "2026-11", owner)
    assert [each.counts.good for each in report.apps] == [5]
    for path in (
        "reports/nav/2026-11",
        "agreements/nav",
        "maintenance/nav",
        "figures?org=nav",
        "burn?org=nav&agreement=x",
    ):
        answer = await levels.http.request("GET", f"{BASE}/{path}", headers=owner)
        assert answer.status_code == 403, path
    assert (await refused(levels.client.put_agreement("nav", "x", terms(), owner))).status == 403
    assert (await refused(levels.client.put_agreement("ttd", "x", terms(), levels.records))).status == 403


async def test_a_sender_of_an_owners_cluster_sends_that_owners_counts_alone(levels, platform):
    at = platform.clock.now - timedelta(hours=1)
    made = await levels.client.make_sender("ttd", "cluster1", levels.operator)
    assert made.token not in repr(made)
    proof = {SENDER_HEADER: made.token}
    assert await levels.client.send(Batch(id="test-batch-1", source="c1", counts=(count(at, good=3),)), proof)
    # The same name from elsewhere is another batch.
    assert await levels.client.send(Batch(id="test-batch-1", source="c1", counts=(count(at, good=4),)), levels.records)
    foreign = Batch(id="test-batch-2", source="c1", counts=(count(at, good=3), count(at, good=3, org="nav")))
    assert (await refused(levels.client.send(foreign, proof))).status == 403
    (sender,) = await levels.client.senders("ttd", levels.operator)
    assert (sender.name, sender.last_used) == ("cluster1", platform.clock.now)
    again = await levels.client.make_sender("ttd", "cluster1", levels.operator)
    batch = Batch(id="test-batch-3", source="c1", counts=(count(at, good=1),))
    for token in (made.token, "", "havnrec_x", "x" * 5000):
        assert (await refused(levels.client.send(batch, {SENDER_HEADER: token}))).status == 401
    assert await levels.client.send(batch, {SENDER_HEADER: again.token})
    await levels.client.remove_sender("ttd", "cluster1", levels.operator)
    assert (await refused(levels.client.send(batch, {SENDER_HEADER: again.token}))).status == 401
    report = await levels.client.report("ttd", "2026-11", levels.operator)
    assert [each.counts.good for each in report.apps] == [8]


async def test_what_cannot_be_agreed_is_refused(levels, management):
    await management.publish("ttd", "permit")
    agree = levels.client.put_agreement
    for wrong in (
        terms(targets=Targets(availability=99, latency_ms=100)),
        terms(targets=Targets(availability=99, latency_ms=42, latency_share=50)),
        terms(api="ttd.permit.cases.v1", plan="ttd.permit.cases.v1:trial"),
        terms(plan="ttd.permit.cases.v1:nothing"),
        terms(api="ttd.permit.cases.v9"),
        terms(app="other", plan="ttd.permit.cases.v1:trial"),
    ):
        assert (await refused(agree("ttd", "permit", wrong, levels.operator))).status == 400
    for body in (b'{"app":"permit","targets":{"availability":101}}', b'{"app":"permit"}', b"{", b'{"surprise":1}'):
        answer = await levels.http.request("PUT", f"{BASE}/agreements/ttd/x", headers=levels.operator, content=body)
        assert answer.status_code == 400
    # There is no proxy here, so there is no way to send one.
    problem = await refused(agree("ttd", "permit", terms(alert_url="https://vakt.example.no/x"), levels.operator))
    assert (problem.status, problem.code) == (409, "no_egress")
    made = await agree("ttd", "permit", terms(plan="ttd.permit.cases.v1:trial"), levels.operator)
    assert made.id == "ttd.permit"
    assert await levels.client.agreements("ttd", levels.operator) == (made,)
    await levels.client.remove_agreement("ttd", "permit", levels.operator)
    assert (await refused(levels.client.remove_agreement("ttd", "permit", levels.operator))).status == 404
    answer = await levels.http.request("GET", "/management/api/v1/history?org=ttd", headers=levels.operator)
    assert [each["object"] for each in answer.json()][:2] == ["sla/ttd.permit", "sla/ttd.permit"]


async def test_maintenance_is_in_whole_minutes_and_ends_when_it_is_ended(levels, send, platform):
    now = platform.clock.now
    declare = levels.client.declare
    for starts, ends in (
        (now + timedelta(seconds=30), now + timedelta(hours=1)),
        (now + timedelta(hours=2), now + timedelta(hours=1)),
        (now + timedelta(hours=1), now + timedelta(days=40)),
        (now + timedelta(days=400), now + timedelta(days=401)),
    ):
        wanted = NewMaintenance(app="permit", starts=starts, ends=ends, reason="x")
        assert (await refused(declare("ttd", wanted, levels.operator))).status == 400
    wanted = NewMaintenance(
        app="permit", starts=now + timedelta(minutes=10), ends=now + timedelta(hours=3), reason="Ny database"
    )
    made = await declare("ttd", wanted, levels.operator)
    assert made.in_advance
    platform.clock.forward(minutes=20)
    assert await send(count(now + timedelta(minutes=5), bad=1), count(now + timedelta(minutes=15), bad=2))
    await levels.client.cancel("ttd", made.id, levels.operator)
    platform.clock.forward(minutes=10)
    # Minutes of the maintenance that come late are still left out, those after its end are not.
    assert await send(count(now + timedelta(minutes=19), bad=4), count(now + timedelta(minutes=25), bad=8))
    report = await levels.client.report("ttd", "2026-11", levels.operator)
    (whole,) = report.apps
    assert (whole.counts.bad, whole.planned.bad) == (1 + 8, 2 + 4)
    (shown,) = report.maintenance
    assert shown.cancelled == now + timedelta(minutes=20)
    assert (await refused(levels.client.cancel("ttd", "nothing", levels.operator))).status == 404


async def test_counts_of_times_that_cannot_be_are_refused(send, platform):
    for at in (platform.clock.now + timedelta(hours=1), datetime(2024, 9, 30, 21, 59, tzinfo=UTC)):
        assert (await refused(send(count(at, good=1)))).status == 400
    assert await send(count(datetime(2024, 9, 30, 22, 0, tzinfo=UTC), good=1))


async def test_days_are_forgotten_after_twenty_five_months_and_minutes_after_a_week(levels, send, platform, wired):
    old, recent = datetime(2024, 10, 1, 10, tzinfo=UTC), platform.clock.now - timedelta(days=3)
    assert await send(count(old, good=1), count(recent, good=2))
    await wired.forget()
    sums = {grain: await rows(wired, grain) for grain in ("minute", "hour", "day")}
    assert sums == {"minute": 1, "hour": 2, "day": 2}
    platform.clock.forward(days=11)
    await wired.forget()
    sums = {grain: await rows(wired, grain) for grain in ("minute", "hour", "day")}
    assert sums == {"minute": 0, "hour": 1, "day": 1}


async def rows(wired, grain: str) -> int:
    return int(await wired.database.fetchval(f"select count(*) from level_{grain}"))


class Receiver:
    """Where alerts go: a server that answers as it is told."""

    def __init__(self) -> None:
        self.got: list[httpx2.Request] = []
        self.status = 200

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.got.append(request)
        return httpx2.Response(self.status)


@pytest.fixture
async def receiver():
    return Receiver()


@pytest.fixture
async def wired(management, platform, receiver):
    """Service levels on the same database, whose way out is the receiver, and whose turns the test takes itself."""
    database = await open_database(management.settings.management_database_url)
    made = Wired(
        database, management.settings.management_database_url, platform.clock, key=platform.component_key,
        egress_url="", questions=Questions(None, None), outbound=httpx2.MockTransport(receiver),
    )  # fmt: skip
    made.database = database
    yield made
    await database.close()


async def waiting(wired) -> list[Job]:
    """The messages in the queue."""
    found = await wired.database.fetch(
        "select id, kind, key, payload, attempts from job where finished is null order by id"
    )
    return [Job(**dict(row)) for row in found]


async def test_a_fast_burn_is_told_once_when_it_begins_and_once_when_it_is_over(
    levels, send, platform, wired, receiver
):
    author = await agree_on_alert(wired)
    now = platform.clock.now
    assert await send(count(now - timedelta(minutes=30), good=800, bad=200))
    rates = (await levels.http.request("GET", f"{BASE}/burn?org=ttd&agreement=permit", headers=levels.operator)).json()
    assert rates == {"hour": 20.0, "sixHours": 20.0, "threeDays": 20.0}
    await wired.alerts.look()
    await wired.alerts.look()
    (job,) = await waiting(wired)
    receiver.status = 503
    assert (await refused(wired.alerts.deliver(job))).status == 502
    receiver.status = 200
    await wired.alerts.deliver(job)
    request = receiver.got[-1]
    assert str(request.url) == "https://vakt.example.no/hook"
    message = msgspec.json.decode(request.content, type=FastBurn)
    assert (message.agreement, message.state, message.burn.hour) == ("ttd.permit", "burning", 20.0)
    stamp, _, signature = request.headers["x-havn-signature"].partition(",v1=")
    signed = stamp.removeprefix("t=").encode() + b"." + request.content
    assert signature == hmac.digest(author.alert_secret.encode(), signed, hashlib.sha256).hex()
    platform.clock.forward(hours=7)
    await wired.alerts.look()
    await wired.alerts.look()
    _, over = await waiting(wired)
    assert msgspec.json.decode(over.payload, type=FastBurn).state == "over"
    assert msgspec.json.decode(over.payload, type=FastBurn).id == message.id


async def test_the_queue_delivers_an_alert_by_itself(send, platform, wired, receiver):
    await agree_on_alert(wired)
    assert await send(count(platform.clock.now - timedelta(minutes=30), bad=50))
    async with wired.running(), asyncio.timeout(20):
        while not receiver.got:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_message_that_nobody_takes_is_given_up_in_the_end(send, platform, wired, receiver):
    await agree_on_alert(wired)
    assert await send(count(platform.clock.now - timedelta(minutes=30), bad=50))
    await wired.alerts.look()
    (job,) = await waiting(wired)
    receiver.status = 500
    await refused(wired.alerts.deliver(msgspec.structs.replace(job, attempts=38)))
    await wired.alerts.deliver(msgspec.structs.replace(job, attempts=39))


async def agree_on_alert(wired):
    from havn.platform.management.levels.store.agreements import Author

    wanted = terms(alert_url="https://vakt.example.no/hook")
    made = await wired.agreements.put("ttd", "permit", wanted, Author("test", "192.0.2.1"))
    again = await wired.agreements.put("ttd", "permit", wanted, Author("test", "192.0.2.1"))
    assert made.alert_secret == again.alert_secret
    assert made.alert_secret not in repr(made)
    return made
