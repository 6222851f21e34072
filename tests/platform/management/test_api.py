"""Managing Apis over HTTP: who may, what is written, and what everybody sees."""

from __future__ import annotations

from typing import Any

import pytest

BASE = "/management/api/v1"
API = "ttd.permit.cases.v1"
BASIC, TRIAL = f"{API}:basic", f"{API}:trial"
MADE = {"name": "cases", "version": "v2", "title": {"nb": "Saker"}, "paths": ["/instances"], "plans": []}


async def test_a_deployment_declares_apis_and_everybody_finds_them(management: Any) -> None:
    await management.publish()
    async with management.platform.client() as anyone:
        found = (await anyone.get(f"{BASE}/catalogue", params={"q": "FETCH ministry"})).json()["apis"]
        assert [each["api"]["id"] for each in found] == [API]
        assert found[0]["orgName"]["en"] == "Test Ministry"
        assert found[0]["url"] == "https://ttd.apps.havn.test/permit"
        assert [plan["id"] for plan in found[0]["plans"]] == [BASIC, TRIAL]
        assert (await anyone.get(f"{BASE}/catalogue", params={"q": "nothing such"})).json() == {"apis": []}
        assert (await anyone.get(f"{BASE}/catalogue/{API}")).json() == found[0]
        assert (await anyone.get(f"{BASE}/catalogue/ttd.permit.other.v1")).status_code == 404


async def test_declaring_the_same_again_changes_nothing(management: Any) -> None:
    await management.publish()
    async with management.deploy() as client:
        before = (await client.get(f"{BASE}/history")).json()
        await management.publish()
        assert (await client.get(f"{BASE}/history")).json() == before
        assert {entry["who"] for entry in before} == {"operator:kari"}
        assert {entry["address"] for entry in before} == {"192.0.2.7"}


async def test_what_is_no_longer_declared_goes_unless_somebody_uses_it(management: Any) -> None:
    await management.publish()
    await management.publish("ttd", "other", {"apis": [MADE]})
    consumer = await management.consumer()
    await management.subscribe(consumer)
    await management.publish(apis={})
    await management.publish("ttd", "other", {})
    async with management.deploy() as client:
        left = (await client.get(f"{BASE}/apis")).json()
        assert [(api["id"], api["state"]) for api in left] == [(API, "retired")]
        plans = (await client.get(f"{BASE}/apis/{API}/plans")).json()
        assert [(plan["name"], plan["state"]) for plan in plans] == [("trial", "closed")]
        assert (await client.get(f"{BASE}/catalogue")).json() == {"apis": []}
    # A rollback puts it back as it was.
    await management.publish()
    async with management.platform.client() as anyone:
        found = (await anyone.get(f"{BASE}/catalogue/{API}")).json()
        assert [(plan["name"], plan["state"]) for plan in found["plans"]] == [("basic", "open"), ("trial", "open")]
    await consumer.aclose()


async def test_an_owner_manages_its_own_apis_and_no_others(management: Any) -> None:
    async with await management.owner() as owner:
        made = await owner.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE)
        assert made.status_code == 200, made.text
        for foreign in ("fjord.permit.cases.v2", "platform.storage.cases.v2"):
            assert (await owner.put(f"{BASE}/apis/{foreign}", json=MADE)).status_code == 403
        assert (await owner.put(f"{BASE}/apps/ttd/permit/apis", json={})).status_code in (401, 403)
        assert (await owner.get(f"{BASE}/apis", params={"org": "fjord"})).status_code == 403
        assert (await owner.get(f"{BASE}/apis")).status_code == 400
        gone = await owner.delete(f"{BASE}/apis/ttd.permit.cases.v2")
        assert gone.status_code == 204
    for scope in ("altinn:serviceowner", "havn:apis/consume"):
        async with await management.organisation("310000000", scope) as owner:
            assert (await owner.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE)).status_code == 403
    async with management.platform.client() as nobody:
        assert (await nobody.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE)).status_code == 401
    await management.platform.deploy("ttd/permit")
    async with management.platform.client(app="ttd/permit") as app:
        assert (await app.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE)).status_code == 401


async def test_an_operator_of_one_org_manages_that_org_only(management: Any) -> None:
    async with management.deploy("ttd") as operator:
        assert (await operator.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE)).status_code == 200
        assert (await operator.put(f"{BASE}/apis/fjord.permit.cases.v2", json=MADE)).status_code == 403
        assert (await operator.get(f"{BASE}/apis")).status_code == 400
        application = {"name": "x", "owner": management.number("LYSENDE FURU AS")}
        assert (await operator.post(f"{BASE}/applications", json=application)).status_code == 403
    async with management.deploy("") as operator:
        assert (await operator.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE)).status_code == 403


