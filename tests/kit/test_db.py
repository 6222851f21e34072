"""The pool: jsonb in and out, transactions, isolation between schemas, and a server that goes away."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from havn.kit import db
from havn.kit.problem import Problem


@pytest.fixture
async def urls(postgres):
    admin = await db.connect(postgres.url())
    await admin.execute("drop database if exists pooled")
    await admin.execute("create database pooled")
    inside = await db.connect(postgres.url("pooled"))
    for name in ("one", "two"):
        await db.provision(inside, "pooled", name, f"role_{name}", "pw")
    await inside.close()
    yield {name: postgres.url("pooled", f"role_{name}", "pw") for name in ("one", "two")}
    await admin.execute("drop database pooled with (force)")
    await admin.close()


@pytest.fixture
async def database(urls):
    opened = await db.Database.open(urls["one"], "one")
    await opened.execute("create table thing (id int primary key, body jsonb)")
    yield opened
    await opened.close()


async def test_jsonb_takes_values_and_gives_raw_json(database):
    await database.execute("insert into thing values (1, $1)", {"navn": "Blåbær", "tall": [1, 2.5]})
    raw = await database.fetchval("select body from thing")
    assert isinstance(raw, msgspec.Raw)
    assert msgspec.json.decode(raw) == {"navn": "Blåbær", "tall": [1, 2.5]}


async def test_a_transaction_that_fails_leaves_nothing(database):
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as connection:
            await connection.execute("insert into thing values (1, null)")
            raise ZeroDivisionError
    assert await database.fetchval("select count(*) from thing") == 0


async def test_one_role_cannot_read_the_schema_of_another(database, urls):
    other = await db.Database.open(urls["two"], "two")
    with pytest.raises(Exception, match="permission denied for schema one"):
        await other.fetch("select * from one.thing")
    await other.close()


async def test_a_connection_cut_by_the_server_is_a_503_and_the_next_call_works(database, postgres):
    admin = await db.connect(postgres.url("pooled"))
    with pytest.raises(Problem) as caught:
        async with database.connection() as connection:
            pid = await connection.fetchval("select pg_backend_pid()")
            await admin.execute("select pg_terminate_backend($1)", pid)
            await connection.fetchval("select 1")
    assert (caught.value.status, caught.value.code) == (503, "database_unavailable")
    assert await database.fetchval("select 1") == 1
    await admin.close()


async def test_more_callers_than_connections_all_get_their_turn(urls):
    database = await db.Database.open(urls["one"], "one", max_size=3)
    answers = await asyncio.gather(*(database.fetchval("select $1::int", number) for number in range(100)))
    assert answers == list(range(100))
    async with database.transaction() as first, database.transaction() as second:
        assert await first.fetchval("select 1") == await second.fetchval("select 1") == 1
        assert sum(await asyncio.gather(*(database.fetchval("select 1") for _ in range(20)))) == 20
    await database.close()


async def test_a_cancelled_statement_does_not_disturb_the_next(urls):
    database = await db.Database.open(urls["one"], "one", max_size=1)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await database.fetchval("select pg_sleep(10)")
        assert await database.fetchval("select 1") == 1
    await database.close()


async def test_a_connection_that_died_unused_is_replaced(database, postgres):
    admin = await db.connect(postgres.url("pooled"))
    pid = await database.fetchval("select pg_backend_pid()")
    await admin.execute("select pg_terminate_backend($1)", pid)
    while await admin.fetchval("select exists (select from pg_stat_activity where pid = $1)", pid):
        pass
    await admin.close()
    assert await database.fetchval("select 1") == 1


async def test_a_last_word_of_the_server_before_its_hang_up_is_a_503_and_the_next_call_works(urls):
    """A relay sends the server's FATAL message and keeps the line open, as when the end of the stream comes late."""
    lines: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()
    parts = urlsplit(urls["one"])
    query = dict(parse_qsl(parts.query))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        back, forth = await asyncio.open_unix_connection(f"{query['host']}/.s.PGSQL.5432")
        tasks.update((asyncio.create_task(pass_on(reader, forth)), asyncio.create_task(pass_on(back, writer))))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}", query="")
    database = await db.Database.open(address.geturl(), "one")
    fields = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    lines[0].write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
    # A second connection made over the same relay: what was written to the first has arrived when it answers.
    await (await db.connect(address.geturl())).close()
    with pytest.raises(Problem) as caught:
        await database.fetchval("select 1")
    assert (caught.value.status, caught.value.code) == (503, "database_unavailable")
    assert await database.fetchval("select 1") == 1
    await database.close()
    server.close()
    await asyncio.gather(*tasks)
