"""What may I do, and what may somebody do with each of many: the same answers as single decisions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, OLA = 501, 502
BAKERY, SHOP = 5101, 5104
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a1"

pytestmark = pytest.mark.usefixtures("published")


async def test_a_person_sees_what_they_may_do_at_each_place(platform, http) -> None:
    response = await http.request("GET", f"{BASE}/rights?app=ttd/permit&party={BAKERY}", headers=platform.user(KARI))
    held = {place["task"]: {right["action"] for right in place["rights"]} for place in response.json()}
    assert held["Task_1"] - held[None] == {"write"}
    assert held["Task_2"] - held[None] == {"sign"}
    assert {"read", "instantiate"} <= held[None]
    assert "complete" not in held[None]
    assert {right["minLevel"] for place in response.json() for right in place["rights"]} == {3}
    none = await http.request("GET", f"{BASE}/rights?app=ttd/permit&party={SHOP}", headers=platform.user(KARI))
    assert all(place["rights"] == [] for place in none.json())


@pytest.mark.parametrize(
    ("query", "status"),
    [("app=ttd/permit&party=x", 400), ("app=permit&party=1", 400), ("app=ttd/none&party=1", 404), ("party=1", 400)],
)
async def test_a_question_that_names_nothing_is_refused(platform, http, query: str, status: int) -> None:
    assert (await http.request("GET", f"{BASE}/rights?{query}", headers=platform.user(KARI))).status_code == status
    assert (await http.request("GET", f"{BASE}/rights?{query}")).status_code == 401


def question(user: int, count: int = 2, actions: int = 0) -> bytes:
    resources: list[dict[str, Any]] = [
        {"app": "ttd/permit", "party": BAKERY, "instanceId": f"{BAKERY}/{GUID}{n % 10}", "task": f"Task_{n + 1}"}
        for n in range(count)
    ]
    return msgspec.json.encode(
        {
            "subject": [{"id": "urn:altinn:userid", "value": str(1000 + user)}],
            "actions": ["read", "write", "sign", *(f"a{n}" for n in range(actions))],
            "resources": resources,
        }
    )


async def test_a_matrix_tells_each_instance_in_order(platform, http) -> None:
    path = f"{BASE}/decision/matrix"
    headers = JSON | platform.component("storage")
    response = await http.request("POST", path, content=question(KARI), headers=headers)
    assert response.json() == [
        {"instanceId": f"{BAKERY}/{GUID}0", "allowed": ["read", "write"], "minLevel": 3},
        {"instanceId": f"{BAKERY}/{GUID}1", "allowed": ["read", "sign"], "minLevel": 3},
    ]
    assert [
        row["allowed"] for row in (await http.request("POST", path, content=question(OLA), headers=headers)).json()
    ] == [
        [],
        [],
    ]
    own = await http.request("POST", path, content=question(KARI), headers=JSON | platform.user(KARI))
    assert own.json() == response.json()
    foreign = await http.request("POST", path, content=question(KARI), headers=JSON | platform.user(OLA))
    assert foreign.status_code == 403
    many = await http.request("POST", path, content=question(KARI, 1000, 3), headers=headers)
    assert many.status_code == 413


async def test_a_matrix_is_not_answered_without_facts(platform, http) -> None:
    await http.request(
        "POST", f"{BASE}/decision/matrix", content=question(OLA), headers=JSON | platform.component("storage")
    )
    platform.register_away = True
    await http.request("GET", f"{BASE}/health")
    platform.clock.forward(minutes=20)
    response = await http.request(
        "POST", f"{BASE}/decision/matrix", content=question(KARI), headers=JSON | platform.component("storage")
    )
    assert response.status_code == 503
