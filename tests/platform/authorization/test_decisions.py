"""Decisions over HTTP: who may do what in whose name, completed from register, storage and delegations."""

from __future__ import annotations

import msgspec
import pytest

BASE = "/authorization/api/v1"
JSON = {"content-type": "application/json"}
KARI, OLA, EVA, LISE = 501, 502, 503, 504
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"


def user(party: int) -> dict[str, str]:
    return {"urn:altinn:userid": str(1000 + party)}


def place(party: int = BAKERY, **more: str) -> dict[str, str]:
    whole = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": str(party)}
    return whole | {f"urn:altinn:{name.replace('_', '-')}": value for name, value in more.items()}


async def decide(http, platform, body: bytes, headers: dict[str, str] | None = None, query: str = ""):
    response = await http.request(
        "POST", f"{BASE}/decision{query}", content=body, headers=JSON | (headers or platform.component("storage"))
    )
    assert response.status_code == 200, response.text
    return response


def words(response) -> list[str]:
    return [result["decision"] for result in response.json()["response"]]


@pytest.mark.usefixtures("published")
class TestRoles:
    async def test_a_manager_may_and_a_stranger_may_not(self, http, platform, ask) -> None:
        assert words(await decide(http, platform, ask(user(KARI), place(), "read"))) == ["Permit"]
        assert words(await decide(http, platform, ask(user(LISE), place(), "read"))) == ["NotApplicable"]
        assert words(await decide(http, platform, ask(user(OLA), place(), "read"))) == ["NotApplicable"]

    async def test_a_sub_unit_inherits_from_its_main_unit(self, http, platform, ask) -> None:
        assert words(await decide(http, platform, ask(user(KARI), place(BRANCH), "read"))) == ["Permit"]

    async def test_a_person_acts_for_herself(self, http, platform, ask) -> None:
        assert words(await decide(http, platform, ask(user(LISE), place(LISE), "instantiate"))) == ["Permit"]
        assert words(await decide(http, platform, ask(user(LISE), place(KARI), "read"))) == ["NotApplicable"]

    async def test_a_package_carried_by_a_role_counts(self, http, platform, ask) -> None:
        # Eva leads the firm that keeps the bakery's books.
        assert words(await decide(http, platform, ask(user(EVA), place(), "fetch", "read"))) == [
            "Permit",
            "NotApplicable",
        ]

    async def test_the_task_decides(self, http, platform, ask) -> None:
        body = ask(user(KARI), [place(task="Task_1"), place(task="Task_2"), place(end_event="End")], "write", "sign")
        assert words(await decide(http, platform, body)) == [
            "Permit", "NotApplicable", "NotApplicable", "Permit", "NotApplicable", "NotApplicable",
        ]  # fmt: skip

    async def test_roles_in_the_request_are_not_believed(self, http, platform, ask) -> None:
        body = ask(user(LISE) | {"urn:altinn:rolecode": "dagl"}, place(), "read")
        assert words(await decide(http, platform, body)) == ["NotApplicable"]

    async def test_a_service_owner_matches_the_owner_rule_without_any_lookup(self, http, platform, ask) -> None:
        asked = platform.register_asked
        body = ask({"urn:altinn:org": "ttd"}, place(), "complete")
        response = await decide(http, platform, body)
        assert words(response) == ["Permit"]
        obligations = response.json()["response"][0]["obligations"]
        assert {o["attributeAssignment"][0]["category"]: o["attributeAssignment"][0]["value"] for o in obligations} == {
            "urn:altinn:minimum-authenticationlevel": "3",
            "urn:altinn:minimum-authenticationlevel-org": "2",
        }
        # The change hub asks for versions in between; nothing else does.
        assert platform.register_asked - asked <= 3

    async def test_the_answer_has_the_shape_apps_read(self, http, platform, ask) -> None:
        result = (await decide(http, platform, ask(user(KARI), place(), "read"))).json()["response"][0]
        assert result["status"]["statusCode"]["value"] == "urn:oasis:names:tc:xacml:1.0:status:ok"
        echoed = result["category"][0]["attribute"][0]
        assert (echoed["attributeId"], echoed["value"]) == ("urn:oasis:names:tc:xacml:1.0:action:action-id", "read")

    async def test_the_app_may_be_named_by_its_resource_id(self, http, platform, ask) -> None:
        by_id = {"urn:altinn:resource": "app_ttd_permit", "urn:altinn:partyid": str(BAKERY)}
        assert words(await decide(http, platform, ask(user(KARI), by_id, "read"))) == ["Permit"]

    async def test_the_party_may_be_named_by_organisation_number(self, http, platform, ask) -> None:
        by_number = {
            "urn:altinn:org": "ttd",
            "urn:altinn:app": "permit",
            "urn:altinn:organization:identifier-no": "310000001",
        }
        result = words(await decide(http, platform, ask(user(KARI), by_number, "read")))
        # Register accepts only numbers with a right check digit, and this one has none: nobody known.
        assert result == ["Indeterminate"]

    async def test_an_app_without_a_policy_permits_nothing(self, http, platform, ask) -> None:
        unknown = {"urn:altinn:org": "ttd", "urn:altinn:app": "other", "urn:altinn:partyid": "5101"}
        assert words(await decide(http, platform, ask(user(KARI), unknown, "read"))) == ["NotApplicable"]

    async def test_xml_is_answered_in_xml(self, http, platform) -> None:
        body = f"""<Request xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" ReturnPolicyIdList="false"
          CombinedDecision="false"><Attributes Category="urn:oasis:names:tc:xacml:1.0:subject-category:access-subject">
          <Attribute AttributeId="urn:altinn:userid" IncludeInResult="false"><AttributeValue
          DataType="http://www.w3.org/2001/XMLSchema#string">1501</AttributeValue></Attribute></Attributes>
          <Attributes Category="urn:oasis:names:tc:xacml:3.0:attribute-category:resource">{
            "".join(
                f'<Attribute AttributeId="{name}" IncludeInResult="false"><AttributeValue '
                f'DataType="http://www.w3.org/2001/XMLSchema#string">{value}</AttributeValue></Attribute>'
                for name, value in place().items()
            )
        }</Attributes><Attributes Category="urn:oasis:names:tc:xacml:3.0:attribute-category:action"><Attribute
          AttributeId="urn:oasis:names:tc:xacml:1.0:action:action-id" IncludeInResult="false"><AttributeValue
          DataType="http://www.w3.org/2001/XMLSchema#string">read</AttributeValue></Attribute></Attributes></Request>"""
        response = await http.request(
            "POST",
            f"{BASE}/decision",
            content=body.encode(),
            headers={"content-type": "application/xml"} | platform.component("storage"),
        )
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/xacml+xml"
        assert "<Decision>Permit</Decision>" in response.text


