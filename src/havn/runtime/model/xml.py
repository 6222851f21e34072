"""A model sent as XML, read by the shape that its JSON Schema gives: elements and attributes become members.

The parser resolves no entities, reads no DTD and fetches nothing; a document that has a DTD is refused.
"""

from __future__ import annotations

from typing import Any

from havn.engines.xml_parser import parser
from havn.runtime.model.rows import ROW_ID
from havn.runtime.model.shape import MAX_DEPTH, Shape, ShapeError

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class XmlError(ValueError):
    """The document is not well-formed, or tries something that is not allowed."""


def read(content: bytes, shape: Shape) -> dict[str, Any]:
    """The model. Raises `XmlError`, or `ShapeError` for a member that the schema does not know."""
    from lxml import etree

    try:
        root = etree.fromstring(content, parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XmlError("the body is not well-formed XML") from error
    information: Any = root.getroottree().docinfo
    if information.doctype:
        raise XmlError("XML with a document type declaration is not accepted")
    return _object(root, shape, "", 0)


def _object(element: Any, shape: Shape, path: str, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise ShapeError(path, "the model is nested too deep")
    found: dict[str, Any] = {}
    for name, text in element.attrib.items():
        if name.startswith("{"):
            continue
        if name == ROW_ID:
            found[ROW_ID] = text
            continue
        found[name] = _scalar(text, _member(shape, name, path), _join(path, name))
    for child in element:
        name = child.tag.rpartition("}")[2]
        member, here = _member(shape, name, path), _join(path, name)
        if "array" in member.kinds and "object" not in member.kinds:
            rows = found.setdefault(name, [])
            rows.append(_value(child, member.items, f"{here}[{len(rows)}]", depth + 1))
        elif name in found:
            raise ShapeError(here, f"{here} may stand only once")
        else:
            found[name] = _value(child, member, here, depth + 1)
    text = (element.text or "").strip()
    if text and len(element) == 0 and "value" in shape.members:
        found["value"] = _scalar(text, shape.members["value"], _join(path, "value"))
    return found


def _value(element: Any, shape: Shape, path: str, depth: int) -> Any:
    if element.get(_NIL) in ("true", "1"):
        return None
    if "object" in shape.kinds and (shape.members or len(element)):
        return _object(element, shape, path, depth)
    if len(element):
        raise ShapeError(path, f"{path} has no members")
    return _scalar(element.text or "", shape, path)


def _scalar(text: str, shape: Shape, path: str) -> Any:
    if "string" in shape.kinds:
        return text
    word = text.strip()
    if word == "":
        return None
    if "boolean" in shape.kinds and word in ("true", "false", "1", "0"):
        return word in ("true", "1")
    try:
        if "integer" in shape.kinds and word.lstrip("+-").isdigit():
            return int(word)
        if "number" in shape.kinds:
            return float(word)
    except ValueError:
        pass
    raise ShapeError(path, f"{path} must be {' or '.join(sorted(shape.kinds))}")


def _member(shape: Shape, name: str, path: str) -> Shape:
    member = shape.members.get(name)
    if member is None:
        raise ShapeError(_join(path, name), f"{_join(path, name)} is not a member of the model")
    return member


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
