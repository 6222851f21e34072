"""Delegation rules: the older routes, over the same delegations."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from havn.clients.credentials import Credentials
from havn.contracts.authorization import AttributePair, Grant, Receiver

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, OLA, EVA, LISE = 501, 502, 503, 504
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
APP = [{"id": "urn:altinn:org", "value": "ttd"}, {"id": "urn:altinn:app", "value": "permit"}]
TASK_1 = {"id": "urn:altinn:task", "value": "Task_1"}
ACTION = "urn:oasis:names:tc:xacml:1.0:action:action-id"

pytestmark = pytest.mark.usefixtures("published")


def to_user(party: int) -> list[dict[str, str]]:
    return [{"id": "urn:altinn:userid", "value": str(1000 + party)}]


def to_party(party: int) -> list[dict[str, str]]:
    return [{"id": "urn:altinn:partyid", "value": str(party)}]


def rule(action: str = "read", *, by: int = KARI, of: int = BAKERY, to: Any = None, resource: Any = None) -> Any:
    return {
        "delegatedByUserId": 1000 + by,
        "offeredByPartyId": of,
        "coveredBy": to or to_user(OLA),
        "resource": resource or APP,
        "action": {"id": ACTION, "value": action},
    }


def match(to: Any = None, of: int = BAKERY) -> Any:
    return {"offeredByPartyId": of, "resource": APP, "coveredBy": to or to_user(OLA)}


@pytest.fixture
def post(platform, http):
    headers = JSON | {"Authorization": f"Bearer {platform.token(**{'urn:altinn:app': 'sbl.authorization'})}"}

    async def send(path: str, body: Any, headers: dict[str, str] = headers):
        return await http.request(
            "POST", f"{BASE}/Delegations/{path}", content=msgspec.json.encode(body), headers=headers
        )

    return send


@pytest.fixture
def may(platform, http, ask):
    async def decide(party: int, action: str, of: int = BAKERY, **more: str) -> bool:
        place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(of)}
        place |= {f"urn:altinn:{name}": value for name, value in more.items()}
        body = ask({"urn:altinn:userid": str(1000 + party)}, place, action)
        response = await http.request(
            "POST", f"{BASE}/decision", content=body, headers=JSON | platform.component("storage")
        )
        return response.json()["response"][0]["decision"] == "Permit"

    return decide


async def test_a_rule_is_a_delegation_given_used_and_taken_back(post, may, client, platform) -> None:
    added = await post("AddRules", [rule(), rule("write", resource=[TASK_1, *reversed(APP)])])
    assert added.status_code == 201
    assert all(entry["createdSuccessfully"] and entry["ruleId"] for entry in added.json())
    assert await may(OLA, "read")
    assert await may(OLA, "write", task="Task_1")
    kari = Credentials(platform.user_token(KARI))
    ids = {entry["ruleId"] for entry in added.json()}
    assert {one.id for one in await client.delegations(kari, fromPartyId=BAKERY)} == ids
    gone = await post(
        "DeleteRules",
        [{"ruleIds": [added.json()[0]["ruleId"]], "deletedByUserId": 1000 + KARI, "policyMatch": match()}],
    )
    assert (gone.status_code, [entry["ruleId"] for entry in gone.json()]) == (200, [added.json()[0]["ruleId"]])
    assert not await may(OLA, "read")
    assert await may(OLA, "write", task="Task_1")
    rest = await post("DeletePolicy", [{"deletedByUserId": 1000 + KARI, "policyMatch": match()}])
    assert (rest.status_code, len(rest.json())) == (200, 1)
    assert not await may(OLA, "write", task="Task_1")


async def test_a_right_that_is_held_already_counts_as_written(post) -> None:
    first = (await post("AddRules", [rule()])).json()
    again = await post("AddRules", [rule(), rule()])
    assert again.status_code == 201
    assert {entry["ruleId"] for entry in again.json()} == {first[0]["ruleId"]}


async def test_rules_of_one_app_and_receiver_are_written_all_or_none(post, may) -> None:
    # Nobody may `delete` in this policy: Ola gets nothing, Lise her own.
    mixed = await post("AddRules", [rule(), rule("delete"), rule(to=to_user(LISE))])
    assert mixed.status_code == 206
    assert [entry["createdSuccessfully"] for entry in mixed.json()] == [False, False, True]
    assert mixed.json()[0]["ruleId"] == ""
    assert not await may(OLA, "read")
    assert await may(LISE, "read")


@pytest.mark.parametrize(
    "wrong",
    [
        rule(by=LISE),
        rule("complete"),
        rule("delete"),
        rule(resource=[*APP, TASK_1]),
        rule(of=SHOP),
        rule(by=88),
        rule(to=to_user(KARI) + to_party(BOOKS)),
        rule(to=[{"id": "urn:altinn:userid", "value": "x"}]),
        rule(resource=APP[:1]),
        {**rule(), "delegatedByUserId": None},
    ],
)
async def test_what_the_user_may_not_give_or_the_policy_lacks_is_400(post, wrong: Any) -> None:
    assert (await post("AddRules", [wrong])).status_code == 400


async def test_bodies_that_name_nothing_are_400(post) -> None:
    assert (await post("AddRules", [])).status_code == 400
    assert (await post("GetRules", {"coveredBy": to_user(OLA)})).status_code == 400
    entry = {"deletedByUserId": 1000 + KARI, "policyMatch": match()}
    assert (await post("DeleteRules", [entry])).status_code == 400
    assert (await post("DeletePolicy", [entry])).status_code == 400
    twice = await post("DeletePolicy", [entry, entry])
    assert (twice.status_code, twice.json()["code"]) == (400, "duplicate_match")


async def test_rules_are_told_with_how_they_came(post) -> None:
    await post("AddRules", [rule(to=to_user(EVA)), rule(to=to_party(BOOKS))])
    query = {
        "offeredByPartyId": BAKERY,
        "keyRolePartyIds": [BOOKS],
        "coveredBy": to_user(EVA),
        "resources": [APP],
    }
    found = (await post("GetRules", query)).json()
    assert {(entry["type"], entry["coveredBy"][0]["value"]) for entry in found} == {(1, "1503"), (2, str(BOOKS))}
    assert {entry["delegatedByUserId"] for entry in found} == {1000 + KARI}
    assert [e["type"] for e in (await post("GetRules?onlyDirectDelegations=true", query)).json()] == [1]
    below = {**query, "offeredByPartyId": BRANCH, "parentPartyId": BAKERY}
    assert {entry["type"] for entry in (await post("GetRules", below)).json()} == {3, 4}
    other = [{"id": "urn:altinn:org", "value": "ttd"}, {"id": "urn:altinn:app", "value": "other"}]
    assert (await post("GetRules", {**query, "resources": [other]})).json() == []


async def test_a_right_for_one_instance_is_no_rule(post, client, platform) -> None:
    pairs = [AttributePair(pair["id"], pair["value"]) for pair in APP]
    grant = Grant(
        BAKERY, Receiver(user_id=1502), pairs, "read", instance_id=f"{BAKERY}/2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"
    )
    await client.delegate(grant, Credentials(platform.user_token(KARI)))
    assert (await post("GetRules", {"offeredByPartyId": BAKERY, "coveredBy": to_user(OLA)})).json() == []


async def test_only_those_concerned_take_a_rule_back(post, may) -> None:
    [added] = (await post("AddRules", [rule()])).json()
    entry = {"ruleIds": [added["ruleId"]], "deletedByUserId": 1000 + LISE, "policyMatch": match()}
    assert (await post("DeleteRules", [entry])).status_code == 400
    assert await may(OLA, "read")
    unknown = {**entry, "deletedByUserId": 1000 + KARI, "ruleIds": [added["ruleId"], added["ruleId"][:-4] + "0000"]}
    assert (await post("DeleteRules", [unknown])).status_code == 206
    assert not await may(OLA, "read")


async def test_changes_are_replayed_by_number(post) -> None:
    added = (await post("AddRules", [rule(), rule("instantiate")])).json()
    for entry in added:
        body = {"ruleIds": [entry["ruleId"]], "deletedByUserId": 1000 + KARI, "policyMatch": match()}
        assert (await post("DeleteRules", [body])).status_code == 200
    replayed = await post("delegationchangeevents/replay?startId=1", None)
    events = replayed.json()["l"]
    assert [event["e"] for event in events] == [1, 1, 2, 3]
    assert events[0]["d"] | {"t": None} == {
        "i": events[0]["d"]["i"], "a": "ttd/permit", "o": BAKERY, "cp": None, "cu": 1502, "u": 1501, "t": None,
    }  # fmt: skip
    last = events[1]["d"]["i"]
    assert len((await post(f"delegationchangeevents/replay?startId=1&endId={last}", None)).json()["l"]) == 2
    assert (await post("delegationchangeevents/replay?startId=0", None)).status_code == 400
    assert (await post("delegationchangeevents/replay?startId=5&endId=4", None)).status_code == 422


@pytest.mark.parametrize("path", ["AddRules", "GetRules", "DeleteRules", "DeletePolicy"])
async def test_only_the_portals_back_end_is_let_in(post, platform, path: str) -> None:
    assert (await post(path, [], JSON)).status_code == 401
    assert (await post(path, [], JSON | platform.user(KARI))).status_code == 403
