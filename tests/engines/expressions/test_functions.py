"""What the shared cases leave open: single functions, bounds, laziness, errors."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from havn.engines import expressions
from havn.engines.expressions import Arguments, BareContext, CompileError, EvaluationError
from havn.engines.expressions.dateformat import TOKENS
from havn.engines.expressions.functions.define import Function

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/expressions.md"


class Oslo(BareContext):
    def time_zone(self) -> tzinfo:
        return ZoneInfo("Europe/Oslo")

    def language(self) -> str:
        return "en"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (["round", 2.5], "3"),
        (["round", -2.5], "-3"),
        (["round", 1.005, 2], "1.01"),
        (["round", -0.4], "0"),
        (["round", 1e21, 1], "1000000000000000000000.0"),
        (["divide", 1, 3], 0.3333333333333333),
        (["divide", "1", "4"], 0.25),
        (["average", ["list", 1, "2", None]], 1),
        (["average", ["list"], 7], 7),
        (["average", ["list"]], None),
        (["sum", ["list", 0.1, 0.2]], 0.3),
        (["sum", None], 0),
        (["count", ["list", 1, None]], 2),
        (["object", "a", 1, "b", ["list", 2]], {"a": 1, "b": [2]}),
        (["jmespath", ["object", "a", ["list", 1, 2]], "a[1]"], 2),
        (["jmespath", "a[1]", ["object", "a", ["list", 1, 2]]], 2),
        (["if", False, ["divide", 1, 0], "else", "safe"], "safe"),
        (["compare", "2024-02-29", "isAfterEq", "2024-02-29"], True),
        (["compare", "2024-01-01T00:00:00+01:00", "isBefore", "2024-01-01T00:00:00Z"], True),
        (["compare", 3, "not", "lessThan", 2], True),
        (["concat", True, 1.0, None, "x"], "true1x"),
        (["stringLength", "🌍"], 2),
        (["stringSlice", "🌍a", 2], "a"),
        (["stringReplace", "a.b.c", ".", None], "abc"),
        (["stringReplace", "", "a", "b"], None),
        (["formatDate", "2024-05-17", "EEEE d. MMMM yyyy"], "fredag 17. mai 2024"),
        (["formatDate", "2024-05-17T13:05:00", "h 'o''clock' a"], "1 o'clock p.m."),
        (["formatDate", ""], None),
    ],
)  # fmt: skip
def test_values(source: Any, value: Any) -> None:
    assert expressions.evaluate(source) == value


@pytest.mark.parametrize(
    "source",
    [
        ["divide", 1, 0],
        ["divide", 1, None],
        ["round", 1, -1],
        ["round", 1, 101],
        ["multiply", "1e300", "1e300"],
        ["stringSlice", "a", None],
        ["formatDate", "2024-05-17", "YYYY"],
        ["formatDate", "2024-05-17", "'never closed"],
        ["formatDate", "2024-05-17T10:00:00+24:00"],
        ["compare", "2024-05-17", "isBefore", "2024-05-17T00:00Z"],
        ["jmespath", ["list"], "["],
        ["jmespath", 1, 2],
        ["sum", ["list", True]],
        ["sum", "1"],
        ["object", 1, 2],
        ["argv", 0],
        ["value"],
        ["concat", ["list", 1]],
        ["instanceContext", "nothing"],
        ["dataModel", "a"],
    ],
)
def test_what_has_no_value_is_an_evaluation_error(source: Any) -> None:
    with pytest.raises(EvaluationError, match=r"^in "):
        expressions.evaluate(source)


@pytest.mark.parametrize(
    ("source", "path", "code"),
    [
        (["equals", 1], (), "arity"),
        (["plus"], (), "arity"),
        (["if", True, 1, "otherwise", 2], (3,), "literal_wanted"),
        (["compare", 1, ["concat"], 2], (2,), "literal_wanted"),
        (["compare", 1, "no", "equals", 2], (2,), "literal_wanted"),
        (["dataModel", "a", ["concat"]], (2,), "literal_wanted"),
        (["optionLabel", ["concat"], 1], (1,), "literal_wanted"),
        (["object", "a"], (), "arity"),
        (["object", "a", 1, "a", 2], (), "arity"),
        (["not", ["nothing"]], (1, 0), "unknown_function"),
        (["not", {}], (1,), "not_an_expression"),
        ([], (), "not_an_expression"),
        ([1], (), "not_an_expression"),
    ],
)
def test_faults_of_the_text_have_their_place(source: Any, path: tuple[int, ...], code: str) -> None:
    assert [(fault.path, fault.code) for fault in expressions.faults(source)] == [(path, code)]


def test_every_fault_is_found_at_once() -> None:
    with pytest.raises(CompileError) as failure:
        expressions.compile(["and", ["equals", 1], ["nope"], {}])
    assert len(failure.value.faults) == 3


def test_size_and_depth_are_bounded() -> None:
    deep: Any = True
    for _ in range(1000):
        deep = ["not", deep]
    assert expressions.faults(deep)[0].code == "too_deep"
    wide = ["and", *(["not", True] for _ in range(expressions.MAX_CALLS))]
    assert expressions.faults(wide)[0].code == "too_large"


def test_a_text_cannot_grow_without_bound() -> None:
    grown: Any = "x" * 1000
    for _ in range(8):
        grown = ["concat", grown, grown]
    with pytest.raises(EvaluationError):
        expressions.evaluate(grown)
    with pytest.raises(EvaluationError):
        expressions.evaluate(["stringReplace", "x" * 1000, "x", "y" * 1000])


def test_dates_with_a_zone_are_shown_in_the_zone_here() -> None:
    assert expressions.evaluate(["formatDate", "2024-06-01T22:30:00Z", "d HH:mm"], Oslo()) == "2 00:30"
    assert expressions.evaluate(["formatDate", "2024-06-01T22:30:00", "d HH:mm"], Oslo()) == "1 22:30"
    assert expressions.evaluate(["formatDate", "2024-06-01"], Oslo()) == "06/01/2024"
    with pytest.raises(EvaluationError):
        expressions.evaluate(["formatDate", "9999-12-31T23:59:59-01:00"], Oslo())


def test_arguments_reach_the_expression() -> None:
    given = Arguments(("a", None), {"value": 3}, "value")
    assert expressions.evaluate(["list", ["argv", 0], ["argv", 1], ["value"]], arguments=given) == ["a", None, 3]


def test_a_condition_that_is_null_takes_the_default() -> None:
    nothing = expressions.compile(["if", False, 1])
    assert nothing.holds(default=True)
    assert not nothing.holds()


def test_markup_in_a_link_is_escaped() -> None:
    class Linking(BareContext):
        def page_link(self, page: str, *, back: bool) -> str:
            return f'/p?a="{page}"&back={back}'

    link = expressions.evaluate(["linkToPage", "<b>", "x"], Linking())
    assert link == '<a href="/p?a=&quot;x&quot;&amp;back=False" data-link-type="LinkToPotentialPage">&lt;b&gt;</a>'


def _row(function: Function) -> tuple[str, str]:
    arguments = []
    for index, (name, _) in enumerate(function.parameters):
        optional = index >= function.least
        arguments.append(f"{name}…" if function.rest and index == len(function.parameters) - 1 else
                         f"{name}?" if optional else name)  # fmt: skip
    return f"`{function.name}`", ", ".join(arguments)


def test_the_reference_page_has_every_function_with_its_arguments_and_meaning() -> None:
    rows = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            rows[cells[0]] = (cells[1], cells[2], cells[3])
    wanted = {}
    for function in expressions.FUNCTIONS.values():
        name, arguments = _row(function)
        where = {"": "", "form": "form", "backend": "gateways"}[function.where]
        wanted[name] = (arguments, function.summary.replace("|", "\\|"), where)
    assert rows == wanted


def test_the_reference_page_has_every_date_token() -> None:
    text = PAGE.read_text()
    assert [token for token in TOKENS if f"`{token}`" not in text] == []
