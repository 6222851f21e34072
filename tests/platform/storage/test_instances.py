from __future__ import annotations

import asyncio

import pytest

PARTY = {"instanceOwner": {"partyId": "50001"}}


async def test_a_new_instance_has_a_place_an_owner_and_an_event(world):
    body = {
        **PARTY,
        "id": "1/made-up",
        "presentationTexts": {"a": "b"},
        "dataValues": {"k": "v"},
        "completeConfirmations": [{"stakeholderId": "ttd", "confirmedOn": "2026-01-01T00:00:00Z"}],
        "data": [{"dataType": "model"}],
        "createdBy": "somebody",
        "dueBefore": "2026-12-24T10:00:00",
    }
    answer = await world.call("POST", "/instances?appId=ttd/skjema", world.user(), json=body)
    assert answer.status_code == 201
    made = answer.json()
    party, _, guid = made["id"].partition("/")
    assert party == "50001"
    assert guid[14] == "7"
    link = f"https://platform.havn.example/storage/api/v1/instances/{made['id']}"
    assert answer.headers["location"] == made["selfLinks"]["platform"] == link
    assert made["dataValues"] == {"k": "v"}
    assert made["dueBefore"] == "2026-12-24T10:00:00Z"
    assert made["visibleAfter"] == made["created"]
    assert made["createdBy"] == "1001"
    assert made["status"]["readStatus"] == "Unread"
    assert "presentationTexts" not in made
    assert "completeConfirmations" not in made
    assert made["data"] == []
    events = (await world.call("GET", f"/instances/{made['id']}/events", world.user())).json()["instanceEvents"]
    assert [each["eventType"] for each in events] == ["Created"]
    assert events[0]["user"] == {"userId": 1001, "authenticationLevel": 3}


@pytest.mark.parametrize(
    ("app", "body", "status"),
    [
        ("ttd/skjema", {}, 400),
        ("ttd/skjema", {"instanceOwner": {}}, 400),
        ("ttd/skjema", {"instanceOwner": {"partyId": "x"}}, 400),
        ("ttd/skjema", {"instanceOwner": {"partyId": "-1"}}, 400),
        ("ttd", PARTY, 400),
        ("", PARTY, 400),
        ("ttd/finnes-ikke", PARTY, 404),
        ("ttd/skjema", {"instanceOwner": {"partyId": "50002"}}, 403),
    ],
)
async def test_what_cannot_be_made_is_refused(world, app, body, status):
    answer = await world.call("POST", f"/instances?appId={app}", world.user(), json=body)
    assert answer.status_code == status
    assert await world.database.fetchval("select count(*) from instance") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"instanceOwner": 1}',
        b"\xff",
        b'{"a":' * 3000,
        b'{"instanceOwner": {"partyId": "50001"}, "dataValues": {"a": "\\u0000"}}',
        b'{"instanceOwner": {"partyId": "50001"}, "dueBefore": "0001-01-01T00:00:00+14:00"}',
    ],
)
async def test_a_body_that_cannot_be_read_is_a_bad_request(world, body):
    answer = await world.call("POST", "/instances?appId=ttd/skjema", world.user(), content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_creation_repeated_with_its_key_makes_one_instance(world):
    async def create(**headers: str) -> tuple[int, str]:
        answer = await world.call("POST", "/instances?appId=ttd/skjema", world.user(), json=PARTY, headers=headers)
        return answer.status_code, answer.json().get("id", "")

    first = await create(**{"Idempotency-Key": '"k1"'})
    assert await create(**{"Idempotency-Key": "k1"}) == first
    assert (await create(**{"Idempotency-Key": "k2"}))[1] != first[1]
    together = await asyncio.gather(*(create(**{"Idempotency-Key": "k3"}) for _ in range(8)))
    assert len(set(together)) == 1
    assert together[0][0] == 201
    assert await world.database.fetchval("select count(*) from instance") == 3
    assert await world.database.fetchval("select count(*) from instance_event") == 3


async def test_a_key_is_the_callers_own_and_for_one_request(world):
    key = {"Idempotency-Key": "k"}
    await world.call("POST", "/instances?appId=ttd/skjema", world.user(), json=PARTY, headers=key)
    other = {"instanceOwner": {"partyId": "50002"}}
    answer = await world.call("POST", "/instances?appId=ttd/skjema", world.user(1002), json=other, headers=key)
    assert answer.status_code == 201
    answer = await world.call("POST", "/instances?appId=ttd/skjema", world.owner(), json=PARTY, headers=key)
    assert answer.status_code == 201
    answer = await world.call("POST", "/instances?appId=ttd/skjema", world.owner(), json=other, headers=key)
    assert answer.status_code == 422
    for bad in ("", "x" * 300):
        answer = await world.call(
            "POST", "/instances?appId=ttd/skjema", world.user(), json=PARTY, headers={"Idempotency-Key": bad}
        )
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "/complete", None),
        ("PUT", "/readstatus?status=Read", None),
        ("PUT", "/substatus", {"label": "x"}),
        ("PUT", "/presentationtexts", {"texts": {}}),
        ("PUT", "/datavalues", {"values": {}}),
        ("PUT", "/process", {}),
        ("GET", "/process/history", None),
        ("GET", "/events", None),
        ("POST", "/lock", {"ttlSeconds": 1}),
        ("DELETE", "", None),
        ("GET", "", None),
    ],
)
async def test_an_instance_that_is_not_there_is_404(world, method, route, body):
    missing = "/instances/50001/01930000-0000-7000-8000-000000000000"
    answer = await world.call(method, missing + route, world.owner(), json=body)
    assert answer.status_code == 404
    assert (await world.call(method, f"/instances/50001/no-guid{route}", world.owner(), json=body)).status_code == 404


