"""JSON with comments and trailing commas, and the places of its values."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havn.appfolder.jsonc import Document, JsonError

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_lenient_reading_gives_what_strict_reading_gives(value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    assert Document("a", f"// a comment\n{text} /* another */").value == json.loads(text)


@given(VALUES)
def test_every_place_is_where_its_value_begins(value: Any) -> None:
    document = Document("a", json.dumps(value, indent=2))
    lines = json.dumps(value, indent=2).split("\n")

    def walk(here: Any, path: tuple[str | int, ...]) -> None:
        line, column = document.place(*path)
        begins = json.dumps(here)[:1]
        assert lines[line - 1][column - 1 :].startswith(begins)
        for step, inner in (
            here.items() if isinstance(here, dict) else enumerate(here) if isinstance(here, list) else ()
        ):
            walk(inner, (*path, step))

    walk(value, ())


def test_the_place_of_what_is_not_there_is_the_deepest_that_is() -> None:
    document = Document("a", '{\n  "a": {"b": 1}\n}')
    assert document.place("a", "c", "d") == (2, 8)
    assert document.key_place("a", "b") == (2, 9)
    assert document.place("x") == (1, 1)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ('{"a": }', 1, 7),
        ('{"a": 1\n "b": 2}', 2, 2),
        ("[1, 2", 1, 1),
        ('["a\nb"]', 1, 2),
        ('["\\x"]', 1, 2),
        ("{a: 1}", 1, 2),
        ("[1] 2", 1, 5),
        ("[01]", 1, 3),
        ("[,]", 1, 2),
        ("[" * 101 + "]" * 101, 1, 101),
        ('"\\ud800"', 1, 1),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(JsonError) as failure:
        Document("a", text)
    assert (failure.value.line, failure.value.column) == (line, column)


def test_members_named_twice_are_known() -> None:
    assert Document("a", '{"a": 1,\n "a": {"b": 1, "b": 2}}').duplicates() == [("b", 2, 16), ("a", 2, 2)]


@given(st.text(alphabet='{}[]",:0123456789.truefalsn\\/ *\n', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(JsonError):
        assert Document("a", text).place("a", 0) >= (1, 1)
