"""What is shut in clusters, as rows and jobs: kept at once, told later when a cluster is away, and ended in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from havn.clusters.kubernetes import shut, unknown
from havn.clusters.kubernetes.credentials import Credentials
from havn.contracts.estate import EnvironmentRequest
from havn.deploy.author import Author
from havn.deploy.estate.model import ClusterRow, cluster_place
from havn.deploy.estate.store import EstateStore
from havn.deploy.protection import rules
from havn.deploy.sealing import FileIdentities, Sealer
from havn.deploy.store import Store
from havn.kit import db
from havn.kit.serve import serve
from havn.local.environment import free_port, new_key

AT = "/environments/tt02"
FIRST = f"{AT}/orgs/ttd/apps/first/maintenance"
SUBSCRIPTION = "0190a000-0000-7000-8000-000000000001"
PAGE = unknown.leads(secure=True)


class Rig:
    """A control plane with two clusters that do not answer, an app that is deployed to each, and the database."""

    def __init__(self, plane: Any, connection: Any, token: str) -> None:
        self.plane = plane
        self.connection = connection
        self.token = token

    async def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        return await self.plane.call(method, path, token or self.token, body)

    async def jobs(self, kind: str) -> int:
        """How many of a kind are to be done."""
        return int(
            await self.connection.fetchval("select count(*) from job where kind = $1 and finished is null", kind)
        )

    async def pass_time(self, kind: str, seconds: float) -> None:
        """Move the clock on, and have the jobs of the kind that are due then be done."""
        self.plane.clock.offset += timedelta(seconds=seconds)
        await self.connection.execute(
            "update job set due = due - make_interval(secs => $2) where kind = $1 and finished is null", kind, seconds
        )
        await self.connection.execute("notify deploy_job")
        async with asyncio.timeout(20):
            while await self.connection.fetchval(  # noqa: ASYNC110
                "select 1 from job where kind = $1 and finished is null and due <= now()", kind
            ):
                await asyncio.sleep(0.05)

    async def audit(self) -> list[tuple[str, str, str]]:
        """Who did what to what, of shutting."""
        rows = await self.connection.fetch(
            "select who, action, org || '/' || app as what from audit where action like 'maintenance%'"
            " or action like '%block' order by id"
        )
        return [("expiry" if row["who"] == "expiry" else "someone", row["action"], row["what"]) for row in rows]


@pytest.fixture
async def management() -> AsyncIterator[Any]:
    """Where the environment's management API would be: it notes what is asked, and answers as told."""
    asked: list[str] = []
    says = [200]

    async def change(request: Request) -> Response:
        asked.append(request.url.path.rpartition("/subscriptions/")[2])
        return JSONResponse({"detail": "It is suspended already."}, says[0])

    app = Starlette(routes=[Route("/{path:path}", change, methods=["POST"])])
    stop, port = asyncio.Event(), free_port()
    serving = asyncio.create_task(serve(app, port=port, stop=stop))
    while True:
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            break
        except OSError:
            await asyncio.sleep(0.01)
    yield asked, says, f"http://127.0.0.1:{port}"
    stop.set()
    await serving


@pytest.fixture
async def rig(plane, management) -> AsyncIterator[Rig]:
    admin = await plane.admin()
    client = plane.client(admin)
    asked = EnvironmentRequest(type="test", domain="tt02.example.no", platform_url=management[2], deploy_key=new_key())
    await client.put_environment("tt02", asked)
    store = await EstateStore.open(plane.url)
    connection = await db.connect(plane.url)
    await connection.execute("set search_path to deploy")
    sealer = Sealer(FileIdentities(Path(plane.settings.identities_file)))
    now = datetime.now(UTC)
    for org in ("ttd", "nav"):
        await client.put_org(org, org)
        text = msgspec.json.encode(Credentials(server="https://127.0.0.1:1", token="t")).decode()
        row = ClusterRow(
            org=org, environment="tt02", server="https://127.0.0.1:1", namespace="default",
            credentials=sealer.seal(cluster_place(org, "tt02"), text), ingress="", front=False, app_values={},
            base_values={}, status="bootstrapping", reason=None, version=0, added=now, added_by="test",
        )  # fmt: skip
        await store.add_cluster(row, Author("test", "", now))
        number = await connection.fetchval(
            "insert into deployment (environment, org, app, revision, kind, release, replicas, status, requested_by,"
            " requested, finished) values ('tt02', $1, 'first', 1, 'deploy', 'r', 1, 'succeeded', 'x', now(), now())"
            " returning id", org,
        )  # fmt: skip
        await connection.execute(
            "insert into desired (environment, org, app, revision, release, replicas, rollout)"
            " values ('tt02', $1, 'first', 1, 'r', 1, $2)", org, number,
        )  # fmt: skip
    await store.close()
    yield Rig(plane, connection, admin)
    await connection.close()


