"""Bounds on what a policy or a request may cost, so that every answer comes in bounded time and memory."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds. The defaults fit a shared decision point; a library user may widen them."""

    policy_bytes: int = 2 * 1024 * 1024
    """Size of one policy document."""
    depth: int = 64
    """Nesting of XML elements, or of JSON values."""
    reference_depth: int = 16
    """Length of a chain of policy references."""
    rules: int = 10_000
    """Rules in one policy document, and in everything it refers to."""
    policies: int = 10_000
    """Policies and policy sets in one, each counted as often as it is referred to."""
    request_bytes: int = 8 * 1024 * 1024
    """Size of one request."""
    sub_requests: int = 5_000
    """Decisions that one request may ask for (multiple decision profile)."""
    values: int = 200_000
    """Attribute values in one request."""
    bag: int = 10_000
    """Values of one attribute."""
    content_bytes: int = 512 * 1024
    """Size of one `Content` document."""


DEFAULT = Limits()

# Bounds inside an evaluation. They are not settings: nothing sensible comes near them.
STEPS = 250_000
"""Function applications that the higher-order and set functions may make in one decision."""
TEXT = 1024 * 1024
"""Characters in a string that a function makes."""
INTEGER_BITS = 14_000
"""Size of an integer that a function makes or a literal states."""
XPATH_TEXT = 1_000
"""Characters in an XPath expression."""
XPATH_VISITS = 5_000_000
"""Nodes that one XPath expression may visit, estimated from its form and the size of the document."""
XPATH_CHARACTERS = 500_000_000
"""Characters of text that one XPath expression may read, estimated likewise."""
