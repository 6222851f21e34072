"""What clients of the field's storage rely on, one test for each item, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pytest


async def _pages(world: Any, token: str, query: str) -> list[list[str]]:
    """Ids page by page, following `next` to its end."""
    pages = []
    path = f"/instances?{query}"
    while True:
        answer = await world.call("GET", path, token)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["count"] == len(body["instances"])
        pages.append([each["id"] for each in body["instances"]])
        if body["next"] is None:
            return pages
        assert len(pages) < 20
        path = "/instances?" + urlsplit(body["next"]).query


async def test_01_the_party_in_the_path_is_ignored_and_the_stored_one_decides(world):
    mine = await world.instance(50_001)
    guid = mine["id"].partition("/")[2]
    assert (await world.call("GET", f"/instances/99999/{guid}", world.user(1001))).status_code == 200
    refused = await world.call("GET", f"/instances/50002/{guid}", world.user(1002))
    assert refused.status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_02_an_element_of_another_instance_is_not_found_and_stays_unchanged(world, method):
    mine, other = await world.instance(50_001), await world.instance(50_002)
    element = await world.element(other, token=world.user(1002))
    answer = await world.call(
        method, f"/instances/{mine['id']}/data/{element['id']}", world.user(1001),
        content=b"mine now" if method == "PUT" else None,
    )  # fmt: skip
    assert answer.status_code == 404
    stored = await world.call("GET", f"/instances/{other['id']}/data/{element['id']}", world.user(1002))
    assert stored.content == b"<a/>"


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "data/{}/lock"), ("DELETE", "data/{}/lock"), ("PUT", "dataelements/{}")],
)
async def test_02_nor_can_it_be_locked_or_described_through_another_instance(world, method, path):
    mine, other = await world.instance(50_001), await world.instance(50_002)
    element = await world.element(other, token=world.user(1002))
    guid = mine["id"].partition("/")[2]
    body = {**element, "instanceGuid": guid, "locked": True} if "dataelements" in path else None
    answer = await world.call(
        method, f"/instances/{mine['id']}/{path.format(element['id'])}", world.user(1001), json=body
    )
    assert answer.status_code == 404
    assert (await world.get(other, world.user(1002)))["data"][0]["locked"] is False


async def test_02_an_event_of_another_instance_is_not_found(world):
    mine, other = await world.instance(50_001), await world.instance(50_002)
    events = (await world.call("GET", f"/instances/{other['id']}/events", world.user(1002))).json()["instanceEvents"]
    path = f"/instances/{mine['id']}/events/{events[0]['id']}"
    assert (await world.call("GET", path, world.user(1001))).status_code == 404
    event = {"instanceId": other["id"], "eventType": "Saved"}
    answer = await world.call("POST", f"/instances/{mine['id']}/events", world.user(1001), json=event)
    assert answer.status_code == 400


async def test_03_a_page_that_is_empty_for_denied_instances_still_has_a_next_one(world):
    made = await world.instance(50_001)
    await world.database.execute(
        """insert into instance (guid, org, app, party_id, owner, process, created, created_by, last_changed,
               last_changed_by)
           select gen_random_uuid(), org, app, party_id, owner, process, created, created_by, last_changed,
               last_changed_by
           from instance, generate_series(1, 10100)"""
    )
    assert await _pages(world, world.user(1002), "instanceOwner.partyId=50001&size=2") == [[], []]
    assert made["id"] in (await _pages(world, world.user(1001), "instanceOwner.partyId=50001&size=1000"))[-1]


@pytest.mark.parametrize("order", ["asc:lastChanged", "desc:lastChanged"])
async def test_04_equal_times_of_change_page_completely(world, order):
    made = [(await world.instance())["id"] for _ in range(5)]
    await world.database.execute("update instance set last_changed = '2026-11-01T12:00:00Z'")
    pages = await _pages(world, world.owner(), f"org=ttd&size=2&order={order}")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(itertools.chain(*pages)) == sorted(made)


@pytest.mark.parametrize("name", ["created", "lastChanged", "dueBefore", "visibleAfter", "process.ended"])
@pytest.mark.parametrize(
    "values",
    [["2026-05-01"], ["near:2026-05-01"], ["2026-05-01T10:00:00Z"], ["gt:2026-05-01", "gt:2026-05-02"], ["gt:soon"]],
)
async def test_05_a_bad_time_filter_is_refused(world, name, values):
    query = "&".join(f"{name}={quote(value)}" for value in values)
    assert (await world.call("GET", f"/instances?org=ttd&{query}", world.owner())).status_code == 400


@pytest.mark.parametrize(("route", "member", "shown"), [
    ("presentationtexts", "texts", "presentationTexts"), ("datavalues", "values", "dataValues"),
])  # fmt: skip
async def test_06_null_and_empty_remove_keys(world, route, member, shown):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/{route}"
    await world.call("PUT", path, world.user(), json={member: {"a": "1", "b": "2", "c": "3"}})
    answer = await world.call("PUT", path, world.user(), json={member: {"a": None, "b": "", "d": "4"}})
    assert answer.status_code == 200
    assert answer.json()[shown] == {"c": "3", "d": "4"}
    assert answer.json()["lastChanged"] == instance["lastChanged"]
    assert (await world.get(instance))[shown] == {"c": "3", "d": "4"}


async def test_07_two_stakeholders_confirm_once_each(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/complete"
    for org in ("nav", "ttd", "nav", "ttd"):
        answer = await world.call("POST", path, world.owner(org))
        assert answer.status_code == 200
    assert [each["stakeholderId"] for each in answer.json()["completeConfirmations"]] == ["nav", "ttd"]
    events = await world.client.events(instance["id"], _credentials(world.owner()), types=["ConfirmedComplete"])
    assert len(events) == 2
    found = await world.call("GET", "/instances?org=ttd&confirmed=true", world.owner())
    assert found.json()["count"] == 1


def _credentials(token: str) -> Any:
    from havn.clients.credentials import Credentials

    return Credentials(token)


async def _read_status(world: Any, instance: dict[str, Any], status: str | None = None) -> str:
    if status is not None:
        answer = await world.call("PUT", f"/instances/{instance['id']}/readstatus?status={status}", world.user())
        assert answer.status_code == 200
    return (await world.get(instance))["status"]["readStatus"]


async def test_08_a_new_unread_element_makes_a_read_instance_updated(world):
    instance = await world.instance()
    assert await _read_status(world, instance, "read") == "Read"
    element = await world.element(instance, token=world.owner())
    assert element["isRead"] is False
    assert await _read_status(world, instance) == "UpdatedSinceLastReview"


async def test_08_a_users_own_element_leaves_the_read_status(world):
    instance = await world.instance()
    await _read_status(world, instance, "read")
    assert (await world.element(instance))["isRead"] is True
    assert await _read_status(world, instance) == "Read"


async def test_08_an_update_that_leaves_no_element_read_makes_it_unread(world):
    instance = await world.instance()
    first, second = await world.element(instance), await world.element(instance)
    await _read_status(world, instance, "read")
    path = f"/instances/{instance['id']}/data"
    await world.call("PUT", f"{path}/{first['id']}", world.owner(), content=b"1")
    assert await _read_status(world, instance) == "Read"
    await world.call("PUT", f"{path}/{second['id']}", world.owner(), content=b"2")
    assert await _read_status(world, instance) == "Unread"


async def test_08_deleting_counts_the_element_being_deleted(world):
    instance = await world.instance()
    read = await world.element(instance)
    unread = await world.element(instance, token=world.owner())
    await _read_status(world, instance, "read")
    await world.call("DELETE", f"/instances/{instance['id']}/data/{read['id']}", world.user())
    assert await _read_status(world, instance) == "Read"
    await world.call("DELETE", f"/instances/{instance['id']}/data/{unread['id']}", world.user())
    assert await _read_status(world, instance) == "Unread"


async def test_08_the_first_read_by_another_than_the_owner_makes_an_element_read(world):
    instance = await world.instance()
    element = await world.element(instance, token=world.owner())
    before = await world.get(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    assert (await world.call("GET", path, world.owner())).status_code == 200
    assert (await world.get(instance))["data"][0]["isRead"] is False
    assert (await world.call("GET", path, world.user())).status_code == 200
    after = await world.get(instance)
    assert after["data"][0]["isRead"] is True
    assert after["lastChanged"] == before["lastChanged"]


async def test_09_a_put_without_refs_clears_them(world):
    instance = await world.instance()
    first = await world.element(instance)
    path = f"/instances/{instance['id']}/data"
    answer = await world.call(
        "POST", f"{path}?dataType=model&refs={first['id']}&generatedFromTask=Task_9", world.user(), content=b"x"
    )
    element = answer.json()
    assert element["refs"] == [first["id"]]
    assert element["references"] == [{"value": "Task_9", "relation": "GeneratedFrom", "valueType": "Task"}]
    answer = await world.call("PUT", f"{path}/{element['id']}", world.user(), content=b"y")
    assert answer.json()["refs"] == []
    assert "references" not in answer.json()


async def test_10_locking_is_201_then_200(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    assert (await world.call("PUT", f"{path}/lock", world.user())).status_code == 201
    assert (await world.call("PUT", f"{path}/lock", world.user())).status_code == 200
    assert (await world.call("PUT", path, world.user(), content=b"no")).status_code == 409
    assert (await world.call("DELETE", f"{path}/lock", world.user())).status_code == 200
    assert (await world.call("PUT", path, world.user(), content=b"yes")).status_code == 200
    missing = f"/instances/{instance['id']}/data/00000000-0000-0000-0000-000000000000/lock"
    assert (await world.call("PUT", missing, world.user())).status_code == 404


async def test_11_a_locked_element_can_be_deleted(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    await world.call("PUT", f"{path}/lock", world.user())
    assert (await world.call("DELETE", path, world.user())).status_code == 200
    assert (await world.call("GET", path, world.user())).status_code == 404


async def test_12_a_lock_token_is_400_403_404_or_422(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/lock"
    token = (await world.call("POST", path, world.user(), json={"ttlSeconds": 60})).json()["lockToken"]

    async def extend(lock_token: str | None, ttl: int = 60) -> int:
        headers = {} if lock_token is None else {"Altinn-Storage-Lock-Token": lock_token}
        answer = await world.call("PATCH", path, world.user(), json={"ttlSeconds": ttl}, headers=headers)
        if answer.status_code != 204:
            assert answer.headers["content-type"].startswith("application/problem+json")
        return answer.status_code

    def changed(**members: str) -> str:
        inside = msgspec.json.decode(base64.urlsafe_b64decode(token + "=="))
        return base64.urlsafe_b64encode(msgspec.json.encode({**inside, **members})).decode()

    assert await extend(None) == 400
    assert await extend("not a token") == 400
    assert await extend(token, -1) == 400
    assert await extend(changed(secret="guess")) == 403
    assert await extend(changed(id="00000000-0000-0000-0000-000000000000")) == 404
    assert await extend(token) == 204
    assert (await world.call("POST", path, world.user(), json={"ttlSeconds": 60})).status_code == 409
    assert await extend(token, 0) == 204
    assert await extend(token) == 422
    assert (await world.call("POST", path, world.user(), json={"ttlSeconds": -1})).status_code == 400
    assert (await world.call("POST", path, world.user(1002), json={"ttlSeconds": 1})).status_code == 403
    wrong_party = f"/instances/1/{instance['id'].partition('/')[2]}/lock"
    assert (await world.call("POST", wrong_party, world.user(), json={"ttlSeconds": 1})).status_code == 404


async def test_13_one_of_fifty_parallel_lock_requests_wins(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/lock"
    answers = await asyncio.gather(
        *(world.call("POST", path, world.user(), json={"ttlSeconds": 60}) for _ in range(50))
    )
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [200] + [409] * 49


async def test_14_the_archive_flag_is_set_once(world):
    instance = await world.instance()
    first = await world.finish(instance, "2026-11-01T13:00:00Z")
    assert first["status"]["isArchived"] is True
    assert first["status"]["archived"] == "2026-11-01T13:00:00Z"
    stored = await world.database.fetchval("select process_ended from instance")
    assert stored.isoformat() == "2026-11-01T13:00:00+00:00"
    # Whatever writes the process again, the time of archiving stays.
    await world.database.execute(
        """update instance set process = process || '{"currentTask": {"elementId": "T", "altinnTaskType": "data"}}'"""
    )
    again = await world.finish(instance, "2026-11-02T13:00:00Z")
    assert again["status"]["archived"] == "2026-11-01T13:00:00Z"


def _move(instance: dict[str, Any], *events: dict[str, Any], task: str = "Task_2", kind: str = "signing") -> Any:
    return {
        "state": {
            "started": "2026-11-01T10:00:00Z",
            "currentTask": {"elementId": task, "altinnTaskType": kind, "flowType": "CompleteCurrentMoveToNext"},
        },
        "events": [
            {"instanceId": instance["id"], "user": {"userId": 1001, "authenticationLevel": 3}, **event}
            for event in events
        ],
    }


async def test_15_state_and_events_are_written_together_or_not_at_all(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/process/instanceandevents"
    good, bad = {"eventType": "process_EndTask"}, {"eventType": "no such event"}
    assert (await world.call("PUT", path, world.user(), json=_move(instance, good, bad))).status_code == 400
    assert (await world.get(instance))["process"]["currentTask"]["elementId"] == "Task_1"
    # A failure of the database itself, in the middle of the transaction.
    await world.database.execute(
        "alter table instance_event add constraint broken check (event_type <> 'process_EndTask')"
    )
    assert (await world.call("PUT", path, world.user(), json=_move(instance, good))).status_code == 500
    await world.database.execute("alter table instance_event drop constraint broken")
    assert (await world.get(instance))["process"]["currentTask"]["elementId"] == "Task_1"
    answer = await world.call("PUT", path, world.user(), json=_move(instance, good, {"eventType": "process_StartTask"}))
    assert answer.status_code == 200
    assert answer.json()["process"]["currentTask"]["elementId"] == "Task_2"
    events = await world.client.events(instance["id"], _credentials(world.user()))
    assert [each.event_type for each in events] == ["Created", "process_EndTask", "process_StartTask"]


@pytest.mark.parametrize("event", [
    {"user": None}, {"user": {}}, {"user": {"systemUserId": "8f3d0a5e-1111-4222-8333-444455556666"}},
    {"instanceId": None},
    {"instanceId": "50001/00000000-0000-0000-0000-000000000000"},
])  # fmt: skip
async def test_15_an_event_without_actor_or_of_another_instance_is_refused(world, event):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/process/instanceandevents"
    answer = await world.call("PUT", path, world.user(), json=_move(instance, {"eventType": "Submited", **event}))
    assert answer.status_code == 400


async def test_16_signing_twice_replaces(world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance)
    move = _move(instance, {"eventType": "process_StartTask"})
    await world.call("PUT", f"/instances/{instance['id']}/process/instanceandevents", world.user(), json=move)
    body = {
        "signatureDocumentDataType": "signatur",
        "generatedFromTask": "Task_2",
        "dataElementSignatures": [{"dataElementId": element["id"], "signed": True}],
        "signee": {"userId": "1001", "personNumber": "01899912345"},
    }
    path = f"/instances/{instance['id']}/sign"
    for _ in range(2):
        answer = await world.call("POST", path, world.user(), json=body)
        assert answer.status_code == 201, answer.text
    other = {**body, "signee": {"userId": "1009"}}
    assert (await world.call("POST", path, world.user(), json=other)).status_code == 201
    documents = [each for each in (await world.get(instance))["data"] if each["dataType"] == "signatur"]
    assert len(documents) == 2
    assert all(each["locked"] and each["filename"] == "signatur.json" for each in documents)
    content = await world.call("GET", f"/instances/{instance['id']}/data/{documents[0]['id']}", world.user())
    assert content.json()["dataElementSignatures"] == [
        {"dataElementId": element["id"], "sha256Hash": hashlib.sha256(b"<a/>").hexdigest(), "signed": True}
    ]
    assert len(world.blob_paths(blob_folder)) == 3
    assert (await world.call("POST", path, world.user(), json={**body, "signee": {}})).status_code == 400
    unknown = {**body, "signatureDocumentDataType": "finnes-ikke"}
    assert (await world.call("POST", path, world.user(), json=unknown)).status_code == 405
    elsewhere = {**body, "signatureDocumentDataType": "signatur"}
    in_task_1 = await world.instance()
    refused = await world.call("POST", f"/instances/{in_task_1['id']}/sign", world.user(), json=elsewhere)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "name", ["søknad på æøå.pdf", 'den "gode" filen.pdf', "100 % ferdig.pdf", "a+b.pdf", "日本.txt"]
)
async def test_17_a_file_name_survives_a_round_trip(world, name):
    instance = await world.instance()
    header = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    element = await world.element(instance, "vedlegg", **{"content-disposition": header})
    assert element["filename"] == name
    answer = await world.call("GET", f"/instances/{instance['id']}/data/{element['id']}", world.user())
    assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(name, safe='')}")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename=s%C3%B8knad.pdf", "søknad.pdf"),
        ('attachment; filename="s%C3%B8knad%20to.pdf"', "søknad to.pdf"),
        ("attachment; filename=to+ord.pdf", "to ord.pdf"),
        ('attachment; filename="../../etc/passwd"', ".._.._etc_passwd"),
        ("attachment; filename=a%00b.pdf", "a_b.pdf"),
        ('attachment; filename="første.pdf"', "første.pdf"),
        ('form-data; name="file"; filename="plain.pdf"; filename*=UTF-8\'\'b%C3%A6re.pdf', "bære.pdf"),
    ],
)
async def test_17_names_as_other_clients_write_them(world, header, name):
    instance = await world.instance()
    element = await world.element(instance, "vedlegg", **{"content-disposition": header.encode()})
    assert element["filename"] == name


async def test_18_a_put_of_more_than_30_megabytes_works(world):
    instance = await world.instance()
    element = await world.element(instance)
    piece = bytes(range(256)) * 4096

    async def large() -> Any:
        for _ in range(31):
            yield piece

    path = f"/instances/{instance['id']}/data/{element['id']}"
    answer = await world.call("PUT", path, world.user(), content=large())
    assert answer.status_code == 200
    assert answer.json()["size"] == 31 * len(piece)
    assert len((await world.call("GET", path, world.user())).content) == 31 * len(piece)


async def test_19_a_put_of_no_bytes_keeps_the_old_content(world, blob_folder):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    assert (await world.call("PUT", path, world.user(), content=b"")).status_code == 422
    assert (await world.call("GET", path, world.user())).content == b"<a/>"
    assert len(world.blob_paths(blob_folder)) == 1


async def test_20_metadata_shows_at_once_after_a_put(world):
    instance = await world.instance()
    path = f"/instances/{instance['id']}/data?dataType=nytt"
    assert (await world.call("POST", path, world.user(), content=b"x")).status_code == 400
    application = (await world.call("GET", "/applications/ttd/skjema")).json()
    application["dataTypes"].append({"id": "nytt"})
    answer = await world.call("PUT", "/applications/ttd/skjema", platform=world.component(), json=application)
    assert answer.status_code == 200
    assert (await world.call("GET", "/applications/ttd/skjema")).json()["dataTypes"][-1]["id"] == "nytt"
    assert (await world.call("POST", path, world.user(), content=b"x")).status_code == 201


async def test_21_flags_numbers_and_names_are_read_as_they_come(world):
    instance = await world.instance()
    element = await world.element(instance)
    guid = instance["id"].partition("/")[2]
    body = {"Id": element["id"], "INSTANCEGUID": guid, "locked": "true", "Tags": ["a"], "unknown": 1}
    answer = await world.call(
        "PUT", f"/instances/{instance['id']}/dataelements/{element['id']}", world.user(), json=body
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["locked"] is True
    assert answer.json()["tags"] == ["a"]
    answer = await world.call(
        "POST", "/instances?appId=ttd/skjema", world.user(), json={"InstanceOwner": {"PartyId": 50001}}
    )
    assert answer.status_code == 201, answer.text


async def test_22_what_is_hard_deleted_is_invisible_to_end_users_everywhere(world):
    instance = await world.instance()
    element = await world.element(instance, "utkast")
    kept = await world.element(instance)
    path = f"/instances/{instance['id']}/data/{element['id']}"
    assert (await world.call("DELETE", f"{path}?delay=true", world.user())).status_code == 200
    for route in ("", "/dataelements"):
        body = (await world.call("GET", f"/instances/{instance['id']}{route}", world.user())).json()
        assert [each["id"] for each in body.get("data", body.get("dataElements"))] == [kept["id"]]
    assert (await world.call("GET", path, world.user())).status_code == 404
    assert (await world.call("DELETE", f"{path}?delay=true", world.user())).status_code == 404
    assert (await world.call("GET", path, world.owner())).status_code == 200
    query = "/instances?instanceOwner.partyId=50001"
    assert len((await world.call("GET", query, world.user())).json()["instances"][0]["data"]) == 1
    assert len((await world.get(instance, world.owner()))["data"]) == 2

    gone = await world.call("DELETE", f"/instances/{instance['id']}?hard=true", world.user())
    assert gone.status_code == 200
    for method, route in (
        ("GET", ""), ("GET", "/dataelements"), ("GET", f"/data/{kept['id']}"), ("GET", "/events"),
        ("GET", "/process/history"), ("DELETE", ""), ("PUT", "/readstatus?status=read"),
        ("POST", "/data?dataType=model"),
    ):  # fmt: skip
        answer = await world.call(method, f"/instances/{instance['id']}{route}", world.user())
        assert answer.status_code == 404, route
    assert (await world.call("GET", query, world.user())).json()["instances"] == []
    assert (await world.call("GET", f"{query}&status.isHardDeleted=true", world.user())).json()["instances"] == []
    box = {"instanceOwnerPartyIdList": [50001]}
    assert (await world.call("POST", "/sbl/instances/search", world.user(), json=box)).json() == []
    assert (await world.call("GET", f"/sbl/instances/{instance['id']}", world.user())).status_code == 404
    assert (await world.call("PUT", f"/sbl/instances/{instance['id']}/undelete", world.user())).status_code == 404
    assert (await world.get(instance, world.owner()))["status"]["isHardDeleted"] is True
    found = await world.call("GET", "/instances?org=ttd&status.isHardDeleted=true", world.owner())
    assert found.json()["count"] == 1


@pytest.mark.parametrize(
    "path", ["cleanup/cleanupinstances", "cleanup/cleanupdataelements", "cleanup/cleanupinstancesforapp/ttd/skjema"]
)
async def test_23_clean_up_needs_a_platform_token(world, path):
    await world.instance()
    assert (await world.call("DELETE", f"/{path}")).status_code == 401
    assert (await world.call("DELETE", f"/{path}", world.owner())).status_code == 403
    of_app = world.component("ttd", "skjema")
    assert (await world.call("DELETE", f"/{path}", platform=of_app)).status_code == 401
    assert await world.database.fetchval("select count(*) from instance") == 1
    assert (await world.call("DELETE", f"/{path}", platform=world.component())).status_code == 200


def test_the_next_link_survives_being_a_query_value() -> None:
    from datetime import UTC, datetime

    from havn.platform.storage.search import encode_position
    from havn.platform.storage.store.search import Position

    token = encode_position(Position(datetime(2026, 11, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000"))
    assert parse_qs(f"t={quote(quote(token))}") == {"t": [token]}
