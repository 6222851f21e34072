"""Profiles over HTTP: who reads whose, and what one may choose."""

from __future__ import annotations

from typing import Any

import pytest

BASE = "/profile/api/v1"
SETTINGS = f"{BASE}/users/current/profilesettings"
GROUPS = f"{BASE}/users/current/party-groups"


async def test_an_app_reads_the_profile_of_its_user(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    sindig = platform.parties["BJØRK SINDIG"]
    async with platform.client(token, app="ttd/skjema") as client:
        profile = (await client.get(f"{BASE}/users/20000001")).json()
        expected = {
            "userId": 20000001,
            "userUuid": sindig.uuid,
            "userName": "",
            "isReserved": False,
            "email": "sindig@example.no",
            "phoneNumber": "+4790000001",
            "partyId": 50000001,
            "userType": 1,
        }
        assert {name: profile[name] for name in expected} == expected
        assert profile["party"]["person"]["lastName"] == "BJØRK"
        assert profile["party"]["organization"] is None
        assert profile["profileSettingPreference"] == {
            "language": "nb",
            "preSelectedPartyId": 0,
            "doNotPromptForParty": False,
            "preselectedPartyUuid": None,
            "showClientUnits": False,
            "shouldShowSubEntities": True,
            "shouldShowDeletedEntities": False,
            "preselectedPartyUnavailable": False,
        }
        assert (await client.get(f"{BASE}/users/byuuid/{sindig.uuid}")).json() == profile
        for body in (sindig.number, {"ssn": sindig.number}):
            assert (await client.post(f"{BASE}/users", json=body)).json() == profile
        assert (await client.post(f"{BASE}/users", json=12)).status_code == 400
    async with platform.client(token) as browser:
        assert (await browser.get(f"{BASE}/users/current")).json() == profile


async def test_a_person_reads_another_only_when_they_share_a_party(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    colleague, stranger = platform.parties["ELG STOLT"], platform.parties["BEKK STILLE"]
    async with platform.client(token, app="ttd/skjema") as client:
        assert (await client.get(f"{BASE}/users/{colleague.user_id}")).status_code == 200
        foreign = await client.get(f"{BASE}/users/{stranger.user_id}")
        unknown = await client.get(f"{BASE}/users/29999999")
        assert foreign.status_code == unknown.status_code == 403
        assert foreign.json() == unknown.json()


async def test_an_owner_reads_any_profile_with_the_scope_for_it_only(platform: Any) -> None:
    await platform.deploy("ttd/skjema")
    for scope, status in (("altinn:serviceowner havn:profile/read", 200), ("altinn:serviceowner", 403)):
        async with platform.client() as client:
            foreign = await client.post(
                "https://login.havn.test/test-token", json={"organisation": "310000000", "scope": scope}
            )
        async with platform.client(foreign.json()) as client:
            token = (await client.get("/authentication/api/v1/exchange/maskinporten")).json()
        async with platform.client(token, app="ttd/skjema") as client:
            assert (await client.get(f"{BASE}/users/20000001")).status_code == status


async def test_a_profile_needs_the_apps_token_and_the_users(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    for options, status in (({}, 401), ({"token": token}, 403), ({"app": "ttd/skjema"}, 401)):
        async with platform.client(**options) as client:
            assert (await client.get(f"{BASE}/users/20000001")).status_code == status
    async with platform.client(app="ttd/skjema") as app:
        assert (await app.post(f"{BASE}/internal/user", json={"userId": 20000001})).status_code == 401
    async with platform.client(component="authentication") as component:
        assert (await component.post(f"{BASE}/internal/user", json={"userId": 20000001})).status_code == 200
        assert (await component.post(f"{BASE}/internal/user", json={"userId": 1})).status_code == 404


async def test_an_outage_of_register_is_503_and_never_no_such_user(platform: Any) -> None:
    platform.apps.away.add("register")
    async with platform.client(component="authentication") as component:
        answer = await component.post(f"{BASE}/internal/user", json={"userId": 20000001})
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


async def test_preferences_are_changed_one_by_one_or_all_at_once(platform: Any) -> None:
    company = platform.parties["LYSENDE FURU AS"]
    async with platform.client(await platform.token("Sindig Bjørk")) as client:
        patched = await client.patch(SETTINGS, json={"Language": "NN", "preSelectedPartyUuid": company.uuid})
        assert patched.status_code == 200
        assert patched.json()["language"] == "nn"
        assert patched.json()["preSelectedPartyId"] == company.id
        kept = (await client.patch(SETTINGS, json={"doNotPromptForParty": True})).json()
        assert (kept["language"], kept["doNotPromptForParty"]) == ("nn", True)
        full = {
            "languageType": "En",
            "doNotPromptForParty": False,
            "showClientUnits": True,
            "shouldShowSubEntities": False,
            "shouldShowDeletedEntities": True,
        }
        put = (await client.put(SETTINGS, json=full)).json()
        assert put == {
            "language": "en",
            "preSelectedPartyId": 0,
            "doNotPromptForParty": False,
            "preselectedPartyUuid": None,
            "showClientUnits": True,
            "shouldShowSubEntities": False,
            "shouldShowDeletedEntities": True,
            "preselectedPartyUnavailable": False,
        }
        missing = await client.put(SETTINGS, json={"language": "nb"})
        assert missing.status_code == 400
        assert "doNotPromptForParty" in missing.json()["detail"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"language": "de"}, 400),
        ({"language": 1}, 400),
        ({"doNotPromptForParty": "yes"}, 400),
        ({"preselectedPartyUuid": "x"}, 400),
        ({"preselectedPartyUuid": "00000000-0000-4000-8000-000000000000"}, 403),
    ],
)
async def test_a_wrong_preference_changes_nothing(platform: Any, change: dict[str, Any], status: int) -> None:
    async with platform.client(await platform.token("Sindig Bjørk")) as client:
        before = (await client.get(f"{BASE}/users/current")).json()
        assert (await client.patch(SETTINGS, json=change)).status_code == status
        assert (await client.get(f"{BASE}/users/current")).json() == before


