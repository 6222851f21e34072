"""What the decision point counts, read as Prometheus reads it: from the port of a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys

import httpx2
import msgspec
import pytest

from havn.kit.http import HttpClient
from havn.platform.authorization.metrics import MOST_SERIES, DecisionMetrics

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, LISE, BAKERY = 501, 504, 5101


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
async def alone(platform, tmp_path):
    """The authorization API in a process of its own: a client of it, and the address of its metrics."""
    port, operations = free_port(), free_port()
    for name, value in (
        ("authorization-database-url", platform.authorization_url),
        ("platform-access-key", platform.private(platform.component_keys["authorization"])),
    ):
        (tmp_path / name).write_text(value)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "havn.platform", "authorization", stdout=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"], "HAVN_PORT": str(port), "HAVN_OPERATIONS_PORT": str(operations),
            "HAVN_SECRETS_DIR": str(tmp_path), "HAVN_DOMAIN": "havn.example", "HAVN_SCHEME": "http",
            "HAVN_PLATFORM_URL": platform.url,
        },
    )  # fmt: skip
    async for line in process.stdout:
        if b'"ready"' in line:
            break
    client = HttpClient(f"http://127.0.0.1:{port}", name="Authorization", host="platform.havn.example")
    yield client, f"http://127.0.0.1:{operations}"
    await client.close()
    process.send_signal(signal.SIGTERM)
    await process.communicate()


async def read(address: str) -> str:
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{address}/health")).status_code == 200
        answer = await client.get(f"{address}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def counted(text: str) -> dict[tuple[str, str, str, str, str], int]:
    """Owner, resource, kind of route, kind of policy, result: how many."""
    names = ("resource_owner_org", "resource_id", "pdp_api_kind", "policy_kind", "result")
    found = {}
    for labels, value in re.findall(r"^altinn_pdp_decisions_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert set(pairs) == set(names)
        found[tuple(pairs[name] for name in names)] = int(float(value))
    return found


@pytest.mark.usefixtures("published")
async def test_decisions_are_counted_by_result_and_kind_of_policy_and_by_no_person(alone, platform, ask) -> None:
    client, address = alone

    async def post(path: str, body: bytes, headers: dict[str, str]) -> None:
        answer = await client.request("POST", f"{BASE}/{path}", content=body, headers=JSON | headers)
        assert answer.status_code in (200, 204), answer.text

    def place(**more: str) -> dict[str, str]:
        return {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(BAKERY), **more}

    kari, lise = {"urn:altinn:userid": str(1000 + KARI)}, {"urn:altinn:userid": str(1000 + LISE)}
    component = platform.component("storage")
    assert counted(await read(address)) == {}
    places = [place(**{"urn:altinn:task": task}) for task in ("Task_1", "Task_2")]
    await post("decision", ask(kari, places, "read", "write"), component)
    await post("decision", ask(lise, place(), "read"), component)
    key_role = {"urn:altinn:resource": "altinn_keyrole_access", "urn:altinn:partyid": str(BAKERY)}
    await post("decision", ask(kari, key_role, "access"), component)
    await post("decision", ask(kari, {**place(), "urn:altinn:app": "unknown"}, "read"), component)
    await post("authorize", ask(kari, place(), "read"), platform.owner(scope="altinn:authorization/authorize"))
    told = {"at": platform.clock().isoformat(), "subject": f"user:{1000 + KARI}", "org": "ttd", "app": "permit",
            "action": "read", "decision": "Permit", "count": 40, "micros": 3}  # fmt: skip
    await post("decisions/log", msgspec.json.encode({"decisions": [told], "dropped": 7}), component)

    text = await read(address)
    app = ("ttd", "app_ttd_permit")
    assert counted(text) == {
        (*app, "internal", "app", "Permit"): 3,
        (*app, "internal", "app", "NotApplicable"): 2,
        ("platform", "altinn_keyrole_access", "internal", "resource", "Permit"): 1,
        ("", "", "internal", "none", "NotApplicable"): 1,
        (*app, "external", "app", "Permit"): 1,
        (*app, "reported", "app", "Permit"): 40,
    }
    assert "altinn_pdp_decisions_unlogged_total 7.0" in text
    assert 'altinn_pdp_call_seconds_count{pdp_api_kind="internal"} 4.0' in text
    assert 'altinn_pdp_decision_seconds_bucket{le="5e-06",policy_kind="app",result="Permit"} 1.0' in text
    for person in (str(1000 + KARI), str(1000 + LISE), str(BAKERY)):
        assert f'"{person}"' not in text


@pytest.mark.usefixtures("published")
async def test_what_could_not_be_decided_is_counted_as_that(alone, platform, ask) -> None:
    client, address = alone
    platform.register_away = True
    place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(BAKERY)}
    body = ask({"urn:altinn:userid": str(1000 + KARI)}, place, "read", "write")
    answer = await client.request(
        "POST", f"{BASE}/decision", content=body, headers=JSON | platform.component("storage")
    )
    assert answer.headers["x-authz-fault"] == "true"
    assert counted(await read(address)) == {("", "", "internal", "none", "Indeterminate"): 2}


@pytest.mark.usefixtures("published")
async def test_a_call_that_fails_for_one_app_counts_nothing_as_decided(alone, platform, ask) -> None:
    client, address = alone
    await platform.sql(
        "insert into policy (org, app, version, digest, xml, published_by)"
        " values ('ttd', 'broken', 1, 'x', '<a/>', 'x')"
    )
    await platform.sql("insert into policy_in_force (org, app, version) values ('ttd', 'broken', 1)")
    places = [{"urn:altinn:org": "ttd", "urn:altinn:app": app, "urn:altinn:partyid": str(BAKERY)}
              for app in ("permit", "broken")]  # fmt: skip
    body = ask({"urn:altinn:userid": str(1000 + KARI)}, places, "read")
    answer = await client.request(
        "POST", f"{BASE}/decision", content=body, headers=JSON | platform.component("storage")
    )
    assert answer.headers["x-authz-fault"] == "true"
    wrong = ask({"urn:altinn:userid": "not a number"}, places[0], "read")
    answer = await client.request(
        "POST", f"{BASE}/decision", content=wrong, headers=JSON | platform.component("storage")
    )
    assert answer.json()["response"][0]["decision"] == "Indeterminate"
    assert counted(await read(address)) == {("", "", "internal", "none", "Indeterminate"): 3}


async def test_metrics_are_on_no_address_that_requests_come_to(alone, platform) -> None:
    client, _ = alone
    for path in ("/metrics", f"{BASE}/metrics"):
        assert (await client.request("GET", path, headers=platform.component("storage"))).status_code == 404


def test_the_number_of_series_is_bounded() -> None:
    metrics = DecisionMetrics()
    for number in range(MOST_SERIES + 50):
        metrics.decided("ttd", f"app{number}", "Permit", "internal", count=1, micros=1)
    found = counted(metrics.text().decode())
    assert len(found) == MOST_SERIES + 1
    assert found["other", "other", "internal", "app", "Permit"] == 50


def test_what_a_sender_tells_cannot_make_a_counter_run_back_or_away() -> None:
    metrics = DecisionMetrics()
    metrics.decided("ttd", "a", "Permit", "reported", count=2**60, micros=-5)
    metrics.decided("ttd", "a", "Permit", "reported", count=-3, micros=1)
    metrics.missed(-1)
    assert counted(metrics.text().decode()) == {("ttd", "app_ttd_a", "reported", "app", "Permit"): 1_000_000}
