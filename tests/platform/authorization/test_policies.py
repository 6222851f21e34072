"""Policies: published with a deployment, kept with who and when, rolled back, refused with line and rule."""

from __future__ import annotations

import pytest

from havn.clients.credentials import Credentials
from havn.kit.problem import Problem

BASE = "/authorization/api/v1"
XML = {"content-type": "application/xml"}


@pytest.fixture
def deploy(platform) -> Credentials:
    return Credentials(platform_token=platform.signer("platform", "deploy").token())


async def test_versions_are_kept_with_who_and_when_and_an_earlier_one_comes_back(
    platform, http, client, deploy, make_policy
) -> None:
    first = await client.publish_policy("ttd", "permit", make_policy.permit, deploy, release="sha256:1")
    other = make_policy.policy(make_policy.rule("only", [("urn:altinn:org", "ttd")], ["read", "complete"]))
    second = await client.publish_policy("ttd", "permit", other, deploy, release="sha256:2")
    assert (first.policy.version, second.policy.version, second.policy.active) == (1, 2, True)
    assert second.policy.published_by == "deploy"
    back = await client.activate_policy("ttd", "permit", 1, deploy, reason="rolled back")
    assert back.active
    assert [(v.version, v.active, v.release) for v in await client.policy_versions("ttd", "permit", deploy)] == [
        (2, False, "sha256:2"),
        (1, True, "sha256:1"),
    ]
    history = (await http.request("GET", f"{BASE}/policies/ttd/permit/history", headers=platform.owner())).json()
    assert [(entry["version"], entry["previous"], entry["reason"]) for entry in history] == [
        (1, 2, "rolled back"),
        (2, 1, None),
        (1, None, None),
    ]
    xml = await http.request("GET", f"{BASE}/policies/ttd/permit", headers=platform.owner())
    assert xml.content == make_policy.permit


async def test_the_same_bytes_again_make_no_new_version(client, deploy, make_policy) -> None:
    await client.publish_policy("ttd", "permit", make_policy.permit, deploy)
    again = await client.publish_policy("ttd", "permit", make_policy.permit, deploy)
    assert again.policy.version == 1


async def test_a_new_version_counts_from_the_next_decision(platform, http, client, deploy, make_policy, ask) -> None:
    await client.publish_policy("ttd", "permit", make_policy.permit, deploy)
    place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": "5101"}
    body = ask({"urn:altinn:org": "ttd"}, place, "read")
    headers = {"content-type": "application/json"} | platform.component("storage")

    async def decision() -> str:
        response = await http.request("POST", f"{BASE}/decision", content=body, headers=headers)
        return response.json()["response"][0]["decision"]

    assert await decision() == "Permit"
    await client.publish_policy("ttd", "permit", make_policy.policy(), deploy)
    # Heard through NOTIFY; the next read of the database could not see the old one in any case.
    for _ in range(100):
        if await decision() == "NotApplicable":
            break
    assert await decision() == "NotApplicable"


async def test_a_broken_policy_is_refused_with_line_and_rule(client, deploy, make_policy) -> None:
    rule = make_policy.rule("broken", [("urn:altinn:rolecode", "dagl")], ["read"]).replace(
        "function:string-equal-ignore-case", "function:string-equals"
    )
    with pytest.raises(Problem) as caught:
        await client.publish_policy("ttd", "permit", b"\n\n" + make_policy.policy(rule), deploy)
    assert (caught.value.status, caught.value.code) == (422, "policy_refused")
    finding = caught.value.extensions["findings"][0]
    assert finding["ruleId"] == "broken"
    assert finding["line"] == 3
    assert "string-equals" in finding["message"]
    with pytest.raises(Problem) as caught:
        await client.policy_versions("ttd", "permit", deploy)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"<Policy",
        b"not xml",
        b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Policy>&x;</Policy>',
        b"<a>" * 5000 + b"</a>" * 5000,
        b"<Other xmlns='urn:other'/>",
    ],
)
async def test_hostile_xml_is_refused(client, deploy, xml: bytes) -> None:
    with pytest.raises(Problem) as caught:
        await client.publish_policy("ttd", "permit", xml, deploy)
    assert caught.value.status == 422


