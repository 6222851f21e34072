"""The register over HTTP: who may ask what, in which shapes, and which numbers are refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

BASE = "/register/api/v1"


async def test_a_person_reads_own_and_represented_parties_and_no_other(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    own, company = platform.parties["BJØRK SINDIG"], platform.parties["LYSENDE FURU AS"]
    stranger = platform.parties["ENKEL BRYGGE"]
    async with platform.client(token, app="ttd/skjema") as client:
        for party in (own, company):
            answer = await client.get(f"{BASE}/parties/{party.id}")
            assert answer.status_code == 200
            assert answer.json()["partyUuid"] == party.uuid
            again = await client.get(
                f"{BASE}/parties/byuuid/{party.uuid}", headers={"if-none-match": answer.headers["etag"]}
            )
            assert again.status_code == 304
            assert answer.headers["cache-control"] == "private, max-age=60"
        foreign = await client.get(f"{BASE}/parties/{stranger.id}")
        unknown = await client.get(f"{BASE}/parties/59999999")
        assert foreign.status_code == unknown.status_code == 403
        assert foreign.json() == unknown.json()
        for wrong in ("0", "-1", "x", "99999999999", "2147483648"):
            assert (await client.get(f"{BASE}/parties/{wrong}")).status_code == 400


async def test_a_party_needs_both_the_apps_and_the_users_token(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    path = f"{BASE}/parties/50000001"
    for options, status in (
        ({}, 401),
        ({"app": "ttd/skjema"}, 401),
        ({"token": token}, 403),
        ({"token": token + "x", "app": "ttd/skjema"}, 401),
    ):
        async with platform.client(**options) as client:
            assert (await client.get(path)).status_code == status


async def test_the_shape_of_a_company_is_the_one_that_apps_read(platform: Any) -> None:
    company = platform.parties["LYSENDE FURU AS"]
    async with platform.client(component="storage") as client:
        answer = (await client.post(f"{BASE}/parties/lookup", json={"orgNo": company.number})).json()
        expected = {
            "partyId": 51000001,
            "partyTypeName": 2,
            "orgNumber": company.number,
            "ssn": None,
            "unitType": "AS",
            "name": "LYSENDE FURU AS",
            "isDeleted": False,
            "onlyHierarchyElementWithNoAccess": False,
            "person": None,
            "childParties": None,
            "externalUrn": f"urn:altinn:organization:identifier-no:{company.number}",
        }
        assert {name: answer[name] for name in expected} == expected
        assert answer["organization"]["eMailAddress"] == "post@lysendefuruas.example"
        assert answer["organization"]["unitStatus"] == "N"
        organization = (await client.get(f"{BASE}/organizations/{company.number}")).json()
        assert organization == answer["organization"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ssn": "15838510075", "orgNo": "310000000"}, "REG.VLD-00008"),
        ({}, "STD.VLD-00000"),
        ({"orgNo": "310000001"}, "REG.VLD-00006"),
        ({"ssn": "15838510076"}, "REG.VLD-00007"),
        ({"ssn": "15038510079"}, "REG.VLD-00007"),
    ],
)
async def test_a_lookup_says_what_is_wrong_with_the_question(platform: Any, body: dict[str, str], code: str) -> None:
    async with platform.client(component="storage") as client:
        answer = await client.post(f"{BASE}/parties/lookup", json=body)
        assert answer.status_code == 400
        assert answer.json()["validationErrors"][0]["code"] == code
        for number in body.values():
            assert number not in answer.text


async def test_an_unknown_number_is_not_found_and_a_deleted_company_is(platform: Any) -> None:
    async with platform.client(component="storage") as client:
        unknown = await client.post(f"{BASE}/parties/lookup", json={"orgNo": "210000003"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "REG-00007")
        deleted = platform.parties["GLEMT VIK AS"]
        found = await client.post(f"{BASE}/parties/lookup", json={"orgNo": deleted.number})
        assert found.json()["isDeleted"] is True
        assert found.json()["organization"]["unitStatus"] == "S"
        assert (await client.get(f"{BASE}/organizations/210000003")).json()["code"] == "REG-00006"
        assert (await client.get(f"{BASE}/organizations/210000004")).status_code == 400


async def test_names_come_in_the_order_asked_with_null_for_the_unknown(platform: Any) -> None:
    person, company = platform.parties["BJØRK SINDIG"], platform.parties["LYSENDE FURU AS"]
    body = {"parties": [{"orgNo": company.number}, {"orgNo": "210000003"}, {"ssn": person.number}]}
    async with platform.client(component="storage") as client:
        answer = await client.post(f"{BASE}/parties/nameslookup?partyComponentOption=NameComponents", json=body)
        names = answer.json()["partyNames"]
        assert [name["name"] for name in names] == ["LYSENDE FURU AS", None, "BJØRK SINDIG"]
        assert names[2]["personName"] == {"firstName": "SINDIG", "middleName": None, "lastName": "BJØRK"}
        assert "personName" not in (await client.post(f"{BASE}/parties/nameslookup", json=body)).json()["partyNames"][0]
        many = {"parties": [{"orgNo": "310000000"}] * 1001}
        assert (await client.post(f"{BASE}/parties/nameslookup", json=many)).status_code == 400


async def test_party_lists_leave_out_the_unknown_and_hold_sub_units_when_asked(platform: Any) -> None:
    lysende, vidstrakt = platform.parties["LYSENDE FURU AS"], platform.parties["VIDSTRAKT SLETTE AS"]
    async with platform.client(component="storage") as client:
        plain = (await client.post(f"{BASE}/parties/partylist", json=[lysende.id, 1, -5, vidstrakt.id])).json()
        assert [(party["partyId"], party["childParties"]) for party in plain] == [
            (lysende.id, None),
            (vidstrakt.id, None),
        ]
        full = (
            await client.post(f"{BASE}/parties/partylist?fetchSubUnits=true", json=[lysende.id, vidstrakt.id, 50000001])
        ).json()
        assert [len(party["childParties"] or ()) for party in full] == [1, 300, 0]
        assert {child["unitType"] for child in full[1]["childParties"]} == {"BEDR", "AAFY"}
        assert full[2]["childParties"] is None
        by_uuid = (await client.post(f"{BASE}/parties/partylistbyuuid", json=[lysende.uuid])).json()
        assert by_uuid[0]["partyId"] == lysende.id
        assert (await client.post(f"{BASE}/parties/partylist", json=[1])).json() == []
        assert (await client.post(f"{BASE}/parties/partylist", json=list(range(1, 1002)))).status_code == 400
        assert (await client.post(f"{BASE}/parties/partylistbyuuid", json=["x"])).status_code == 400


async def test_identifiers_by_any_key(platform: Any) -> None:
    lysende = platform.parties["LYSENDE FURU AS"]
    person = platform.parties["BJØRK SINDIG"]
    async with platform.client(component="storage") as client:
        found = (
            await client.get(
                f"{BASE}/parties/identifiers?ids={lysende.id},{person.id}&uuids={person.uuid}&orgs={lysende.number}"
            )
        ).json()
        assert found == [
            {"partyId": lysende.id, "partyUuid": lysende.uuid, "orgNumber": lysende.number},
            {"partyId": person.id, "partyUuid": person.uuid, "orgNumber": None},
        ]
        for query in ("", "?ids=", "?ids=x", "?orgs=123456789", "?uuids=x", "?ids=" + ",".join(["1"] * 101)):
            assert (await client.get(f"{BASE}/parties/identifiers{query}")).status_code == 400


async def test_organisations_are_found_by_the_beginning_of_their_name_without_accents(platform: Any) -> None:
    async with platform.client(component="storage") as client:
        found = (await client.get(f"{BASE}/organizations", params={"query": "delt a"})).json()
        assert [organization["name"] for organization in found] == ["DELT ÅRE ANS"]
        wild = (await client.get(f"{BASE}/organizations", params={"query": "%%"})).json()
        assert wild == []
        assert (await client.get(f"{BASE}/organizations", params={"query": "a"})).status_code == 400


async def test_a_query_mixes_urns_and_tells_when_something_is_missing(platform: Any) -> None:
    person, company = platform.parties["BJØRK SINDIG"], platform.parties["LYSENDE FURU AS"]
    urns = [
        f"urn:altinn:party:id:{company.id}",
        f"urn:altinn:organization:identifier-no:{company.number}",
        f"urn:altinn:person:identifier-no:{person.number}",
        "urn:altinn:user:id:20000001",
        f"urn:altinn:party:uuid:{person.uuid.upper()}",
        "urn:altinn:person:idporten-email:Selv%40Example.no",
        "urn:altinn:party:username:epost:selv@example.no",
    ]
    async with platform.client(component="storage") as client:
        answer = await client.post(f"{BASE}/apps/parties/query", json={"data": urns})
        assert answer.status_code == 200
        names = {record["displayName"] for record in answer.json()["data"]}
        assert names == {"LYSENDE FURU AS", "BJØRK SINDIG", "epost:selv@example.no"}
        partly = await client.post(f"{BASE}/apps/parties/query", json={"data": [*urns, "urn:altinn:party:id:1"]})
        assert partly.status_code == 206
        empty = await client.post(f"{BASE}/apps/parties/query", json={"data": []})
        assert (empty.status_code, empty.json()) == (200, {"data": []})


async def test_a_field_not_asked_for_is_absent_and_one_that_is_empty_is_null(platform: Any) -> None:
    hidden = platform.parties["HULE SKJULT"]
    async with platform.client(component="storage") as client:
        path = f"{BASE}/access-management/parties/{hidden.uuid}"
        record = (await client.get(path, params={"fields": "id,person.name,person.address,user.id"})).json()
        assert record == {
            "partyId": hidden.id,
            "firstName": "SKJULT",
            "middleName": None,
            "lastName": "HULE",
            "shortName": "HULE SKJULT",
            "address": None,
            "user": {"userId": hidden.user_id, "userIds": [hidden.user_id]},
        }
        for fields in ("org.subunits", "nonsense", "id,,"):
            assert (await client.get(path, params={"fields": fields})).status_code == 400
        replaced = platform.parties["SAMMENSLÅTT ELV AS"]
        merged = (
            await client.get(f"{BASE}/access-management/parties/{replaced.uuid}", params={"fields": "deleted"})
        ).json()
        assert merged == {"isDeleted": True, "replacedBy": platform.parties["LYSENDE FURU AS"].uuid}


@pytest.mark.parametrize(
    ("urn", "code"),
    [
        ("x", "REG.VLD-00002"),
        ("urn:altinn:party:username:", "REG.VLD-00002"),
        ("urn:altinn:party:id:0", "REG.VLD-00009"),
        ("urn:altinn:party:id:0000000000000001", "REG.VLD-00009"),
        ("urn:altinn:party:id:99999999999999999999", "REG.VLD-00009"),
        ("urn:altinn:party:uuid:x", "REG.VLD-00010"),
        ("urn:altinn:person:identifier-no:15838510076", "REG.VLD-00007"),
        ("urn:altinn:organization:identifier-no:1", "REG.VLD-00006"),
    ],
)
async def test_a_bad_urn_is_named(platform: Any, urn: str, code: str) -> None:
    async with platform.client(component="storage") as client:
        answer = await client.post(f"{BASE}/apps/parties/query", json={"data": ["urn:altinn:party:id:1", urn]})
        (error,) = answer.json()["validationErrors"]
        assert (error["code"], error["paths"]) == (code, ["/data/1"])


def person_headers(number: str, name: str) -> dict[str, str]:
    return {"X-Ai-NationalIdentityNumber": number, "X-Ai-LastName": base64.b64encode(name.encode()).decode()}


async def test_a_person_is_found_by_number_and_last_name(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    glad = platform.parties["ØDEGÅRD-BRÅTEN ÅSMO GLAD"]
    async with platform.client(token, app="ttd/skjema") as client:
        for name in ("Ødegård-Bråten Åsmo", "ødegård bråten åsmo", "BRÅTEN", "åsmo"):
            answer = await client.get(f"{BASE}/persons", headers=person_headers(glad.number, name))
            assert answer.status_code == 200, name
            assert answer.json()["firstName"] == "GLAD"
            assert answer.headers["cache-control"] == "no-store"
        for name in ("Ødeg", "Odegard", "Åsm", "Bråten x", "Braten"):
            answer = await client.get(f"{BASE}/persons", headers=person_headers(glad.number, name))
            assert answer.status_code == 404, name
        encoded = {
            "X-Ai-NationalIdentityNumber": platform.parties["ŠKÖDA BLID"].number,
            "X-Ai-LastName": "%C5%A1koda",
            "X-Ai-LastName-Encoding": "percent",
        }
        assert (await client.get(f"{BASE}/persons", headers=encoded)).status_code == 200
        wrong = await client.get(f"{BASE}/persons", headers=encoded | {"X-Ai-LastName-Encoding": "rot13"})
        assert wrong.status_code == 400


async def test_ten_wrong_names_lock_the_user_out_for_an_hour(platform: Any) -> None:
    token = await platform.token("Sindig Bjørk")
    number = platform.parties["BEKK STILLE"].number
    async with platform.client(token, app="ttd/skjema") as client:
        unknown = await client.get(f"{BASE}/persons", headers=person_headers("15838510075", "Bekk"))
        wrong = await client.get(f"{BASE}/persons", headers=person_headers(number, "Feil"))
        assert unknown.status_code == wrong.status_code == 404
        assert (unknown.json()["remainingAttempts"], wrong.json()["remainingAttempts"]) == (9, 8)
    platform.clock.forward(minutes=10)
    async with platform.client(token, app="ttd/skjema") as client:
        for _ in range(8):
            await client.get(f"{BASE}/persons", headers=person_headers(number, "Feil"))
        locked = await client.get(f"{BASE}/persons", headers=person_headers(number, "Bekk"))
        assert (locked.status_code, locked.json()["code"]) == (429, "REG-00008")
        assert locked.headers["retry-after"] == "3000"
    token = await platform.token("Stille Bekk")
    async with platform.client(token, app="ttd/skjema") as another:
        fine = await another.get(f"{BASE}/persons", headers=person_headers(number, "Bekk"))
        assert fine.status_code == 200
    platform.clock.forward(minutes=51)
    token = await platform.token("Sindig Bjørk")
    async with platform.client(token, app="ttd/skjema") as client:
        assert (await client.get(f"{BASE}/persons", headers=person_headers(number, "Bekk"))).status_code == 200


async def test_a_person_lookup_needs_a_person_and_an_app(platform: Any) -> None:
    headers = person_headers(platform.parties["BEKK STILLE"].number, "Bekk")
    token = await platform.token("Sindig Bjørk")
    for options, status in (({}, 401), ({"token": token}, 403), ({"app": "ttd/skjema"}, 401)):
        async with platform.client(**options) as client:
            assert (await client.get(f"{BASE}/persons", headers=headers)).status_code == status
    async with platform.client(token, app="ttd/skjema") as client:
        assert (await client.get(f"{BASE}/persons")).status_code == 400


async def test_no_national_identity_number_is_logged(platform: Any, capsys: pytest.CaptureFixture[str]) -> None:
    token = await platform.token("Sindig Bjørk")
    number = platform.parties["BEKK STILLE"].number
    async with platform.client(token, app="ttd/skjema") as client:
        await client.get(f"{BASE}/persons", headers=person_headers(number, "Bekk"))
        await client.post(f"{BASE}/parties/lookup", json={"ssn": number})
    assert number not in capsys.readouterr().out
