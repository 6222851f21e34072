from __future__ import annotations

import asyncio

import pytest

ROUTES = [
    ("GET", "/instances?org=ttd", None),
    ("GET", "/instances/{}", None),
    ("POST", "/instances?appId=ttd/skjema", {"instanceOwner": {"partyId": "50001"}}),
    ("DELETE", "/instances/{}", None),
    ("POST", "/instances/{}/complete", None),
    ("PUT", "/instances/{}/readstatus?status=read", None),
    ("PUT", "/instances/{}/substatus", {"label": "x"}),
    ("PUT", "/instances/{}/presentationtexts", {"texts": {}}),
    ("PUT", "/instances/{}/datavalues", {"values": {}}),
    ("PUT", "/instances/{}/process", {}),
    ("PUT", "/instances/{}/process/instanceandevents", {"state": {}}),
    ("GET", "/instances/{}/process/history", None),
    ("GET", "/instances/{}/dataelements", None),
    ("POST", "/instances/{}/data?dataType=model", {}),
    ("GET", "/instances/{}/events", None),
    ("POST", "/instances/{}/events", {"instanceId": "x"}),
    ("POST", "/instances/{}/lock", {"ttlSeconds": 1}),
    ("POST", "/instances/{}/sign", {"signatureDocumentDataType": "signatur", "signee": {"userId": "1"}}),
    ("GET", "/sbl/instances/{}", None),
    ("GET", "/sbl/instances/{}/events", None),
    ("PUT", "/sbl/instances/{}/undelete", None),
    ("DELETE", "/sbl/instances/{}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_without_a_valid_token_nothing_is_answered(world, method, path, body):
    instance = await world.instance()
    path = path.format(instance["id"])
    assert (await world.call(method, path, json=body)).status_code == 401
    token = world.user()
    tampered = token[:-6] + ("AAAAAA" if not token.endswith("AAAAAA") else "BBBBBB")
    answer = await world.call(method, path, tampered, json=body)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path", "body"), [each for each in ROUTES if "{}" in each[1]])
async def test_a_person_without_a_role_is_refused(world, method, path, body):
    instance = await world.instance()
    answer = await world.call(method, path.format(instance["id"]), world.user(1002), json=body)
    assert answer.status_code == 403
    stored = await world.get(instance)
    assert stored["version"] == 1


@pytest.mark.parametrize(("method", "path", "body"), [each for each in ROUTES if "{}" in each[1]])
async def test_a_token_for_another_owners_apps_is_refused(world, method, path, body):
    instance = await world.instance()
    for token in (
        world.user(aud="https://skd.apps.havn.example"),
        world.owner(aud="https://skd.apps.havn.example"),
    ):
        answer = await world.call(method, path.format(instance["id"]), token, json=body)
        assert answer.status_code == 403, answer.text


async def test_a_token_for_the_apps_own_owner_is_taken(world):
    instance = await world.instance()
    await world.get(instance, world.user(aud="https://ttd.apps.havn.example"))


async def test_searches_with_an_owners_audience_show_that_owner_only(world):
    await world.instance(50_001)
    await world.instance(50_001, app="skd/krav")
    query = "/instances?instanceOwner.partyId=50001"
    everything = await world.call("GET", query, world.user())
    assert everything.json()["count"] == 2
    narrow = await world.call("GET", query, world.user(aud="https://skd.apps.havn.example"))
    assert [each["org"] for each in narrow.json()["instances"]] == ["skd"]
    refused = await world.call("GET", f"{query}&org=ttd", world.user(aud="https://skd.apps.havn.example"))
    assert refused.status_code == 403
    box = {"instanceOwnerPartyIdList": [50001]}
    lines = await world.call("POST", "/sbl/instances/search", world.user(aud="https://skd.apps.havn.example"), json=box)
    assert [each["org"] for each in lines.json()] == ["skd"]


async def test_a_stronger_sign_in_is_asked_for_in_the_answer(world):
    instance = await world.instance()
    policy = world.facts.policies["ttd/skjema"].replace(
        b"</Policy>",
        b'<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="Permit">'
        b'<AttributeAssignmentExpression AttributeId="urn:altinn:obligation1-assignment1"'
        b' Category="urn:altinn:minimum-authenticationlevel">'
        b'<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">4</AttributeValue>'
        b"</AttributeAssignmentExpression></ObligationExpression></ObligationExpressions></Policy>",
    )
    world.facts.policies["ttd/skjema"] = policy
    answer = await world.call("GET", f"/instances/{instance['id']}", world.user())
    assert answer.status_code == 403
    assert answer.json()["RequiredAuthenticationLevel"] == "4"
    strong = await world.call("GET", f"/instances/{instance['id']}", world.user(**{"urn:altinn:authlevel": 4}))
    assert strong.status_code == 200


async def test_the_policys_task_is_the_stored_one(world):
    instance = await world.instance(task="Task_2", task_type="signing")
    path = f"/instances/{instance['id']}/data?dataType=model"
    assert (await world.call("POST", path, world.user(), content=b"x")).status_code == 403
    assert (await world.call("POST", path, world.owner(), content=b"x")).status_code == 201


async def test_a_reader_reads_and_does_not_write(world):
    instance = await world.instance()
    element = await world.element(instance)
    path = f"/instances/{instance['id']}"
    assert (await world.call("GET", f"{path}/data/{element['id']}", world.user(1003))).status_code == 200
    assert (await world.call("PUT", f"{path}/data/{element['id']}", world.user(1003), content=b"x")).status_code == 403
    assert (await world.call("DELETE", f"{path}/data/{element['id']}", world.user(1003))).status_code == 403
    assert (await world.call("PUT", f"{path}/data/{element['id']}/lock", world.user(1003))).status_code == 403
    assert (await world.call("DELETE", f"{path}/data/{element['id']}/lock", world.user(1003))).status_code == 403


async def test_elements_of_a_type_that_takes_an_action_are_hidden_from_others(world):
    instance = await world.instance()
    open_element = await world.element(instance)
    secret = await world.element(instance, "internt", token=world.owner())
    path = f"/instances/{instance['id']}"

    async def shown(route: str, token: str, platform: str | None = None) -> set[str]:
        body = (await world.call("GET", path + route, token, platform=platform)).json()
        return {each["id"] for each in body.get("data", body.get("dataElements", []))}

    both = {open_element["id"], secret["id"]}
    for route in ("", "/dataelements"):
        assert await shown(route, world.user()) == {open_element["id"]}
        assert await shown(route, world.owner()) == both
        assert await shown(route, world.user(), world.component("ttd", "skjema")) == both
        assert await shown(route, world.user(), world.component("ttd", "en-annen")) == {open_element["id"]}
    found = (await world.call("GET", "/instances?instanceOwner.partyId=50001", world.user())).json()["instances"]
    assert [each["id"] for each in found[0]["data"]] == [open_element["id"]]
    assert (await world.call("GET", f"{path}/data/{secret['id']}", world.user())).status_code == 403
    assert (await world.call("PUT", f"{path}/data/{secret['id']}", world.user(), content=b"x")).status_code == 403
    assert (await world.call("DELETE", f"{path}/data/{secret['id']}", world.user())).status_code == 403
    assert (await world.call("POST", f"{path}/data?dataType=internt", world.user(), content=b"x")).status_code == 403
    assert (await world.call("GET", f"{path}/data/{secret['id']}", world.owner())).status_code == 200


async def test_the_sync_scope_reads_and_deletes_but_does_not_complete_or_instantiate(world):
    instance = await world.instance()
    element = await world.element(instance)
    token = world.token(scope="altinn:storage/instances.syncadapter", **{"urn:altinn:orgNumber": "910000002"})
    path = f"/instances/{instance['id']}"
    assert (await world.call("GET", path, token)).status_code == 200
    assert (await world.call("GET", f"{path}/dataelements", token)).status_code == 403
    assert (await world.call("GET", f"{path}/data/{element['id']}", token)).status_code == 403
    assert (await world.call("PUT", f"{path}/datavalues", token, json={"values": {"a": "b"}})).status_code == 200
    assert (await world.call("POST", f"{path}/complete", token)).status_code == 403
    create = {"instanceOwner": {"partyId": "50001"}}
    assert (await world.call("POST", "/instances?appId=ttd/skjema", token, json=create)).status_code == 403
    assert (await world.call("DELETE", path, token)).status_code == 200
    lookalike = world.token(scope="altinn:storage/instances.syncadapter.not", **{"urn:altinn:orgNumber": "910000002"})
    assert (await world.call("GET", path, lookalike)).status_code == 403


async def test_what_was_allowed_in_one_task_is_decided_anew_when_the_task_changes_meanwhile(world):
    instance = await world.instance()
    started, moved = asyncio.Event(), asyncio.Event()

    async def slow():
        started.set()
        await moved.wait()
        yield b"written too late"

    upload = asyncio.create_task(
        world.call("POST", f"/instances/{instance['id']}/data?dataType=model", world.user(), content=slow())
    )
    await started.wait()
    state = {"currentTask": {"elementId": "Task_2", "altinnTaskType": "signing"}}
    assert (
        await world.call("PUT", f"/instances/{instance['id']}/process", world.user(), json=state)
    ).status_code == 200
    moved.set()
    assert (await upload).status_code == 403
    assert (await world.get(instance))["data"] == []


async def test_when_no_decision_can_be_made_the_answer_is_503(world):
    instance = await world.instance()
    world.facts.policies["ttd/skjema"] = b"<broken"
    answer = await world.call("GET", f"/instances/{instance['id']}", world.user())
    assert answer.status_code == 503
