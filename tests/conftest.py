"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from havn.kit import db, migrations
from havn.local.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of shared cases (`HAVN_CASES`); the test skips where it is absent."""
    folder = Path(os.environ.get("HAVN_CASES", ROOT.parent / "shared" / "cases"))
    if not folder.is_dir():
        pytest.skip(f"no case folder at {folder}: set HAVN_CASES")
    return folder


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL for this test process."""
    folder = tmp_path_factory.mktemp("pg")
    # pytest's folders are private to their user; the server may run as another.
    for place in (folder, *folder.parents):
        if place.owner() == Path.home().owner() and not place.stat().st_mode & 0o001:
            place.chmod(0o711)
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    yield server
    server.stop()


MakeDatabase = Callable[[str], Awaitable[str]]


@pytest.fixture
def make_database(postgres: EmbeddedPostgres) -> MakeDatabase:
    """`await make_database("storage")`: the URL of a fresh database with that platform API's schema, for its role.

    The schema name is also the package name under `havn.platform`; `deploy` is `havn.deploy`.
    """
    return lambda schema: _make_database(postgres, schema)


_templates: dict[str, str] = {}
_count = 0


async def _make_database(server: EmbeddedPostgres, schema: str) -> str:
    global _count
    package = f"havn.{schema}" if schema == "deploy" else f"havn.platform.{schema}"
    role, password = f"havn_{schema}", "test"
    if schema not in _templates:
        template = f"template_{schema}"
        admin = await db.connect(server.url())
        await admin.execute(f"create database {template}")
        await admin.close()
        admin = await db.connect(server.url(template))
        await db.provision(admin, template, schema, role, password)
        await admin.close()
        owner = await db.connect(server.url(template, role, password))
        await migrations.migrate(owner, schema, f"{package}.migrations")
        await owner.close()
        _templates[schema] = template
    _count += 1
    name = f"t{os.getpid()}_{_count}"
    admin = await db.connect(server.url())
    await admin.execute(f"create database {name} template {_templates[schema]}")
    await admin.close()
    return server.url(name, role, password)
