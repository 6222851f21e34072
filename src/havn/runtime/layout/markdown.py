"""App texts: Markdown with some HTML in it, made into HTML that cannot harm.

Texts come from the app's files and may hold values that users typed (variables), so the result is always sanitised.
"""

from __future__ import annotations

import functools
import html
import re

import nh3
from markdown_it import MarkdownIt

_MARKS = re.compile(r"[*_`<>\[\]#&\\|~\n!]|\bhttps?://|^\s*(?:[-+]|\d+[.)])\s", re.MULTILINE)
_BLOCK_TAGS = {"p", "ul", "ol", "li", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "table", "thead", "tbody", "tr"}
_INLINE_TAGS = {"a", "b", "strong", "i", "em", "br", "code", "span", "sub", "sup", "s", "del", "small", "abbr", "u"}
_ATTRIBUTES = {"a": {"href", "title"}, "abbr": {"title"}, "th": {"scope"}, "td": {"colspan"}}
_SCHEMES = {"http", "https", "mailto", "tel"}


@functools.cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])


@functools.lru_cache(maxsize=2048)
def block(text: str) -> str:
    """`text` as HTML paragraphs, lists and headings (from level 2)."""
    if not _MARKS.search(text):
        return f"<p>{html.escape(text, quote=False)}</p>" if text else ""
    return nh3.clean(
        _parser().render(text),
        tags=_BLOCK_TAGS | _INLINE_TAGS | {"th", "td"},
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer",
    ).strip()


@functools.lru_cache(maxsize=2048)
def inline(text: str) -> str:
    """`text` as phrasing content, for labels, legends, headings and buttons."""
    if not _MARKS.search(text):
        return html.escape(text, quote=False)
    rendered = _parser().renderInline(text)
    return nh3.clean(
        rendered, tags=_INLINE_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer"
    ).strip()


def plain(text: str) -> str:
    """`text` without any markup, for titles, attributes and the receipt."""
    if not _MARKS.search(text):
        return text
    stripped = nh3.clean(_parser().render(text), tags=set())
    return " ".join(html.unescape(stripped).split())
