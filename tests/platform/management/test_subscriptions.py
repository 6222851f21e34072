"""A consumer's way to a key: an application, a plan, an answer, two keys; and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from havn.engines import api_keys
from havn.platform.management import store
from havn.platform.management.store import keys

BASE = "/management/api/v1"
API = "ttd.permit.cases.v1"


@pytest.fixture
async def published(management: Any) -> Any:
    await management.publish()
    return management


async def test_a_plan_is_asked_for_and_the_owner_approves_or_says_why_not(published: Any) -> None:
    async with await published.consumer() as consumer, await published.owner() as owner:
        asked = await published.subscribe(consumer, f"{API}:basic")
        assert asked["state"] == "pending"
        path = f"{BASE}/subscriptions/{asked['id']}"
        assert (await consumer.post(f"{path}/keys", json={})).status_code == 409
        waiting = (await owner.get(f"{BASE}/requests", params={"org": "ttd", "state": "pending"})).json()
        assert [(each["id"], each["ownerName"]) for each in waiting] == [(asked["id"], "LYSENDE FURU AS")]
        assert (await consumer.post(f"{path}/approve", json={})).status_code == 403
        assert (await owner.post(f"{path}/reject", json={})).json()["code"] == "reason_missing"
        rejected = (await owner.post(f"{path}/reject", json={"reason": "Skriv hva dere skal bruke det til."})).json()
        assert rejected["state"] == "rejected"
        again = await consumer.post(
            f"{BASE}/subscriptions", json={"application": asked["application"], "plan": asked["plan"], "purpose": "x"}
        )
        path = f"{BASE}/subscriptions/{again.json()['id']}"
        approved = (await owner.post(f"{path}/approve", json={})).json()
        assert (approved["state"], approved["expires"]) == ("active", "2027-11-21T12:00:00Z")
        assert (await owner.post(f"{path}/approve", json={})).status_code == 409
        told = (await consumer.get(f"{BASE}/history", params={"consumer": asked["owner"]})).json()
        assert [entry["action"] for entry in told] == ["approve", "ask", "reject", "ask", "register"]
        assert [bool(entry["who"]) for entry in told] == [False, True, False, True, True]
        seen = (await owner.get(f"{BASE}/history", params={"org": "ttd"})).json()
        assert [(each["action"], bool(each["address"])) for each in seen][:2] == [("approve", True), ("ask", False)]
        assert (told[0]["before"]["state"], told[0]["after"]["state"]) == ("pending", "active")


async def test_a_key_is_shown_once_and_only_two_live_at_a_time(published: Any) -> None:
    async with await published.consumer() as consumer:
        path = f"{BASE}/subscriptions/{(await published.subscribe(consumer))['id']}/keys"
        first, second = [(await consumer.post(path, json={})).json() for _ in range(2)]
        assert api_keys.parse(first["key"]) is not None
        assert (await consumer.post(path, json={})).json()["code"] == "too_many_keys"
        listed = (await consumer.get(path)).json()
        assert [key["prefix"] for key in listed] == sorted([first["prefix"], second["prefix"]])
        assert "key" not in listed[0]
        third = await consumer.post(f"{path}/{first['prefix']}/rotate", json={})
        assert third.status_code == 201
        assert third.headers["cache-control"] == "no-store"
        states = {key["prefix"]: key["state"] for key in (await consumer.get(path)).json()}
        assert states == {first["prefix"]: "revoked", second["prefix"]: "active", third.json()["prefix"]: "active"}
        assert (await consumer.post(f"{path}/{first['prefix']}/rotate", json={})).status_code == 404
        assert (await consumer.delete(f"{path}/{second['prefix']}")).status_code == 204
        # Nothing that is kept shows a secret: neither history nor the table.
        history = (await consumer.get(f"{BASE}/history", params={"consumer": published.number("LYSENDE FURU AS")})).text
        assert first["key"][16:40] not in history
    database = await store.open_database(published.settings.management_database_url)
    found = await keys.find_key(database, second["prefix"], published.platform.clock())
    await database.close()
    assert found is not None
    assert found.key.state == "revoked"


async def test_keys_and_subscriptions_end_by_themselves(published: Any) -> None:
    async with await published.consumer() as consumer:
        subscription = await published.subscribe(consumer)
        path = f"{BASE}/subscriptions/{subscription['id']}/keys"
        past = await consumer.post(path, json={"expires": "2026-11-21T12:00:00Z"})
        assert past.status_code == 400
        await consumer.post(path, json={"expires": "2026-11-21T12:10:00Z"})
        published.platform.clock.forward(minutes=10)
        assert [key["state"] for key in (await consumer.get(path)).json()] == ["expired"]


async def test_nobody_else_sees_or_changes_a_subscription(published: Any) -> None:
    async with await published.consumer() as consumer:
        subscription = await published.subscribe(consumer)
        path = f"{BASE}/subscriptions/{subscription['id']}"
        strangers = [
            await published.consumer("RYDDIG REGNSKAP AS"),
            await published.organisation(published.number("LYSENDE FURU AS"), "something:else"),
            await published.organisation(published.number("LYSENDE FURU AS"), "havn:apis/consume", audience="ttd"),
        ]
        for stranger in strangers:
            for method, tail in (
                ("GET", ""),
                ("GET", "/keys"),
                ("POST", "/keys"),
                ("GET", "/usage"),
                ("POST", "/revoke"),
            ):
                answer = await stranger.request(method, path + tail, json={"reason": "x"} if method == "POST" else None)
                assert answer.status_code in (400, 403), (method, tail)
            application = {"name": "Annet", "owner": subscription["owner"]}
            assert (await stranger.post(f"{BASE}/applications", json=application)).status_code == 403
            await stranger.aclose()
        for unknown in ("0190a000-0000-7000-8000-000000000009", "nothing"):
            assert (await consumer.get(f"{BASE}/subscriptions/{unknown}")).status_code == 404


async def test_an_apps_token_for_its_user_manages_nothing(published: Any) -> None:
    token = await published.platform.token("Sindig Bjørk")
    async with published.platform.client(token) as app:
        made = await app.post(f"{BASE}/applications", json={"name": "x", "owner": published.number("LYSENDE FURU AS")})
        assert made.status_code == 403


async def test_the_owner_suspends_resumes_and_revokes_and_the_consumer_may_give_up(published: Any) -> None:
    async with await published.consumer() as consumer, await published.owner() as owner:
        path = f"{BASE}/subscriptions/{(await published.subscribe(consumer))['id']}"
        assert (await owner.post(f"{path}/suspend", json={"reason": "Feil i kallene"})).json()["state"] == "suspended"
        assert (await consumer.post(f"{path}/resume", json={})).status_code == 403
        assert (await owner.post(f"{path}/resume", json={})).json()["state"] == "active"
        assert (await consumer.post(f"{path}/revoke", json={"reason": "Sluttet"})).json()["state"] == "revoked"
        assert (await owner.post(f"{path}/resume", json={})).json()["code"] == "wrong_state"


async def test_who_still_uses_an_api_is_told_with_figures(published: Any) -> None:
    database = await store.open_database(published.settings.management_database_url)
    async with await published.consumer() as consumer, await published.owner() as owner:
        subscription = await published.subscribe(consumer)
        path = f"{BASE}/subscriptions/{subscription['id']}"
        key = (await consumer.post(f"{path}/keys", json={})).json()
        now = published.platform.clock()
        await keys.touch_last_used(database, {key["prefix"]: now})
        await database.execute(
            "insert into use_by_day(subject, day, allowed, rejected) values ($1, $2, 41, 1), ($1, $3, 5, 0)",
            subscription["id"], now.date(), now.date().replace(month=1),
        )  # fmt: skip
        (used,) = (await owner.get(f"{BASE}/apis/{API}/consumers")).json()
        assert (used["applicationName"], used["requests"], used["lastUsed"]) == (
            "Fagsystem", 41, "2026-11-21T12:00:00Z",
        )  # fmt: skip
        days = (await consumer.get(f"{path}/usage")).json()
        assert [(day["day"], day["allowed"], day["rejected"]) for day in days] == [("2026-11-21", 41, 1)]
        assert len((await consumer.get(f"{path}/usage", params={"days": "400"})).json()) == 2
        assert (await consumer.get(f"{path}/usage", params={"days": "x"})).status_code == 400
        assert (await consumer.get(f"{path}/quotas")).json() == []
        for period, used in ((now.date(), 41), (now.date().replace(day=20), 999)):
            await database.execute(
                "insert into quota_use(subject, quota, first, granted, used) values ($1, 'daily', $2, 1000, $3)",
                subscription["id"], period, used,
            )  # fmt: skip
        basic = {"name": "trial", "title": {"nb": "Prøve"}, "quotas": [{"name": "daily", "requests": 50, "per": "day"}]}
        await published.publish(apis={"apis": [{"name": "cases", "title": {"nb": "Saker"}, "plans": [basic]}]})
        assert (await consumer.get(f"{path}/quotas")).json() == [
            {"name": "daily", "per": "day", "requests": 50, "used": 41, "until": "2026-11-21T23:00:00Z"}
        ]
    await database.close()
