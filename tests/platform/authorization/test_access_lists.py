"""Access lists: an app for some organisations only, whoever asks and wherever it is decided."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from havn.clients.credentials import Credentials
from havn.contracts.authorization import AttributePair, Grant, Receiver
from havn.kit import db
from havn.platform.authorization.store.access_lists import AccessListStore, ListFull, StoredMember

BASE = "/authorization/api/v1"
LISTS = "/resourceregistry/api/v1/access-lists"
MODE = "/resourceregistry/api/v1/resource/{}/access-list-mode"
JSON = {"content-type": "application/json"}
KARI, OLA = 501, 502
BAKERY, BRANCH, BOOKS = 5101, 5102, 5103
NUMBER = "urn:altinn:organization:identifier-no"
BAKERY_URN = f"urn:altinn:organization:uuid:00000000-0000-4000-8000-{BAKERY:012d}"
BRANCH_URN = f"urn:altinn:party:uuid:00000000-0000-4000-8000-{BRANCH:012d}"
SHOP_URN = f"{NUMBER}:310000019"
APP = "app_ttd_permit"
WRITE = "altinn:serviceowner altinn:resourceregistry/access-list.write"

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
async def lists(platform):
    database = await db.Database.open(platform.authorization_url, "authorization")
    yield AccessListStore(database)
    await database.close()


@pytest.fixture
def call(platform, http):
    async def send(method: str, path: str, body: Any = None, *, org: str = "ttd", scope: str = WRITE):
        content = msgspec.json.encode(body) if body is not None else None
        return await http.request(method, path, content=content, headers=JSON | platform.owner(org, scope=scope))

    return send


@pytest.fixture
def decide(platform, http, ask):
    async def decision(
        action: str = "read", of: int = BAKERY, who: dict[str, str] | None = None, explain: bool = False
    ):
        place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(of)}
        response = await http.request(
            "POST", f"{BASE}/decision?explain={explain}",
            content=ask(who or {"urn:altinn:userid": str(1000 + KARI)}, place, action),
            headers=JSON | platform.component("storage"),
        )  # fmt: skip
        return response.json()["response"][0]

    return decision


@pytest.fixture
async def limited(call) -> None:
    """The app is limited, and the list `pilots`, empty, is for it."""
    assert (await call("PUT", f"{LISTS}/ttd/pilots", {"name": "Pilots"})).status_code == 200
    assert (await call("PUT", f"{LISTS}/ttd/pilots/resource-connections/{APP}", {})).status_code == 200
    assert (await call("PUT", MODE.format(APP), {"accessListMode": "Enabled"})).status_code == 200


async def test_a_limited_app_is_for_listed_parties_only(call, limited, decide) -> None:
    refused = await decide(explain=True)
    assert refused["decision"] == "Deny"
    assert refused["status"]["statusCode"]["value"].endswith("status:ok")
    assert refused["obligations"] is None
    assert "access lists" in refused["explanation"]["sentences"][-1]
    added = await call("POST", f"{LISTS}/ttd/pilots/members", {"data": [BAKERY_URN]})
    assert [member["identifiers"][NUMBER] for member in added.json()["data"]] == ["310000001"]
    permitted = await decide()
    assert (permitted["decision"], len(permitted["obligations"])) == ("Permit", 2)
    assert (await decide(of=BRANCH))["decision"] == "Deny"
    await call("DELETE", f"{LISTS}/ttd/pilots/members", {"data": [BAKERY_URN]})
    assert (await decide())["decision"] == "Deny"
    await call("PUT", MODE.format(APP), {"accessListMode": "Disabled"})
    assert (await decide())["decision"] == "Permit"


async def test_owners_and_delegated_rights_are_limited_too(call, limited, decide, client, platform) -> None:
    owner = {"urn:altinn:org": "ttd"}
    pairs = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "permit")]
    ola = {"urn:altinn:userid": str(1000 + OLA)}
    await call("PUT", f"{LISTS}/ttd/pilots/members", {"data": [BAKERY_URN]})
    await client.delegate(Grant(BAKERY, Receiver(user_id=1502), pairs, "read"), Credentials(platform.user_token(KARI)))
    assert (await decide(who=owner))["decision"] == (await decide(who=ola))["decision"] == "Permit"
    await call("DELETE", f"{LISTS}/ttd/pilots")
    assert (await decide(who=owner))["decision"] == (await decide(who=ola))["decision"] == "Deny"


async def test_a_list_may_be_for_some_actions(call, limited, decide) -> None:
    await call("POST", f"{LISTS}/ttd/pilots/members", {"data": [BAKERY_URN, BRANCH_URN]})
    await call("PUT", f"{LISTS}/ttd/pilots/resource-connections/{APP}", {"actionFilters": ["read"]})
    assert (await decide())["decision"] == "Permit"
    assert (await decide("instantiate"))["decision"] == "Deny"
    await call("PUT", f"{LISTS}/ttd/starters", {"name": "Starters"})
    await call("PUT", f"{LISTS}/ttd/starters/resource-connections/{APP}", {"actionFilters": ["instantiate"]})
    await call("POST", f"{LISTS}/ttd/starters/members", {"data": [BAKERY_URN]})
    assert (await decide("instantiate"))["decision"] == "Permit"
    assert (await decide("instantiate", of=BRANCH))["decision"] == "Deny"
    gone = await call("DELETE", f"{LISTS}/ttd/starters/resource-connections/{APP}")
    assert gone.status_code == 204
    assert (await decide("instantiate"))["decision"] == "Deny"


async def test_components_ask_what_lists_say(call, limited, http, platform) -> None:
    await call("POST", f"{LISTS}/ttd/pilots/members", {"data": [BAKERY_URN]})
    await call("PUT", f"{LISTS}/ttd/pilots/resource-connections/{APP}", {"actionFilters": ["read"]})

    async def verdict(subject: str, action: str = "read", resource: str = APP) -> str:
        type_, _, value = subject.rpartition(":")
        question = {
            "subject": {"type": type_, "value": value},
            "resource": {"type": "urn:altinn:resource", "value": resource},
            "action": {"type": "urn:oasis:names:tc:xacml:1.0:action:action-id", "value": action},
        }
        answer = await http.request(
            "POST", f"{BASE}/accesslist/accessmanagement/authorization", content=msgspec.json.encode(question),
            headers=JSON | platform.component("storage"),
        )  # fmt: skip
        assert {name: answer.json()[name] for name in question} == question
        return str(answer.json()["result"])

    assert await verdict(BAKERY_URN) == "Authorized"
    await call("POST", f"{LISTS}/ttd/pilots/members", {"data": [SHOP_URN]})
    assert await verdict(SHOP_URN) == "Authorized"
    assert await verdict(BAKERY_URN, "write") == await verdict(BRANCH_URN) == "NotAuthorized"
    assert await verdict(f"{NUMBER}:999999999") == await verdict(BAKERY_URN, resource="nav_x") == "NotDetermined"
    assert await verdict(BRANCH_URN, resource="app_ttd_open") == "Authorized"
    members = await http.request(
        "GET", f"{LISTS}/memberships", params={"party": BAKERY_URN, "resource": APP},
        headers=platform.component("storage"),
    )  # fmt: skip
    assert [entry["actionFilters"] for entry in members.json()["data"]] == [["read"]]
    lists = await http.request(
        "GET", f"{LISTS}/get-by-member", params={"party": BAKERY_URN}, headers=platform.component("storage")
    )
    assert [entry["identifier"] for entry in lists.json()["data"]] == ["pilots"]
    for path in (f"{LISTS}/memberships?party={BAKERY_URN}&resource={APP}", f"{LISTS}/get-by-member?party={BAKERY_URN}"):
        assert (await http.request("GET", path, headers=platform.app())).status_code == 401
        assert (await http.request("GET", path)).status_code == 401


async def test_lists_are_told_to_their_owner_only(call, limited, http, platform) -> None:
    one = f"{LISTS}/ttd/pilots"
    assert [entry["identifier"] for entry in (await call("GET", f"{LISTS}/ttd")).json()["data"]] == ["pilots"]
    assert (await call("GET", one)).json()["name"] == "Pilots"
    assert (await call("GET", f"{one}/resource-connections")).json()["data"] == [
        {"resourceIdentifier": APP, "actionFilters": None}
    ]
    assert (await call("GET", one, org="skd")).status_code == 403
    assert (await call("GET", one, scope="altinn:serviceowner")).status_code == 403
    read_only = "altinn:resourceregistry/access-list.read"
    assert (await call("GET", f"{one}/members", scope=read_only)).status_code == 200
    assert (await call("POST", f"{one}/members", {"data": [BAKERY_URN]}, scope=read_only)).status_code == 403
    assert (await http.request("GET", one, headers=platform.user(KARI))).status_code == 403
    assert (await http.request("GET", one)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", f"{LISTS}/ttd/UPPER", {"name": "x"}, 400),
        ("PUT", f"{LISTS}/ttd/pilots", {"name": ""}, 400),
        ("POST", f"{LISTS}/ttd/pilots/members", {"data": [f"{NUMBER}:123"]}, 400),
        ("POST", f"{LISTS}/ttd/pilots/members", {"data": [f"urn:altinn:partyid:{KARI}"]}, 400),
        ("POST", f"{LISTS}/ttd/pilots/members", {"data": ["x"] * 1001}, 400),
        ("POST", f"{LISTS}/ttd/none/members", {"data": []}, 404),
        ("PUT", f"{LISTS}/ttd/pilots/resource-connections/app_skd_tax", {}, 400),
        ("PUT", f"{LISTS}/ttd/pilots/resource-connections/{APP}", {"actionFilters": []}, 400),
        ("DELETE", f"{LISTS}/ttd/pilots/resource-connections/app_ttd_other", None, 404),
        ("DELETE", f"{LISTS}/ttd/none", None, 404),
        ("PUT", MODE.format("app_skd_tax"), {"accessListMode": "Enabled"}, 403),
    ],
)
async def test_what_makes_no_sense_is_refused(call, limited, method: str, path: str, body: Any, status: int) -> None:
    assert (await call(method, path, body)).status_code == status


async def test_two_who_fill_a_list_at_once_cannot_overfill_it(platform, lists, limited) -> None:
    now = platform.clock()

    def member(party: int) -> StoredMember:
        uuid = f"00000000-0000-4000-8000-{party:012d}"
        return StoredMember(party=party, party_uuid=uuid, org_number="310000001", since=now)

    async def add(*parties: int) -> bool:
        try:
            await lists.change_members(
                "ttd", "pilots", add=[member(party) for party in parties], remove=[], at_most=5, by="t"
            )
        except ListFull:
            return False
        return True

    done = await asyncio.gather(*(add(*range(first, first + 2)) for first in range(1, 13, 2)))
    assert sorted(done) == [False] * 4 + [True] * 2
    assert len(await lists.members("ttd", "pilots")) == 4
    assert await add(*[one.party for one in await lists.members("ttd", "pilots")])
    await lists.change_members("ttd", "pilots", add=[], remove=[1, 2], at_most=0, by="t")
