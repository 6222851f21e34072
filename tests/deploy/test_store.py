"""The control plane's rows, in a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime

import pytest

from havn.deploy.store import Store, Target, Wanted
from havn.kit import db

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
APP = Target("local", "ttd", "first")
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
async def opened(make_database):
    url = await make_database("deploy")
    store = await Store.open(url)
    connection = await db.connect(url)
    await connection.execute("set search_path to deploy")
    yield store, connection
    await connection.close()
    await store.close()


def wanted(kind="deploy", release=DIGEST, replicas=1, target=APP):
    return Wanted(target=target, kind=kind, release=release, replicas=replicas, who="kari", address="127.0.0.1")


async def test_changes_asked_for_at_once_get_revisions_one_after_the_other_with_a_job_and_an_audit_line_each(opened):
    store, connection = opened
    made = await asyncio.gather(*(store.request(wanted(), NOW) for _ in range(6)))
    assert sorted(each.revision for each in made) == [1, 2, 3, 4, 5, 6]
    assert await connection.fetchval("select count(*) from job where key = 'local/ttd/first'") == 6
    audit = await store.audit(["ttd"], 100)
    assert [(entry.who, entry.action, entry.before) for entry in audit] == [("kari", "deploy", None)] * 6
    assert await store.audit(["nav"], 100) == []


async def test_what_is_desired_is_the_last_change_that_succeeded(opened):
    store, _ = opened
    first = await store.request(wanted(), NOW)
    assert await store.desired(APP) is None
    assert (await store.under_way(APP)).id == first.id
    await store.succeed(first, {"a": "b"}, NOW)
    scaled = await store.request(wanted("scale", replicas=3), NOW)
    await store.succeed(scaled, {}, NOW)
    desired = await store.desired(APP)
    # The access key is that of the rollout, which scaling is not.
    assert (desired.release, desired.replicas, desired.revision, desired.rollout) == (DIGEST, 3, 2, first.id)
    failed = await store.request(wanted(release=f"sha256:{'b' * 64}"), NOW)
    await store.set_status(failed.id, "restoring", "It did not start.")
    await store.set_status(failed.id, "restoring", "Another reason.")
    await store.fail(failed, NOW)
    assert await store.desired(APP) == desired
    assert (await store.deployment(failed.id)).reason == "It did not start."
    gone = await store.request(wanted("undeploy", replicas=0), NOW)
    await store.succeed(gone, {}, NOW)
    assert await store.desired(APP) is None
    assert [release.digest for release in await store.releases("ttd", "first")] == [DIGEST]
    assert (await store.audit(["ttd"], 1))[0].before == {"revision": 2, "release": DIGEST, "replicas": 3}


async def test_a_change_that_has_ended_is_not_moved_again(opened):
    store, _ = opened
    made = await store.request(wanted(), NOW)
    await store.succeed(made, {}, NOW)
    await store.set_status(made.id, "running")
    await store.fail(made, NOW)
    assert (await store.deployment(made.id)).status == "succeeded"


@pytest.mark.parametrize("sql", ["update audit set who = 'x'", "delete from audit", "truncate audit"])
async def test_the_audit_log_is_only_added_to(opened, sql):
    store, connection = opened
    await store.request(wanted(), NOW)
    with pytest.raises(db.DatabaseError, match="only added to"):
        await connection.execute(sql)


async def test_a_restore_that_keeps_failing_does_not_stand_in_the_way_of_a_deployment(opened):
    store, connection = opened
    await store.request_restore(APP)
    await store.request_restore(APP)
    assert await connection.fetchval("select count(*) from job") == 1
    await connection.execute("update job set attempts = 1, due = now() + interval '1 hour'")
    await store.request(wanted(), NOW)
    open_jobs = await connection.fetch("select kind from job where finished is null")
    assert [row["kind"] for row in open_jobs] == ["deployment"]


async def test_a_deployment_that_cannot_be_seen_off_does_not_stand_in_the_way_of_the_next(opened):
    store, connection = opened
    ended, open_ = [await store.request(wanted(), NOW) for _ in range(2)]
    jobs = await connection.fetch("select id from job order by id")
    assert await store.more_to_do(APP, jobs[0]["id"])
    await store.succeed(ended, {}, NOW)
    await connection.execute("update job set attempts = 1, due = now() + interval '1 hour'")
    third = await store.request(wanted(), NOW)
    # What has not ended is never left out.
    waiting = await connection.fetch("select (payload ->> 'deployment')::bigint as id from job where finished is null")
    assert {row["id"] for row in waiting} == {open_.id, third.id}
    assert not await store.more_to_do(Target("local", "ttd", "second"), jobs[0]["id"])


async def test_events_are_numbered_in_the_order_told(opened):
    store, _ = opened
    made = await store.request(wanted(), NOW)
    for message in ("one", "two", "three"):
        await store.add_event(made.id, message, NOW)
    assert [(event.number, event.message) for event in await store.events(made.id, 1)] == [(2, "two"), (3, "three")]


async def test_healing_changes_nothing_of_what_is_desired_but_the_revision(opened):
    store, _ = opened
    first = await store.request(wanted(replicas=2), NOW)
    await store.succeed(first, {}, NOW)
    scaled = await store.request(wanted("scale", replicas=5), NOW)
    healed = await store.request(wanted("heal", replicas=2), NOW)
    await store.succeed(scaled, {}, NOW)
    await store.succeed(healed, {}, NOW)
    desired = await store.desired(APP)
    assert (desired.replicas, desired.revision, desired.rollout) == (5, 3, first.id)
