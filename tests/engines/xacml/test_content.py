"""XPath over request content: what it selects, and that a hostile expression or document cannot make it slow."""

from __future__ import annotations

import pytest

from havn.engines.xacml import content
from havn.engines.xacml.content import Content
from havn.engines.xacml.errors import EvaluationError

SMALL = Content.read(b'<r xmlns:m="urn:m"><m:a n="1">one</m:a><m:a n="2">two<b/>tail</m:a><c><d/></c></r>')
MANY = Content.read(b"<r>" + b"<a><b>x</b></a>" * 3000 + b"</r>")
DEEP = Content.read(b"<a>" * 60 + b"x" * 400_000 + b"</a>" * 60)
M = (("m", "urn:m"),)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("//m:a/text()", ["one", "two", "tail"]), ("/r/m:a/@n", ["1", "2"]), ("/r/m:a[2]", ["twotail"]), ("//none", []),
        ("//m:a[@n='1'] | //c", ["one", ""]), ("//m:a[contains(., 'tw')]/@n", ["2"]), ("/r/c/d/../../m:a[1]", ["one"]),
    ],
)  # fmt: skip
def test_a_path_selects_nodes_in_document_order(path: str, values: list[str]) -> None:
    assert [node.value for node in content.nodes(SMALL, path, M)] == values


@pytest.mark.parametrize("path", ["1 + 1", "count(//a)", "'text'", "true()"])
def test_an_expression_that_is_no_path_is_an_error(path: str) -> None:
    with pytest.raises(EvaluationError, match="must select nodes"):
        content.nodes(SMALL, path, M)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("document", "path"),
    [
        (MANY, "//*[//*]"), (MANY, "/r/a[../a]"), (MANY, "//*//*//*"), (MANY, "/r/a[following::a]"), (MANY, "//a[/r]"),
        (MANY, "/r/a[count(/r/a) > 2]"), (MANY, "//a[2*/r]"), (MANY, "//a[1 or /r]"),
        (MANY, "//a[preceding-sibling::a]"),
        (DEEP, "//a[contains(translate(., 'abcde', 'fghij'), 'z')]"),
        (DEEP, "//a[contains(concat(" + ", ".join(["."] * 300) + "), 'z')]"),
    ],
)  # fmt: skip
def test_an_expression_that_would_take_long_is_refused_before_it_runs(document: Content, path: str) -> None:
    with pytest.raises(EvaluationError, match="too m"):
        content.nodes(document, path, ())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("path", ["//b", "/r/a[b='x']", "//a[b]/b/text()", "/r/a[position() = 2999]", "/r/*[last()]"])
def test_ordinary_paths_over_a_large_document_run(path: str) -> None:
    assert content.nodes(MANY, path, ())


def test_functions_of_regular_expressions_are_not_there() -> None:
    path = "//*[re:test(., '(a+)+$')]"
    with pytest.raises(EvaluationError):
        content.nodes(SMALL, path, (("re", "http://exslt.org/regular-expressions"),))


@pytest.mark.parametrize("text", [b"", b"<a", b"<!DOCTYPE a><a/>", b"<a>" * 100 + b"</a>" * 100, b" " * 600_000])
def test_content_that_is_unsafe_or_too_large_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"not well-formed|document type|nest deeper|too large|not XML"):
        Content.read(text)


def test_what_lies_below_a_node_is_told_by_identity() -> None:
    def one(path: str) -> content.Node:
        return content.nodes(SMALL, path, M)[0]

    second = one("//m:a[2]")
    assert content.below(second, one("//b"))
    assert content.below(second, one("//m:a[2]/@n"))
    assert content.below(second, one("//m:a[2]/text()[2]"))
    assert not content.below(second, one("//m:a[1]"))
    assert not content.below(one("//b"), one("//m:a[2]/text()[2]"))
    assert not content.below(one("//m:a/@n"), second)
