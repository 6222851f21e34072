"""The decision log: what was decided, without persons; read by the owner, replayed, and kept for a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from havn.clients.credentials import Credentials
from havn.kit import db
from havn.platform.authorization.store.decisions import DecisionStore

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, OLA = 501, 502
BAKERY = 5101
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def decide(platform, http, ask):
    async def make(party: int, *actions: str, task: str = "Task_1") -> None:
        place = {
            "urn:altinn:org": "ttd",
            "urn:altinn:app": "permit",
            "urn:altinn:partyid": str(BAKERY),
            "urn:altinn:instance-id": f"{BAKERY}/{GUID}",
            "urn:altinn:task": task,
        }
        subject = {"urn:altinn:userid": str(1000 + party), "urn:altinn:username": "kari.nordmann"}
        response = await http.request(
            "POST",
            f"{BASE}/decision",
            content=ask(subject, place, *actions),
            headers=JSON | platform.component("storage"),
        )
        assert response.status_code == 200

    return make


@pytest.fixture
def read(platform, http):
    async def make(query: str = "", wanted: int = 1, headers=None) -> list[dict]:
        async with asyncio.timeout(10):
            while True:
                response = await http.request(
                    "GET", f"{BASE}/decisions/ttd/permit{query}", headers=headers or platform.owner()
                )
                assert response.status_code == 200, response.text
                found = response.json()["decisions"]
                if len(found) >= wanted:
                    return found
                await asyncio.sleep(0.05)

    return make


@pytest.fixture
async def store(platform) -> AsyncIterator[DecisionStore]:
    database = await db.Database.open(platform.authorization_url, "authorization")
    yield DecisionStore(database)
    await database.close()


async def test_a_decision_is_logged_with_what_the_owner_needs(decide, read) -> None:
    await decide(KARI, "write", "complete")
    refused, allowed = await read(wanted=2)
    assert (allowed["action"], allowed["result"], allowed["rule"]) == ("write", "Permit", "leaders-write")
    assert (refused["action"], refused["result"]) == ("complete", "NotApplicable")
    assert allowed["policyVersion"] == 1
    assert allowed["instance"] == GUID
    assert allowed["place"] == "Task_1"
    assert allowed["micros"] >= 1
    assert len(allowed["traceId"]) == 32


async def test_no_person_is_in_the_log(platform, decide, read) -> None:
    await decide(KARI, "write")
    await read()
    rows = await platform.sql("select d::text as row, f.attributes::text as facts from decision d join decision_facts f"
                              " on f.digest = d.facts")  # fmt: skip
    text = " ".join(row["row"] + row["facts"] for row in rows)
    for secret in ("1501", str(BAKERY), "kari"):
        assert secret not in text.lower().replace(GUID, "")


async def test_the_owner_finds_a_person_by_asking_about_her(decide, read) -> None:
    await decide(KARI, "write")
    await decide(OLA, "write")
    await read(wanted=2)
    found = await read("?userId=1501")
    assert [entry["result"] for entry in found] == ["Permit"]
    assert len(await read(f"?partyId={BAKERY}", wanted=2)) == 2
    assert len(await read(f"?instanceId={BAKERY}/{GUID}&action=write&result=NotApplicable")) == 1


async def test_pages_follow_each_other(decide, read, http, platform) -> None:
    await decide(KARI, "write", "read", "sign")
    await read(wanted=3)
    first = (await http.request("GET", f"{BASE}/decisions/ttd?limit=2", headers=platform.owner())).json()
    rest = (
        await http.request("GET", f"{BASE}/decisions/ttd?limit=2&before={first['before']}", headers=platform.owner())
    ).json()
    ids = [entry["id"] for entry in first["decisions"] + rest["decisions"]]
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)
    assert rest["before"] is None


async def test_only_the_owner_reads_the_log(platform, http) -> None:
    path = f"{BASE}/decisions/ttd/permit"
    for headers in (
        platform.owner("skd"),
        platform.user(KARI),
        platform.owner(scope="openid"),
        platform.app("skd", "tax"),
    ):
        assert (await http.request("GET", path, headers=headers)).status_code == 403
    assert (await http.request("GET", path)).status_code == 401
    assert (await http.request("GET", f"{path}?since=yesterday", headers=platform.owner())).status_code == 400


async def test_an_app_reports_only_its_own_decisions(platform, http) -> None:
    decision = {
        "at": platform.clock().isoformat(), "subject": "user:1501", "org": "ttd", "app": "permit", "action": "read",
        "decision": "Permit",
    }  # fmt: skip
    path = f"{BASE}/decisions/log"

    async def report(headers, **changes) -> int:
        body = msgspec.json.encode({"decisions": [decision | changes]})
        return (await http.request("POST", path, content=body, headers=JSON | headers)).status_code

    assert await report(platform.app()) == 204
    assert await report(platform.app("skd", "tax")) == 403
    assert await report(platform.user(KARI)) == 403
    assert await report(platform.app(), at="2020-01-01T00:00:00Z") == 400
    assert await report(platform.app(), decision="Maybe") == 400


async def test_old_decisions_go_permits_before_refusals(platform, decide, read, http, store) -> None:
    await decide(KARI, "write", "complete")
    await read(wanted=2)
    retention = f"{BASE}/decisions/ttd/permit/retention"
    assert (await http.request("GET", retention, headers=platform.owner())).json() == {
        "permitDays": 90,
        "refusalDays": 365,
    }
    wanted = msgspec.json.encode({"permitDays": 1, "refusalDays": 30})
    assert (await http.request("PUT", retention, content=wanted, headers=platform.owner())).status_code == 200
    assert (await http.request("PUT", retention, content=wanted, headers=platform.owner("skd"))).status_code == 403
    platform.clock.forward(days=2)
    assert await store.clean(now=platform.clock(), permit_days=90, refusal_days=365) == 1
    left = await platform.sql("select result from decision")
    assert [row["result"] for row in left] == ["NotApplicable"]
    platform.clock.forward(days=40)
    assert await store.clean(now=platform.clock(), permit_days=90, refusal_days=365) == 1
    assert await store.clean(now=platform.clock(), permit_days=90, refusal_days=365) == 1
    assert await platform.sql("select 1 from decision_facts") == []


async def test_recorded_requests_are_replayed_under_another_policy(
    platform, decide, read, http, client, make_policy
) -> None:
    for _ in range(3):
        await decide(KARI, "write", "read")
    await decide(KARI, "sign", task="Task_2")
    await read(wanted=7)
    narrower = make_policy.policy(make_policy.rule("leaders", [("urn:altinn:rolecode", "dagl")], ["read", "sign"]))
    path = f"{BASE}/policies/ttd/permit/dry-run"
    body = msgspec.json.encode({"policy": narrower.decode()})
    report = (await http.request("POST", path, content=body, headers=JSON | platform.owner())).json()
    assert report["decisions"] == 7
    assert report["distinct"] == 3
    assert report["counts"] == {"Permit -> NotApplicable": 3, "Permit -> Permit": 4}
    assert [(entry["action"], entry["times"]) for entry in report["changed"]] == [("write", 3)]
    versions = await client.policy_versions(
        "ttd", "permit", Credentials(platform_token=platform.signer("platform", "deploy").token())
    )
    assert len(versions) == 1
    broken = msgspec.json.encode({"policy": "<Policy"})
    assert (await http.request("POST", path, content=broken, headers=JSON | platform.owner())).status_code == 422
    assert (await http.request("POST", path, content=body, headers=JSON | platform.owner("skd"))).status_code == 403


async def test_a_dry_run_counts_access_lists_in(platform, http, decide, read, make_policy) -> None:
    """The bakery, on no list, is refused before and after; listed for one action it gains that one."""
    registry, scope = "/resourceregistry/api/v1", "altinn:serviceowner altinn:resourceregistry/access-list.write"
    headers = JSON | platform.owner(scope=scope)

    async def put(method: str, path: str, body: object) -> None:
        response = await http.request(method, f"{registry}/{path}", content=msgspec.json.encode(body), headers=headers)
        assert response.status_code < 300, response.text

    await decide(KARI, "read", "write", "sign")
    await read(wanted=3)
    wider = make_policy.policy(
        make_policy.rule("leaders", [("urn:altinn:rolecode", "dagl")], ["read", "write", "sign"])
    )
    body = msgspec.json.encode({"policy": wider.decode()})

    async def counts() -> dict[str, int]:
        path = f"{BASE}/policies/ttd/permit/dry-run"
        return dict((await http.request("POST", path, content=body, headers=headers)).json()["counts"])

    assert await counts() == {"NotApplicable -> Permit": 1, "Permit -> Permit": 2}
    await put("PUT", "resource/app_ttd_permit/access-list-mode", {"accessListMode": "Enabled"})
    assert await counts() == {"Deny -> Deny": 2, "NotApplicable -> Deny": 1}
    await put("PUT", "access-lists/ttd/signers", {"name": "Signers"})
    member = f"urn:altinn:party:uuid:00000000-0000-4000-8000-{BAKERY:012d}"
    await put("POST", "access-lists/ttd/signers/members", {"data": [member]})
    await put("PUT", "access-lists/ttd/signers/resource-connections/app_ttd_permit", {"actionFilters": ["sign"]})
    assert await counts() == {"Deny -> Deny": 2, "NotApplicable -> Permit": 1}
