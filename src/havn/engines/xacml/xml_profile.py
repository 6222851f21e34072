"""Requests and responses in XML (core sections 5.42 to 5.58), `application/xacml+xml`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from havn.engines.xacml import limits, names, safe_xml
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import MissingAttribute, RequestError
from havn.engines.xacml.model import Attribute, AttributeKey, Bag, DecisionRequest, Obligation, Result, add_attributes
from havn.engines.xacml.multiple import CategoryPart, expand
from havn.engines.xacml.request_xml import AttributesElement, ValueCount, boolean, read_element
from havn.engines.xacml.safe_xml import NS

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(body: bytes, *, now: dt.datetime | None = None, bounds: limits.Limits = limits.DEFAULT) -> DecisionRequest:
    """The requests of an XML `Request`; RequestError when it cannot be read or is too large.

    `now` is the instant for current-time and its kin. A value that is not of its data type does not make the call
    fail: the requests that it belongs to are answered Indeterminate with syntax-error, as the standard has it.
    """
    if len(body) > bounds.request_bytes:
        raise RequestError(f"a request may have at most {bounds.request_bytes} bytes", too_large=True)
    try:
        root = safe_xml.parse(body, depth=bounds.depth)
    except safe_xml.UnsafeXml as error:
        raise RequestError(str(error)) from error
    if root.tag != NS + "Request":
        raise RequestError(f"the document is not a Request of {names.NAMESPACE}")
    count = ValueCount(bounds)
    parts: list[CategoryPart] = []
    references: list[list[str]] = []
    for child in root:
        if child.tag == NS + "Attributes":
            parts.append(_part(read_element(child, count)))
        elif child.tag == NS + "MultiRequests":
            references = [_reference(item) for item in child]
            if not references:
                raise RequestError("MultiRequests holds no RequestReference")
        elif child.tag == NS + "RequestDefaults":
            version = child.find(NS + "XPathVersion")
            if version is not None and (version.text or "").strip() != names.XPATH_1_0:
                raise RequestError("only XPath 1.0 is supported")
        else:
            raise RequestError(f"Request may not hold {child.tag}")
    if not parts:
        raise RequestError("a Request must hold Attributes")
    return expand(
        parts,
        references,
        bounds=bounds,
        now=now,
        return_policy_ids=boolean(root, "ReturnPolicyIdList"),
        combined=boolean(root, "CombinedDecision"),
    )


def _part(read: AttributesElement) -> CategoryPart:
    bags: dict[str, dict[AttributeKey, Bag]] = {read.category: {}}
    add_attributes(bags, read.attributes)
    return CategoryPart(
        read.category,
        bags[read.category],
        xml_id=read.id,
        echo=tuple(a for a in read.attributes if a.include_in_result),
        document=read.content,
        error=read.error,
    )


def _reference(element: etree._Element) -> list[str]:
    if element.tag != NS + "RequestReference":
        raise RequestError(f"MultiRequests may not hold {element.tag}")
    return [item.get("ReferenceId") or "" for item in element]


def write(results: Iterable[Result]) -> bytes:
    """The XML `Response`, in UTF-8."""
    parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<Response xmlns="{names.NAMESPACE}">'.encode()]
    parts += [_result(result) for result in results]
    parts.append(b"</Response>")
    return b"".join(parts)


def _result(result: Result) -> bytes:
    wire = result.wire
    head = wire.get("xml") if wire is not None else None
    if head is None:
        head = _head(result).encode()
        if wire is not None:
            wire["xml"] = head
    if not result.attributes and not result.policies:
        return head + b"</Result>"
    return head + (_attributes(result.attributes) + _policies(result)).encode() + b"</Result>"


def _head(result: Result) -> str:
    status = result.status
    parts = [f"<Result><Decision>{result.decision.value}</Decision>"]
    parts.append(f"<Status><StatusCode Value={_quoted(status.code)}/>")
    if status.message:
        parts.append(f"<StatusMessage>{_text(status.message)}</StatusMessage>")
    if status.missing:
        parts.append("<StatusDetail>" + "".join(map(missing_detail, status.missing)) + "</StatusDetail>")
    parts.append("</Status>")
    if result.obligations:
        held = "".join(_duty("Obligation", o) for o in result.obligations)
        parts.append(f"<Obligations>{held}</Obligations>")
    if result.advice:
        parts.append(f"<AssociatedAdvice>{''.join(_duty('Advice', a) for a in result.advice)}</AssociatedAdvice>")
    return "".join(parts)


def missing_detail(missing: MissingAttribute) -> str:
    """One `MissingAttributeDetail` element."""
    issuer = f" Issuer={_quoted(missing.issuer)}" if missing.issuer is not None else ""
    return (
        f"<MissingAttributeDetail Category={_quoted(missing.category)} AttributeId={_quoted(missing.id)}"
        f" DataType={_quoted(missing.data_type)}{issuer}/>"
    )


def _duty(kind: str, obligation: Obligation) -> str:
    assignments = []
    for a in obligation.assignments:
        extra = f" Category={_quoted(a.category)}" if a.category is not None else ""
        extra += f" Issuer={_quoted(a.issuer)}" if a.issuer is not None else ""
        assignments.append(
            f"<AttributeAssignment AttributeId={_quoted(a.id)} DataType={_quoted(a.data_type)}{extra}"
            f"{_xpath_attributes(a.value)}>{_text(a.text)}</AttributeAssignment>"
        )
    return f"<{kind} {kind}Id={_quoted(obligation.id)}>{''.join(assignments)}</{kind}>"


def _attributes(attributes: tuple[Attribute, ...]) -> str:
    by_category: dict[str, list[str]] = {}
    for a in attributes:
        issuer = f" Issuer={_quoted(a.issuer)}" if a.issuer is not None else ""
        values = "".join(
            f"<AttributeValue DataType={_quoted(a.data_type)}{_xpath_attributes(v)}>{_text(text)}</AttributeValue>"
            for v, text in zip(a.values, a.texts, strict=True)
        )
        by_category.setdefault(a.category, []).append(
            f'<Attribute AttributeId={_quoted(a.id)} IncludeInResult="true"{issuer}>{values}</Attribute>'
        )
    return "".join(f"<Attributes Category={_quoted(c)}>{''.join(held)}</Attributes>" for c, held in by_category.items())


def _policies(result: Result) -> str:
    if not result.policies:
        return ""
    listed = [
        f"<{kind} Version={_quoted(p.version)}>{_text(p.id)}</{kind}>"
        for is_set, kind in ((False, "PolicyIdReference"), (True, "PolicySetIdReference"))
        for p in result.policies
        if p.is_set is is_set
    ]
    return f"<PolicyIdentifierList>{''.join(listed)}</PolicyIdentifierList>"


def _xpath_attributes(value: object) -> str:
    if not isinstance(value, XPathExpression):
        return ""
    declared = "".join(f" xmlns:{prefix}={_quoted(uri)}" for prefix, uri in value.namespaces if prefix != "xml")
    return f" XPathCategory={_quoted(value.category)}{declared}"


def _text(text: str) -> str:
    return escape(_UNWRITABLE.sub("\ufffd", text))


def _quoted(text: str) -> str:
    return quoteattr(_UNWRITABLE.sub("\ufffd", text))
