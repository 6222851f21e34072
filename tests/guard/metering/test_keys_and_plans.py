"""Who gets in: keys, subscriptions, the scope of a plan, and who is no API consumer at all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from havn.contracts.management import Match
from havn.platform.management.store import keys, subscriptions


async def test_an_app_that_nobody_manages_is_let_alone(rig):
    replica = await rig.replica()
    answer = await replica.get(key="havn_anything")
    assert answer.status_code == 200
    assert "x-api-key" in answer.json()["headers"]
    assert "ratelimit-policy" not in answer.headers


async def test_only_the_apis_own_paths_are_managed_by_whole_segments(rig):
    await rig.plan(await rig.api(paths=("/api/v1",)))
    replica = await rig.replica()
    for path, status in {"/api/v1": 401, "/api/v1/x": 401, "/api/v10": 200, "/api": 200, "/": 200}.items():
        assert (await replica.get(f"/permit{path}")).status_code == status


async def test_the_longest_path_decides_which_version_a_request_is_for(rig):
    old = await rig.api(paths=("/api", "/api/v1"), version="v1")
    new = await rig.api(paths=("/api/v2",), version="v2")
    to_old = await rig.key(await rig.subscription(await rig.plan(old)))
    to_new = await rig.key(await rig.subscription(await rig.plan(new)))
    replica = await rig.replica()
    assert (await replica.get("/permit/api/v2/x", to_new)).status_code == 200
    assert (await replica.get("/permit/api/v3/x", to_old)).status_code == 200
    refused = await replica.get("/permit/api/v2/x", to_old)
    assert (refused.status_code, refused.json()["code"]) == (403, "key_for_other_api")


async def test_without_a_key_the_caller_is_told_where_to_put_it(rig):
    await rig.plan(await rig.api())
    answer = await (await rig.replica()).get()
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "key_needed"
    assert "X-Api-Key" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("ApiKey ")


@pytest.mark.parametrize("header", ["x-api-key", "ocp-apim-subscription-key"])
async def test_a_key_opens_the_api_and_goes_no_further(rig, header):
    key = await rig.managed_key()
    replica = await rig.replica()
    answer = await replica.get(**{header: key, "x-consumer-id": "boss", "x-havn-subscription": "boss", "x-mine": "1"})
    assert answer.status_code == 200
    told = answer.json()
    assert {"x-api-key", "ocp-apim-subscription-key", "x-consumer-id", "x-havn-subscription"}.isdisjoint(
        told["headers"]
    )
    assert "x-mine" in told["headers"]
    # The gateway learns whose request it was from us, and from nobody behind us.
    assert answer.headers.get_list("x-havn-subscription") == [told["subscription"]]
    assert key not in answer.text + str(answer.headers)


async def test_wrong_keys_are_refused_and_mistyped_ones_are_not_even_asked_about(rig):
    key = await rig.managed_key()
    other = await rig.key(await rig.subscription(await rig.plan(await rig.api(app="other"))))
    replica = await rig.replica()
    asked = len(rig.asked)
    mistyped = key[:-1] + ("A" if key[-1] != "A" else "B")
    for wrong in (mistyped, "x", "", "havn_" * 1000):
        answer = await replica.get(key=wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")
    assert len(rig.asked) == asked
    answer = await replica.get(key=other)
    assert (answer.status_code, answer.json()["code"]) == (403, "key_for_other_api")
    answer = await replica.get(key=key, ocp_apim_subscription_key=other)
    assert (answer.status_code, answer.json()["code"]) == (401, "keys_differ")


async def test_a_key_in_the_address_is_refused(rig):
    key = await rig.managed_key()
    replica = await rig.replica()
    for query in (f"?subscription-key={key}", f"?a=1&whatever={key}", "?API-KEY=abc"):
        answer = await replica.get(f"/permit/api/v1/x{query}", key)
        assert (answer.status_code, answer.json()["code"]) == (400, "key_in_query")
        assert key not in answer.text
    assert (await replica.get("/permit/api/v1/x?key=3&monkey=1", key)).status_code == 200


@pytest.mark.parametrize("state", ["pending", "rejected", "suspended", "revoked", "expired"])
async def test_a_subscription_that_is_not_active_gives_no_access(rig, state):
    key = await rig.key(await rig.subscription(await rig.plan(await rig.api()), state=state))
    answer = await (await rig.replica()).get(key=key)
    assert (answer.status_code, answer.json()["code"]) == (403, f"subscription_{state}")
    # Recorded as that subscription's request all the same.
    assert answer.headers["x-havn-subscription"]


async def test_a_change_is_in_force_once_it_is_heard_of_and_a_key_is_asked_about_once(rig):
    subscription = await rig.subscription(await rig.plan(await rig.api()))
    key = await rig.key(subscription)
    replica = await rig.replica()
    assert await replica.burst(5, key) == [200] * 5
    assert sum(path.endswith("/keys") for path in rig.asked) == 1
    await subscriptions.change(rig.database, subscription.id, "suspended", "late", None)
    await rig.hear(replica)
    assert (await replica.get(key=key)).json()["code"] == "subscription_suspended"
    await subscriptions.change(rig.database, subscription.id, "active", "", None)
    await keys.revoke(rig.database, key.split("_")[1], rig.time.now)
    await rig.hear(replica)
    answer = await replica.get(key=key)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_revoked")


async def test_a_key_ends_by_itself_also_while_it_is_remembered(rig):
    key = await rig.key(
        await rig.subscription(await rig.plan(await rig.api())), expires=rig.time.now + timedelta(seconds=30)
    )
    replica = await rig.replica()
    assert (await replica.get(key=key)).status_code == 200
    rig.time.forward(30)
    await rig.hear(replica)
    answer = await replica.get(key=key)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_expired")


async def test_a_plan_opens_the_part_it_covers(rig):
    key = await rig.managed_key(covers=(Match(methods=("GET",), paths=("/api/v1/open",)),))
    replica = await rig.replica()
    assert (await replica.get("/permit/api/v1/open/1", key)).status_code == 200
    answer = await replica.get("/permit/api/v1/closed", key)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_in_plan")
    assert answer.headers["x-havn-subscription"]


async def test_an_apps_own_browser_users_and_the_platform_are_no_consumers(rig, rate):
    await rig.plan(await rig.api(), rates=(rate(1),))
    replica = await rig.replica()
    for _ in range(3):
        assert (await replica.get(x_test_browser="yes")).status_code == 200
        token = rig.tokens.signer("platform", "storage").token()
        assert (await replica.get(PlatformAccessToken=token)).status_code == 200
    foreign = rig.tokens.signer("other", "app").token()
    assert (await replica.get(PlatformAccessToken=foreign)).status_code == 401
    assert (await replica.get(PlatformAccessToken="x.y.z")).status_code == 401


async def test_an_old_version_announces_its_end_and_a_retired_one_has_ended(rig):
    end = rig.time.now + timedelta(days=90)
    api = await rig.api(state="deprecated", deprecated=rig.time.now, sunset=end, documentation="https://ttd.example/v2")
    key = await rig.key(await rig.subscription(await rig.plan(api)))
    replica = await rig.replica()
    for answer in (await replica.get(key=key), await replica.get()):
        assert answer.headers["deprecation"] == f"@{int(rig.time.now.timestamp())}"
        assert answer.headers["sunset"] == "Fri, 19 Feb 2027 12:00:00 GMT"
        assert '<https://ttd.example/v2>; rel="deprecation"' in answer.headers["link"]
    await rig.api(state="retired", successor="v2")
    await rig.hear(replica)
    answer = await replica.get(key=key)
    assert (answer.status_code, answer.json()["code"], answer.json()["successor"]) == (410, "api_retired", "v2")


async def test_nobody_learns_of_another_apps_apis_or_keys(rig):
    key = await rig.managed_key()
    replica = await rig.replica(app="other")
    source = replica.meter.following._source
    assert (await source.managed()).apis == ()
    answer = await source.key(key)
    assert answer.known
    assert answer.grant is None
