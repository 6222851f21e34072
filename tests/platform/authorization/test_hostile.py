"""What is meant to break the decision point: refused with file, line and rule, or Indeterminate, and soon."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

BASE = "/authorization/api/v1"
F1, F3 = "urn:oasis:names:tc:xacml:1.0:function:", "urn:oasis:names:tc:xacml:3.0:function:"
XSD = "http://www.w3.org/2001/XMLSchema#"
JSON, XML = {"content-type": "application/json"}, {"content-type": "application/xacml+xml"}
S = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
ROLE = "urn:altinn:rolecode"
ACTION = "urn:oasis:names:tc:xacml:1.0:action:action-id"

pytestmark = [pytest.mark.usefixtures("published"), pytest.mark.timeout(30)]


def value(text: str, type_: str = "string") -> str:
    return f'<AttributeValue DataType="{XSD}{type_}">{text}</AttributeValue>'


def apply(function: str, *arguments: str) -> str:
    return f'<Apply FunctionId="{function}">{"".join(arguments)}</Apply>'


def subject(id_: str) -> str:
    return f'<AttributeDesignator AttributeId="{id_}" Category="{S}" DataType="{XSD}string" MustBePresent="false"/>'


def deep(levels: int) -> str:
    return f'<Apply FunctionId="{F1}not">' * levels + value("true", "boolean") + "</Apply>" * levels


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol" * 10}">' for n in range(9))
CONDITIONS = {
    "an unknown function": apply("urn:example:none", value("x")),
    "wrong types": apply(F1 + "integer-add", value("1", "integer"), value("x")),
    "a value that is none": apply(F1 + "integer-equal", value("1", "integer"), value("one", "integer")),
    "a pattern that explodes": apply(F1 + "string-regexp-match", value(r"(a+)+\1$"), value("a")),
    "a pattern that repeats too often": apply(F1 + "string-regexp-match", value("(a{1000}){1000}"), value("a")),
    "a variable that is not there": '<VariableReference VariableId="none"/>',
}


@pytest.fixture
def publish(platform, http, make_policy):
    async def put(*, condition: str = "", head: str = "", inside: str = "") -> Any:
        rule = make_policy.rule("the-rule", [(ROLE, "dagl")], ["read"])
        if condition:
            rule = rule.replace("</Target></Rule>", f"</Target>\n<Condition>{condition}</Condition></Rule>")
        text = make_policy.policy("\n\n", inside, rule).decode()
        return await http.request(
            "PUT", f"{BASE}/policies/ttd/permit", content=(head + text).encode(), headers=platform.component("deploy")
        )

    return put


@pytest.fixture
def decide(platform, http):
    async def post(body: bytes, headers: dict[str, str]) -> Any:
        return await http.request(
            "POST", f"{BASE}/decision", content=body, headers=headers | platform.component("storage")
        )

    return post


@pytest.mark.parametrize("name", CONDITIONS)
async def test_a_rule_that_cannot_be_used_is_refused_with_line_and_rule(publish, platform, name: str) -> None:
    refused = await publish(condition=CONDITIONS[name])
    assert (refused.status_code, refused.json()["code"]) == (422, "policy_refused")
    [finding] = refused.json()["findings"]
    assert (finding["severity"], finding["ruleId"], finding["line"]) == ("error", "the-rule", 4)
    assert len(refused.content) < 2_000
    # Nothing of it is in force.
    assert len(await platform.sql("select 1 from policy where app = 'permit'")) == 1


async def test_circles_and_entities_are_refused(publish) -> None:
    circle = "".join(
        f'<VariableDefinition VariableId="{a}"><VariableReference VariableId="{b}"/></VariableDefinition>'
        for a, b in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    refused = (await publish(inside=circle)).json()
    assert "refers to itself" in refused["detail"]
    assert refused["findings"][0]["line"] == 3
    assert "document type" in (await publish(head=f"<!DOCTYPE Policy [{BOMB}]>")).json()["detail"]
    # Before anything is known of rules: the line alone.
    nested = (await publish(condition=deep(200))).json()
    assert ("nest deeper" in nested["detail"], nested["findings"][0]["line"]) == (True, 4)
    external = '<!DOCTYPE Policy [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    assert "root:" not in (await publish(head=external)).text
    assert (await publish(inside=" " * (2 * 1024 * 1024))).status_code in (413, 422)


async def test_what_a_policy_computes_stays_small(publish, decide, ask) -> None:
    """Patterns and bags from a request: Indeterminate with a status, not a decision point that hangs."""
    regexp = f'<Function FunctionId="{F1}string-regexp-match"/>'
    matching = apply(F3 + "any-of-any", regexp, subject("urn:example:pattern"), subject("urn:example:text"))
    assert (await publish(condition=matching)).status_code == 200

    async def ask_with(patterns: list[str], texts: list[str]) -> dict[str, Any]:
        def bag(id_: str, values: list[str]) -> dict[str, Any]:
            return {"AttributeId": id_, "Value": values}

        who = [bag("urn:example:pattern", patterns), bag("urn:example:text", texts)]
        who.append({"AttributeId": "urn:altinn:userid", "Value": "1501"})
        place = [("urn:altinn:org", "ttd"), ("urn:altinn:app", "permit"), ("urn:altinn:partyid", "5101")]
        request = {
            "AccessSubject": [{"Attribute": who}],
            "Action": [
                {"Attribute": [{"AttributeId": "urn:oasis:names:tc:xacml:1.0:action:action-id", "Value": "read"}]}
            ],
            "Resource": [{"Attribute": [{"AttributeId": id_, "Value": text} for id_, text in place]}],
        }
        response = await decide(msgspec.json.encode({"Request": request}), JSON)
        assert response.status_code == 200, response.text
        return dict(response.json()["response"][0])

    assert (await ask_with(["^b"], ["abc", "bcd"]))["decision"] == "Permit"
    assert (await ask_with(["(a+)+$"], ["a" * 50_000 + "b"]))["decision"] == "NotApplicable"
    wrong = await ask_with([r"(a)\1"], ["aa"])
    assert (wrong["decision"], wrong["status"]["statusCode"]["value"].rpartition(":")[2]) == (
        "Indeterminate",
        "processing-error",
    )
    many = await ask_with([f"^x{n}$" for n in range(2_000)], [f"y{n}" for n in range(2_000)])
    assert many["decision"] == "Indeterminate"


REQUESTS: list[tuple[bytes, dict[str, str], int]] = [
    (f"<!DOCTYPE Request [{BOMB}]><Request>&e8;</Request>".encode(), XML, 400),
    (b"<Request>" * 5_000, XML, 400),
    (b"<Request", XML, 400),
    (b"", JSON, 400),
    (b"[" * 100_000, JSON, 400),
    (b'{"Request": ' * 3_000, JSON, 400),
    (b'{"Request": 7}', JSON, 400),
    (b'{"Request": {"Resource": "x"}}', JSON, 400),
    (b"\xff\xfe\x00", JSON, 400),
]


@pytest.mark.parametrize(("body", "headers", "status"), REQUESTS, ids=range(len(REQUESTS)))
async def test_a_request_that_is_none_is_refused(decide, body: bytes, headers: dict[str, str], status: int) -> None:
    refused = await decide(body, headers)
    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")


async def test_huge_bags_and_too_many_requests_are_refused(decide, ask) -> None:
    place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": "5101"}
    whole = msgspec.json.decode(ask({"urn:altinn:userid": "1501"}, place, "read"))
    whole["Request"]["AccessSubject"][0]["Attribute"].append({"AttributeId": "x", "Value": ["v"] * 10_001})
    assert (await decide(msgspec.json.encode(whole), JSON)).status_code == 413
    many = ask({"urn:altinn:userid": "1501"}, [place] * 2, "read")
    asked = msgspec.json.decode(many)
    asked["Request"]["MultiRequests"]["RequestReference"] *= 3_000
    assert (await decide(msgspec.json.encode(asked), JSON)).status_code == 413
