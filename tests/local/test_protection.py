"""Maintenance and blocks through the control plane's routes, with a real gateway process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette

from havn.appfolder.ids import AppId
from havn.contracts.deploy import AuditEntry
from havn.deploy.access import Operator, TokenFileAccess
from havn.deploy.endpoints import routes
from havn.deploy.environments import unknown
from havn.deploy.protection.api import ProtectionApi
from havn.gateway.ingress.routes import Route
from havn.kit.problem import Problem, on_problem
from havn.local.protection import Protection

TOKEN = "t" * 40
HOST = "ttd.apps.havn.localhost"
ENV = "/api/v1/environments/local"


@dataclass
class Plane:
    """What the routes lean on, and a client that calls them."""

    rig: Any
    now: datetime
    audit: list[AuditEntry] = field(default_factory=list)
    managed: list[tuple[str, str]] = field(default_factory=list)
    management_says: int = 200

    async def start(self) -> Protection:
        self.protection = Protection(
            self.rig.folder / "protection.json", self.rig.gateway,
            known=self.known, manage=self.manage, note=self.note, clock=lambda: self.now,
        )  # fmt: skip
        app = Starlette(routes=routes(self.api.endpoints(), self.access), exception_handlers={Problem: on_problem})
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://console",
            headers={"authorization": f"Bearer {TOKEN}"},
        )  # fmt: skip
        await self.protection.start()
        return self.protection

    @property
    def api(self) -> ProtectionApi:
        # There are no other environments here.
        return ProtectionApi(Nowhere(), lambda: self.now, {"local": self.protection})

    @property
    def access(self) -> Any:
        return TokenFileAccess(TOKEN, "kari", Restricted())

    async def known(self) -> set[AppId]:
        return {AppId("ttd", "first")}

    async def note(self, entry: AuditEntry) -> None:
        self.audit.append(entry)

    async def manage(self, method: str, path: str, **call: Any) -> httpx2.Response:
        self.managed.append((path, msgspec.json.decode(call["body"])["reason"]))
        return httpx2.Response(self.management_says, json={"detail": "No."})


class Nowhere:
    """Ingresses of environments that are not there."""

    async def close(self, environment: str, *_: Any) -> Any:
        raise unknown(environment, ["local"])

    closed = open = blocks = block = unblock = close


class Restricted:
    """An operator who may look at one org alone."""

    async def operator(self, request: Any) -> Operator:
        if request.headers.get("authorization") != "Bearer nav":
            raise Problem(401, "Who?")
        return Operator("ola", "192.0.2.1", {"nav": frozenset(("deploy",))})


@pytest.fixture
async def plane(rig):
    # The gateway goes by the real clock.
    made = Plane(rig, datetime.now(UTC))
    await rig.gateway.route("first", [Route(host=HOST, prefix="/first", name="ttd/first")])
    await made.start()
    yield made
    await made.protection.stop()
    await made.client.aclose()


async def test_maintenance_is_in_force_at_once_and_survives_a_restart(plane):
    put = f"{ENV}/orgs/ttd/apps/first/maintenance"
    until = (plane.now + timedelta(hours=1)).isoformat()
    answer = await plane.client.put(put, json={"message": "Vi flytter", "until": until})
    assert answer.status_code == 200, answer.text
    assert "Vi flytter" in (await plane.rig.ask("ttd", "/first")).body
    await plane.protection.stop()
    await plane.rig.gateway.shut([], [])
    assert "maintenance" not in (await plane.rig.ask("ttd", "/first")).body
    await plane.start()
    assert "maintenance" in (await plane.rig.ask("ttd", "/first")).body
    (listed,) = (await plane.client.get(f"{ENV}/maintenance")).json()
    assert (listed["org"], listed["app"], listed["who"]) == ("ttd", "first", "kari")
    assert (await plane.client.delete(put)).status_code == 204
    assert (await plane.client.delete(put)).status_code == 404
    assert "not_running" in (await plane.rig.ask("ttd", "/first")).body
    assert [(each.who, each.action, each.app) for each in plane.audit] == [
        ("kari", "maintenance_on", "first"), ("kari", "maintenance_off", "first"),
    ]  # fmt: skip


async def test_maintenance_of_what_is_not_there_or_not_theirs_is_refused(plane):
    async def put(path: str, **more: Any) -> int:
        return (await plane.client.put(path, json=more.pop("body", {}), **more)).status_code

    assert await put(f"{ENV}/orgs/ttd/apps/second/maintenance") == 404
    assert await put("/api/v1/environments/tt02/orgs/ttd/apps/first/maintenance") == 404
    nav = {"authorization": "Bearer nav"}
    assert await put(f"{ENV}/orgs/ttd/apps/first/maintenance", headers=nav) == 403
    assert (await plane.client.get(f"{ENV}/maintenance", headers={"authorization": "Bearer x"})).status_code == 401
    for until in ("2026-12-01T10:00:00", "2020-12-01T10:00:00Z"):
        assert await put(f"{ENV}/orgs/ttd/apps/first/maintenance", body={"until": until}) == 400
    assert await put(f"{ENV}/orgs/ttd/apps/first/maintenance") == 200
    assert (await plane.client.get(f"{ENV}/maintenance", headers=nav)).json() == []
    assert (await plane.client.get(f"{ENV}/blocks", headers=nav)).status_code == 403


async def test_a_block_of_an_address_is_in_force_at_once_and_ends(plane):
    answer = await plane.client.post(f"{ENV}/blocks", json={"network": "127.0.0.7/24", "seconds": 600, "reason": "x"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["network"] == "127.0.0.0/24"
    assert "blocked" in (await plane.rig.ask("ttd", "/first")).body
    assert len((await plane.client.get(f"{ENV}/blocks")).json()) == 1
    gone = await plane.client.delete(f"{ENV}/blocks/{answer.json()['id']}")
    assert gone.status_code == 204
    assert "not_running" in (await plane.rig.ask("ttd", "/first")).body
    assert [each.action for each in plane.audit] == ["block", "unblock"]


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"network": "x", "seconds": 1, "reason": "x"}, {"network": "0.0.0.0/0", "seconds": 1, "reason": "x"},
        {"network": "10.0.0.0/8", "seconds": 0, "reason": "x"}, {"network": "192.0.2.1", "seconds": 60},
        {"seconds": 60, "reason": "x"}, {"network": "192.0.2.1", "seconds": 9_999_999, "reason": "x"},
        {"network": "192.0.2.1", "subscription": "0" * 36, "seconds": 60, "reason": "x"},
    ],
)  # fmt: skip
async def test_a_block_that_makes_no_sense_is_refused(plane, wrong):
    assert (await plane.client.post(f"{ENV}/blocks", json=wrong)).status_code == 400
    assert plane.audit == []


async def test_a_blocked_subscription_is_suspended_and_resumed_when_its_time_has_come(plane):
    id_ = "0190a000-0000-7000-8000-000000000001"
    wanted = {"subscription": id_, "seconds": 60, "reason": "Oversvømmer oss"}
    plane.management_says = 409
    assert (await plane.client.post(f"{ENV}/blocks", json=wanted)).status_code == 409
    assert (await plane.client.get(f"{ENV}/blocks")).json() == []
    plane.management_says = 200
    assert (await plane.client.post(f"{ENV}/blocks", json=wanted)).status_code == 201
    assert plane.managed[-1] == (f"subscriptions/{id_}/suspend", "Oversvømmer oss")
    await plane.protection.stop()
    # It ends also when the machine was off at that moment.
    plane.now += timedelta(seconds=61)
    await plane.start()
    async with asyncio.timeout(10):
        while plane.managed[-1][0] != f"subscriptions/{id_}/resume":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await plane.client.get(f"{ENV}/blocks")).json() == []


async def test_maintenance_with_an_end_is_over_then(plane):
    put = f"{ENV}/orgs/ttd/apps/first/maintenance"
    until = (plane.now + timedelta(seconds=60)).isoformat()
    assert (await plane.client.put(put, json={"until": until})).json()["inForce"] is True
    assert "maintenance" in (await plane.rig.ask("ttd", "/first")).body
    await plane.protection.stop()
    plane.now += timedelta(seconds=61)
    await plane.start()
    async with asyncio.timeout(10):
        while (await plane.client.get(f"{ENV}/maintenance")).json():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "not_running" in (await plane.rig.ask("ttd", "/first")).body
    assert [(each.who, each.action) for each in plane.audit] == [
        ("kari", "maintenance_on"), ("expiry", "maintenance_off"),
    ]  # fmt: skip