@pytest.mark.usefixtures("published")
class TestInstances:
    async def test_an_instance_id_alone_is_completed_from_storage(self, http, platform, ask) -> None:
        instance = f"{BAKERY}/{GUID}"
        platform.auth_info[instance] = {
            "appId": "ttd/permit",
            "process": {"currentTask": {"elementId": "Task_1", "altinnTaskType": "data"}},
        }
        response = await decide(http, platform, ask(user(KARI), {"urn:altinn:instance-id": instance}, "write", "sign"))
        assert words(response) == ["Permit", "NotApplicable"]
        assert platform.auth_info_asked == 1
        echoed = [
            c for c in response.json()["response"][0]["category"] if c["categoryId"].endswith("category:resource")
        ]
        assert echoed[0]["attribute"][0]["value"] == str(BAKERY)

    async def test_what_the_asker_sends_along_is_not_asked_of_storage(self, http, platform, ask) -> None:
        body = ask(user(KARI), place(instance_id=f"{BAKERY}/{GUID}", task="Task_1"), "write")
        assert words(await decide(http, platform, body)) == ["Permit"]
        assert platform.auth_info_asked == 0

    async def test_an_unknown_instance_is_not_guessed_about(self, http, platform, ask) -> None:
        body = ask(user(KARI), {"urn:altinn:instance-id": f"{BAKERY}/{GUID}"}, "write")
        assert words(await decide(http, platform, body)) == ["Indeterminate"]


@pytest.mark.usefixtures("published")
class TestAskers:
    async def test_nobody_asks_without_a_token(self, http, ask) -> None:
        response = await http.request(
            "POST", f"{BASE}/decision", content=ask(user(KARI), place(), "read"), headers=JSON
        )
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"

    async def test_a_person_asks_about_herself_only(self, http, platform, ask) -> None:
        own = await decide(http, platform, ask(user(KARI), place(), "read"), platform.user(KARI))
        assert words(own) == ["Permit"]
        other = await http.request(
            "POST", f"{BASE}/decision", content=ask(user(OLA), place(), "read"), headers=JSON | platform.user(KARI)
        )
        assert other.status_code == 403
        as_owner = ask(user(KARI) | {"urn:altinn:org": "ttd"}, place(), "complete")
        response = await http.request("POST", f"{BASE}/decision", content=as_owner, headers=JSON | platform.user(KARI))
        assert response.status_code == 403

    async def test_an_app_asks_about_its_owners_apps_only(self, http, platform, ask) -> None:
        assert words(await decide(http, platform, ask(user(KARI), place(), "read"), platform.app())) == ["Permit"]
        response = await http.request(
            "POST",
            f"{BASE}/decision",
            content=ask(user(KARI), place(), "read"),
            headers=JSON | platform.app("skd", "tax"),
        )
        assert response.status_code == 403

    async def test_the_external_route_needs_its_scope(self, http, platform, ask) -> None:
        body = ask(user(KARI), place(), "read")
        refused = await http.request("POST", f"{BASE}/authorize", content=body, headers=JSON | platform.owner())
        assert refused.status_code == 403
        scoped = platform.owner(scope="altinn:authorization/authorize")
        allowed = await http.request("POST", f"{BASE}/authorize", content=body, headers=JSON | scoped)
        assert words(allowed) == ["Permit"]

    async def test_an_app_learns_facts_only_with_the_subjects_own_token(self, http, platform) -> None:
        query = msgspec.json.encode({"subject": {"userId": 1501, "partyId": KARI}, "parties": [BAKERY]})
        path = f"{BASE}/facts/subjects"
        refused = await http.request("POST", path, content=query, headers=JSON | platform.app())
        assert refused.status_code == 403
        other = await http.request("POST", path, content=query, headers=JSON | platform.app() | platform.user(OLA))
        assert other.status_code == 403
        own = await http.request("POST", path, content=query, headers=JSON | platform.app() | platform.user(KARI))
        assert {"id": "urn:altinn:rolecode", "value": "dagl"} in own.json()[0]["attributes"]

    async def test_an_app_reads_no_other_owners_policy(self, http, platform) -> None:
        path = f"{BASE}/facts/policies/ttd/permit"
        assert (await http.request("GET", path, headers=platform.app("skd", "tax"))).status_code == 403
        assert (await http.request("GET", path, headers=platform.app())).status_code == 200


