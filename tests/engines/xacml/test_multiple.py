"""The multiple decision profile: references, repeated categories, content selectors, combined decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from havn.engines import xacml
from havn.engines.xacml import json_profile, names, xml_profile


def attribute(identifier: str, value: str, *, include: bool = False) -> dict[str, Any]:
    return {"AttributeId": identifier, "Value": value, "IncludeInResult": include}


def asked(**more: Any) -> dict[str, Any]:
    return {
        "Request": {
            "AccessSubject": [{"Id": "s", "Attribute": [attribute("role", "dagl")]}],
            "Action": [
                {"Id": "a1", "Attribute": [attribute(names.ACTION_ID, "read", include=True)]},
                {"Id": "a2", "Attribute": [attribute(names.ACTION_ID, "write", include=True)]},
            ],
            "Resource": [{"Id": "r", "Attribute": [attribute("task", "Task_1")]}],
            **more,
        }
    }


def references(*listed: list[str]) -> dict[str, Any]:
    return {"MultiRequests": {"RequestReference": [{"ReferenceId": reference} for reference in listed]}}


@pytest.fixture
def policy(x: Any) -> xacml.CompiledPolicy:
    found: xacml.CompiledPolicy = x.compiled(
        x.policy(x.rule("r", "Permit", x.target([[x.match("read", names.ACTION_ID, names.ACTION)]])))
    )
    return found


def decide(policy: xacml.CompiledPolicy, body: dict[str, Any]) -> list[xacml.Result]:
    return xacml.decide(policy, json_profile.read(json.dumps(body).encode()))


def test_references_are_answered_in_their_order(policy: Any) -> None:
    results = decide(policy, asked(**references(["s", "a2", "r"], ["s", "a1", "r"])))
    assert [(r.attributes[0].values[0], r.permitted) for r in results] == [("write", False), ("read", True)]


def test_one_reference_is_one_request_not_a_mixture(policy: Any) -> None:
    results = decide(policy, asked(**references(["s", "a2", "r"])))
    assert [r.permitted for r in results] == [False]


def test_an_unknown_or_doubtful_reference_spoils_its_own_request_only(policy: Any) -> None:
    results = decide(policy, asked(**references(["s", "nobody", "r"], ["s", "a1", "r"], [])))
    assert [r.decision.value for r in results] == ["Indeterminate", "Permit", "Indeterminate"]
    assert results[0].status.code == names.SYNTAX_ERROR
    body = asked(**references(["s", "a1", "r"]))
    body["Request"]["Resource"].append(body["Request"]["Resource"][0])
    assert decide(policy, body)[0].status.code == names.SYNTAX_ERROR


def test_a_wrong_value_spoils_only_the_requests_it_belongs_to(policy: Any) -> None:
    body = asked(**references(["s", "a1", "r"], ["s", "a1", "bad"]))
    wrong = {"AttributeId": "n", "Value": "x", "DataType": "integer"}
    body["Request"]["Resource"].append({"Id": "bad", "Attribute": [wrong]})
    assert [r.decision.value for r in decide(policy, body)] == ["Permit", "Indeterminate"]


def test_repeated_categories_are_combined_each_with_each(policy: Any) -> None:
    body = asked()
    body["Request"]["Resource"].append({"Attribute": [attribute("task", "Task_2", include=True)]})
    results = decide(policy, body)
    assert [r.permitted for r in results] == [True, False, True, False] or [r.permitted for r in results] == [
        True, True, False, False,
    ]  # fmt: skip
    assert len(results) == 4


def test_too_many_combinations_are_refused() -> None:
    many = [{"Attribute": [attribute("a", str(n))]} for n in range(80)]
    body = json.dumps({"Request": {"Resource": many, "Action": many}}).encode()
    with pytest.raises(xacml.RequestError) as refusal:
        json_profile.read(body)
    assert refusal.value.too_large
    named = asked(**references(*[["s", "a1", "r"]] * 5001))
    with pytest.raises(xacml.RequestError) as refusal:
        json_profile.read(json.dumps(named).encode())
    assert refusal.value.too_large


def test_combined_decisions_are_one_when_they_agree(policy: Any, x: Any) -> None:
    agreed = decide(policy, asked(CombinedDecision=True, **references(["s", "a1", "r"], ["s", "a1", "r"])))
    assert [r.decision.value for r in agreed] == ["Permit"]
    differ = decide(policy, asked(CombinedDecision=True))
    assert [r.decision.value for r in differ] == ["Indeterminate"]
    assert differ[0].status.code == names.PROCESSING_ERROR
    duties = x.compiled(x.policy(x.rule("r", "Permit", x.duty("o", "Permit"))))
    assert decide(duties, asked(CombinedDecision=True))[0].decision is xacml.Decision.INDETERMINATE


XML = (
    f'<Request xmlns="{names.NAMESPACE}" xmlns:m="urn:m" ReturnPolicyIdList="false" CombinedDecision="false">'
    f'<Attributes xml:id="one" Category="{names.RESOURCE}"><Content><m:r><m:a>1</m:a><m:a>2</m:a></m:r></Content>'
    "{selector}</Attributes>"
    f'<Attributes xml:id="two" Category="{names.ACTION}">'
    f'<Attribute AttributeId="{names.ACTION_ID}" IncludeInResult="true">'
    f'<AttributeValue DataType="{names.STRING}">read</AttributeValue></Attribute></Attributes>'
    "{multi}</Request>"
)
MULTI = (
    '<MultiRequests><RequestReference><AttributesReference ReferenceId="one"/><AttributesReference ReferenceId="two"/>'
    '</RequestReference><RequestReference><AttributesReference ReferenceId="one"/></RequestReference></MultiRequests>'
)


def test_xml_references_are_followed(policy: Any) -> None:
    results = xacml.decide(policy, xml_profile.read(XML.format(selector="", multi=MULTI).encode()))
    assert [r.decision.value for r in results] == ["Permit", "NotApplicable"]


def test_a_multiple_content_selector_makes_a_request_of_each_node(x: Any) -> None:
    selector = (
        f'<Attribute AttributeId="{names.MULTIPLE_CONTENT_SELECTOR}" IncludeInResult="false"><AttributeValue '
        f'DataType="{names.XPATH_EXPRESSION}" XPathCategory="{names.RESOURCE}">//m:a</AttributeValue></Attribute>'
    )
    condition = x.apply(
        "string-is-in",
        x.value("2"),
        f'<AttributeSelector Category="{names.RESOURCE}" Path="text()" DataType="{names.STRING}" MustBePresent="true"'
        f' ContextSelectorId="{names.CONTENT_SELECTOR}"/>',
    )
    policy = x.compiled(x.policy(x.rule("r", condition=condition)))
    results = xacml.decide(policy, xml_profile.read(XML.format(selector=selector, multi="").encode()))
    assert [r.decision.value for r in results] == ["NotApplicable", "Permit"]
    assert results[0].attributes[0].id == names.CONTENT_SELECTOR
    nothing = XML.format(selector=selector.replace("//m:a", "//m:none"), multi="")
    with pytest.raises(xacml.RequestError):
        xml_profile.read(nothing.encode())


def test_a_multiple_content_selector_that_is_no_path_spoils_its_request(x: Any) -> None:
    selector = (
        f'<Attribute AttributeId="{names.MULTIPLE_CONTENT_SELECTOR}"><AttributeValue '
        f'DataType="{names.XPATH_EXPRESSION}" XPathCategory="{names.ACTION}">//m:a</AttributeValue></Attribute>'
    )
    policy = x.compiled(x.policy(x.rule("r")))
    results = xacml.decide(policy, xml_profile.read(XML.format(selector=selector, multi="").encode()))
    assert [r.status.code for r in results] == [names.SYNTAX_ERROR]


def test_a_thousand_instances_are_answered_in_one_call(policy: Any) -> None:
    body = asked(**references(*[["s", "a1", f"r{n}"] for n in range(1000)]))
    body["Request"]["Resource"] = [
        {"Id": f"r{n}", "Attribute": [attribute("instance", str(n), include=True)]} for n in range(1000)
    ]
    results = decide(policy, body)
    assert {a.values[0] for r in results for a in r.attributes if a.id == "instance"} == {str(n) for n in range(1000)}
    assert all(r.permitted for r in results)
