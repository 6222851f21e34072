"""App texts as HTML: what is kept and what is taken out."""

from __future__ import annotations

import pytest

from havn.runtime.layout import markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Plain & simple", "Plain &amp; simple"),
        ("Hva **nå**?", "Hva <strong>nå</strong>?"),
        ("a < b", "a &lt; b"),
        ('<a href="https://x.no" onclick="x()">x</a>', '<a href="https://x.no" rel="noopener noreferrer">x</a>'),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("<script>alert(1)</script>hei", "hei"),
        ("<img src=x onerror=alert(1)>hei", "hei"),
        ("1. januar", "1. januar"),
    ],
)
def test_a_label_keeps_phrases_and_loses_the_rest(text: str, html: str) -> None:
    assert markdown.inline(text) == html


def test_a_paragraph_may_hold_lists_and_links() -> None:
    html = markdown.block("Se:\n\n- en\n- to\n\n<iframe src='https://evil'></iframe>\n\n[ring](tel:123)")
    assert "<li>en</li>" in html
    assert 'href="tel:123"' in html
    assert "iframe" not in html


def test_headings_begin_at_level_two() -> None:
    assert "<h1" not in markdown.block("# Stor")


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Hva **nå**?", "Hva nå?"), ("A &amp; B < C", "A & B < C"), ("to\n\n- linjer", "to linjer"), ("x", "x")],
)
def test_a_title_has_no_markup(text: str, plain: str) -> None:
    assert markdown.plain(text) == plain
