from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest


async def ids(world, query, token=None, **headers):
    answer = await world.call("GET", f"/instances?{query}", token or world.owner(), headers=headers)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["instances"]]


async def test_each_filter_picks_what_it_says(world):
    one = await world.instance(dueBefore="2026-11-10T00:00:00Z", dataValues={"k": "v"})
    two = await world.instance(50_002, task="Task_2")
    await world.call(
        "PUT", f"/instances/{one['id']}/presentationtexts", world.user(), json={"texts": {"n": "Ola_100% Nordmann"}}
    )
    three = await world.instance()
    await world.finish(three, "2026-11-01T13:00:00.5Z")
    four = await world.instance()
    await world.call("DELETE", f"/instances/{four['id']}", world.user())
    await world.call("POST", f"/instances/{three['id']}/complete", world.owner())
    await world.call("POST", f"/instances/{three['id']}/complete", world.owner("nav"))
    elsewhere = await world.instance(app="skd/krav")
    all_four = [one["id"], two["id"], three["id"], four["id"]]
    cases = {
        "": all_four,
        "&appId=ttd/skjema": all_four,
        "&appId=ttd/annen": [],
        "&appId=skd/krav": [],
        "&instanceOwner.partyId=50002": [two["id"]],
        "&process.currentTask=Task_2": [two["id"]],
        "&process.isComplete=true": [three["id"]],
        "&process.isComplete=FALSE": [one["id"], two["id"], four["id"]],
        "&process.ended=eq:2026-11-01T13:00:00.500Z": [three["id"]],
        "&process.ended=eq:2026-11-01T14:00:00.5%2B01:00": [three["id"]],
        "&process.ended=gt:2026-11-01T13:00:00.5Z": [],
        "&process.ended=gte:2026-11-01&process.ended=lt:2026-11-02": [three["id"]],
        "&dueBefore=lte:2026-11-10T00:00:00": [one["id"]],
        "&dueBefore=lt:2026-11-10": [],
        "&created=lt:2026-11-01": [],
        "&created=gte:2026-11-01": all_four,
        "&lastChanged=gt:2026-11-01T12:00:00Z": all_four,
        "&status.isArchived=true": [three["id"]],
        "&status.isSoftDeleted=true": [four["id"]],
        "&status.isSoftDeleted=false": [one["id"], two["id"], three["id"]],
        "&confirmed=true": [three["id"]],
        "&confirmed=false": [one["id"], two["id"], four["id"]],
        "&excludeConfirmedBy=TTD": [one["id"], two["id"], four["id"]],
        "&excludeConfirmedBy=nav": [one["id"], two["id"], four["id"]],
        "&excludeConfirmedBy=NAV": all_four,
        f"&A3Ref={one['id'][-12:].upper()}": [one["id"]],
        "&searchString=nordmann": [one["id"]],
        "&searchString=a_1": [one["id"]],
        "&searchString=aX1": [],
        "&searchString=0%25%20n": [one["id"]],
        "&mainVersionInclude=3": all_four,
        "&mainVersionInclude=2": [],
        "&mainVersionExclude=3": [],
        "&dataValues.A2ArchRef=AR1": [],
        "&process.endEvent=whatever": all_four,
    }
    for query, wanted in cases.items():
        assert sorted(await ids(world, f"org=ttd{query}")) == sorted(wanted), query
    assert await ids(world, "appId=skd/krav", world.owner("skd")) == [elsewhere["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "A3Ref=123", "size=0", "size=-1", "size=many", "confirmed=perhaps", "instanceOwner.partyId=x", "appId=ttd",
        "continuationToken=x", "continuationToken=9999999999999999.1", "status.isArchived=1",
        "continuationToken=-99999999999999999.00000000-0000-0000-0000-000000000000", "mainVersionInclude=three",
        "created=gt:0001-01-01T00:00:00%2B14:00", "searchString=%00", "org=ttd%00", "process.currentTask=a%00b",
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_a_bad_request(world, query):
    assert (await world.call("GET", f"/instances?org=ttd&{query}", world.owner())).status_code == 400


async def test_an_owner_needs_scope_and_says_which_instances(world):
    await world.instance()
    assert (await world.call("GET", "/instances?org=ttd", world.owner(scope=""))).status_code == 403
    near = world.owner(scope="xaltinn:serviceowner/instances.read altinn:serviceowner/instances.readx")
    assert (await world.call("GET", "/instances?org=ttd", near)).status_code == 403
    assert (await world.call("GET", "/instances", world.owner())).status_code == 400
    assert (await world.call("GET", "/instances?org=ttd", world.owner("nav"))).status_code == 400
    assert len(await ids(world, "appId=ttd/skjema", world.owner("nav"))) == 1
    assert (await world.call("GET", "/instances?appId=ttd/skjema", world.owner("skd"))).status_code == 403
    sync = world.owner("skd", scope="altinn:storage/instances.syncadapter")
    assert len(await ids(world, "org=ttd", sync)) == 1


async def test_a_user_names_the_owner_and_sees_what_policy_lets_them(world):
    mine = await world.instance()
    await world.instance(50_002)
    assert (await world.call("GET", "/instances?appId=ttd/skjema", world.user())).status_code == 400
    assert await ids(world, "instanceOwner.partyId=50001", world.user()) == [mine["id"]]
    assert await ids(world, "instanceOwner.partyId=50002", world.user()) == []
    assert (await world.call("GET", "/instances?instanceOwner.partyId=1", world.token())).status_code == 400


async def test_an_owner_can_be_named_by_number(world):
    mine = await world.instance()
    header = "X-Ai-InstanceOwnerIdentifier"
    for value in ("Person:01899912345", "PERSON: 018999 12345", "person:01899912345"):
        assert await ids(world, "", world.user(), **{header: value}) == [mine["id"]]
    assert await ids(world, "", world.user(), **{header: "Organisation:999999999"}) == []
    for query, value in (
        ("", "Person:1"),
        ("", "Robot:01899912345"),
        ("instanceOwner.partyId=1", "Person:01899912345"),
    ):
        answer = await world.call("GET", f"/instances?{query}", world.user(), headers={header: value})
        assert answer.status_code == 400


async def test_order_and_elements_are_as_asked(world):
    made = [await world.instance() for _ in range(3)]
    await world.element(made[0])
    newest_first = [made[0]["id"], made[2]["id"], made[1]["id"]]
    assert await ids(world, "org=ttd") == newest_first
    assert await ids(world, "org=ttd&order=asc:lastChanged") == newest_first[::-1]
    answer = await world.call("GET", "/instances?org=ttd&includeDataElements=false", world.owner())
    assert [each["data"] for each in answer.json()["instances"]] == [[], [], []]


async def test_pages_link_to_themselves_and_on_by_the_public_address(world):
    for _ in range(3):
        await world.instance()
    first = (await world.call("GET", "/instances?org=ttd&size=2&appId=ttd%2Fskjema", world.owner())).json()
    assert first["self"] == "https://platform.havn.example/storage/api/v1/instances?org=ttd&size=2&appId=ttd%2Fskjema"
    assert first["next"].startswith("https://platform.havn.example/storage/api/v1/instances?")
    assert parse_qs(urlsplit(first["next"]).query)["appId"] == ["ttd/skjema"]
    second = (await world.call("GET", "/instances?" + urlsplit(first["next"]).query, world.owner())).json()
    assert (second["count"], second["next"]) == (1, None)
    assert "continuationToken=" in second["self"]


async def test_a_size_beyond_the_most_is_cut_to_it(world):
    await world.instance()
    answer = await world.call("GET", "/instances?org=ttd&size=999999", world.owner())
    assert answer.json()["count"] == 1


@pytest.mark.parametrize("value", ["'; drop table instance; --", "\\", "%", "_", "é", '"]}', "{0}", "$1"])
async def test_values_are_values_and_never_sql(world, value):
    await world.instance()
    for name in ("searchString", "process.currentTask", "excludeConfirmedBy"):
        answer = await world.call("GET", f"/instances?org=ttd&{name}={quote(value)}", world.owner())
        assert answer.status_code == 200
    assert await world.database.fetchval("select count(*) from instance") == 1


async def test_the_owners_poll_uses_the_index_made_for_it(world):
    from havn.platform.storage.store.search import Filter, _where

    where = _where(Filter(org="ttd", confirmed=False, is_archived=True))
    assert where.text() == "i.org = $1 and i.is_archived = $2 and not i.confirmed"
    assert _where(Filter()).text() == "true"
