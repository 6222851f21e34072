# ruff: noqa: E501 - tables read best as lines
"""Regular expressions of XPath: what they match, what is refused, and that none takes long."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.engines.xacml import patterns


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", "abc", True), ("^b", "abc", False), ("^a.c$", "abc", True), (".", "\n", False), ("a|b", "xb", True),
        (r"\d{3}", "a123", True), (r"\d", "٣", True), (r"\D", "1", False), (r"\s", "\t", True), (r"\S+", "  ", False),
        (r"\w+", "å", True), (r"\W", "a", False), (r"\i\c*", "a-1", True), (r"^\I", "1", True), (r"\C", "a", False),
        (r"\p{Lu}", "aB", True), (r"\P{Lu}", "AB", False), (r"\p{IsGreek}", "α", True), ("[a-c-[b]]", "b", False),
        ("[^a-c]", "b", False), ("[a-]", "-", True), (r"[\]\-\\]", "]", True), (r"[\d-[5]]", "5", False),
        ("x*?y", "xxy", True), (r"\.", "a", False), (r"\$", "$", True), ("", "anything", True), (r"[\w-[a-z]]", "q", False),
    ],
)  # fmt: skip
def test_a_pattern_matches_as_xpath_says(pattern: str, text: str, found: bool) -> None:
    assert patterns.search(pattern, text) is found


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "[", "]", "[]", "a**", "a{2,1}", "a{2000}", "{", "}", "a{x}", "\\", r"\q", r"(a)\1", "(?=a)", "(?<n>a)",
        r"\p{Nope}", r"\p", "[b-a]", "[a[b]]", "[a-[b]c]", "[" * 50, "a" * 5000,
    ],
)  # fmt: skip
def test_a_pattern_that_is_none_or_unsafe_is_refused(pattern: str) -> None:
    with pytest.raises(patterns.PatternError):
        patterns.compile_pattern(pattern)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*a){20}$", "a?" * 30 + "a" * 30])
def test_patterns_that_explode_elsewhere_do_not_here(pattern: str) -> None:
    patterns.search(pattern, "a" * 20_000 + "b")


simple = st.recursive(
    st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "^", "$"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda p: f"({p[0]}|{p[1]})")
        | st.tuples(inner, st.sampled_from("*+?")).map(lambda p: f"({p[0]}){p[1]}")
    ),
    max_leaves=6,
)


@given(simple, st.text("abc", max_size=8))
def test_simple_patterns_match_as_pythons(pattern: str, text: str) -> None:
    assert patterns.search(pattern, text) == (re.search(pattern.replace("$", r"\Z"), text) is not None)


@given(st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    with contextlib.suppress(patterns.PatternError):
        patterns.search(pattern, "text")