async def test_maintenance_is_kept_while_the_cluster_is_away_and_says_so(rig):
    closed = await rig.call("PUT", FIRST, {"message": "Vi flytter"})
    assert (closed.status_code, closed.json()["inForce"]) == (200, False), closed.text
    assert await rig.jobs("protection") == 1
    assert (await rig.call("PUT", FIRST, {"message": "Vi flytter lenger"})).status_code == 200
    assert (await rig.call("PUT", FIRST, {"message": "Vi flytter langt"})).status_code == 200
    # One may be at work, and one is behind it: more would tell nothing more.
    assert await rig.jobs("protection") == 2
    [listed] = (await rig.call("GET", f"{AT}/maintenance")).json()
    assert (listed["org"], listed["app"], listed["message"], listed["inForce"]) == (
        "ttd", "first", "Vi flytter langt", False,
    )  # fmt: skip
    assert (await rig.call("DELETE", FIRST)).status_code == 202
    assert (await rig.call("DELETE", FIRST)).json()["code"] == "not_in_maintenance"
    assert (await rig.call("GET", f"{AT}/maintenance")).json() == []
    on = ("someone", "maintenance_on", "ttd/first")
    assert await rig.audit() == [on, on, on, ("someone", "maintenance_off", "ttd/first")]


async def test_what_is_not_there_or_not_theirs_or_over_is_refused(rig):
    looking, theirs = await rig.plane.holder("ttd", "look"), await rig.plane.holder("nav", "deploy")
    for path, body, token, status in (
        (f"{AT}/orgs/ttd/apps/second/maintenance", {}, None, 404),
        ("/environments/tt03/orgs/ttd/apps/first/maintenance", {}, None, 404),
        (FIRST, {}, looking, 403),
        (FIRST, {}, theirs, 403),
        (FIRST, {"until": "2026-12-01T10:00:00"}, None, 400),
        (FIRST, {"until": "2020-12-01T10:00:00Z"}, None, 400),
    ):
        assert (await rig.call("PUT", path, body, token)).status_code == status, (path, body)
    assert await rig.audit() == []
    assert (await rig.call("PUT", FIRST, {})).status_code == 200
    assert (await rig.call("GET", f"{AT}/maintenance", token=theirs)).json() == []
    assert len((await rig.call("GET", f"{AT}/maintenance", token=looking)).json()) == 1
    block = {"network": "192.0.2.7", "seconds": 60, "reason": "x"}
    for method, path, body in (("GET", f"{AT}/blocks", None), ("POST", f"{AT}/blocks", block)):
        assert (await rig.call(method, path, body, theirs)).status_code == 403
    assert (await rig.call("GET", "/environments/tt03/blocks")).status_code == 404


async def test_maintenance_ends_when_it_says_now_and_not_when_it_said_before(rig):
    now = datetime.now(UTC)
    assert (await rig.call("PUT", FIRST, {"until": (now + timedelta(minutes=10)).isoformat()})).status_code == 200
    assert (await rig.call("PUT", FIRST, {"until": (now + timedelta(minutes=60)).isoformat()})).status_code == 200
    assert await rig.jobs("maintenance_end") == 2
    await rig.pass_time("maintenance_end", 1200)
    assert len((await rig.call("GET", f"{AT}/maintenance")).json()) == 1
    assert await rig.jobs("maintenance_end") == 1
    await rig.pass_time("maintenance_end", 3000)
    assert (await rig.call("GET", f"{AT}/maintenance")).json() == []
    assert (await rig.audit())[-1] == ("expiry", "maintenance_off", "ttd/first")


async def test_a_blocked_address_is_told_every_cluster_of_the_environment_until_it_ends(rig):
    made = await rig.call("POST", f"{AT}/blocks", {"network": "192.0.2.7/24", "seconds": 600, "reason": "Skraper"})
    assert made.status_code == 201, made.text
    assert (made.json()["network"], made.json()["waiting"]) == ("192.0.2.0/24", ["nav", "ttd"])
    [listed] = (await rig.call("GET", f"{AT}/blocks")).json()
    assert (listed["id"], listed["waiting"]) == (made.json()["id"], ["nav", "ttd"])
    other = await rig.call("POST", f"{AT}/blocks", {"network": "2001:db8::/48", "seconds": 60, "reason": "x"})
    await rig.pass_time("block_end", 61)
    assert [each["id"] for each in (await rig.call("GET", f"{AT}/blocks")).json()] == [listed["id"]]
    assert (await rig.call("DELETE", f"{AT}/blocks/{other.json()['id']}")).status_code == 404
    assert (await rig.call("DELETE", f"{AT}/blocks/{listed['id']}")).status_code == 202
    assert (await rig.call("GET", f"{AT}/blocks")).json() == []
    assert await rig.audit() == [
        ("someone", "block", "/"), ("someone", "block", "/"), ("expiry", "unblock", "/"), ("someone", "unblock", "/"),
    ]  # fmt: skip


