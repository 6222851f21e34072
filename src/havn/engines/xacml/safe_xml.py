"""Reading XML that may be hostile: no document type, no entities, no network, bounded size and depth."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lxml import etree

from havn.engines.xacml import names
from havn.engines.xml_parser import parser

NS = f"{{{names.NAMESPACE}}}"
_PARSER = parser()


class UnsafeXml(ValueError):
    """The text is not well-formed, declares a document type, or nests too deep; `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse(text: bytes, *, depth: int) -> etree._Element:
    """The root element; raises UnsafeXml."""
    if b"<!DOCTYPE" in text:
        raise UnsafeXml("a document type declaration is not allowed", 1 + text.count(b"\n", 0, text.find(b"<!DOCTYPE")))
    try:
        root = etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError as error:
        raise UnsafeXml(f"not well-formed XML: {error.msg}", error.lineno) from error
    except ValueError as error:
        raise UnsafeXml(f"not XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnsafeXml("a document type declaration is not allowed", 1)
    _check_depth(root, depth)
    return root


def _check_depth(root: etree._Element, depth: int) -> None:
    deepest = _at_depth(depth + 1)(root)
    if deepest:
        line: int | None = deepest[0].sourceline
        raise UnsafeXml(f"elements nest deeper than {depth}", line)


@lru_cache(maxsize=16)
def _at_depth(level: int) -> Any:
    """What finds the elements at one level; level by level, so in time linear to the document."""
    return etree.XPath("/*" * level)


def text_of(element: etree._Element) -> str:
    """The text directly inside an element, children left out."""
    parts = [element.text or ""]
    parts += [child.tail or "" for child in element]
    return "".join(parts)


def inner_xml(element: etree._Element) -> str:
    """What stands inside an element, as XML text."""
    return (element.text or "") + "".join(etree.tostring(child, encoding="unicode") for child in element)
