"""A storage process for tests that kill it: `python serve.py PORT DATABASE_URL BLOBS_FOLDER`, keys on stdin."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import msgspec
from joserfc.jwk import ECKey

from havn.kit.blobs import FolderBlobs
from havn.kit.clock import system_clock
from havn.kit.serve import serve
from havn.platform.storage.app import wire
from havn.platform.storage.store import open_database


async def main() -> None:
    port, url, folder = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("fixtures", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    keys = {name: ECKey.import_key(key) for name, key in msgspec.json.decode(sys.stdin.read()).items()}
    facts = fixtures.Facts()
    facts.policies = {"ttd/skjema": fixtures.default_policy("ttd")}
    database = await open_database(url)
    app = wire(fixtures.make_ports(database, FolderBlobs(Path(folder)), keys, system_clock, facts))
    async with app.router.lifespan_context(app):
        await serve(app, port=int(port))


asyncio.run(main())
