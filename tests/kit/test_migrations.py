"""Migrations run once, in order, and notice when the files and the database disagree."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from havn.kit import db
from havn.kit.migrations import MigrationError, migrate


@pytest.fixture
def package(tmp_path, monkeypatch):
    name = f"migrations_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "0001_first.sql").write_text("create table thing (id int primary key);")
    (folder / "0002_second.sql").write_text("insert into thing values (1);")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name, folder
    sys.modules.pop(name, None)


@pytest.fixture
async def connect(postgres):
    admin = await db.connect(postgres.url())
    await admin.execute("drop database if exists migrating")
    await admin.execute("create database migrating")
    opened = []

    async def open_one():
        connection = await db.connect(postgres.url("migrating"))
        opened.append(connection)
        return connection

    await (await open_one()).execute("create schema things")
    yield open_one
    for connection in opened:
        await connection.close()
    await admin.execute("drop database migrating")
    await admin.close()


async def test_files_run_once_and_in_order(connect, package):
    connection = await connect()
    assert await migrate(connection, "things", package[0]) == ["0001_first.sql", "0002_second.sql"]
    assert await migrate(connection, "things", package[0]) == []
    assert await connection.fetchval("select count(*) from things.thing") == 1


async def test_two_processes_that_start_together_run_each_file_once(connect, package):
    first, second = await connect(), await connect()
    ran = await asyncio.gather(migrate(first, "things", package[0]), migrate(second, "things", package[0]))
    assert sorted(map(len, ran)) == [0, 2]


async def test_a_changed_file_is_refused(connect, package):
    name, folder = package
    connection = await connect()
    await migrate(connection, "things", name)
    Path(folder, "0001_first.sql").write_text("create table other (id int);")
    with pytest.raises(MigrationError, match=r"0001_first.sql was changed"):
        await migrate(connection, "things", name)


async def test_a_database_from_a_newer_version_is_refused(connect, package):
    name, folder = package
    connection = await connect()
    await migrate(connection, "things", name)
    Path(folder, "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="newer Havn"):
        await migrate(connection, "things", name)


async def test_a_failing_file_leaves_nothing_behind(connect, package):
    name, folder = package
    Path(folder, "0003_third.sql").write_text("create table half (id int); select nonsense;")
    connection = await connect()
    with pytest.raises(MigrationError, match=r"0003_third.sql failed"):
        await migrate(connection, "things", name)
    assert await connection.fetchval("select to_regclass('things.half')") is None
    assert await connection.fetchval("select count(*) from things.migration") == 2
