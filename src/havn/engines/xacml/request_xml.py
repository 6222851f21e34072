"""Reads the attributes of XML requests (core sections 5.45 to 5.49)."""

from __future__ import annotations

from lxml import etree

from havn.engines.xacml import content as xml_content
from havn.engines.xacml import datatypes, limits, names, safe_xml
from havn.engines.xacml.content import Content
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import EvaluationError, RequestError, syntax_error
from havn.engines.xacml.model import Attribute, AttributeKey, Bag, add_attributes
from havn.engines.xacml.safe_xml import NS


class AttributesElement:
    """One `Attributes` element: a category's attributes and content, `error` when a value is not of its type."""

    __slots__ = ("attributes", "category", "content", "error", "id")

    def __init__(self, category: str, xml_id: str | None) -> None:
        self.category = category
        self.id = xml_id
        self.attributes: list[Attribute] = []
        self.content: Content | None = None
        self.error: EvaluationError | None = None


class ValueCount:
    """How many values were read, against the limit."""

    def __init__(self, bounds: limits.Limits) -> None:
        self.bounds = bounds
        self.values = 0

    def add(self, values: int) -> None:
        """Count one attribute's values; RequestError when there are too many."""
        self.values += values
        if values > self.bounds.bag:
            raise RequestError(f"an attribute may have at most {self.bounds.bag} values", too_large=True)
        if self.values > self.bounds.values:
            raise RequestError(f"a request may have at most {self.bounds.values} values", too_large=True)


def read_element(element: etree._Element, count: ValueCount) -> AttributesElement:
    """One `Attributes` element; RequestError when its structure is wrong."""
    read = AttributesElement(_required(element, "Category"), element.get("{http://www.w3.org/XML/1998/namespace}id"))
    sizes: dict[str, int] = {}
    for child in element:
        if child.tag == NS + "Content":
            if read.content is not None:
                raise RequestError("Attributes may have only one Content")
            read.content = _content(child, count.bounds)
        elif child.tag == NS + "Attribute":
            _attribute(read, child, count, sizes)
        else:
            raise RequestError(f"Attributes may not hold {child.tag}")
    return read


def _attribute(read: AttributesElement, element: etree._Element, count: ValueCount, sizes: dict[str, int]) -> None:
    attribute_id = _required(element, "AttributeId")
    include = boolean(element, "IncludeInResult")
    by_type: dict[str, list[object]] = {}
    written: dict[str, list[str]] = {}
    for value in element:
        if value.tag != NS + "AttributeValue":
            raise RequestError(f"Attribute may not hold {value.tag}")
        data_type = _required(value, "DataType")
        try:
            by_type.setdefault(data_type, []).append(_value(value, data_type))
            if include:
                written.setdefault(data_type, []).append(safe_xml.text_of(value).strip(" \t\r\n"))
        except EvaluationError as error:
            read.error = read.error or error
    if not by_type and read.error is None:
        raise RequestError(f"the attribute {attribute_id} has no value")
    for data_type, values in by_type.items():
        sizes[attribute_id] = sizes.get(attribute_id, 0) + len(values)
        count.add(len(values))
        if sizes[attribute_id] > count.bounds.bag:
            raise RequestError(f"an attribute may have at most {count.bounds.bag} values", too_large=True)
        read.attributes.append(
            Attribute(
                category=read.category,
                id=attribute_id,
                values=tuple(values),
                data_type=data_type,
                issuer=element.get("Issuer"),
                include_in_result=include,
                lexical=tuple(written[data_type]) if include and data_type != names.STRING else None,
            )
        )


def _value(element: etree._Element, data_type: str) -> object:
    if data_type == names.XPATH_EXPRESSION:
        path = safe_xml.text_of(element).strip()
        namespaces = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
        used = {prefix: uri for prefix, uri in namespaces.items() if f"{prefix}:" in path}
        category = element.get("XPathCategory")
        if category is None:
            raise syntax_error("an xpathExpression lacks XPathCategory")
        try:
            xml_content.check(path, used)
        except ValueError as error:
            raise syntax_error(str(error)) from error
        return XPathExpression(path, category, tuple(sorted(used.items())))
    if len(element):
        if data_type in datatypes.DATA_TYPES:
            raise syntax_error("an AttributeValue of this data type may not hold elements")
        return safe_xml.inner_xml(element)
    return datatypes.parse(data_type, element.text or "")


def _content(element: etree._Element, bounds: limits.Limits) -> Content:
    if len(element) != 1:
        raise RequestError("Content must hold exactly one element")
    # A document of its own, so that no path leads out of it into the request.
    text = etree.tostring(element[0], encoding="utf-8", with_tail=False)
    try:
        return Content.read(text, bounds=bounds)
    except ValueError as error:
        raise RequestError(str(error), too_large="too large" in str(error)) from error


def boolean(element: etree._Element, name: str) -> bool:
    """An optional xs:boolean attribute, false when absent."""
    value = element.get(name, "false").strip()
    if value not in {"true", "false", "1", "0"}:
        raise RequestError(f"{name} must be true or false, not {value!r}")
    return value in {"true", "1"}


def _required(element: etree._Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise RequestError(f"{str(element.tag).removeprefix(NS)} lacks {name}")
    return value.strip()


def read_attributes(category: str, inner: str) -> tuple[dict[AttributeKey, Bag], Content | None]:
    """What stands inside an `Attributes` element, given as text; EvaluationError when it cannot be read."""
    text = f'<Attributes xmlns="{names.NAMESPACE}" Category="x">{inner}</Attributes>'.encode()
    try:
        element = safe_xml.parse(text, depth=limits.DEFAULT.depth)
        read = read_element(element, ValueCount(limits.DEFAULT))
    except (safe_xml.UnsafeXml, RequestError) as error:
        raise syntax_error(f"not the content of Attributes: {error}") from error
    if read.error:
        raise read.error
    bags: dict[str, dict[AttributeKey, Bag]] = {}
    add_attributes(bags, read.attributes)
    return bags.get("x", {}), read.content