async def test_it_is_said_where_an_address_cannot_be_blocked(rig):
    await rig.connection.execute(
        """update cluster set base_values = '{"protection": {"proxiesInFront": 1}}' where org = 'nav'"""
    )
    made = await rig.call("POST", f"{AT}/blocks", {"network": "192.0.2.7", "seconds": 600, "reason": "x"})
    assert made.json()["behindProxy"] == ["nav"]
    [listed] = (await rig.call("GET", f"{AT}/blocks")).json()
    assert listed["behindProxy"] == ["nav"]


async def test_a_blocked_subscription_is_suspended_at_its_platform_and_resumed_at_the_end(rig, management):
    asked, says, _ = management
    wanted = {"subscription": SUBSCRIPTION, "seconds": 60, "reason": "Oversvømmer oss"}
    says[0] = 409
    refused = await rig.call("POST", f"{AT}/blocks", wanted)
    assert (refused.status_code, refused.json()["detail"]) == (409, "It is suspended already.")
    assert (await rig.call("GET", f"{AT}/blocks")).json() == []
    says[0] = 200
    made = await rig.call("POST", f"{AT}/blocks", wanted)
    assert (made.status_code, made.json()["waiting"]) == (201, [])
    assert await rig.jobs("protection") == 0
    await rig.pass_time("block_end", 61)
    assert asked[-2:] == [f"{SUBSCRIPTION}/suspend", f"{SUBSCRIPTION}/resume"]
    assert (await rig.call("GET", f"{AT}/blocks")).json() == []


async def test_there_is_a_bound_to_how_many_are_blocked(rig, management):
    await rig.connection.execute(
        "insert into block (id, environment, network, until, reason, since, who)"
        " select n::text, 'tt02', '192.0.2.1', now() + interval '1 hour', 'x', now(), 'x'"
        " from generate_series(1, $1) n",
        rules.MAX_BLOCKS,
    )
    wanted = {"network": "192.0.2.7", "seconds": 60, "reason": "x"}
    assert (await rig.call("POST", f"{AT}/blocks", wanted)).json()["code"] == "too_many_blocks"
    wanted = {"subscription": SUBSCRIPTION, "seconds": 60, "reason": "x"}
    assert (await rig.call("POST", f"{AT}/blocks", wanted)).json()["code"] == "too_many_blocks"
    assert management[0][-2:] == [f"{SUBSCRIPTION}/suspend", f"{SUBSCRIPTION}/resume"]


async def test_what_is_shut_is_forgotten_with_its_cluster(rig):
    assert (await rig.call("PUT", FIRST, {})).status_code == 200
    assert (await rig.call("DELETE", "/clusters/tt02/ttd?force=true")).status_code == 204
    assert (await rig.call("GET", f"{AT}/maintenance")).json() == []


def test_a_thousand_ranges_are_kept_out_by_rules_of_bounded_length():
    entrance = shut.Entrance(org="ttd", host="ttd.apps.tt02.example.no", entry_point="websecure", tls_secret="wild")
    made = list(shut.objects(entrance, [], [f"10.{n // 250}.{n % 250}.0/24" for n in range(1000)], PAGE))
    [route] = [each for each in made if each["kind"] == "IngressRoute"]
    rules_ = [each["match"] for each in route["spec"]["routes"]]
    assert sum(each.count("ClientIP(") for each in rules_) == 1000
    assert max(len(each) for each in rules_) < 2000
    assert (route["spec"]["entryPoints"], route["spec"]["tls"]) == (["websecure"], {"secretName": "wild"})


def test_a_header_field_of_a_client_never_stands_for_what_is_not_said():
    entrance = shut.Entrance(org="ttd", host="ttd.apps.tt02.example.no")
    [middleware, _] = shut.objects(entrance, [shut.Shut(app="first", message="Ærlig & `talt`\n")], [], PAGE)
    fields = middleware["spec"]["headers"]["customRequestHeaders"]
    assert fields["X-Havn-Until"] == ""
    assert fields["X-Havn-Message"] == "%C3%86rlig+%26+%60talt%60%0A"


async def test_whoever_waits_for_the_work_to_settle_does_not_wait_for_what_ends_later(rig):
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await rig.call("PUT", FIRST, {"until": until})).status_code == 200
    store = await Store.open(rig.plane.url)
    async with asyncio.timeout(30):
        while await store.unsettled():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await rig.jobs("maintenance_end") == 1
    await store.close()
