"""Service levels beside the rest of the management API, with traffic that is made up deterministically."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from havn.clients.levels import LevelsClient
from havn.contracts.management import ACTING_ADDRESS, ACTING_FOR, ACTING_ORG
from havn.gateway.records.sender import Sender
from havn.kit.http import HttpClient

DOMAIN = "havn.test"


@dataclass(frozen=True)
class Sent:
    """One request as it was made up, before anything of ours has seen it."""

    at: datetime
    org: str
    app: str
    host: str
    path: str
    status: int
    origin_status: int
    backend_ms: float
    gateway_ms: float
    version: str
    subscription: str
    router: str

    def line(self) -> bytes:
        backend = round(self.backend_ms * 1e6) if self.origin_status else 0
        gateway = round(self.gateway_ms * 1e6)
        fields: dict[str, Any] = {
            "StartUTC": self.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace("Z", "789Z"),
            "Duration": backend + gateway,
            "OriginDuration": backend,
            "Overhead": gateway,
            "OriginStatus": self.origin_status,
            "DownstreamStatus": self.status,
            "RequestHost": self.host,
            "RequestPath": self.path,
            "RequestMethod": "GET",
            "RouterName": self.router,
            "ServiceName": "x",
            "ClientHost": "192.0.2.0",
            "level": "info",
            "msg": "",
            "time": "2026-03-01T00:00:00Z",
        }
        if self.version:
            fields["origin_X-Havn-Version"] = self.version
        if self.subscription:
            fields["origin_X-Havn-Subscription"] = self.subscription
        return json.dumps(fields).encode()


@pytest.fixture(scope="session")
def traffic() -> Callable[..., list[Sent]]:
    """`traffic(seed, starts, ends, count)`: that many requests in that time, many at its very edges."""

    def make(seed: int, starts: datetime, ends: datetime, count: int, *, subscription: str = "") -> list[Sent]:
        dice = random.Random(seed)
        span = (ends - starts).total_seconds()
        edges = [starts, starts - timedelta(microseconds=1), ends, ends - timedelta(microseconds=1)]
        found = []
        for number in range(count):
            at = edges[number % 4] if number < 40 else starts + timedelta(seconds=dice.uniform(-7200, span + 7200))
            org, app = dice.choice([("ttd", "permit"), ("ttd", "permit"), ("ttd", "other"), ("nav", "permit")])
            kind = dice.random()
            status = 200 if kind < 0.9 else 404 if kind < 0.94 else 429 if kind < 0.96 else 500 if kind < 0.98 else 504
            path = dice.choice([f"/{app}", f"/{org}/{app}/instances/1", f"/{app}/api/v1/profile?x=1", f"/{app}/health"])
            router = f"{org}-{app}"
            if dice.random() < 0.02:
                path, router, status = "/nothing", "x-havn-unknown-y@kubernetescrd", 404
            # On the bounds as often as beside them.
            backend = float(dice.choice([5, 100, 100.000001, 99.999999, 300, 300.000001, 2000, 70_000]))
            found.append(
                Sent(
                    at.astimezone(UTC), org, app, f"{org}.apps.{DOMAIN}", path, status,
                    0 if status in (429, 504) else status, backend, float(dice.choice([0.2, 5.1, 120])),
                    dice.choice(["", "v1aaaaaaaaaa", "v2bbbbbbbbbb"]), dice.choice(["", subscription]), router,
                )
            )  # fmt: skip
        return found

    return make


class Levels:
    """The API as its callers reach it. Tokens are made anew for each call: the clock may have moved."""

    def __init__(self, platform: Any, http: HttpClient, folder: Path) -> None:
        self.platform = platform
        self.http = http
        self.client = LevelsClient(http)
        self.folder = folder
        self.org = "*"

    @property
    def operator(self) -> dict[str, str]:
        token = self.platform.signer("platform", "deploy").token()
        return {"PlatformAccessToken": token, ACTING_FOR: "kari", ACTING_ADDRESS: "192.0.2.7", ACTING_ORG: self.org}

    @property
    def records(self) -> dict[str, str]:
        return {"PlatformAccessToken": self.platform.signer("platform", "records").token()}

    def sender(self, log: Path, deliver: Any = None) -> Sender:
        """A sender that delivers, or does what `deliver` does instead."""
        send = deliver or (lambda batch: self.client.send(batch, self.records))
        return Sender(log, self.folder / f"{log.name}.spool", domain=f"{DOMAIN}:8000", source="gw1", deliver=send)

    async def replay(self, sent: list[Sent], name: str = "access.log") -> None:
        """Write the requests to a log of this name, and send it."""
        log = self.folder / name
        log.write_bytes(b"".join(each.line() + b"\n" for each in sent))
        await self.sender(log).turn()


@pytest.fixture
async def levels(management: Any, platform: Any, tmp_path: Path) -> AsyncIterator[Levels]:
    http = HttpClient(
        f"https://platform.{DOMAIN}", name="management", transport=httpx2.ASGITransport(platform.apps), timeout=30
    )
    yield Levels(platform, http, tmp_path)
    await http.close()
