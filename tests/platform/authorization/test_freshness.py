"""Reading one's own writes: every write tells a version, and whoever demands it is not answered from before it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts.authorization import AttributePair, Grant, Receiver
from havn.guard.enforcement import Enforcement
from havn.guard.pep import Enforcer, Resource
from havn.guard.principal import from_claims
from havn.guard.remote import RemoteDecisionPoint
from havn.kit.problem import Problem

KARI, OLA, BAKERY = 501, 502, 5101
BASE = "/authorization/api/v1"
REGISTRY = "/resourceregistry/api/v1"
PERMIT = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "permit")]
VERSION = "X-Authz-Version"

pytestmark = pytest.mark.usefixtures("published")


def grant() -> bytes:
    given = Grant(from_party_id=BAKERY, to=Receiver(user_id=1000 + OLA), resource=PERMIT, action="read")
    return msgspec.json.encode(given)


def ola(platform, at_least: int | None = None):
    claims = {"urn:altinn:userid": str(1000 + OLA), "urn:altinn:partyid": OLA, "urn:altinn:authlevel": 3}
    found = from_claims(claims, token=platform.user_token(OLA))
    return msgspec.structs.replace(found, at_least=at_least)


async def give(platform, http) -> int:
    headers = {**platform.user(KARI), "content-type": "application/json"}
    response = await http.request("POST", f"{BASE}/delegations", content=grant(), headers=headers)
    assert response.status_code == 201, response.text
    return int(response.headers[VERSION])


async def test_every_kind_of_write_tells_a_newer_version(platform, http) -> None:
    deploy, kari = platform.component("deploy"), platform.user(KARI)
    owner = platform.owner(scope="altinn:resourceregistry/access-list.write")
    json = {"content-type": "application/json"}
    policy = (await http.request("GET", f"{BASE}/policies/ttd/permit", headers=deploy)).content
    lists = f"{REGISTRY}/access-lists/ttd/bakers"
    members = b'{"data": ["urn:altinn:party:uuid:00000000-0000-4000-8000-000000005101"]}'
    role = msgspec.json.encode(Grant(BAKERY, Receiver(user_id=1000 + OLA), role="utinn"))
    limited = b'{"accessListMode": "Enabled"}'
    writes = [
        ("PUT", f"{BASE}/policies/ttd/permit", policy + b"\n", deploy),
        ("POST", f"{BASE}/policies/ttd/permit/versions/1/activate", b"", deploy),
        ("POST", f"{BASE}/delegations", grant(), {**kari, **json}),
        ("POST", f"{BASE}/delegations", role, {**kari, **json}),
        ("PUT", lists, b'{"name": "Bakers"}', {**owner, **json}),
        ("PUT", f"{lists}/resource-connections/app_ttd_permit", b"{}", {**owner, **json}),
        ("POST", f"{lists}/members", members, {**owner, **json}),
        ("PUT", f"{REGISTRY}/resource/app_ttd_permit/access-list-mode", limited, {**owner, **json}),
        ("DELETE", lists, b"", owner),
    ]  # fmt: skip
    told = []
    for method, path, body, headers in writes:
        response = await http.request(method, path, content=body, headers=headers)
        assert response.status_code < 300, (path, response.text)
        told.append(int(response.headers[VERSION]))
    # A list by itself decides nothing until it is for an app: it makes no version of its own.
    assert [version - told[0] for version in told] == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    refused = await http.request("PUT", f"{BASE}/policies/ttd/permit", content=b"<x/>", headers=deploy)
    assert refused.status_code == 422
    assert VERSION not in refused.headers


async def test_one_transaction_makes_one_version_in_the_order_of_commits(platform, http) -> None:
    first = await give(platform, http)
    many = [give(platform, http) for _ in range(5)]
    assert max(await asyncio.gather(*many)) == first + 5
    heard = await platform.sql("select version from state")
    assert heard[0]["version"] == first + 5


async def test_a_right_just_given_counts_wherever_its_version_is_demanded(platform, http) -> None:
    remote = Enforcer(RemoteDecisionPoint(AuthorizationClient(http), platform.signer("platform", "storage")))
    snapshot = Enforcement(AuthorizationClient(http), platform.signer("platform", "storage"), clock=platform.clock)
    place = Resource("ttd", "permit", BAKERY)
    async with snapshot.running() as enforcer:
        async with asyncio.timeout(10):
            while not snapshot.stream.fresh():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not (await enforcer.decide(ola(platform), place, ["read"]))["read"].permitted
        made = await give(platform, http)
        for point in (remote, enforcer):
            assert (await point.decide(ola(platform, made), place, ["read"]))["read"].permitted


async def test_a_version_that_was_never_made_is_told_apart(platform, http) -> None:
    made = await give(platform, http)
    remote = Enforcer(RemoteDecisionPoint(AuthorizationClient(http), platform.signer("platform", "storage")))
    with pytest.raises(Problem) as refusal:
        await remote.require(ola(platform, made + 1000), Resource("ttd", "permit", BAKERY), "read")
    assert (refusal.value.status, refusal.value.code) == (409, "version_not_made")
    rights = f"{BASE}/rights?app=ttd/permit&party={BAKERY}"
    fine = await http.request("GET", f"{rights}&atLeast={made}", headers=platform.user(OLA))
    assert fine.status_code == 200
    assert [right["action"] for right in fine.json()[0]["rights"]] == ["read"]
    for text in ("x", "-1", "9" * 30):
        wrong = await http.request("GET", f"{rights}&atLeast={text}", headers=platform.user(OLA))
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_version")
    wrong = await http.request("GET", rights, headers={**platform.user(OLA), VERSION: "newest"})
    assert wrong.json()["code"] == "invalid_version"


async def test_clients_carry_the_version_along(platform) -> None:
    assert Credentials(at_least=12).headers() == {VERSION: "12"}
    assert VERSION not in Credentials("t").headers()
