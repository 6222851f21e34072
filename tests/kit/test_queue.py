"""Durable jobs, with a real PostgreSQL and workers that are killed."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from havn.kit import db
from havn.kit.queue import SCHEMA, Worker, enqueue

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
async def queue(make_database):
    """The URL of a database with an empty queue, and a connection to it."""
    url = await make_database("deploy")
    connection = await db.connect(url)
    await connection.execute("set search_path to deploy")
    yield url, connection
    await connection.close()


@asynccontextmanager
async def working(url, handlers, **options):
    task = asyncio.create_task(Worker(url, "deploy", handlers, **options).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def add(connection, key, payload=None, kind="work"):
    async with connection.transaction():
        return await enqueue(connection, kind, key, payload or {})


async def finished(connection, count):
    async with asyncio.timeout(20):
        while await connection.fetchval("select count(*) from job where finished is not null") < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_the_schema_of_the_queue_is_the_one_in_the_migration():
    text = (SOURCE / "havn" / "deploy" / "migrations" / "0001_deploy.sql").read_text()
    assert SCHEMA.strip() in text


async def test_a_job_is_done_once_with_its_payload(queue):
    url, connection = queue
    done = []

    async def work(job):
        done.append((job.key, msgspec.json.decode(job.payload), job.attempts))

    async with working(url, {"work": work}):
        await add(connection, "a", {"n": 1})
        await finished(connection, 1)
    assert done == [("a", {"n": 1}, 0)]


async def test_a_job_of_a_transaction_that_was_rolled_back_never_was(queue):
    _, connection = queue
    with pytest.raises(RuntimeError):
        async with connection.transaction():
            await enqueue(connection, "work", "a", {})
            raise RuntimeError
    assert await connection.fetchval("select count(*) from job") == 0


async def test_jobs_of_one_key_are_done_in_order_one_at_a_time_and_keys_side_by_side(queue):
    url, connection = queue
    order, busy, most = [], {}, {}
    both = asyncio.Event()

    async def work(job):
        busy[job.key] = busy.get(job.key, 0) + 1
        most[job.key] = max(most.get(job.key, 0), busy[job.key])
        order.append((job.key, job.id))
        if len([key for key, count in busy.items() if count]) > 1:
            both.set()
        await asyncio.wait_for(both.wait(), 10)
        busy[job.key] -= 1

    for _ in range(3):
        await add(connection, "a")
        await add(connection, "b")
    # Two workers, as two replicas of the control plane would be.
    async with working(url, {"work": work}), working(url, {"work": work}):
        await finished(connection, 6)
    assert most == {"a": 1, "b": 1}
    for key in "ab":
        ids = [number for each, number in order if each == key]
        assert ids == sorted(ids)
        assert len(ids) == 3


async def test_a_job_that_fails_is_tried_again_and_says_why_meanwhile(queue):
    url, connection = queue
    tries = []

    async def work(job):
        tries.append(job.attempts)
        if job.attempts < 1:
            raise ValueError("not yet")

    async with working(url, {"work": work}):
        await add(connection, "a")
        async with asyncio.timeout(10):
            while await connection.fetchval("select error from job") != "ValueError: not yet":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await finished(connection, 1)
    assert tries == [0, 1]
    assert await connection.fetchval("select error from job") is None


async def test_a_worker_whose_connection_is_cut_stops_its_work_and_begins_again(queue, postgres):
    url, connection = queue
    begun, stopped = [], []
    release = asyncio.Event()

    async def work(job):
        begun.append(job.id)
        try:
            if len(begun) == 1:
                await asyncio.sleep(3600)
            await release.wait()
        except asyncio.CancelledError:
            stopped.append(job.id)
            raise

    async with working(url, {"work": work}):
        await add(connection, "a")
        async with asyncio.timeout(10):
            while not begun:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = current_user and datname = current_database() and pid <> pg_backend_pid()"
        )
        async with asyncio.timeout(10):
            while len(begun) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert stopped == [begun[0]]
        release.set()
        await finished(connection, 1)


async def test_the_job_of_a_killed_process_is_taken_over_at_once(queue):
    url, connection = queue
    await add(connection, "a")
    code = (
        "import asyncio, sys\n"
        "from havn.kit.queue import Worker\n"
        "async def work(job):\n"
        "    print('begun', flush=True)\n"
        "    await asyncio.sleep(3600)\n"
        "asyncio.run(Worker(sys.argv[1], 'deploy', {'work': work}, at_once=1).run())\n"
    )
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code, url], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    assert (await asyncio.to_thread(process.stdout.readline)).strip() == b"begun"
    done = []

    async def work(job):
        done.append(job.id)

    async with working(url, {"work": work}):
        # While the other lives, the job is its own.
        await add(connection, "b")
        await finished(connection, 1)
        assert len(done) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        await finished(connection, 2)
    assert len(done) == 2


async def test_a_group_whose_jobs_hang_leaves_places_to_the_others(queue):
    url, connection = queue
    for number in range(120):
        await add(connection, f"tt02/away/app{number}")
    await add(connection, "tt02/near/app")
    hanging, done = [], asyncio.Event()

    async def work(job):
        if "/away/" in job.key:
            hanging.append(job.key)
            await asyncio.Event().wait()
        done.set()

    async with working(url, {"work": work}, at_once=4, per_group=2), asyncio.timeout(20):
        await done.wait()
    assert len(hanging) == 2
