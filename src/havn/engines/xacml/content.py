"""XML content of a request, and XPath 1.0 over it with bounded work (core section 7.3.7)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lxml import etree

from havn.engines.xacml import limits, safe_xml
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import processing_error, syntax_error

_TOKEN = re.compile(
    r"(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<wide>//|\.\.|(?:ancestor|descendant|following|preceding|parent)(?:-or-self|-sibling)?\s*::)"
    r"|(?P<prefix>[^\W\d][\w.-]*)\s*:(?=[^\W\d]|\*)(?!:)"
    r"|(?P<variable>\$)"
    r"|(?P<open>\[)|(?P<close>\])"
    # A path from the root: inside of a predicate it is walked again for every node.
    r"|(?P<root>(?:(?<=[\[(,=<>+|*-])|(?<=\band)|(?<=\bor)|(?<=\bdiv)|(?<=\bmod))\s*/)"
    r"|(?P<call>[\w-]+\s*\(|\.)"
)


class Content:
    """The document in one category's `Content` element; its root is that element's only child."""

    __slots__ = ("size", "text", "tree")

    def __init__(self, root: etree._Element) -> None:
        self.tree = root.getroottree()
        # What an evaluation may cost is estimated from the number of nodes, and of the characters in all elements'
        # string values taken together (each text counts for every element around it).
        self.size = 1
        self.text = 0
        depth = 0
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if event == "start":
                depth += 1
                self.size += 1 + len(element.attrib) + bool(element.text)
                self.text += depth * len(element.text or "") + sum(map(len, element.attrib.values()))
            else:
                depth -= 1
                self.text += depth * len(element.tail or "")

    @classmethod
    def read(cls, text: bytes, *, bounds: limits.Limits = limits.DEFAULT) -> Content:
        """Content from XML text; ValueError when it is unsafe, malformed or too large."""
        if len(text) > bounds.content_bytes:
            raise ValueError("the content is too large")
        return cls(safe_xml.parse(text, depth=bounds.depth))


def check(path: str, namespaces: dict[str, str]) -> None:
    """Refuse an expression that is not XPath 1.0, uses an undeclared prefix, a variable or is too long: ValueError."""
    if len(path) > limits.XPATH_TEXT:
        raise ValueError(f"an XPath expression may have at most {limits.XPATH_TEXT} characters")
    for token in _TOKEN.finditer(path):
        if token["prefix"] and token["prefix"] not in namespaces:
            raise ValueError(f"undeclared namespace prefix {token['prefix']!r} in XPath")
        if token["variable"]:
            raise ValueError("an XPath expression may have no variables")
    try:
        _compiled(path, tuple(sorted(namespaces.items())))
    except etree.XPathError as error:
        raise ValueError(f"not an XPath 1.0 expression: {error}") from error


@lru_cache(maxsize=512)
def _compiled(path: str, namespaces: tuple[tuple[str, str], ...]) -> Any:
    # Without the EXSLT regular expressions that lxml adds by default: they may take exponential time.
    return etree.XPath(path, namespaces=dict(namespaces) or None, regexp=False)


@lru_cache(maxsize=512)
def _cost(path: str) -> tuple[int, int]:
    """How an expression's work grows: with which power of the nodes, and how many times it may read all text."""
    outside = inside = calls = depth = 0
    for token in _TOKEN.finditer(path):
        depth += bool(token["open"]) - bool(token["close"])
        if token["wide"]:
            if depth:
                inside += 1
            else:
                outside += 1
        elif token["root"] and depth:
            inside += 1
        elif token["call"]:
            # translate compares each character with each of a list.
            calls += len(path) if token["call"].startswith("translate") else 1
    return max(1, outside) + inside, 1 + calls


def _refuse_costly(content: Content, path: str) -> None:
    power, readings = _cost(path)
    if content.size**power > limits.XPATH_VISITS:
        raise processing_error("an XPath expression would visit too many nodes of this content")
    repeated = content.size ** max(0, power - 1)
    if content.text * readings * repeated > limits.XPATH_CHARACTERS:
        raise processing_error("an XPath expression would read too much of this content's text")


class Node:
    """A selected node with an identity: lxml gives text and attributes as strings of their parent."""

    __slots__ = ("element", "key", "value")

    def __init__(self, element: Any, key: tuple[Any, ...], value: str) -> None:
        self.element = element
        self.key = key
        self.value = value


def nodes(content: Content, path: str, namespaces: tuple[tuple[str, str], ...], node: Any = None) -> list[Node]:
    """The selected nodes in document order; EvaluationError (syntax-error) when it selects no node set."""
    try:
        check(path, dict(namespaces))
    except ValueError as error:
        raise syntax_error(str(error)) from error
    _refuse_costly(content, path)
    try:
        found = _compiled(path, namespaces)(content.tree if node is None else node)
    except etree.XPathError as error:
        raise processing_error(f"an XPath expression failed: {error}") from error
    if not isinstance(found, list):
        raise syntax_error("an XPath expression must select nodes")
    return [_node(item) for item in found]


def _node(item: Any) -> Node:
    if isinstance(item, etree._Element):  # noqa: SLF001 - lxml has no public name for the type
        return Node(item, (item, "element", None), "".join(map(str, item.itertext())))
    if isinstance(item, tuple):  # a namespace node
        return Node(None, (None, "namespace", item), item[1] or "")
    parent = item.getparent()
    if item.is_attribute:
        return Node(parent, (parent, "attribute", item.attrname), str(item))
    return Node(parent, (parent, "tail" if item.is_tail else "text", None), str(item))


def select(expression: XPathExpression, contents: dict[str, Content] | None) -> list[Node]:
    """The nodes that an xpathExpression value selects in its category; none when there is no content."""
    content = (contents or {}).get(expression.category)
    if content is None:
        return []
    return nodes(content, expression.path, expression.namespaces)


def below(ancestor: Node, node: Node) -> bool:
    """Whether a node lies inside an element that was selected, its attributes and text included."""
    if ancestor.key[1] != "element":
        return False
    top = ancestor.element
    element = node.element
    if element is None:
        return False
    if node.key[1] in {"element", "tail"}:
        element = element.getparent()
    while element is not None:
        if element is top:
            return True
        element = element.getparent()
    return False
