"""What the information point tells components: roles and packages between parties, and what was delegated."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from havn.contracts.authorization import AttributePair, Grant, Receiver

AUTHZ = "/authorization/api/v1"
BASE = "/accessmanagement/api/v1/policyinformation"
JSON = {"content-type": "application/json"}
KARI, OLA, EVA = 501, 502, 503
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"
APP = [{"id": "urn:altinn:org", "value": "ttd"}, {"id": "urn:altinn:app", "value": "permit"}]

pytestmark = pytest.mark.usefixtures("published")


def uuid_of(party: int) -> str:
    return f"00000000-0000-4000-8000-{party:012d}"


@pytest.fixture
def get(platform, http):
    async def ask(path: str, to: Any, giver: Any, headers: Any = None) -> Any:
        return await http.request(
            "GET", f"{BASE}/{path}?to={to}&from={giver}", headers=headers or platform.component("storage")
        )

    return ask


@pytest.fixture
def changes(platform, http):
    async def ask(subject: tuple[str, Any], party: tuple[str, Any], resource: Any = None) -> Any:
        body = {
            "subject": {"id": subject[0], "value": str(subject[1])},
            "party": {"id": party[0], "value": str(party[1])},
            "resource": APP if resource is None else resource,
        }
        response = await http.request(
            "POST", f"{BASE}/getdelegationchanges", content=msgspec.json.encode(body),
            headers=JSON | platform.component("storage"),
        )  # fmt: skip
        assert response.status_code == 200, response.text
        return response.json()

    return ask


@pytest.fixture
def give(platform, http):
    async def make(to: Receiver, action: str = "read", instance: str | None = None) -> str:
        about = [AttributePair(**pair) for pair in APP]
        grant = Grant(BAKERY, to, about, action, instance_id=instance)
        response = await http.request(
            "POST", f"{AUTHZ}/delegations", content=msgspec.json.encode(grant), headers=JSON | platform.user(KARI)
        )
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    return make


async def test_roles_are_told_in_the_new_and_the_old_form(get) -> None:
    found = (await get("roles-and-accesspackages", uuid_of(KARI), uuid_of(BAKERY))).json()
    assert "urn:altinn:rolecode:dagl" in found["roles"]
    assert "urn:altinn:external-role:ccr:daglig-leder" in found["roles"]
    assert "urn:altinn:accesspackage:skattegrunnlag" in found["accessPackages"]
    packages = (await get("accesspackages", uuid_of(KARI), uuid_of(BAKERY))).json()
    assert packages == found["accessPackages"]
    stranger = (await get("roles-and-accesspackages", uuid_of(KARI), uuid_of(SHOP))).json()
    assert stranger == {"roles": [], "accessPackages": []}


async def test_only_components_are_told(get, platform, http) -> None:
    assert (await get("accesspackages", uuid_of(KARI), uuid_of(BAKERY), platform.app())).status_code in (401, 403)
    assert (await get("accesspackages", uuid_of(KARI), uuid_of(BAKERY), platform.user(KARI))).status_code in (401, 403)
    assert (await get("accesspackages", "x", uuid_of(BAKERY))).status_code == 400
    assert (await get("accesspackages", uuid_of(KARI), uuid_of(9999))).status_code == 404
    assert (await http.request("POST", f"{BASE}/getdelegationchanges", content=b"{}")).status_code == 401


async def test_a_delegation_is_told_once_for_each_giver_and_receiver(changes, give, platform, http) -> None:
    ola, bakery = ("urn:altinn:userid", 1000 + OLA), ("urn:altinn:partyid", BAKERY)
    assert await changes(ola, bakery) == []
    await give(Receiver(user_id=1000 + OLA))
    second = await give(Receiver(user_id=1000 + OLA), "instantiate")
    await give(Receiver(user_id=1000 + OLA), "read", f"{BAKERY}/{GUID}")
    general, special = await changes(ola, bakery)
    assert (general["delegationchangetype"], general["resourceid"]) == (1, "app_ttd_permit")
    assert (general["fromuuid"], general["fromuuidtype"]) == (uuid_of(BAKERY), "urn:altinn:organization:uuid")
    assert (general["coveredbyuserid"], general["performedbyuserid"]) == (1000 + OLA, 1000 + KARI)
    assert general["blobstoragepolicypath"] is None
    assert special["instanceid"] == f"{BAKERY}/{GUID}"
    # Something taken back while something remains; then nothing remains.
    await http.request("DELETE", f"{AUTHZ}/delegations/{second}", headers=platform.user(KARI))
    after = next(one for one in await changes(ola, bakery) if one["instanceid"] is None)
    assert after["delegationchangetype"] == 2
    assert after["delegationchangeid"] > general["delegationchangeid"]
    # What the main unit gives holds for the branch, but not what it gives on one instance.
    branch = await changes(ola, ("urn:altinn:party:uuid", uuid_of(BRANCH)))
    assert [(one["offeredbypartyid"], one["instanceid"]) for one in branch] == [(BAKERY, None)]
    assert await changes(ola, bakery, [{"id": "urn:altinn:resource", "value": "altinn_keyrole_access"}]) == []


async def test_what_an_organisation_was_given_is_told_of_its_key_people(changes, give) -> None:
    await give(Receiver(party_id=BOOKS))
    [found] = await changes(("urn:altinn:person:uuid", uuid_of(EVA)), ("urn:altinn:partyid", BAKERY))
    assert (found["coveredbypartyid"], found["touuid"]) == (BOOKS, uuid_of(BOOKS))
    assert await changes(("urn:altinn:userid", 1000 + OLA), ("urn:altinn:partyid", BAKERY)) == []
    [found] = await changes(("urn:altinn:partyid", BOOKS), ("urn:altinn:partyid", BAKERY))
    assert found["coveredbypartyid"] == BOOKS


async def test_a_question_that_names_nobody_is_refused(platform, http) -> None:
    named = {"id": "urn:altinn:userid", "value": "1501"}
    bakery = {"id": "urn:altinn:partyid", "value": str(BAKERY)}
    for body in (
        {"subject": named, "party": bakery, "resource": []},
        {"subject": {"id": "urn:x", "value": "1"}, "party": bakery, "resource": APP},
        {"subject": named | {"value": "x"}, "party": bakery, "resource": APP},
        {"subject": named, "party": {"id": "urn:altinn:party:uuid", "value": "x"}, "resource": APP},
    ):
        response = await http.request(
            "POST", f"{BASE}/getdelegationchanges", content=msgspec.json.encode(body),
            headers=JSON | platform.component("storage"),
        )  # fmt: skip
        assert response.status_code == 400
