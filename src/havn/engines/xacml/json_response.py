"""Writes results as JSON: PascalCase as the JSON profile has it, or camelCase as Altinn's clients read it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from havn.engines.xacml import datatypes, names
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.model import Attribute, Obligation, Result
from havn.engines.xacml.xml_profile import missing_detail

Style = Literal["camel", "pascal"]
_encode = msgspec.json.encode


def write(results: Iterable[Result], *, style: Style = "pascal") -> bytes:
    """The JSON response. `camel` writes every member, null where there is nothing, and values as text."""
    one = _camel if style == "camel" else _pascal
    name = b'{"response":[' if style == "camel" else b'{"Response":['
    return name + b",".join([one(result) for result in results]) + b"]}"


def _camel(result: Result) -> bytes:
    wire = result.wire
    head = wire.get("camel") if wire is not None else None
    if head is None:
        head = _camel_head(result)
        if wire is not None:
            wire["camel"] = head
    if not result.attributes and not result.policies:
        return head + b'"policyIdentifierList":null,"category":null}'
    policies = _encode(_policies(result, _lower)) if result.policies else b"null"
    category = _camel_categories(result.attributes) if result.attributes else b"null"
    return b'%b"policyIdentifierList":%b,"category":%b}' % (head, policies, category)


def _camel_head(result: Result) -> bytes:
    status = result.status
    advice = [_camel_duty(a) for a in result.advice] or None
    head: dict[str, Any] = {
        "decision": result.decision.value,
        "status": {
            "statusMessage": status.message,
            "statusDetails": [missing_detail(m) for m in status.missing] or None,
            "statusCode": {"value": status.code, "statusCode": None},
        },
        "obligations": [_camel_duty(o) for o in result.obligations] or None,
        # The name that Altinn's clients know, and beside it the standard's.
        "associateAdvice": advice,
    }
    if advice:
        head["associatedAdvice"] = advice
    return _encode(head)[:-1] + b","


def _camel_duty(duty: Obligation) -> dict[str, Any]:
    return {
        "id": duty.id,
        "attributeAssignment": [
            {
                "attributeId": a.id,
                "value": a.text,
                "category": a.category,
                "dataType": a.data_type,
                "issuer": a.issuer,
            }
            for a in duty.assignments
        ],
    }


class _Echoed(msgspec.Struct, rename="camel"):
    attribute_id: str
    value: str
    data_type: str
    issuer: str | None
    include_in_result: bool


class _EchoedCategory(msgspec.Struct, rename="camel"):
    category_id: str
    id: str | None
    attribute: list[_Echoed]


def _camel_categories(attributes: tuple[Attribute, ...]) -> bytes:
    found: dict[str, _EchoedCategory] = {}
    for a in attributes:
        category = found.get(a.category)
        if category is None:
            category = found[a.category] = _EchoedCategory(a.category, None, [])
        for value in a.values:
            text = value if type(value) is str else datatypes.write(a.data_type, value)
            category.attribute.append(_Echoed(a.id, text, a.data_type, a.issuer, include_in_result=False))
    return _encode(list(found.values()))


def _pascal(result: Result) -> bytes:
    wire = result.wire
    head = wire.get("pascal") if wire is not None else None
    if head is None:
        head = _pascal_head(result)
        if wire is not None:
            wire["pascal"] = head
    if result.attributes:
        head += b',"Category":' + _pascal_categories(result.attributes)
    if result.policies:
        head += b',"PolicyIdentifierList":' + _encode(_policies(result, str))
    return head + b"}"


def _pascal_head(result: Result) -> bytes:
    status: dict[str, Any] = {"StatusCode": {"Value": result.status.code}}
    if result.status.message:
        status["StatusMessage"] = result.status.message
    if result.status.missing:
        status["StatusDetail"] = {
            "MissingAttributeDetail": [
                _without_nulls(AttributeId=m.id, Category=m.category, DataType=m.data_type, Issuer=m.issuer)
                for m in result.status.missing
            ]
        }
    head: dict[str, Any] = {"Decision": result.decision.value, "Status": status}
    if result.obligations:
        head["Obligations"] = [_pascal_duty(o) for o in result.obligations]
    if result.advice:
        head["AssociatedAdvice"] = [_pascal_duty(a) for a in result.advice]
    return _encode(head)[:-1]


def _pascal_duty(duty: Obligation) -> dict[str, Any]:
    assignments = [
        _without_nulls(
            AttributeId=a.id,
            Value=_json_value(a.data_type, a.value),
            DataType=a.data_type,
            Category=a.category,
            Issuer=a.issuer,
        )
        for a in duty.assignments
    ]
    return {"Id": duty.id, "AttributeAssignment": assignments} if assignments else {"Id": duty.id}


class _PascalEchoed(msgspec.Struct, rename="pascal", omit_defaults=True):
    attribute_id: str
    value: Any
    data_type: str
    include_in_result: bool | None
    issuer: str | None = None


class _PascalCategory(msgspec.Struct, rename="pascal"):
    category_id: str
    attribute: list[_PascalEchoed]


def _pascal_categories(attributes: tuple[Attribute, ...]) -> bytes:
    found: dict[str, _PascalCategory] = {}
    for a in attributes:
        category = found.get(a.category)
        if category is None:
            category = found[a.category] = _PascalCategory(a.category, [])
        if a.data_type == names.STRING:
            value: Any = a.values[0] if len(a.values) == 1 else a.values
        else:
            values = [_json_value(a.data_type, value) for value in a.values]
            value = values[0] if len(values) == 1 else values
        category.attribute.append(_PascalEchoed(a.id, value, a.data_type, True, a.issuer))
    return _encode([*found.values()])


def _json_value(data_type: str, value: Any) -> Any:
    """A value in the JSON form of its type: numbers and booleans as such, the rest as text (profile 3.3)."""
    if isinstance(value, XPathExpression):
        namespaces = [{"Prefix": prefix, "Namespace": uri} for prefix, uri in value.namespaces]
        return {"XPathCategory": value.category, "Namespaces": namespaces, "XPath": value.path}
    if data_type == names.BOOLEAN or (data_type == names.INTEGER and -(2**53) < value < 2**53):
        return value
    if data_type == names.DOUBLE and math.isfinite(value):
        return value
    return datatypes.write(data_type, value)


def _policies(result: Result, name: Any) -> dict[str, Any]:
    return {
        name(kind): [{name("Id"): p.id, name("Version"): p.version} for p in result.policies if p.is_set is is_set]
        for is_set, kind in ((False, "PolicyIdReference"), (True, "PolicySetIdReference"))
    }


def _lower(word: str) -> str:
    return word[0].lower() + word[1:]


def _without_nulls(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
