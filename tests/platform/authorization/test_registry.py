"""Apps as registry resources: their policy and what it grants."""

from __future__ import annotations

import pytest

BASE = "/resourceregistry/api/v1/resource"
ROLE = "urn:altinn:rolecode"

pytestmark = pytest.mark.usefixtures("published")


async def test_an_apps_policy_is_its_resources(platform, http, make_policy) -> None:
    response = await http.request("GET", f"{BASE}/app_ttd_permit/policy", headers=platform.owner())
    assert (response.status_code, response.content) == (200, make_policy.permit)
    assert response.headers["content-type"].startswith("text/xml")


async def test_rights_rules_and_subjects_follow_from_the_policy(platform, http) -> None:
    async def data(kind: str):
        path = f"{BASE}/app_ttd_permit/policy/{kind}"
        return (await http.request("GET", path, headers=platform.component("storage"))).json()["data"]

    rights = {right["rightKey"]: right for right in await data("rights")}
    sign = rights["urn:altinn:app=permit;urn:altinn:org=ttd;urn:altinn:task=Task_2;sign"]
    assert sign["subjects"] == [[{"type": ROLE, "value": "dagl"}]]
    assert sign["subjectTypes"] == [ROLE]
    read = rights["urn:altinn:app=permit;urn:altinn:org=ttd;read"]
    assert read["subjectTypes"] == ["urn:altinn:org", ROLE]
    assert len(await data("rules")) == sum(len(right["subjects"]) for right in rights.values())
    assert "urn:altinn:accesspackage:skattegrunnlag" in {subject["urn"] for subject in await data("subjects")}


@pytest.mark.parametrize(("resource", "status"), [("nav_x", 404), ("app_ttd_none", 404), ("app_ttd_..", 400)])
async def test_what_is_no_app_with_a_policy_is_not_found(platform, http, resource: str, status: int) -> None:
    response = await http.request("GET", f"{BASE}/{resource}/policy", headers=platform.owner())
    assert response.status_code == status


async def test_a_policy_is_for_its_owner(platform, http) -> None:
    path = f"{BASE}/app_ttd_permit/policy/rights"
    assert (await http.request("GET", path, headers=platform.owner("skd"))).status_code == 403
    assert (await http.request("GET", path)).status_code == 401
