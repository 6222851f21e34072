"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that PostgreSQL can enter too, which runs as another account when we are root.

    Not below pytest's own, which is private, and made private again by every other run of pytest.
    """
    folder = Path(tempfile.mkdtemp(prefix="havn-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL for this test process."""
    with open_folder() as folder:
        server = EmbeddedPostgres(folder, durable=False)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def state_folder() -> Iterator[Path]:
    """Where a platform of this module may keep its state."""
    with open_folder() as folder:
        yield folder / ".havn"


MakeDatabase = Callable[[str], Awaitable[str]]


@pytest.fixture
async def make_database(postgres: EmbeddedPostgres) -> AsyncIterator[MakeDatabase]:
    """`await make_database("storage")`: the URL of a fresh database with that platform API's schema, for its role.

    The schema name is also the package name under `havn.platform`; `deploy` is `havn.deploy`. It is dropped after the
    test: a thousand databases are gigabytes.
    """
    made: list[str] = []

    async def make(schema: str) -> str:
        made.append(await _make_database(postgres, schema))
        return postgres.url(made[-1], f"havn_{schema}", "test")

    yield make
    admin = await db.connect(postgres.url())
    for name in made:
        await admin.execute(f"drop database {name} with (force)")
    await admin.close()


_templates: dict[str, str] = {}
_count = 0


async def _make_database(server: EmbeddedPostgres, schema: str) -> str:
    """The name of a new database."""
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
    return name


class CounterStore:
    """Valkey or Redis on a socket in a folder of its own; `restart` forgets everything."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/socket"

    def start(self) -> None:
        path = self._folder / "socket"
        self._process = subprocess.Popen(
            [self._program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                    return
                except OSError:
                    assert self._process.poll() is None, "the counter store did not start"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        (self._folder / "socket").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture(scope="session")
def counter_store() -> Iterator[CounterStore]:
    """Valkey or Redis, whichever Debian has installed."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("neither valkey-server nor redis-server is installed: run tests/support/install-packages")
    with tempfile.TemporaryDirectory(prefix="havn-counters-") as folder:
        store = CounterStore(program, Path(folder))
        store.start()
        yield store
        store.stop()
