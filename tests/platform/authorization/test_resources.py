"""Resources that are no apps: their entries, their policies, and decisions, delegations and lists about them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from havn.clients.authorization import AuthorizationClient
from havn.contracts.authorization import AttributePair, Grant, Receiver
from havn.guard.enforcement import Enforcement
from havn.guard.pep import Resource
from havn.guard.principal import from_claims

AUTHZ = "/authorization/api/v1"
REGISTRY = "/resourceregistry/api/v1"
BASE = f"{REGISTRY}/resource"
JSON = {"content-type": "application/json"}
KARI, OLA, BAKERY, BRANCH = 501, 502, 5101, 5102
WRITE = "altinn:serviceowner altinn:resourceregistry/resource.write altinn:resourceregistry/access-list.write"
ROLE, RESOURCE = "urn:altinn:rolecode", "urn:altinn:resource"
ID = "ttd_reports"


def texts(text: str) -> dict[str, str]:
    return dict.fromkeys(("nb", "nn", "en"), text)


def entry(**changes: Any) -> dict[str, Any]:
    whole = {
        "identifier": ID, "title": texts("Reports"), "description": texts("All reports"),
        "rightDescription": texts("Read reports"), "resourceType": "GenericAccessResource", "status": "Active",
        "hasCompetentAuthority": {"orgcode": "ttd", "organization": "310000000"},
        "contactPoints": [{"category": "Help", "email": "help@ttd.example"}], "somethingNew": 1,
    }  # fmt: skip
    return whole | changes


def form(xml: bytes, name: str = "policyFile") -> tuple[bytes, dict[str, str]]:
    body = (
        b"--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n"
        b'--b\r\nContent-Disposition: form-data; name="%s"; filename="policy.xml"\r\nContent-Type: text/xml\r\n\r\n'
        b"%s\r\n--b--\r\n" % (name.encode(), xml)
    )  # fmt: skip
    return body, {"content-type": "multipart/form-data; boundary=b"}


@pytest.fixture
def call(platform, http):
    async def send(
        method: str, path: str, body: Any = None, *, org: str = "ttd", scope: str = WRITE, headers: Any = None
    ):
        content = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else None
        return await http.request(
            method, path, content=content, headers=(headers or JSON) | platform.owner(org, scope=scope)
        )

    return send


@pytest.fixture
def policy_of(make_policy):
    def make(resource: str = ID, role: str = "dagl", action: str = "read") -> bytes:
        # The same rule as an app's, but about a resource by its id.
        text = make_policy.policy(
            make_policy.rule("leaders", [(ROLE, role)], [action], about=("OWNER", "NAME")),
            obligations=make_policy.level(2),
        ).decode()
        start = text.index('<AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">')
        end = text.index("</AllOf>", start)
        one = text[start:end].split("</Match>")[0].removeprefix("<AllOf>") + "</Match>"
        one = one.replace("OWNER", resource).replace('"urn:altinn:org"', f'"{RESOURCE}"')
        return (text[:start] + "<AllOf>" + one + text[end:]).encode()

    return make


@pytest.fixture
async def registered(call, policy_of) -> None:
    assert (await call("POST", BASE, entry())).status_code == 201
    body, headers = form(policy_of())
    published = await call("POST", f"{BASE}/{ID}/policy", body, headers=headers)
    assert published.status_code == 201, published.text
    assert published.json()["findings"] == []


@pytest.fixture
def decide(platform, http, ask):
    async def decision(
        who: int = KARI, action: str = "read", of: int = BAKERY, resource: str = ID, headers: Any = None
    ) -> dict[str, Any]:
        asked = ask({"urn:altinn:userid": str(1000 + who)}, {RESOURCE: resource, "urn:altinn:partyid": str(of)}, action)
        response = await http.request(
            "POST", f"{AUTHZ}/decision", content=asked, headers=JSON | (headers or platform.component("storage"))
        )
        assert response.status_code == 200, response.text
        return response.json()["response"][0]

    return decision


async def test_an_entry_is_made_changed_and_ended_by_its_owner(call, http) -> None:
    made = await call("POST", BASE, entry())
    assert (made.status_code, made.headers["location"]) == (201, f"{BASE}/{ID}")
    first = made.json()["versionId"]
    assert (await call("POST", BASE, entry())).status_code == 409
    changed = await call("PUT", f"{BASE}/{ID}", entry(title=texts("Better reports")))
    assert changed.json()["versionId"] > first
    now = (await http.request("GET", f"{BASE}/{ID}")).json()
    assert (now["title"]["nb"], now["accessListMode"], now["visible"]) == ("Better reports", "Disabled", True)
    assert "somethingNew" not in now
    then = (await http.request("GET", f"{BASE}/{ID}?versionId={first}")).json()
    assert (then["title"]["nb"], then["versionId"]) == ("Reports", first)
    assert (await call("DELETE", f"{BASE}/{ID}")).status_code == 204
    assert (await http.request("GET", f"{BASE}/{ID}")).status_code == 404
    # Nobody else gets the name, and with it what was delegated.
    authority = {"orgcode": "skd"}
    assert (await call("POST", BASE, entry(hasCompetentAuthority=authority), org="skd")).status_code == 403
    assert (await call("POST", BASE, entry())).status_code == 201


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identifier": "Bad Id"}, "resource_invalid"),
        ({"identifier": "app_ttd_x"}, "resource_invalid"),
        ({"identifier": "abc"}, "resource_invalid"),
        ({"title": {"nb": "only"}}, "resource_invalid"),
        ({"rightDescription": None}, "resource_invalid"),
        ({"resourceType": "AltinnApp"}, "resource_invalid"),
        ({"resourceType": "Nonsense"}, "invalid_body"),
        ({"accessListMode": "Sometimes"}, "invalid_body"),
        ({"hasCompetentAuthority": None}, "resource_invalid"),
        ({"hasCompetentAuthority": {"orgcode": "no such code"}}, "resource_invalid"),
    ],
)
async def test_an_entry_that_is_not_valid_is_refused(call, changes: dict[str, Any], code: str) -> None:
    refused = await call("POST", BASE, entry(**changes))
    assert (refused.status_code, refused.json()["code"]) == (400, code)


async def test_only_the_owner_with_the_scope_writes(call, http, platform, registered) -> None:
    assert (await http.request("POST", BASE, content=b"{}")).status_code == 401
    assert (await http.request("POST", BASE, content=b"{}", headers=platform.user(KARI))).status_code == 403
    assert (await call("POST", BASE, entry(), scope="altinn:serviceowner")).json()["code"] == "scope_missing"
    for method, body in (("PUT", entry()), ("DELETE", None)):
        assert (await call(method, f"{BASE}/{ID}", body, org="skd")).status_code == 403
    wrong_number = {"orgcode": "ttd", "organization": "310000001"}
    refused = await call("PUT", f"{BASE}/{ID}", entry(hasCompetentAuthority=wrong_number))
    assert refused.json()["code"] == "foreign_authority"
    other = await call("PUT", f"{BASE}/ttd_other", entry(identifier="ttd_other"))
    assert other.status_code == 404
    # An administrator of the registry does it for others.
    admin = "altinn:resourceregistry/resource.admin"
    assert (await call("PUT", f"{BASE}/{ID}", entry(), org="digdir", scope=admin)).status_code == 200


async def test_apps_are_told_from_their_metadata(call, platform, http, registered) -> None:
    platform.applications = [
        {"id": "ttd/permit", "org": "ttd", "title": {"nb": "Tillatelse"}, "versionId": "7"},
        {"id": "ttd/a_b", "org": "ttd", "title": {"nb": "Med strek"}},
        {"id": "ttd/old", "org": "ttd", "title": {"nb": "Gammel"}, "validTo": "2020-01-01T00:00:00Z"},
    ]
    await call("PUT", f"{BASE}/app_ttd_permit/access-list-mode", {"accessListMode": "Enabled"})
    app = (await http.request("GET", f"{BASE}/app_ttd_permit")).json()
    assert (app["title"], app["resourceType"], app["version"]) == ({"nb": "Tillatelse"}, "AltinnApp", "7")
    assert (app["hasCompetentAuthority"], app["accessListMode"]) == ({"orgcode": "ttd"}, "Enabled")
    assert app["authorizationReference"] == [
        {"id": "urn:altinn:org", "value": "ttd"},
        {"id": "urn:altinn:app", "value": "permit"},
    ]
    assert (await http.request("GET", f"{BASE}/app_ttd_a_b")).json()["title"] == {"nb": "Med strek"}
    for none in ("app_ttd_none", "app_ttd_..", "app_ttd_", "app_ttd_x%3Fq", "app_ttd", "nope"):
        assert (await http.request("GET", f"{BASE}/{none}")).status_code == 404
    listed = (await http.request("GET", f"{BASE}/resourcelist")).json()
    assert [one["identifier"] for one in listed] == ["altinn_keyrole_access", ID, "app_ttd_permit", "app_ttd_a_b"]
    assert {one["identifier"]: one["accessListMode"] for one in listed}["app_ttd_permit"] == "Enabled"
    platform.storage_away = True
    assert (await http.request("GET", f"{BASE}/resourcelist")).status_code == 503
    assert (await http.request("GET", f"{BASE}/app_ttd_permit")).status_code == 503
    alone = (await http.request("GET", f"{BASE}/resourcelist?includeApps=false")).json()
    assert [one["identifier"] for one in alone] == ["altinn_keyrole_access", ID]
    await call("PUT", f"{BASE}/{ID}", entry(status="Withdrawn"))
    await call("POST", BASE, entry(identifier="ttd_moved", resourceType="MigratedApp"))
    for query, expected in (("", []), ("&includeMigratedApps=true", ["ttd_moved"])):
        listed = (await http.request("GET", f"{BASE}/resourcelist?includeApps=false{query}")).json()
        assert [one["identifier"] for one in listed] == ["altinn_keyrole_access", *expected]
    assert (await http.request("GET", f"{BASE}/resourcelist?includeApps=maybe")).status_code == 400


async def test_a_policy_counts_at_once_and_ends_with_its_resource(call, decide, policy_of, registered) -> None:
    found = await decide()
    assert found["decision"] == "Permit"
    assert found["obligations"][0]["attributeAssignment"][0]["value"] == "2"
    assert (await decide(OLA))["decision"] == "NotApplicable"
    body, headers = form(policy_of(role="medl"))
    assert (await call("PUT", f"{BASE}/{ID}/policy", body, headers=headers)).status_code == 201
    assert [(await decide(who))["decision"] for who in (KARI, OLA)] == ["NotApplicable", "Permit"]
    await call("DELETE", f"{BASE}/{ID}")
    gone = await decide(OLA)
    assert (gone["decision"], gone["status"]["statusMessage"]) == (
        "Indeterminate",
        "There is no such resource in the registry.",
    )
    # The resource that comes back has no policy until it gets one.
    await call("POST", BASE, entry())
    assert (await decide(OLA))["decision"] == "NotApplicable"


async def test_a_policy_about_something_else_is_refused(call, policy_of, make_policy, registered) -> None:
    for wrong, code in (
        (policy_of("ttd_other"), "resource-missing"),
        (make_policy.permit, "resource-missing"),
        (b"<x/>", "unusable"),
    ):
        body, headers = form(wrong)
        refused = await call("POST", f"{BASE}/{ID}/policy", body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "policy_refused")
        assert refused.json()["findings"][0]["code"] == code
    body, headers = form(policy_of(), "other")
    assert (await call("POST", f"{BASE}/{ID}/policy", body, headers=headers)).json()["code"] == "file_missing"
    for wrong_form in (b"nonsense", body[:40], b"--b\r\n" * 50):
        refused = await call("POST", f"{BASE}/{ID}/policy", wrong_form, headers=headers)
        assert refused.status_code == 400
    assert (await call("POST", f"{BASE}/{ID}/policy", policy_of())).json()["code"] == "invalid_multipart"
    body, headers = form(b"x" * (2 * 1024 * 1024 + 1))
    assert (await call("POST", f"{BASE}/{ID}/policy", body, headers=headers)).status_code == 413


async def test_what_a_policy_grants_is_told_as_for_apps(call, http, platform, registered) -> None:
    rights = (await call("GET", f"{BASE}/{ID}/policy/rights")).json()["data"]
    assert [(right["rightKey"], right["subjects"]) for right in rights] == [
        (f"{RESOURCE}={ID};read", [[{"type": ROLE, "value": "dagl"}]])
    ]
    assert (await call("GET", f"{BASE}/{ID}/policy/rights", org="skd")).status_code == 403


async def test_resources_are_found_by_who_may_use_them(platform, http, registered, published) -> None:
    # A version from before subjects were kept is read when somebody asks.
    await platform.sql("update policy set subjects = null where app = 'permit' returning 1")
    body = msgspec.json.encode([f"{ROLE}:DAGL", "urn:altinn:accesspackage:skattegrunnlag", f"{ROLE}:nobody"])
    response = await http.request("POST", f"{BASE}/bysubjects/", content=body, headers=JSON | platform.app())
    found = {one["subject"]["urn"]: [r["value"] for r in one["resources"]] for one in response.json()["data"]}
    assert found == {
        f"{ROLE}:DAGL": ["altinn_keyrole_access", "app_ttd_permit", ID],
        "urn:altinn:accesspackage:skattegrunnlag": ["app_ttd_permit"],
        f"{ROLE}:nobody": [],
    }
    assert (await http.request("POST", f"{BASE}/bysubjects", content=body, headers=JSON)).status_code == 401
    for wrong in (b"[]", b'["dagl"]'):
        refused = await http.request("POST", f"{BASE}/bysubjects", content=wrong, headers=JSON | platform.app())
        assert refused.status_code == 400


async def test_key_people_may_represent_their_organisation(platform, http, client, decide) -> None:
    """What an app asks before somebody signs for an organisation, at the API and in its own process."""
    key = "altinn_keyrole_access"
    app = platform.app("skd", "tax")
    for who, expected in ((KARI, "Permit"), (OLA, "NotApplicable")):
        assert (await decide(who, "access", resource=key, headers=app))["decision"] == expected
    enforcement = Enforcement(AuthorizationClient(http), platform.signer("skd", "tax"), clock=platform.clock)
    place = Resource("platform", f"resource:{key}", BAKERY)
    async with enforcement.running() as enforcer:
        for who, expected in ((KARI, True), (OLA, False)):
            claims = {"urn:altinn:userid": str(1000 + who), "urn:altinn:partyid": who, "urn:altinn:authlevel": 3}
            caller = from_claims(claims, token=platform.user_token(who))
            assert (await enforcer.decide(caller, place, ["access"]))["access"].permitted is expected
    entry_ = (await http.request("GET", f"{BASE}/{key}")).json()
    assert (entry_["delegable"], entry_["hasCompetentAuthority"]) == (False, {"orgcode": "platform"})


async def test_an_app_may_not_ask_about_another_owners_resource(platform, http, ask, registered) -> None:
    asked = ask({"urn:altinn:userid": "1501"}, {RESOURCE: ID, "urn:altinn:partyid": str(BAKERY)}, "read")
    for (org, app), status in ((("ttd", "permit"), 200), (("skd", "tax"), 403)):
        response = await http.request("POST", f"{AUTHZ}/decision", content=asked, headers=JSON | platform.app(org, app))
        assert response.status_code == status


async def test_a_right_to_a_resource_is_delegated(platform, http, decide, call, registered) -> None:
    def grant(resource: str, action: str = "read", instance: str | None = None) -> bytes:
        return msgspec.json.encode(
            Grant(
                BAKERY, Receiver(user_id=1000 + OLA), [AttributePair(RESOURCE, resource)], action, instance_id=instance
            )
        )

    async def give(*what: Any):
        headers = JSON | platform.user(KARI)
        return await http.request("POST", f"{AUTHZ}/delegations", content=grant(*what), headers=headers)

    assert (await give(ID)).status_code == 201
    found = await decide(OLA)
    assert found["decision"] == "Permit"
    # The policy's obligations go with a delegated right.
    assert found["obligations"][0]["attributeAssignment"][0]["value"] == "2"
    assert (await give(ID, "burn")).status_code == 403
    assert (await give("altinn_keyrole_access", "access")).json()["code"] == "not_delegable"
    assert (await give("ttd_none")).json()["code"] == "not_delegable"
    assert (await give(ID, "read", "case-7")).status_code == 201


async def test_a_resource_is_limited_by_access_lists(call, decide, registered, http) -> None:
    await call("PUT", f"{BASE}/{ID}", entry(accessListMode="Enabled"))
    assert (await http.request("GET", f"{BASE}/{ID}")).json()["accessListMode"] == "Enabled"
    assert (await decide())["decision"] == "Deny"
    lists = f"{REGISTRY}/access-lists/ttd/pilots"
    await call("PUT", lists, {"name": "Pilots"})
    connected = await call("PUT", f"{lists}/resource-connections/{ID}", {})
    assert connected.json()["resourceIdentifier"] == ID
    await call("POST", f"{lists}/members", {"data": [f"urn:altinn:party:uuid:00000000-0000-4000-8000-{BAKERY:012d}"]})
    assert (await decide())["decision"] == "Permit"
    await call("PUT", f"{BASE}/{ID}/access-list-mode", {"accessListMode": "Disabled"})
    assert (await http.request("GET", f"{BASE}/{ID}")).json()["accessListMode"] == "Disabled"
    foreign = await call("PUT", f"{REGISTRY}/access-lists/skd/x/resource-connections/{ID}", {}, org="skd")
    assert foreign.status_code == 404
