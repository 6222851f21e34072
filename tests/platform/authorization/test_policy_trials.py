"""Trying a policy through the API as the command line does: table, difference, cases, one request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

BASE = "/authorization/api/v1/policies/ttd/permit"
JSON = {"content-type": "application/json"}
ROLE = "urn:altinn:rolecode"

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def post(platform, http):
    async def send(path: str, body: Any, headers: Any = None) -> tuple[int, Any]:
        response = await http.request(
            "POST", f"{BASE}/{path}", content=msgspec.json.encode(body), headers=JSON | (headers or platform.owner())
        )
        return response.status_code, response.json()

    return send


@pytest.fixture
def narrower(make_policy) -> str:
    return str(make_policy.policy(make_policy.rule("readers", [(ROLE, "dagl")], ["read"])).decode())


async def test_a_policy_is_shown_as_a_table(post, narrower: str) -> None:
    status, found = await post("table", {"tasks": ["Task_7"]})
    assert status == 200
    cells = {(row["subject"], row["place"]): row["permitted"] for row in found["rows"]}
    leader = next(subject for subject, _ in cells if "dagl" in subject.lower())
    assert any("Task_7" in place for _, place in cells)
    assert "write" in cells[leader, next(place for _, place in cells if "Task_1" in place)]
    _, other = await post("table", {"policy": narrower})
    assert other["actions"] == ["read"]
    assert (await post("table", {"version": 1}))[1] == (await post("table", {}))[1]


async def test_a_difference_names_what_is_lost(post, narrower: str) -> None:
    status, found = await post("diff", {"after": {"policy": narrower}})
    assert status == 200
    assert found["gained"] == []
    assert {change["action"] for change in found["lost"]} >= {"write", "sign", "instantiate"}
    _, same = await post("diff", {"after": {"version": 1}})
    assert same["lost"] == same["gained"] == same["other"] == []


async def test_cases_are_tried(post, narrower: str) -> None:
    cases = [{"given": {"roles": ["dagl"], "task": "Task_1"}, "allow": ["read", "write"], "deny": ["sign"]}]
    assert (await post("test", {"cases": cases}))[1] | {"outcomes": []} == {"passed": 3, "failed": 0, "outcomes": []}
    _, found = await post("test", {"cases": cases, "policy": narrower})
    assert (found["passed"], found["failed"]) == (2, 1)
    assert [one["action"] for one in found["outcomes"] if not one["passed"]] == ["write"]
    for wrong in ([{"given": {}}], [{"given": {"nonsense": 1}, "allow": ["read"]}], 7, None):
        assert (await post("test", {"cases": wrong}))[1]["code"] == "cases_invalid"


async def test_a_request_is_decided_on_what_it_says(post, narrower: str, ask, platform) -> None:
    place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:task": "Task_1"}
    wanted = msgspec.json.decode(ask({ROLE: "dagl"}, place, "read", "write"))
    _, found = await post("decide", {"request": wanted})
    assert [one["decision"] for one in found["response"]] == ["Permit", "Permit"]
    _, found = await post("decide", {"request": wanted, "policy": narrower, "explain": True})
    assert [one["decision"] for one in found["response"]] == ["Permit", "NotApplicable"]
    assert len(found["explanations"]) == 2
    assert (await post("decide", {"request": {"Request": 1}}))[1]["code"] == "invalid_request"
    # Nothing of it is a decision that anybody made.
    assert await platform.sql("select 1 from decision") == []


@pytest.mark.parametrize("path", ["table", "diff", "test", "decide"])
async def test_only_the_owner_tries_and_what_is_wrong_is_said(post, platform, path: str) -> None:
    cases = {"cases": [{"given": {}, "allow": ["read"]}]}
    assert (await post(path, cases, platform.owner("skd")))[0] == 403
    assert (await post(path, cases, platform.component("deploy")))[0] in (200, 400)
    wrong = {"policy": "<Policy"}
    body = {"after": wrong} if path == "diff" else wrong | cases
    status, problem = await post(path, body)
    assert (status, problem["code"]) == (422, "policy_refused")
    both = wrong | {"version": 1}
    assert (await post(path, {"after": both} if path == "diff" else both | cases))[0] == 400
    missing = {"version": 99}
    assert (await post(path, {"after": missing} if path == "diff" else missing | cases))[0] == 404