async def test_a_chosen_party_that_is_gone_is_answered_as_none_and_said_so(platform: Any) -> None:
    async with platform.client(await platform.token("Glemsom Trost")) as client:
        preference = (await client.get(f"{BASE}/users/current")).json()["profileSettingPreference"]
        assert preference["preSelectedPartyId"] == 0
        assert preference["preselectedPartyUuid"] is None
        assert preference["preselectedPartyUnavailable"] is True


async def test_favourites_hold_parties_one_may_represent(platform: Any) -> None:
    company, stranger = platform.parties["LYSENDE FURU AS"], platform.parties["ENKEL BRYGGE"]
    async with platform.client(await platform.token("Sindig Bjørk")) as client:
        assert (await client.get(f"{GROUPS}/favorites")).json()["parties"] == []
        assert (await client.put(f"{GROUPS}/favorites/{company.uuid}")).status_code == 201
        assert (await client.put(f"{GROUPS}/favorites/{company.uuid}")).status_code == 204
        assert (await client.put(f"{GROUPS}/favorites/{stranger.uuid}")).status_code == 403
        favourites = (await client.get(f"{GROUPS}/favorites")).json()
        assert (favourites["isFavorite"], favourites["parties"]) == (True, [company.uuid])
        own = f"{GROUPS}/{favourites['groupId']}"
        assert (await client.patch(own, json={"name": "x"})).status_code == 422
        assert (await client.delete(own)).status_code == 422
        assert (await client.delete(f"{GROUPS}/favorites/{company.uuid}")).status_code == 204
        assert (await client.delete(f"{GROUPS}/favorites/{company.uuid}")).status_code == 404


async def test_groups_are_ones_own(platform: Any) -> None:
    company = platform.parties["LYSENDE FURU AS"]
    async with platform.client(await platform.token("Sindig Bjørk")) as client:
        made = await client.post(GROUPS, json={"name": "  Mine   firma "})
        assert made.status_code == 201
        group = f"{GROUPS}/{made.json()['groupId']}"
        assert made.json()["name"] == "Mine firma"
        assert (await client.post(GROUPS, json={"name": "Mine firma"})).status_code == 409
        added = (await client.put(f"{group}/associations/{company.uuid}")).json()
        assert added["parties"] == [company.uuid]
        assert (await client.patch(group, json={"name": "Andre"})).json()["name"] == "Andre"
        assert (await client.delete(f"{group}/associations/{company.uuid}")).json()["parties"] == []
        assert (await client.post(GROUPS, json={"name": " "})).status_code == 400
        async with platform.client(await platform.token("Stille Bekk")) as other:
            assert (await other.get(group)).status_code == 404
            assert (await other.delete(group)).status_code == 404
            assert (await other.get(GROUPS)).json() == []
        assert (await client.delete(group)).status_code == 204
        assert (await client.get(group)).status_code == 404


async def test_an_ended_session_is_known_here_too(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    async with platform.client(token) as client:
        assert (await client.get(f"{BASE}/users/current")).status_code == 200
    platform.clock.forward(minutes=31)
    async with platform.client(token) as client:
        late = await client.get(f"{BASE}/users/current")
        assert (late.status_code, late.json()["code"]) == (401, "token_expired")
