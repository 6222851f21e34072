"""Delegations: given by whoever may, bounded in time and length, and gone when they are taken back."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from havn.clients.credentials import Credentials
from havn.contracts.authorization import AttributePair, Grant, Receiver
from havn.kit.problem import Problem

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, OLA, EVA, LISE = 501, 502, 503, 504
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
PERMIT = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "permit")]
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def may(platform, http, ask):
    """Whether somebody may, asked as storage would."""

    async def decide(party: int, action: str, of: int = BAKERY, **more: str) -> bool:
        place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(of)}
        place |= {f"urn:altinn:{name.replace('_', '-')}": value for name, value in more.items()}
        body = ask({"urn:altinn:userid": str(1000 + party)}, place, action)
        response = await http.request(
            "POST", f"{BASE}/decision", content=body, headers=JSON | platform.component("storage")
        )
        return response.json()["response"][0]["decision"] == "Permit"

    return decide


@pytest.fixture
def as_(platform):
    return lambda party, **options: Credentials(platform.user_token(party, **options))


async def refused(call) -> Problem:
    with pytest.raises(Problem) as caught:
        await call
    return caught.value


def to(party: int) -> Receiver:
    return Receiver(user_id=1000 + party)


async def test_a_right_is_given_used_and_taken_back(client, as_, may) -> None:
    assert not await may(OLA, "read")
    given = await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read", reason="on leave"), as_(KARI))
    assert (given.kind, given.given_by, given.depth) == ("right", "user:1501", 0)
    assert await may(OLA, "read")
    assert not await may(OLA, "write", task="Task_1")
    assert not await may(LISE, "read")
    await client.revoke(given.id, as_(KARI))
    assert not await may(OLA, "read")
    ended = await client.delegations(as_(KARI), fromPartyId=BAKERY, includeEnded="true")
    assert ended[0].revoked_by == "user:1501"
    assert await client.delegations(as_(KARI), fromPartyId=BAKERY) == []


async def test_a_delegated_right_carries_the_policys_obligations(platform, http, client, as_, ask) -> None:
    await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read"), as_(KARI))
    place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(BAKERY)}
    response = await http.request(
        "POST", f"{BASE}/decision", content=ask({"urn:altinn:userid": "1502"}, place, "read"),
        headers=JSON | platform.component("storage"),
    )  # fmt: skip
    assert len(response.json()["response"][0]["obligations"]) == 2


async def test_a_right_for_a_task_is_for_that_task_only(client, as_, may) -> None:
    task = [*PERMIT, AttributePair("urn:altinn:task", "Task_1")]
    await client.delegate(Grant(BAKERY, to(OLA), task, "write"), as_(KARI))
    assert await may(OLA, "write", task="Task_1")
    assert not await may(OLA, "write", task="Task_2")


async def test_a_right_for_one_instance_is_for_that_instance_only(client, as_, may) -> None:
    await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read", instance_id=f"{BAKERY}/{GUID}"), as_(KARI))
    assert await may(OLA, "read", instance_id=f"{BAKERY}/{GUID}", task="Task_1")
    assert not await may(OLA, "read", instance_id=f"{BAKERY}/{GUID[:-1]}2", task="Task_1")
    assert not await may(OLA, "read")


async def test_what_is_over_or_not_yet_begun_does_not_count(platform, client, as_, may) -> None:
    now = platform.clock()
    grant = Grant(
        BAKERY, to(OLA), PERMIT, "read", valid_from=now + timedelta(hours=1), valid_to=now + timedelta(hours=2)
    )
    await client.delegate(grant, as_(KARI))
    assert not await may(OLA, "read")
    platform.clock.forward(minutes=61)
    assert await may(OLA, "read")
    platform.clock.forward(minutes=60)
    assert not await may(OLA, "read")


async def test_a_right_given_to_a_company_is_its_key_peoples(client, as_, may) -> None:
    await client.delegate(Grant(BAKERY, Receiver(party_id=BOOKS), PERMIT, "read"), as_(KARI))
    assert await may(EVA, "read")
    assert not await may(LISE, "read")


async def test_a_package_is_given_by_whoever_holds_it(client, as_, may) -> None:
    await client.delegate(Grant(BAKERY, to(LISE), access_package="skattegrunnlag"), as_(KARI))
    assert await may(LISE, "fetch")
    problem = await refused(client.delegate(Grant(BAKERY, to(LISE), access_package="ansvarlig-revisor"), as_(KARI)))
    assert problem.status == 403


async def test_register_roles_are_not_handed_out_by_those_who_do_not_hold_them(client, as_, may) -> None:
    problem = await refused(client.delegate(Grant(BAKERY, to(LISE), role="revi"), as_(KARI)))
    assert problem.status == 403
    given = await client.delegate(Grant(BAKERY, to(LISE), role="UTINN"), as_(KARI))
    assert given.role == "utinn"


async def test_nobody_gives_what_is_not_theirs(client, as_) -> None:
    for giver, party in ((OLA, BAKERY), (LISE, BAKERY), (KARI, SHOP), (EVA, BAKERY)):
        problem = await refused(client.delegate(Grant(party, to(LISE), PERMIT, "read"), as_(giver)))
        assert problem.status == 403, (giver, party)
    # Kari administers the bakery, but may not herself do this.
    problem = await refused(client.delegate(Grant(BAKERY, to(LISE), PERMIT, "complete"), as_(KARI)))
    assert problem.status == 403


async def test_a_chain_is_bounded_and_ends_where_it_began(platform, client, as_, may) -> None:
    until = platform.clock() + timedelta(days=30)
    first = await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read", further=1, valid_to=until), as_(KARI))
    second = await client.delegate(
        Grant(BAKERY, to(LISE), PERMIT, "read", valid_to=until + timedelta(days=30)), as_(OLA)
    )
    assert (second.parent, second.depth) == (first.id, 1)
    assert second.valid_to == first.valid_to
    assert await may(LISE, "read")
    problem = await refused(client.delegate(Grant(BAKERY, to(EVA), PERMIT, "read"), as_(LISE)))
    assert problem.status == 403
    problem = await refused(client.delegate(Grant(BAKERY, to(EVA), PERMIT, "read", further=1), as_(OLA)))
    assert problem.code == "chain_too_long"
    problem = await refused(client.delegate(Grant(BAKERY, to(EVA), PERMIT, "read", further=3), as_(KARI)))
    assert problem.code == "chain_too_long"
    await client.revoke(first.id, as_(KARI))
    assert not await may(LISE, "read")


async def test_what_is_passed_on_is_never_wider(client, as_) -> None:
    task = [*PERMIT, AttributePair("urn:altinn:task", "Task_1")]
    await client.delegate(Grant(BAKERY, to(OLA), task, "write", further=1), as_(KARI))
    assert (await refused(client.delegate(Grant(BAKERY, to(LISE), PERMIT, "write"), as_(OLA)))).status == 403
    assert (await client.delegate(Grant(BAKERY, to(LISE), task, "write"), as_(OLA))).depth == 1


@pytest.mark.parametrize(
    "grant",
    [
        Grant(BAKERY, Receiver(), PERMIT, "read"),
        Grant(BAKERY, Receiver(user_id=1502, party_id=BOOKS), PERMIT, "read"),
        Grant(BAKERY, Receiver(user_id=99), PERMIT, "read"),
        Grant(BAKERY, Receiver(party_id=99), PERMIT, "read"),
        Grant(BAKERY, Receiver(party_id=BAKERY), PERMIT, "read"),
        Grant(BAKERY, Receiver(system_user_id="x"), PERMIT, "read"),
        Grant(BAKERY, to(OLA)),
        Grant(BAKERY, to(OLA), PERMIT),
        Grant(BAKERY, to(OLA), PERMIT, "read", role="utinn"),
        Grant(BAKERY, to(OLA), [AttributePair("urn:altinn:org", "ttd")], "read"),
        Grant(BAKERY, to(OLA), [*PERMIT, AttributePair("urn:altinn:partyid", "1")], "read"),
        Grant(BAKERY, to(OLA), PERMIT, "read", instance_id=f"{SHOP}/{GUID}"),
        Grant(BAKERY, to(OLA), PERMIT, "x" * 300),
        Grant(BAKERY, to(OLA), PERMIT, "read", further=-1),
    ],
)
async def test_a_senseless_grant_is_400(client, as_, grant: Grant) -> None:
    assert (await refused(client.delegate(grant, as_(KARI)))).status == 400


async def test_only_those_concerned_see_a_delegation(client, http, platform, as_) -> None:
    given = await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read"), as_(KARI))
    path = f"{BASE}/delegations/{given.id}"
    for party, status in ((KARI, 200), (OLA, 200), (LISE, 404)):
        assert (await http.request("GET", path, headers=platform.user(party))).status_code == status
    assert (await refused(client.delegations(as_(LISE), fromPartyId=BAKERY))).status == 403
    assert (await refused(client.revoke(given.id, as_(LISE)))).status == 404
    assert [d.id for d in await client.delegations(as_(OLA), toUserId=1502)] == [given.id]
    await client.revoke(given.id, as_(OLA))
    assert (await refused(client.revoke("not-a-uuid", as_(KARI)))).status == 404


async def test_an_owners_app_or_a_weak_session_cannot_hand_out_rights(client, as_) -> None:
    grant = Grant(BAKERY, to(OLA), PERMIT, "read")
    for weak in (as_(KARI, level=1), as_(KARI, aud="http://ttd.apps.havn.example")):
        assert (await refused(client.delegate(grant, weak))).status == 403


class TestFromAMainUnit:
    """What a main unit delegates holds for its sub-units, and never the other way."""

    async def test_its_rights_hold_for_its_sub_units(self, client, as_, may) -> None:
        given = await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read"), as_(KARI))
        assert await may(OLA, "read", of=BRANCH)
        assert not await may(OLA, "read", of=SHOP)
        await client.revoke(given.id, as_(KARI))
        assert not await may(OLA, "read", of=BRANCH)

    async def test_a_sub_units_rights_are_its_own(self, client, as_, may) -> None:
        await client.delegate(Grant(BRANCH, to(OLA), PERMIT, "read"), as_(KARI))
        assert await may(OLA, "read", of=BRANCH)
        assert not await may(OLA, "read")

    async def test_packages_and_rights_to_companies_are_passed_down_too(self, client, as_, may) -> None:
        await client.delegate(Grant(BAKERY, Receiver(party_id=BOOKS), PERMIT, "read"), as_(KARI))
        await client.delegate(Grant(BAKERY, to(LISE), access_package="skattegrunnlag"), as_(KARI))
        assert await may(EVA, "read", of=BRANCH)
        assert await may(LISE, "fetch", of=BRANCH)

    async def test_a_right_to_an_instance_stays_with_its_owner(self, client, as_, may) -> None:
        await client.delegate(Grant(BAKERY, to(OLA), PERMIT, "read", instance_id=f"{BAKERY}/{GUID}"), as_(KARI))
        assert not await may(OLA, "read", of=BRANCH, instance_id=f"{BRANCH}/{GUID}", task="Task_1")

    async def test_a_system_user_of_the_main_unit_acts_for_its_sub_units(
        self, client, as_, http, platform, ask
    ) -> None:
        system = "11111111-2222-4333-8444-555555555555"
        await client.delegate(Grant(BAKERY, Receiver(system_user_id=system), PERMIT, "read"), as_(KARI))
        place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(BRANCH)}
        response = await http.request(
            "POST", f"{BASE}/decision", content=ask({"urn:altinn:systemuser:uuid": system}, place, "read"),
            headers=JSON | platform.component("storage"),
        )  # fmt: skip
        assert response.json()["response"][0]["decision"] == "Permit"

    async def test_its_sub_units_are_among_the_parties_one_may_act_for(self, client, as_, http, platform) -> None:
        await client.delegate(Grant(BAKERY, to(LISE), PERMIT, "read"), as_(KARI))
        found = await http.request("GET", f"{BASE}/parties?userId=1504", headers=platform.user(LISE))
        [main] = [party for party in found.json() if party["partyId"] == BAKERY]
        assert [child["partyId"] for child in main["childParties"]] == [BRANCH]


class TestByApps:
    """The routes by which signing gives signees access to one instance."""

    def body(self, action: str = "sign", task: str = "Task_2") -> bytes:
        import msgspec

        return msgspec.json.encode(
            {
                "from": {"type": "urn:altinn:party:uuid", "value": f"00000000-0000-4000-8000-{BAKERY:012d}"},
                "to": {"type": "urn:altinn:party:uuid", "value": f"00000000-0000-4000-8000-{LISE:012d}"},
                "rights": [
                    {
                        "resource": [
                            {"type": "urn:altinn:resource", "value": "app_ttd_permit"},
                            {"type": "urn:altinn:task", "value": task},
                        ],
                        "action": {"type": "urn:oasis:names:tc:xacml:1.0:action:action-id", "value": action},
                    }
                ],
            }
        )

    def path(self, verb: str, app: str = "permit") -> str:
        return f"/accessmanagement/api/v1/app/{verb}/resource/app_ttd_{app}/instance/{GUID}"

    async def test_a_signee_may_sign_that_instance_until_it_is_revoked(self, http, platform, may) -> None:
        headers = JSON | platform.app()
        given = await http.request("POST", self.path("delegations"), content=self.body(), headers=headers)
        assert given.status_code == 200
        assert given.json()["rights"][0]["status"] == "Delegated"
        assert await may(LISE, "sign", instance_id=f"{BAKERY}/{GUID}", task="Task_2")
        assert not await may(LISE, "sign", instance_id=f"{BAKERY}/{GUID[:-1]}2", task="Task_2")
        again = await http.request("POST", self.path("delegations"), content=self.body(), headers=headers)
        assert again.status_code == 200
        listed = await http.request("GET", self.path("delegations"), headers=headers)
        assert len(listed.json()["data"][0]["rights"]) == 1
        gone = await http.request("POST", self.path("delegationrevoke"), content=self.body(), headers=headers)
        assert gone.json()["rights"][0]["status"] == "Revoked"
        assert not await may(LISE, "sign", instance_id=f"{BAKERY}/{GUID}", task="Task_2")

    async def test_an_app_gives_only_what_its_policy_has_and_only_for_itself(self, http, platform) -> None:
        not_there = await http.request(
            "POST", self.path("delegations"), content=self.body("delete"), headers=JSON | platform.app()
        )
        assert not_there.status_code == 400
        assert not_there.json()["rights"][0]["status"] == "NotDelegated"
        foreign = await http.request(
            "POST", self.path("delegations", "other"), content=self.body(), headers=JSON | platform.app()
        )
        assert foreign.status_code == 403
        stranger = await http.request(
            "POST", self.path("delegations"), content=self.body(), headers=JSON | platform.app("skd", "tax")
        )
        assert stranger.status_code == 403
        nobody = await http.request("POST", self.path("delegations"), content=self.body(), headers=JSON)
        assert nobody.status_code == 401

    async def test_the_rights_it_may_give_are_listed(self, http, platform) -> None:
        response = await http.request("GET", self.path("delegationcheck"), headers=platform.app())
        assert {entry["action"]["value"] for entry in response.json()["data"]} >= {"read", "sign", "write"}


async def test_one_is_told_which_rights_one_may_give_and_why_not(platform, http) -> None:
    path = f"{BASE}/delegations/check?fromPartyId={BAKERY}&resource="

    async def check(who: int) -> dict[tuple[str, str | None], str | None]:
        response = await http.request("GET", f"{path}app_ttd_permit", headers=platform.user(who))
        assert response.status_code == 200, response.text
        found = {}
        for right in response.json():
            task = next((pair["value"] for pair in right["resource"] if pair["id"] == "urn:altinn:task"), None)
            assert right["status"] == ("NotDelegable" if right["reason"] else "Delegable")
            found[right["action"], task] = right["reason"]
        return found

    leader = await check(KARI)
    assert leader["read", None] is leader["write", "Task_1"] is leader["sign", "Task_2"] is None
    assert leader["complete", None] == "right-not-held"
    assert set((await check(OLA)).values()) == {"right-not-held"}
    for action, further in (("read", 1), ("instantiate", 0)):
        grant = Grant(BAKERY, Receiver(user_id=1000 + OLA), PERMIT, action, further=further)
        given = await http.request(
            "POST", "/authorization/api/v1/delegations", content=msgspec.json.encode(grant),
            headers={"content-type": "application/json", **platform.user(KARI)},
        )  # fmt: skip
        assert given.status_code == 201
    board = await check(OLA)
    assert board["read", None] is None
    assert board["instantiate", None] == "not-administrator"
    missing = await http.request(
        "GET",
        f"/authorization/api/v1/delegations/check?fromPartyId={BAKERY}&resource=none",
        headers=platform.user(KARI),
    )
    assert missing.status_code == 404