async def test_deletion_is_soft_or_hard(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}"
    soft = (await world.call("DELETE", path, world.user())).json()
    assert soft["status"]["isSoftDeleted"] is True
    assert soft["status"]["isHardDeleted"] is False
    assert soft["data"] == []
    assert (await world.call("PUT", f"/sbl{path}/undelete", world.user())).json() is True
    assert (await world.get(instance))["status"]["isSoftDeleted"] is False
    assert (await world.call("PUT", f"/sbl{path}/undelete", world.user())).json() is True
    soft = (await world.call("DELETE", path, world.user())).json()
    hard = (await world.call("DELETE", f"{path}?hard=true", world.user())).json()
    assert hard["status"]["isHardDeleted"] is True
    assert hard["status"]["softDeleted"] == soft["status"]["softDeleted"]
    events = (await world.call("GET", f"{path}/events", world.owner())).json()["instanceEvents"]
    kinds = [each["eventType"] for each in events]
    assert kinds == ["Created", "Deleted", "Undeleted", "Deleted", "Deleted"]


async def test_an_archived_instance_is_kept_as_long_as_the_app_says(world):
    instance = await world.instance()
    await world.finish(instance, "2026-11-01T12:00:00Z")
    path = f"/instances/{instance['id']}"
    world.clock.forward(days=29)
    refused = await world.call("DELETE", path, world.user())
    assert refused.status_code == 403
    assert refused.json()["code"] == "kept"
    world.clock.forward(days=2)
    assert (await world.call("DELETE", path, world.user())).status_code == 200


async def test_only_the_owner_sets_the_substatus_and_it_is_replaced_whole(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/substatus"
    assert (await world.call("PUT", path, world.user(), json={"label": "x"})).status_code == 403
    assert (await world.call("PUT", path, world.owner("nav"), json={"label": "x"})).status_code == 403
    assert (await world.call("PUT", path, world.owner(), json={"description": "x"})).status_code == 400
    await world.call("PUT", path, world.owner(), json={"label": "a", "description": "b"})
    answer = await world.call("PUT", path, world.owner(), json={"label": "c"})
    assert answer.json()["status"]["substatus"] == {"label": "c"}
    assert answer.json()["lastChangedBy"] == "910000001"


async def test_read_status_is_named_in_any_case_and_moves_no_time(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/readstatus"
    assert (await world.call("PUT", f"{path}?status=seen", world.user())).status_code == 400
    assert (await world.call("PUT", path, world.user())).status_code == 400
    answer = await world.call("PUT", f"{path}?status=READ", world.user())
    assert answer.json()["status"]["readStatus"] == "Read"
    assert answer.json()["lastChanged"] == instance["lastChanged"]
    again = await world.call("PUT", f"{path}?status=read", world.user())
    assert again.json()["version"] == answer.json()["version"]


async def test_texts_and_values_must_be_there(world):
    instance = await world.instance()
    for route in ("presentationtexts", "datavalues"):
        assert (
            await world.call("PUT", f"/instances/{instance['id']}/{route}", world.user(), json={})
        ).status_code == 400


async def test_every_change_counts_the_version_up_and_if_match_guards_it(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}"
    answer = await world.call("GET", path, world.user())
    assert answer.headers["etag"] == '"1"'
    assert answer.json()["version"] == 1

    async def put(tag: str) -> int:
        body = {"texts": {"a": tag}}
        return (
            await world.call("PUT", f"{path}/presentationtexts", world.user(), json=body, headers={"If-Match": tag})
        ).status_code

    assert await put('"2"') == 412
    assert await put('"1"') == 200
    assert await put('"1"') == 412
    assert await put('"7", "2"') == 200
    assert await put("*") == 200
    assert await put('W/"4"') == 412
    assert await put("4") == 400
    element = await world.element(instance)
    assert (await world.get(instance))["version"] == 5
    await world.call("PUT", f"{path}/data/{element['id']}/lock", world.user())
    assert (await world.get(instance))["version"] == 6


async def test_fifty_writers_at_once_lose_nothing(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/datavalues"
    answers = await asyncio.gather(
        *(world.call("PUT", path, world.user(), json={"values": {f"k{n}": "v"}}) for n in range(50))
    )
    assert {each.status_code for each in answers} == {200}
    stored = await world.get(instance)
    assert len(stored["dataValues"]) == 50
    assert stored["version"] == 51


async def test_one_of_twenty_writers_with_the_same_version_wins(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/datavalues"
    answers = await asyncio.gather(
        *(
            world.call("PUT", path, world.user(), json={"values": {"k": str(n)}}, headers={"If-Match": '"1"'})
            for n in range(20)
        )
    )
    assert sorted(each.status_code for each in answers) == [200] + [412] * 19