async def test_the_platforms_own_apis_are_its_operators(management: Any) -> None:
    async with management.deploy() as operator:
        made = await operator.put(f"{BASE}/apis/platform.storage.cases.v2", json=MADE)
        assert made.status_code == 200
        for api in ("authentication", "authorization", "profile", "register"):
            assert (await operator.put(f"{BASE}/apis/platform.{api}.cases.v2", json=MADE)).status_code == 200
        for api in ("management", "nothing"):
            refused = await operator.put(f"{BASE}/apis/platform.{api}.cases.v2", json=MADE)
            assert (refused.status_code, refused.json()["code"]) == (400, "not_managed")
        found = (await operator.get(f"{BASE}/catalogue/platform.storage.cases.v2")).json()
        assert (found["url"], found["openapi"]) == ("https://platform.havn.test/storage", "")
    async with management.deploy("ttd") as operator:
        assert (await operator.delete(f"{BASE}/apis/platform.storage.cases.v2")).status_code == 403


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("authentication", "/api/v1/authentication"),
        ("authentication", "/api/v1/session/redeem"),
        ("authentication", "/api/v1/openid/.well-known/openid-configuration/jwks/"),
        ("register", "/api/v1/internal"),
        ("storage", "/api/v1/health/ready"),
    ],
)
async def test_what_the_platform_itself_lives_by_belongs_to_no_api(management: Any, api: str, path: str) -> None:
    async with management.deploy() as operator:
        refused = await operator.put(f"{BASE}/apis/platform.{api}.cases.v2", json=MADE | {"paths": ["/api/v1", path]})
        assert (refused.status_code, refused.json()["code"]) == (400, "own_route")
        beside = MADE | {"paths": ["/api/v1", "/api/v1/healthy", "/api/v1/sessions"]}
        assert (await operator.put(f"{BASE}/apis/platform.{api}.cases.v2", json=beside)).status_code == 200


async def test_what_an_app_declares_is_changed_by_its_deployments_only(management: Any) -> None:
    await management.publish()
    async with await management.owner() as owner:
        refused = await owner.post(f"{BASE}/apis/{API}/deprecate", json={})
        assert refused.status_code == 409
        assert "deployment/api.yaml" in refused.json()["detail"]


async def test_bad_terms_are_refused_with_the_place(management: Any) -> None:
    limit = {"name": "burst", "requests": 1, "seconds": 1}
    wrong: dict[str, dict[str, Any]] = {
        "titel": {"titel": {"nb": "x"}},
        "$.plans[0].rates[0].requests": {
            "plans": [{"name": "a", "title": {"nb": "A"}, "rates": [limit | {"requests": 0}]}]
        },
        "two limits are called burst": {"plans": [{"name": "a", "title": {"nb": "A"}, "rates": [limit, limit]}]},
        "two plans are called a": {"plans": [{"name": "a", "title": {"nb": "A"}}] * 2},
        "$.paths[0]": {"paths": ["instances"]},
        "since when": {"state": "deprecated"},
        "sunset is before": {"deprecated": "2027-01-01T00:00:00Z", "sunset": "2026-01-01T00:00:00Z"},
    }
    async with await management.owner() as owner:
        for said, members in wrong.items():
            answer = await owner.put(f"{BASE}/apis/ttd.permit.cases.v2", json=MADE | members)
            assert answer.status_code == 400, said
            assert said in answer.json()["detail"]
        assert (await owner.put(f"{BASE}/apis/ttd.permit.other.v2", json=MADE)).status_code == 400
        assert (await owner.put(f"{BASE}/apis/Ttd..v2", json=MADE)).status_code == 404


async def test_an_old_version_is_deprecated_with_its_successor(management: Any) -> None:
    async with await management.owner() as owner:
        for version in ("v1", "v2"):
            members = {"version": version, "paths": [f"/{version}"]}
            made = await owner.put(f"{BASE}/apis/ttd.permit.cases.{version}", json=MADE | members)
            assert made.status_code == 200, made.text
        taken = await owner.put(f"{BASE}/apis/ttd.permit.cases.v3", json=MADE | {"version": "v3", "paths": ["/v2/"]})
        assert (taken.status_code, taken.json()["code"]) == (409, "path_taken")
        assert (await owner.get(f"{BASE}/apis/ttd.permit.cases.v3")).status_code == 404
        end = "2027-06-30T00:00:00Z"
        done = await owner.post(f"{BASE}/apis/{API}/deprecate", json={"sunset": end, "successor": "v2"})
        assert done.status_code == 200, done.text
        found = (await owner.get(f"{BASE}/catalogue/{API}")).json()["api"]
        assert (found["state"], found["deprecated"], found["sunset"]) == ("deprecated", "2026-11-21T12:00:00Z", end)
        assert found["successor"] == "ttd.permit.cases.v2"
        plan = {"name": "basic", "title": {"nb": "Basis"}, "approval": "auto"}
        assert (await owner.put(f"{BASE}/apis/{API}/plans/basic", json=plan)).status_code == 200
        assert (await owner.get(f"{BASE}/catalogue/{API}")).json()["plans"] == []
    async with await management.consumer() as consumer:
        made = {"name": "Fagsystem", "owner": management.number("LYSENDE FURU AS")}
        application = (await consumer.post(f"{BASE}/applications", json=made)).json()["id"]
        asked = await consumer.post(f"{BASE}/subscriptions", json={"application": application, "plan": BASIC})
        assert asked.json()["code"] == "plan_closed"
    async with await management.owner() as owner:
        early = await owner.post(f"{BASE}/apis/{API}/deprecate", json={"sunset": "2020-01-01T00:00:00Z"})
        assert early.status_code == 400
