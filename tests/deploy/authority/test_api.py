"""Clusters' authorities through the control plane's API."""

from datetime import UTC, datetime

import httpx2
import pyrage
import pytest

from havn.deploy.access import TokenFileAccess
from havn.deploy.authority.api import AuthorityApi
from havn.deploy.authority.keeper import Keeper
from havn.deploy.authority.store import AuthorityStore
from havn.deploy.endpoints import routes
from havn.deploy.sealing import FileIdentities, Sealer
from havn.kit import db
from havn.kit.web import create_app

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN = "t" * 40
PLACE = "/api/v1/environments/tt02/orgs/ttd/authority"


@pytest.fixture
async def rig(make_database, tmp_path):
    url = await make_database("deploy")
    store = await AuthorityStore.open(url)
    (tmp_path / "identities").write_text(str(pyrage.x25519.Identity.generate()))
    keeper = Keeper(store, Sealer(FileIdentities(tmp_path / "identities")), lambda: NOW)
    api = AuthorityApi(keeper, lambda: NOW)
    app = create_app(routes(api.endpoints(), TokenFileAccess(TOKEN, "kari")), name="deploy")
    connection = await db.connect(url)
    await connection.execute("set search_path to deploy")
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://console", headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client, keeper, connection
    await connection.close()
    await store.close()


async def test_an_authority_is_changed_once_at_a_time_with_an_audit_line_and_a_job(rig):
    client, keeper, connection = rig
    assert (await client.get(PLACE)).status_code == 404
    assert (await client.post(f"{PLACE}/rotate")).status_code == 404
    await keeper.bundle("tt02", "ttd")
    [only] = (await client.get(PLACE)).json()
    assert (only["number"], only["state"], only["until"][:4]) == (1, "signing", "2031")

    begun = await client.post(f"{PLACE}/rotate")
    assert [(each["number"], each["state"]) for each in begun.json()] == [(1, "signing"), (2, "coming")]
    assert "PRIVATE" not in begun.text
    again = await client.post(f"{PLACE}/rotate")
    assert (again.status_code, again.json()["code"]) == (409, "rotating")
    assert [tuple(row) for row in await connection.fetch("select who, action, environment, org from audit")] == [
        ("kari", "authority_rotated", "tt02", "ttd")
    ]
    assert await connection.fetchval("select count(*) from job where kind = 'certificates'") == 1


async def test_nobody_looks_or_changes_without_a_token(rig):
    client, keeper, _ = rig
    await keeper.bundle("tt02", "ttd")
    for method, path in (("GET", PLACE), ("POST", f"{PLACE}/rotate")):
        assert (await client.request(method, path, headers={"authorization": ""})).status_code == 401
    assert (await keeper.bundle("tt02", "ttd")).count("BEGIN CERTIFICATE") == 1
