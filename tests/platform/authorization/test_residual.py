"""Which of these, by query: filters that agree with every single decision, and rows for what storage finds."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from havn.contracts.authorization import AttributePair, Grant, Receiver

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, OLA = 501, 502
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"
ACTIONS = ["read", "write", "sign", "fetch", "close"]

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def send(platform, http):
    async def post(path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        sent = JSON | (headers or platform.component("storage"))
        response = await http.request("POST", f"{BASE}/{path}", content=msgspec.json.encode(body), headers=sent)
        return response.status_code, response.json()

    return post


@pytest.fixture
def delegate(platform, http):
    async def give(action: str, instance: str | None = None, task: str | None = None) -> None:
        about = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "permit")]
        if task is not None:
            about.append(AttributePair("urn:altinn:task", task))
        grant = Grant(BAKERY, Receiver(user_id=1000 + OLA), about, action, instance_id=instance)
        response = await http.request(
            "POST", f"{BASE}/delegations", content=msgspec.json.encode(grant), headers=JSON | platform.user(KARI)
        )
        assert response.status_code == 201, response.text

    return give


def who(user: int) -> list[dict[str, str]]:
    return [{"id": "urn:altinn:userid", "value": str(1000 + user)}]


def holds(clause: dict[str, Any], named: dict[str, Any], place: dict[str, Any]) -> bool:
    """What a database would do with a clause."""
    if place["party"] not in clause["parties"]:
        return False
    if (instances := clause.get("instances")) is not None and place["instanceId"] not in instances:
        return False
    if clause.get("everywhere"):
        return True
    if (task := place.get("task")) is not None:
        return task in clause.get("tasks", ()) or (clause.get("otherTasks", False) and task not in named["namedTasks"])
    if (end := place.get("endEvent")) is not None:
        known = named["namedEndEvents"]
        return end in clause.get("endEvents", ()) or (clause.get("otherEndEvents", False) and end not in known)
    return bool(clause.get("notBegun", False))


async def test_a_filter_says_of_every_instance_what_a_decision_says(
    send, platform, http, make_policy, delegate
) -> None:
    role = "urn:altinn:rolecode"
    xml = make_policy.policy(
        make_policy.rule("leaders", [(role, "dagl")], ["read"]),
        make_policy.rule("write", [(role, "dagl")], ["write"], task="Task_1"),
        make_policy.rule("sign", [(role, "dagl")], ["sign"], task="Task_2"),
        make_policy.rule("not-yet", [(role, "dagl")], ["read"], task="Task_9", effect="Deny"),
        make_policy.rule("board", [(role, "medl")], ["close"]),
        obligations=make_policy.level(3, 2),
    )
    await http.request("PUT", f"{BASE}/policies/ttd/permit", content=xml, headers=platform.component("deploy"))
    await delegate("read", task="Task_1")
    await delegate("sign", instance=f"{BAKERY}/{GUID}", task="Task_2")
    places = [
        {"app": "ttd/permit", "party": party, "instanceId": f"{party}/{guid}", **stage}
        for party, guid, stage in itertools.product(
            (BAKERY, BRANCH, BOOKS, SHOP),
            (GUID, GUID[:-1] + "2"),
            (
                {"task": "Task_1"},
                {"task": "Task_2"},
                {"task": "Task_9"},
                {"task": "Elsewhere"},
                {"endEvent": "End"},
                {},
            ),
        )
    ]
    for user in (KARI, OLA):
        status, filters = await send(
            "decision/residual",
            {
                "subject": who(user),
                "actions": ACTIONS,
                "apps": ["ttd/permit"],
                "parties": [BAKERY, BRANCH, BOOKS, SHOP],
            },
        )
        assert status == 200
        _, rows = await send("decision/matrix", {"subject": who(user), "actions": ACTIONS, "resources": places})
        assert [found["action"] for found in filters] == ACTIONS
        for found in filters:
            assert not found.get("each")
            told = {"namedTasks": [], "namedEndEvents": []} | found
            by_filter = [any(holds(c, told, place) for c in found.get("clauses", ())) for place in places]
            assert by_filter == [found["action"] in row["allowed"] for row in rows], found
    signing = next(found for found in filters if found["action"] == "sign")
    assert signing["clauses"] == [
        {"parties": [BAKERY], "minLevel": 3, "tasks": ["Task_2"], "instances": [f"{BAKERY}/{GUID}"]}
    ]


async def test_parties_with_the_same_rights_share_a_clause(send) -> None:
    body = {"subject": who(KARI), "actions": ["read"], "apps": ["ttd/permit"], "parties": [BAKERY, SHOP, BRANCH]}
    _, [found] = await send("decision/residual", body)
    assert found["clauses"] == [{"parties": [BAKERY, BRANCH], "minLevel": 3, "everywhere": True}]


async def test_a_policy_about_single_instances_has_no_filter(send, platform, http, make_policy) -> None:
    async def each(xml: bytes) -> bool:
        await http.request("PUT", f"{BASE}/policies/ttd/permit", content=xml, headers=platform.component("deploy"))
        body = {"subject": who(KARI), "actions": ["read"], "apps": ["ttd/permit"], "parties": [BAKERY]}
        _, [found] = await send("decision/residual", body)
        return bool(found["each"] and not found["clauses"])

    rule = make_policy.rule("r", [("urn:altinn:rolecode", "dagl")], ["read"], task="Task_1")
    assert not await each(make_policy.policy(rule))
    equal = "urn:oasis:names:tc:xacml:1.0:function:string-equal"
    head, tail = rule.rsplit(f'MatchId="{equal}"', 1)
    folded = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"
    assert await each(make_policy.policy(f'{head}MatchId="{folded}"{tail}'))
    assert await each(make_policy.policy(rule.replace("urn:altinn:task", "urn:altinn:instance-id")))
    bag = (
        '<AttributeDesignator AttributeId="urn:altinn:task" Category="{}" DataType="{}" MustBePresent="false"/>'.format(
            "urn:oasis:names:tc:xacml:3.0:attribute-category:resource", "http://www.w3.org/2001/XMLSchema#string"
        )
    )
    sized = f'<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:string-bag-size">{bag}</Apply>'
    one = '<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">1</AttributeValue>'
    same = f'<Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:integer-equal">{sized}{one}</Apply>'
    assert await each(
        make_policy.policy(rule.replace("</Target></Rule>", f"</Target><Condition>{same}</Condition></Rule>"))
    )


async def test_an_app_without_policy_permits_nothing_and_wrong_questions_are_refused(send, platform) -> None:
    body: dict[str, Any] = {"subject": who(KARI), "actions": ["read"], "apps": ["ttd/none"], "parties": [BAKERY]}
    assert (await send("decision/residual", body))[1][0]["clauses"] == []
    for wrong in ({"apps": []}, {"parties": []}, {"actions": []}, {"parties": [0]}, {"apps": ["x"]}):
        assert (await send("decision/residual", body | wrong))[0] == 400
    assert (await send("decision/residual", body | {"parties": list(range(1, 6000))}))[0] == 413
    # An app about its owner's apps; a person about herself.
    assert (await send("decision/residual", body | {"apps": ["ttd/permit"]}, platform.app("skd", "tax")))[0] == 403
    assert (await send("decision/residual", body | {"apps": ["ttd/permit"]}, platform.user(OLA)))[0] == 403
    assert (await send("decision/residual", body | {"apps": ["ttd/permit"]}, platform.user(KARI)))[0] == 200


async def test_a_query_gives_rows_for_what_storage_finds_for_the_asker(send, platform) -> None:
    def instance(number: int, task: str | None) -> dict[str, Any]:
        process = {"currentTask": {"elementId": task}} if task else {"ended": "2026-11-01T00:00:00Z", "endEvent": "End"}
        return {
            "id": f"{BAKERY}/{GUID[:-1]}{number}", "appId": "ttd/permit", "org": "ttd",
            "instanceOwner": {"partyId": str(BAKERY)}, "process": process,
        }  # fmt: skip

    platform.found = {
        "count": 3, "self": None,
        "next": "http://platform/storage/api/v1/instances?size=3&continuationToken=12.abc",
        "instances": [instance(1, "Task_1"), instance(2, "Task_2"), instance(3, None)],
    }  # fmt: skip
    body = {"subject": who(KARI), "actions": ["read", "write", "sign"], "query": {"partyId": BAKERY, "size": 3}}
    status, page = await send("decision/matrix", body, platform.user(KARI))
    assert status == 200
    assert [row["allowed"] for row in page["rows"]] == [["read", "write"], ["read", "sign"], ["read"]]
    assert page["continuationToken"] == "12.abc"
    query, token = platform.storage_asked[-1]
    assert f"instanceOwner.partyId={BAKERY}" in query
    assert token.startswith("Bearer ")
    platform.found = {"count": 0, "self": None, "next": None, "instances": []}
    assert (await send("decision/matrix", body, platform.user(KARI)))[1] == {"rows": [], "continuationToken": None}
    assert (await send("decision/matrix", body))[1]["code"] == "query_needs_token"
    assert (await send("decision/matrix", body | {"resources": []}, platform.user(KARI)))[0] == 400
    assert (await send("decision/matrix", body | {"query": {"nonsense": 1}}, platform.user(KARI)))[0] == 400
