"""Roles and parties: what people are told about themselves, and never about others."""

from __future__ import annotations

import pytest

from havn.clients.credentials import Credentials
from havn.contracts.authorization import AttributePair, Grant, Receiver

BASE = "/authorization/api/v1"
KARI, OLA, EVA, LISE = 501, 502, 503, 504
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104


async def test_roles_are_told_in_the_form_apps_read(http, platform) -> None:
    path = f"{BASE}/roles?coveredByUserId=1501&offeredByPartyId={BAKERY}"
    response = await http.request("GET", path, headers=platform.user(KARI))
    assert response.json() == [{"type": "altinn", "value": "DAGL"}]
    none = f"{BASE}/roles?coveredByUserId=1504&offeredByPartyId={BAKERY}"
    assert (await http.request("GET", none, headers=platform.user(LISE))).status_code == 404
    assert (await http.request("GET", path, headers=platform.user(LISE))).status_code == 403
    assert (await http.request("GET", path)).status_code == 401
    zero = f"{BASE}/roles?coveredByUserId=0&offeredByPartyId={BAKERY}"
    assert (await http.request("GET", zero, headers=platform.user(KARI))).status_code == 400


async def test_parties_are_those_one_may_act_for_with_sub_units_inside(http, platform) -> None:
    response = await http.request("GET", f"{BASE}/parties?userId=1501", headers=platform.user(KARI))
    tree = {party["partyId"]: party for party in response.json()}
    assert set(tree) == {KARI, BAKERY}
    assert [child["partyId"] for child in tree[BAKERY]["childParties"]] == [BRANCH]
    assert (await http.request("GET", f"{BASE}/parties?userId=1501", headers=platform.user(OLA))).status_code == 403
    assert (await http.request("GET", f"{BASE}/parties?userId=0", headers=platform.user(OLA))).status_code == 404


@pytest.mark.usefixtures("published")
async def test_a_delegation_makes_its_giver_a_party_to_act_for(http, platform, client) -> None:
    permit = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "permit")]
    path = f"{BASE}/parties/{BAKERY}/validate?userId=1504"
    assert (await http.request("GET", path, headers=platform.user(LISE))).json() is False
    await client.delegate(Grant(BAKERY, Receiver(user_id=1504), permit, "read"), Credentials(platform.user_token(KARI)))
    parties = (await http.request("GET", f"{BASE}/parties?userId=1504", headers=platform.user(LISE))).json()
    assert {party["partyId"] for party in parties} == {LISE, BAKERY}
    assert (await http.request("GET", path, headers=platform.user(LISE))).json() is True


async def test_a_party_is_validated(http, platform) -> None:
    for party, expected in ((BAKERY, True), (BRANCH, True), (KARI, True), (SHOP, False), (LISE, False), (99999, False)):
        path = f"{BASE}/parties/{party}/validate?userId=1501"
        assert (await http.request("GET", path, headers=platform.user(KARI))).json() is expected, party
    path = f"{BASE}/parties/0/validate?userId=1501"
    assert (await http.request("GET", path, headers=platform.user(KARI))).status_code == 404
