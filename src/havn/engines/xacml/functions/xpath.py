"""The optional functions over request content (core A.3.15, A.3.16)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from havn.engines.xacml import content, limits, names
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import processing_error
from havn.engines.xacml.functions.registry import BOOLEAN, F3, INTEGER, STRING, Function, Type, define

_XPATH = Type(names.XPATH_EXPRESSION)


def functions() -> Iterator[Function]:
    """The functions of this module."""
    yield define(F3 + "xpath-node-count", (_XPATH,), INTEGER, node_count, fails=True, context=True)
    yield define(F3 + "xpath-node-equal", (_XPATH, _XPATH), BOOLEAN, node_equal, fails=True, context=True)
    yield define(F3 + "xpath-node-match", (_XPATH, _XPATH), BOOLEAN, node_match, fails=True, context=True)
    yield define(
        F3 + "access-permitted", (Type(names.ANY_URI), STRING), BOOLEAN, access_permitted, fails=True, context=True
    )


def node_count(x: Any, expression: XPathExpression) -> int:
    """How many nodes an expression selects."""
    return len(content.select(expression, x.request.content))


def node_equal(x: Any, first: XPathExpression, second: XPathExpression) -> bool:
    """Whether some node is selected by both."""
    keys = {node.key for node in content.select(first, x.request.content)}
    return any(node.key in keys for node in content.select(second, x.request.content))


def node_match(x: Any, first: XPathExpression, second: XPathExpression) -> bool:
    """Whether some node of the second is one of the first's, or lies below one."""
    tops = content.select(first, x.request.content)
    keys = {node.key for node in tops}
    found = content.select(second, x.request.content)
    if any(node.key in keys for node in found):
        return True
    if len(tops) * len(found) > limits.STEPS:
        raise processing_error("xpath-node-match compares too many nodes")
    return any(content.below(top, node) for top in tops for node in found)


def access_permitted(x: Any, category: str, attributes: str) -> bool:
    """Whether the policy would permit the request with this category's attributes put in place of its own."""
    return bool(x.access_permitted(category, attributes))
