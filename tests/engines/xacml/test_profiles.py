# ruff: noqa: E501 - tables read best as lines
"""The JSON and XML profiles: what is read in which form, what is refused, and what is written."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from havn.engines import xacml
from havn.engines.xacml import json_profile, names, xml_profile
from havn.engines.xacml.json_profile import _Envelope

NS = "{" + names.NAMESPACE + "}"


def read(asked: Any) -> xacml.Request:
    found = json_profile.read(json.dumps(asked).encode())
    assert len(found.requests) == 1
    return found.requests[0]


def one(attribute: dict[str, Any], **more: Any) -> xacml.Request:
    return read({"Request": {"AccessSubject": {"Attribute": [attribute], **more}}})


def test_the_request_that_apps_send_is_read() -> None:
    asked = {"Request": {
        "AccessSubject": [{"Id": "s1", "Attribute": [
            {"AttributeId": "urn:altinn:userid", "Value": "1337", "DataType": "string", "Issuer": "LOCAL AUTHORITY"}]}],
        "Action": [{"Id": "a1", "Attribute": [{"AttributeId": names.ACTION_ID, "Value": "read", "IncludeInResult": True}]}],
        "Resource": [{"Id": "r1", "Attribute": [{"AttributeId": "urn:altinn:org", "Value": "ttd"}]}],
        "MultiRequests": {"RequestReference": [{"ReferenceId": ["s1", "a1", "r1"]}]}}}  # fmt: skip
    request = read(asked)
    assert request.bag(names.ACCESS_SUBJECT, "urn:altinn:userid") == ("1337",)
    assert request.bag(names.ACCESS_SUBJECT, "urn:altinn:userid", names.STRING, "LOCAL AUTHORITY") == ("1337",)
    assert request.bag(names.RESOURCE, "urn:altinn:org") == ("ttd",)
    assert [a.id for a in request.echo] == [names.ACTION_ID]


def _recased(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {change(k): v if k == "Value" else _recased(v, change) for k, v in value.items()}
    return [_recased(v, change) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda k: k[0].lower() + k[1:]])
def test_members_are_read_in_any_case_and_unknown_ones_ignored(change: Any) -> None:
    asked = {"Request": {"Unknown": 1, "Resource": [{"Id": "r", "More": {}, "Attribute": [
        {"AttributeId": "a", "Value": ["x", "y"], "Nonsense": None}]}], "ReturnPolicyIdList": True}}  # fmt: skip
    request = read(_recased(asked, change))
    assert request.bag(names.RESOURCE, "a") == ("x", "y")
    assert request.return_policy_ids


@pytest.mark.parametrize(
    ("value", "data_type", "expected_type", "expected"),
    [
        ("a", None, names.STRING, ("a",)), (["a", "b"], "string", names.STRING, ("a", "b")), (3, None, names.INTEGER, (3,)),
        (2.5, None, names.DOUBLE, (2.5,)), ([1, 2.5], None, names.DOUBLE, (1.0, 2.5)), (True, None, names.BOOLEAN, (True,)),
        ("3", "integer", names.INTEGER, (3,)), ("INF", "double", names.DOUBLE, (float("inf"),)), (3, "double", names.DOUBLE, (3.0,)),
        ("true", "boolean", names.BOOLEAN, (True,)), ("urn:a", names.ANY_URI, names.ANY_URI, ("urn:a",)),
        (2**70, None, names.INTEGER, (2**70,)), ("whatever", "urn:my:own", "urn:my:own", ("whatever",)), ([], None, names.STRING, ()),
    ],
)  # fmt: skip
def test_values_get_their_data_type(value: Any, data_type: str | None, expected_type: str, expected: Any) -> None:
    attribute = {"AttributeId": "a", "Value": value} | ({"DataType": data_type} if data_type else {})
    request = one(attribute)
    assert request.error is None
    assert request.bag(names.ACCESS_SUBJECT, "a", expected_type) == expected


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        (3, "string"), ("x", "integer"), (["a", 1], None), (None, None), ([["a"]], None), ([True, 1], None), (3, "date"),
        ({"XPath": "//a["}, None), ({"XPathCategory": "Resource", "XPath": "//a["}, None), ({}, None), ([None], "string"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_makes_its_request_indeterminate(x: Any, value: Any, data_type: str | None) -> None:
    request = one({"AttributeId": "a", "Value": value} | ({"DataType": data_type} if data_type else {}))
    result = x.compiled(x.policy(x.rule("r"))).decide(request)
    assert result.decision is xacml.Decision.INDETERMINATE
    assert result.status.code == names.SYNTAX_ERROR


def test_an_xpath_expression_and_content_are_read() -> None:
    xpath = {"XPathCategory": "AccessSubject", "XPath": "//m:a", "Namespaces": [{"Prefix": "m", "Namespace": "urn:m"}]}
    for content in ("<a/>", base64.b64encode(b"<a/>").decode()):
        request = one({"AttributeId": "a", "Value": xpath}, Content=content)
        found = request.bag(names.ACCESS_SUBJECT, "a", names.XPATH_EXPRESSION)[0]
        assert (found.path, found.category) == ("//m:a", names.ACCESS_SUBJECT)
        assert request.content is not None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"{}", b"null", b'{"Request": null}', b'{"Request": {}}', b'{"Request": {"Resource": 3}}',
        b'{"Request": {"Resource": [{"Attribute": [{"Value": "x"}]}]}}', b'{"Request": {"Category": [{"Attribute": []}]}}',
        b'{"Request": {"Resource": {}, "resource": {}}}', b'{"Request": {"Resource": {"Content": "<a"}}}', b"\xff\xfe",
        b'{"Request": {"Resource": {"Content": "<!DOCTYPE a [<!ENTITY b \'c\'>]><a>&b;</a>"}}}',
        b'{"Request": {"Resource": {"Attribute": [{"AttributeId": 1, "Value": "x"}]}}}', b"[" * 100_000,
        b'{"Request": {"Resource": ' + b'{"Attribute": ' * 5000 + b"1" + b"}" * 5002, b'{"Request": {"XPathVersion": "x", "Resource": {}}}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(xacml.RequestError):
        json_profile.read(body)


def test_a_request_may_hold_control_characters_and_is_answered(x: Any) -> None:
    request = one({"AttributeId": "a\u0000b", "Value": "x\u0001", "IncludeInResult": True})
    result = x.compiled(x.policy(x.rule("r"))).decide(request)
    assert etree.fromstring(xml_profile.write([result])).find(f".//{NS}AttributeValue").text == "x\ufffd"
    assert json.loads(json_profile.write([result]))["Response"][0]["Category"][0]["Attribute"][0]["Value"] == "x\u0001"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Request",
                    "resource",
                    "Attribute",
                    "AttributeId",
                    "Value",
                    "CategoryId",
                    "Id",
                    "MultiRequests",
                    "RequestReference",
                    "ReferenceId",
                    "Content",
                    "DataType",
                    "Category",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for body in (
        value,
        {"Request": value},
        {"Request": {"Resource": value}},
        {"Request": {"Resource": {"Attribute": value}}},
    ):
        with contextlib.suppress(xacml.RequestError):
            json_profile.read(json.dumps(body).encode())


FIRST = xacml.Result(
    decision=xacml.Decision.PERMIT,
    obligations=(xacml.Obligation("o", (xacml.Assignment("a", 3, names.INTEGER, "c"),)),),
    advice=(xacml.Obligation("hint"),),
    attributes=(xacml.Attribute(category=names.ACTION, id=names.ACTION_ID, values=("read",), include_in_result=True),),
    policies=(xacml.PolicyIdentifier("p", "1.0"), xacml.PolicyIdentifier("s", "2.0", is_set=True)),
)
SECOND = xacml.Result(
    decision=xacml.Decision.INDETERMINATE,
    status=xacml.Status(names.MISSING_ATTRIBUTE, "a <b>", (xacml.MissingAttribute("c", "id", names.STRING, "i"),)),
)


def test_json_is_written_in_the_form_of_the_profile() -> None:
    first, second = json.loads(json_profile.write([FIRST, SECOND], style="pascal"))["Response"]
    assert first == {
        "Decision": "Permit",
        "Status": {"StatusCode": {"Value": names.OK}},
        "Obligations": [{"Id": "o", "AttributeAssignment": [
            {"AttributeId": "a", "Value": 3, "DataType": names.INTEGER, "Category": "c"}]}],
        "AssociatedAdvice": [{"Id": "hint"}],
        "Category": [{"CategoryId": names.ACTION, "Attribute": [
            {"AttributeId": names.ACTION_ID, "Value": "read", "DataType": names.STRING, "IncludeInResult": True}]}],
        "PolicyIdentifierList": {"PolicyIdReference": [{"Id": "p", "Version": "1.0"}], "PolicySetIdReference": [{"Id": "s", "Version": "2.0"}]},
    }  # fmt: skip
    assert second["Status"] == {
        "StatusCode": {"Value": names.MISSING_ATTRIBUTE},
        "StatusMessage": "a <b>",
        "StatusDetail": {"MissingAttributeDetail": [{"AttributeId": "id", "Category": "c", "DataType": names.STRING, "Issuer": "i"}]},
    }  # fmt: skip


def test_json_is_written_in_the_form_that_altinn_clients_read() -> None:
    first, second = json.loads(json_profile.write([FIRST, SECOND], style="camel"))["response"]
    assert first["decision"] == "Permit"
    assert first["status"] == {
        "statusMessage": None,
        "statusDetails": None,
        "statusCode": {"value": names.OK, "statusCode": None},
    }
    assert first["obligations"] == [{"id": "o", "attributeAssignment": [
        {"attributeId": "a", "value": "3", "category": "c", "dataType": names.INTEGER, "issuer": None}]}]  # fmt: skip
    assert first["associateAdvice"] == first["associatedAdvice"]
    assert first["category"] == [{"categoryId": names.ACTION, "id": None, "attribute": [
        {"attributeId": names.ACTION_ID, "value": "read", "dataType": names.STRING, "issuer": None, "includeInResult": False}]}]  # fmt: skip
    assert first["policyIdentifierList"]["policyIdReference"] == [{"id": "p", "version": "1.0"}]
    assert (
        second["obligations"]
        is second["associateAdvice"]
        is second["category"]
        is second["policyIdentifierList"]
        is None
    )
    assert second["status"]["statusMessage"] == "a <b>"


def test_xml_is_written_as_the_schema_orders_it() -> None:
    root = etree.fromstring(xml_profile.write([FIRST, SECOND]))
    first, second = root
    assert [child.tag.removeprefix(NS) for child in first] == [
        "Decision", "Status", "Obligations", "AssociatedAdvice", "Attributes", "PolicyIdentifierList",
    ]  # fmt: skip
    assert second.findtext(f"{NS}Status/{NS}StatusMessage") == "a <b>"
    assert second.find(f".//{NS}MissingAttributeDetail").get("Issuer") == "i"


@pytest.mark.parametrize(
    "inner",
    [
        "", "<Nonsense/>", '<Attributes/>', '<Attributes Category="c"><Attribute/></Attributes>',
        '<Attributes Category="c"><Attribute AttributeId="a" IncludeInResult="maybe"><AttributeValue DataType="x"/></Attribute></Attributes>',
        '<Attributes Category="c"><Attribute AttributeId="a"/></Attributes>',
        '<Attributes Category="c"><Attribute AttributeId="a"><AttributeValue>x</AttributeValue></Attribute></Attributes>',
        '<Attributes Category="c"><Content/></Attributes>', '<Attributes Category="c"><Content><a/><b/></Content></Attributes>',
        '<Attributes Category="c"><Content><a/></Content><Content><a/></Content></Attributes>', "<MultiRequests/>",
        '<Attributes Category="c"/><MultiRequests/>', "<RequestDefaults><XPathVersion>x</XPathVersion></RequestDefaults>",
    ],
)  # fmt: skip
def test_xml_that_is_no_request_is_refused(inner: str) -> None:
    with pytest.raises(xacml.RequestError):
        xml_profile.read(f'<Request xmlns="{names.NAMESPACE}">{inner}</Request>'.encode())


def test_an_invalid_xml_value_makes_its_request_indeterminate(x: Any) -> None:
    text = (
        f'<Request xmlns="{names.NAMESPACE}"><Attributes Category="c"><Attribute AttributeId="a">'
        f'<AttributeValue DataType="{names.INTEGER}">x</AttributeValue></Attribute></Attributes></Request>'
    )
    results = xacml.decide(x.compiled(x.policy(x.rule("r"))), xml_profile.read(text.encode()))
    assert [(r.decision, r.status.code) for r in results] == [(xacml.Decision.INDETERMINATE, names.SYNTAX_ERROR)]


@pytest.mark.parametrize("read_it", [xml_profile.read, json_profile.read])
def test_requests_over_the_limits_are_too_large(read_it: Any) -> None:
    limits = xacml.Limits(request_bytes=5000, bag=10, values=20)
    with pytest.raises(xacml.RequestError) as refusal:
        read_it(b" " * 6000, bounds=limits)
    assert refusal.value.too_large


def test_huge_bags_are_refused() -> None:
    limits = xacml.Limits(bag=10, values=1000)
    listed = [{"AttributeId": "a", "Value": str(n)} for n in range(11)]
    for asked in ([{"AttributeId": "a", "Value": [str(n) for n in range(200_000)]}], listed * 3000):
        with pytest.raises(xacml.RequestError) as refusal:
            json_profile.read(json.dumps({"Request": {"Resource": {"Attribute": asked}}}).encode(), bounds=limits)
        assert refusal.value.too_large
    values = f'<AttributeValue DataType="{names.STRING}">x</AttributeValue>' * 11
    text = f'<Request xmlns="{names.NAMESPACE}"><Attributes Category="c"><Attribute AttributeId="a">{values}</Attribute></Attributes></Request>'
    with pytest.raises(xacml.RequestError, match="at most 10 values"):
        xml_profile.read(text.encode(), bounds=limits)


def test_the_fast_way_reads_what_the_slow_way_reads() -> None:
    """The exact form is decoded straight into structs; the same with one member in another case must mean the same."""
    asked = {"Request": {"Resource": [{"Attribute": [{"AttributeId": "a", "Value": ["x", "y"]}, {"AttributeId": "b", "Value": "z"}]}],
                         "Category": [{"CategoryId": "urn:c", "Attribute": [{"AttributeId": "c", "Value": "v"}]}]}}  # fmt: skip
    fast, slow = read(asked), read({"request": asked["Request"]})
    assert fast.attributes == slow.attributes
    assert _Envelope.__struct_config__.forbid_unknown_fields
