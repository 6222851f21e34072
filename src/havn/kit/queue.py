"""Durable work in PostgreSQL: jobs that survive the death of whoever does them, one at a time for each key.

The table `job` (`SCHEMA` is its text, for the migration of the schema that enqueues) lies beside the data, so that a
job is enqueued in the transaction that makes it necessary. A worker holds an advisory lock for each key it works on,
on one connection: when the worker dies, PostgreSQL drops the connection and with it the locks, and the next worker
takes over at once, without a time-out to guess. A worker that loses the connection stops its work at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

from havn.kit import db
from havn.kit.db import Connection
from havn.kit.problem import Problem

_log = structlog.get_logger("queue")
_POLL_SECONDS = 5.0
_LONGEST_PAUSE = 60.0

SCHEMA = """
create table job (
    id       bigint generated always as identity primary key,
    kind     text        not null,
    key      text        not null,
    payload  jsonb       not null,
    attempts integer     not null default 0,
    due      timestamptz not null default now(),
    error    text,
    created  timestamptz not null default now(),
    finished timestamptz
);
create index job_open on job (key, id) where finished is null;
"""


class Job(msgspec.Struct, frozen=True):
    """A piece of work. `attempts` counts the tries that failed before this one."""

    id: int
    kind: str
    key: str
    payload: msgspec.Raw
    attempts: int


Handler = Callable[[Job], Awaitable[None]]
"""Does a job. It may be called again for a job that a killed worker had begun, so each step must be safe to repeat.

An exception means: try again later. A job that must not be tried again is done; say elsewhere that it failed.
"""


def _group(key: str) -> str:
    return key.rpartition("/")[0] or key


async def enqueue(connection: Connection, kind: str, key: str, payload: Any) -> int:
    """Add a job in the transaction of `connection`; jobs of equal `key` are done in order, one at a time."""
    number = await connection.fetchval(
        "insert into job (kind, key, payload) values ($1, $2, $3) returning id", kind, key, payload
    )
    await connection.execute("select pg_notify(current_schema() || '_job', '')")
    return int(number)


class Worker:
    """Does the jobs of one schema, `at_once` at most, until its `run` is cancelled. Any number may run side by side.

    With `per_group`, at most that many of one group at once: what stands before the last slash of a key. So work that
    hangs on one thing, such as a cluster that does not answer, never takes every place there is.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        handlers: Mapping[str, Handler],
        *,
        at_once: int = 4,
        per_group: int | None = None,
    ) -> None:
        self._url = url
        self._schema = schema
        self._handlers = handlers
        self._at_once = at_once
        self._per_group = per_group or at_once
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        # One connection holds all the locks, and it can do one thing at a time.
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Work. When the database goes away, stop what is being done, and begin again when it is back."""
        pause = 0.1
        while True:
            try:
                connection = await db.connect(self._url)
            except (OSError, TimeoutError, db.DatabaseError):
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            pause = 0.1
            lost = asyncio.get_running_loop().create_future()
            connection.add_termination_listener(lambda *_, lost=lost: self._ended(lost))
            try:
                await self._work(connection, lost)
            except (OSError, db.DatabaseError, db.InterfaceError) as error:
                _log.warning("queue_connection_lost", reason=str(error))
            finally:
                # Without our connection we hold no lock any more, so nothing may go on.
                for task in self._busy.values():
                    task.cancel()
                await asyncio.gather(*self._busy.values(), return_exceptions=True)
                self._busy.clear()
                with contextlib.suppress(Exception):
                    await connection.close(timeout=2)

    async def _work(self, connection: Connection, lost: asyncio.Future[None]) -> None:
        await connection.execute(f'set search_path to "{self._schema}"')
        await connection.add_listener(f"{self._schema}_job", lambda *_: self._wake.set())
        while not lost.done():
            self._wake.clear()
            async with self._turn:
                await self._begin_due(connection)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()

    async def _begin_due(self, connection: Connection) -> None:
        """Begin the first open job of every key that nobody works on."""
        if len(self._busy) >= self._at_once:
            return
        groups = Counter(_group(key) for key in self._busy)
        rows = await connection.fetch(
            "select id, kind, key, payload, attempts from ("
            " select distinct on (key) id, kind, key, payload, attempts, due from job"
            " where finished is null order by key, id) first"
            " where due <= now() and key <> all($1) and regexp_replace(key, '/[^/]*$', '') <> all($2)"
            " order by due, id limit 100",
            list(self._busy),
            [group for group in groups if groups[group] >= self._per_group],
        )
        for row in rows:
            if len(self._busy) >= self._at_once:
                return
            key, lock = row["key"], self._lock(row["key"])
            if groups[_group(key)] >= self._per_group:
                # The next look leaves the group out, and sees what is behind it.
                self._wake.set()
                continue
            if not await connection.fetchval("select pg_try_advisory_lock($1)", lock):
                continue
            # It may have been finished between the look and the lock.
            attempts = await connection.fetchval(
                "select attempts from job where id = $1 and finished is null", row["id"]
            )
            if attempts is None:
                await connection.execute("select pg_advisory_unlock($1)", lock)
                self._wake.set()
                continue
            job = Job(row["id"], row["kind"], key, row["payload"], attempts)
            groups[_group(key)] += 1
            self._busy[key] = asyncio.create_task(self._do(connection, job, lock), name=f"job {job.id}")

    async def _do(self, connection: Connection, job: Job, lock: int) -> None:
        error: str | None = None
        try:
            await self._handlers[job.kind](job)
        except Problem as problem:
            error = problem.detail or problem.title
        except Exception as unexpected:  # noqa: BLE001  (whatever it was, the job is tried again and the log says why)
            _log.error("job_failed", job=job.id, kind=job.kind, exc_info=unexpected)
            error = f"{type(unexpected).__name__}: {unexpected}"
        async with self._turn:
            if error is None:
                await connection.execute("update job set finished = now(), error = null where id = $1", job.id)
            else:
                pause = min(2.0**job.attempts, _LONGEST_PAUSE)
                await connection.execute(
                    "update job set attempts = attempts + 1, error = $2, due = now() + make_interval(secs => $3)"
                    " where id = $1",
                    job.id, error[:1000], pause,
                )  # fmt: skip
                asyncio.get_running_loop().call_later(pause, self._wake.set)
            await connection.execute("select pg_advisory_unlock($1)", lock)
        self._busy.pop(job.key, None)
        self._wake.set()

    def _ended(self, lost: asyncio.Future[None]) -> None:
        if not lost.done():
            lost.set_result(None)
        self._wake.set()

    def _lock(self, key: str) -> int:
        digest = hashlib.sha256(f"havn job:{self._schema}:{key}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)