@pytest.mark.usefixtures("published")
class TestFaults:
    async def test_without_register_the_answer_is_a_fault_and_never_a_refusal(self, http, platform, ask) -> None:
        platform.register_away = True
        response = await decide(http, platform, ask(user(KARI), place(), "read"))
        assert words(response) == ["Indeterminate"]
        assert response.headers["x-authz-fault"] == "true"
        platform.register_away = False
        assert words(await decide(http, platform, ask(user(KARI), place(), "read"))) == ["Permit"]

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b'{"Request": 3}', b'{"Request": {"AccessSubject": [' + b"[" * 500 + b"]" * 500 + b"]}}"],
    )
    async def test_an_unreadable_request_is_400(self, http, platform, body: bytes) -> None:
        response = await http.request(
            "POST", f"{BASE}/decision", content=body, headers=JSON | platform.component("storage")
        )
        assert response.status_code == 400
        assert response.json()["code"] == "invalid_request"

    async def test_an_entity_bomb_is_400(self, http, platform) -> None:
        bomb = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><Request>&b;</Request>'
        response = await http.request(
            "POST", f"{BASE}/decision", content=bomb,
            headers={"content-type": "application/xml"} | platform.component("storage"),
        )  # fmt: skip
        assert response.status_code == 400

    async def test_a_wrong_sub_request_spoils_only_itself(self, http, platform, ask) -> None:
        body = ask(user(KARI), [place(), place() | {"urn:altinn:partyid": "x"}, {"urn:altinn:app": "permit"}], "read")
        assert words(await decide(http, platform, body)) == ["Permit", "Indeterminate", "Indeterminate"]

    async def test_a_system_user_must_stand_alone(self, http, platform, ask) -> None:
        body = ask(user(KARI) | {"urn:altinn:systemuser:uuid": GUID}, place(), "read")
        assert words(await decide(http, platform, body)) == ["Indeterminate"]


@pytest.mark.usefixtures("published")
class TestExplain:
    async def explained(self, http, platform, ask, party: int, headers=None, **where: str):
        body = ask(user(party), place(**where), "write")
        return await http.request(
            "POST",
            f"{BASE}/decision?explain=true",
            content=body,
            headers=JSON | (headers or platform.component("storage")),
        )

    async def test_a_permit_names_its_rule_and_the_level_that_goes_with_it(self, http, platform, ask) -> None:
        response = await self.explained(http, platform, ask, KARI, task="Task_1")
        explanation = response.json()["response"][0]["explanation"]
        assert "Permitted by rule leaders-write" in explanation["sentences"][0]
        assert explanation["policyVersion"] == 1
        assert {"id": "s:urn:altinn:rolecode", "value": "dagl"} in explanation["attributes"]
        assert explanation["account"]["decidedBy"]["ruleId"] == "leaders-write"

    async def test_a_refusal_says_what_would_have_been_needed(self, http, platform, ask) -> None:
        response = await self.explained(http, platform, ask, KARI, task="Task_2")
        sentences = " ".join(response.json()["response"][0]["explanation"]["sentences"])
        assert "leaders-write" in sentences
        assert "Task_1" in sentences

    async def test_it_names_no_person(self, http, platform, ask) -> None:
        text = (await self.explained(http, platform, ask, KARI, task="Task_1")).text
        assert "1501" not in text
        assert "501" not in text.replace("5101", "")

    async def test_only_the_apps_owner_and_components_see_it(self, http, platform, ask) -> None:
        for headers, status in (
            (platform.app(), 200),
            (platform.user(KARI), 403),
            (platform.app("skd", "tax"), 403),
        ):
            response = await self.explained(http, platform, ask, KARI, headers)
            assert response.status_code == status