async def test_a_policy_for_another_app_or_with_placeholders_is_refused(client, deploy, make_policy) -> None:
    foreign = make_policy.policy(
        make_policy.rule("r", [("urn:altinn:rolecode", "dagl")], ["read"], about=("ttd", "other"))
    )
    with pytest.raises(Problem, match="policy of permit"):
        await client.publish_policy("ttd", "permit", foreign, deploy)
    template = make_policy.policy(
        make_policy.rule("r", [("urn:altinn:rolecode", "dagl")], ["read"], about=("[ORG]", "[APP]"))
    )
    with pytest.raises(Problem, match="was not replaced"):
        await client.publish_policy("ttd", "permit", template, deploy)


async def test_only_the_control_plane_publishes(platform, http, make_policy) -> None:
    path = f"{BASE}/policies/ttd/permit"
    for headers in (platform.component("storage"), platform.app(), platform.owner(), platform.user(501)):
        response = await http.request("PUT", path, content=make_policy.permit, headers=XML | headers)
        assert response.status_code == 403
    assert (await http.request("PUT", path, content=make_policy.permit, headers=XML)).status_code == 401


async def test_a_design_tool_publishes_by_its_claim(platform, http, make_policy) -> None:
    path = f"{BASE}/policies?org=ttd&app=permit"
    plain = {"Authorization": f"Bearer {platform.token()}"}
    assert (await http.request("POST", path, content=make_policy.permit, headers=plain)).status_code == 403
    designer = {"Authorization": f"Bearer {platform.token(**{'urn:altinn:app': 'studio.designer'})}"}
    assert (await http.request("POST", path, content=make_policy.permit, headers=designer)).status_code == 200
    assert (await http.request("POST", path, content=b" ", headers=designer)).status_code == 400
    traversal = f"{BASE}/policies?org=ttd&app=..%2Fother"
    assert (await http.request("POST", traversal, content=make_policy.permit, headers=designer)).status_code == 400


@pytest.mark.usefixtures("published")
async def test_another_owner_does_not_read_the_policy(platform, http) -> None:
    for path in ("policies/ttd/permit", "policies/ttd/permit/versions", "policies/ttd/permit/history"):
        assert (await http.request("GET", f"{BASE}/{path}", headers=platform.owner("skd"))).status_code == 403


@pytest.mark.usefixtures("published")
async def test_roles_with_access_are_listed_as_written(http) -> None:
    response = await http.request("GET", f"{BASE}/policies/roleswithaccess/ttd/permit")
    assert response.json() == ["DAGL", "priv", "dagl"]
    assert (await http.request("GET", f"{BASE}/policies/roleswithaccess/ttd/none")).status_code == 404


@pytest.mark.usefixtures("published")
async def test_grants_are_listed_for_each_app_with_an_error_for_the_unknown(http) -> None:
    body = (
        b'[[{"id":"urn:altinn:org","value":"ttd"},{"id":"urn:altinn:app","value":"permit"}],'
        b'[{"id":"urn:altinn:org","value":"ttd"},{"id":"urn:altinn:app","value":"none"}],[]]'
    )
    found = (await http.request("POST", f"{BASE}/policies/GetPolicies?language=nb", content=body)).json()
    assert found[0]["minimumAuthenticationLevel"] == 3
    first = found[0]["resourcePolicies"][0]
    assert first["title"] == "ttd/permit"
    assert {action["title"] for action in first["actions"]} == {"read", "instantiate"}
    assert first["actions"][0]["roleGrants"][0] == {"roleTypeCode": "DAGL", "isDelegable": True}
    assert found[1]["errorResponse"]
    assert found[2]["errorResponse"]
