"""Reads JSON requests (JSON profile 1.0 and 1.1); `json_response` writes the answers.

Members are read in any case. The exact form of the profile takes a fast way: it is decoded straight into structs; any
other goes through one pass that gives members their names.
"""

from __future__ import annotations

import binascii
import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from havn.engines.xacml import limits, names
from havn.engines.xacml.content import Content
from havn.engines.xacml.errors import EvaluationError, RequestError
from havn.engines.xacml.json_response import write
from havn.engines.xacml.json_values import typed
from havn.engines.xacml.model import Attribute, AttributeKey, Bag, DecisionRequest, Request, attribute_key
from havn.engines.xacml.multiple import CategoryPart, expand


class _Attribute(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    attribute_id: str
    value: Any = ()
    data_type: str | None = None
    issuer: str | None = None
    include_in_result: bool | None = None


class _Category(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    category_id: str | None = None
    id: str | None = None
    attribute: list[_Attribute] | _Attribute | None = None
    content: str | None = None


class _Reference(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    reference_id: list[str] | str | None = None


class _MultiRequests(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    request_reference: list[_Reference] | None = None


_Categories = list[_Category] | _Category | None


class _Request(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    access_subject: _Categories = None
    resource: _Categories = None
    action: _Categories = None
    environment: _Categories = None
    recipient_subject: _Categories = None
    intermediary_subject: _Categories = None
    codebase: _Categories = None
    requesting_machine: _Categories = None
    category: _Categories = None
    multi_requests: _MultiRequests | None = None
    return_policy_id_list: bool | None = None
    combined_decision: bool | None = None
    x_path_version: str | None = msgspec.field(name="XPathVersion", default=None)


class _Envelope(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    request: _Request


_decode = msgspec.json.Decoder(_Envelope).decode

_SHORTHANDS = tuple(
    (field, names.CATEGORY_SHORTHANDS["".join(word.capitalize() for word in field.split("_"))])
    for field in (
        "access_subject", "resource", "action", "environment", "recipient_subject", "intermediary_subject", "codebase",
        "requesting_machine",
    )
)  # fmt: skip

_MEMBERS = {
    encoded.lower(): encoded
    for struct in (_Attribute, _Category, _Reference, _MultiRequests, _Request, _Envelope)
    for encoded in struct.__struct_encode_fields__
}
_SMALL = 32 * 1024
"""Bytes below which a request cannot come near the limits on values."""
_FEW = 100
"""Values of an attribute up to which they need no counting of their own."""
_ONLY_TEXT = {str}
_STRING_TYPES = frozenset({None, "", "string", names.STRING})


def read(body: bytes, *, now: dt.datetime | None = None, bounds: limits.Limits = limits.DEFAULT) -> DecisionRequest:
    """The requests of a JSON `Request`; RequestError when it cannot be read or is too large.

    `now` is the instant for current-time and its kin. A value that is not of its data type does not make the call
    fail: the requests that it belongs to are answered Indeterminate with syntax-error.
    """
    if len(body) > bounds.request_bytes:
        raise RequestError(f"a request may have at most {bounds.request_bytes} bytes", too_large=True)
    try:
        asked = _decode(body).request
    except (msgspec.MsgspecError, RecursionError):
        asked = _read_any_case(body)
    if len(body) < _SMALL:
        request = _ordinary(asked, now)
        if request is not None:
            return DecisionRequest((request,))
    reader = _Reader(bounds)
    parts: list[CategoryPart] = []
    for field, category in _SHORTHANDS:
        given = getattr(asked, field)
        if given is not None:
            parts += [reader.part(part, category) for part in (given if isinstance(given, list) else (given,))]
    if asked.category is not None:
        for part in asked.category if isinstance(asked.category, list) else (asked.category,):
            if part.category_id is None:
                raise RequestError("a Category lacks CategoryId")
            parts.append(reader.part(part, names.CATEGORY_SHORTHANDS.get(part.category_id, part.category_id)))
    if not parts:
        raise RequestError("the request holds no category")
    if asked.x_path_version not in {None, names.XPATH_1_0}:
        raise RequestError("only XPath 1.0 is supported")
    references: Sequence[Sequence[str]] = ()
    if asked.multi_requests is not None and asked.multi_requests.request_reference:
        references = [
            [r.reference_id] if isinstance(r.reference_id, str) else (r.reference_id or [])
            for r in asked.multi_requests.request_reference
        ]
    return expand(
        parts,
        references,
        bounds=bounds,
        now=now,
        return_policy_ids=bool(asked.return_policy_id_list),
        combined=bool(asked.combined_decision),
    )


def _ordinary(asked: _Request, now: dt.datetime | None) -> Request | None:
    """The request that nearly every call is: each category once, plain strings. None when it is not one."""
    if (
        asked.multi_requests is not None
        or asked.recipient_subject is not None
        or asked.intermediary_subject is not None
        or asked.codebase is not None
        or asked.requesting_machine is not None
        or asked.combined_decision
        or asked.x_path_version is not None
    ):
        return None
    attributes: dict[str, dict[AttributeKey, Bag]] = {}
    echo: tuple[Attribute, ...] = ()
    parts: list[tuple[_Categories, str]] = [
        (asked.access_subject, names.ACCESS_SUBJECT),
        (asked.resource, names.RESOURCE),
        (asked.action, names.ACTION),
        (asked.environment, names.ENVIRONMENT),
    ]
    if asked.category is not None:
        if type(asked.category) is not list:
            return None
        parts += [(c, c.category_id or "") for c in asked.category]
    for listing, category in parts:
        if listing is None:
            continue
        if isinstance(listing, list):
            if len(listing) != 1:
                return None
            given = listing[0]
        else:
            given = listing
        if given.content is not None or category in attributes or ":" not in category:
            return None
        read = _plain_bags(given.attribute, category)
        if read is None:
            return None
        attributes[category], echoed = read
        if echoed:
            echo += echoed
    if not attributes:
        return None
    return Request(attributes, echo=echo, now=now, return_policy_ids=bool(asked.return_policy_id_list))


def _plain_bags(
    listed: list[_Attribute] | _Attribute | None, category: str
) -> tuple[dict[AttributeKey, Bag], tuple[Attribute, ...]] | None:
    """Bags of attributes that are all strings, each given once, and those to echo; None when they are not."""
    if type(listed) is not list:
        return None
    bags: dict[AttributeKey, Bag] = {}
    echo: tuple[Attribute, ...] = ()
    for a in listed:
        if a.issuer is not None or a.data_type not in _STRING_TYPES:
            return None
        value = a.value
        if type(value) is str:
            bags[a.attribute_id] = (value,)
        elif type(value) is list and 0 < len(value) <= _FEW and {*map(type, value)} == _ONLY_TEXT:
            bags[a.attribute_id] = tuple(value)
        else:
            return None
        if a.include_in_result:
            echo = (*echo, _echo(a, category, bags[a.attribute_id], names.STRING))
    return (bags, echo) if len(bags) == len(listed) else None


def _read_any_case(body: bytes) -> _Request:
    try:
        return msgspec.convert(_named(msgspec.json.decode(body), 0), _Envelope).request
    except RecursionError:
        raise RequestError("the JSON nests too deep") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise RequestError(f"not a JSON request: {error}") from error


def _named(value: Any, depth: int) -> Any:
    """Members known to the profile under their own names, others left out; an attribute's value is not touched."""
    if isinstance(value, list):
        return [_named(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _MEMBERS.get(key.lower())
        if name is not None:
            if name in found:
                raise RequestError(f"the member {name} is given twice")
            found[name] = item if name == "Value" else _named(item, depth + 1)
    if depth == 0 and "Request" not in found:
        raise RequestError("the document has no Request")
    return found


class _Reader:
    """Makes bags of attributes and counts their values."""

    __slots__ = ("bounds", "values")

    def __init__(self, bounds: limits.Limits) -> None:
        self.bounds = bounds
        self.values = 0

    def part(self, given: _Category, category: str) -> CategoryPart:
        if given.content is None:
            read = _plain_bags(given.attribute, category)
            if read is not None:
                self.count(len(read[0]))
                return CategoryPart(category, read[0], given.id, read[1])
        bags: dict[AttributeKey, Bag] = {}
        echo: tuple[Attribute, ...] = ()
        error: EvaluationError | None = None
        attributes = given.attribute
        if attributes is not None:
            if type(attributes) is not list:
                attributes = [attributes]  # type: ignore[list-item]
            self.count(len(attributes))
            for a in attributes:
                value = a.value
                if type(value) is str and a.data_type in _STRING_TYPES and a.issuer is None:
                    key: AttributeKey = a.attribute_id
                    values: Bag = (value,)
                    data_type = names.STRING
                else:
                    try:
                        data_type, values = typed(a.value, a.data_type)
                    except EvaluationError as failure:
                        error = error or failure
                        continue
                    if len(values) > 1:
                        self.count(len(values))
                    key = attribute_key(a.attribute_id, data_type)
                    if a.issuer is not None:
                        by_issuer = (a.attribute_id, data_type, a.issuer)
                        bags[by_issuer] = bags.get(by_issuer, ()) + values
                known = bags.get(key)
                if known is not None:
                    values = known + values
                    if len(values) > self.bounds.bag:
                        raise RequestError(f"an attribute may have at most {self.bounds.bag} values", too_large=True)
                bags[key] = values
                if a.include_in_result:
                    echo = (*echo, _echo(a, category, values if known is None else values[len(known) :], data_type))
        document = None
        if given.content is not None:
            document = _content(given.content, self.bounds)
        return CategoryPart(category, bags, given.id, echo, document, error)

    def count(self, values: int) -> None:
        self.values += values
        if self.values > self.bounds.values or values > self.bounds.values:
            raise RequestError(f"a request may have at most {self.bounds.values} values", too_large=True)


def _echo(a: _Attribute, category: str, values: Bag, data_type: str) -> Attribute:
    return Attribute(
        category=category,
        id=a.attribute_id,
        values=values,
        data_type=data_type,
        issuer=a.issuer,
        include_in_result=True,
    )


def _content(text: str, bounds: limits.Limits) -> Content:
    """`Content`: XML as text, or as base64 of its bytes (JSON profile 4.2.3)."""
    raw = text.strip()
    try:
        xml = raw.encode() if raw.startswith("<") else binascii.a2b_base64(raw.encode(), strict_mode=True)
        return Content.read(xml, bounds=bounds)
    except ValueError as error:
        raise RequestError(f"Content is not XML: {error}", too_large="too large" in str(error)) from error


__all__ = ["read", "write"]
