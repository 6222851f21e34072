"""What was answered, in the order of the form."""

from __future__ import annotations

from typing import Any

from havn.runtime.layout import summary
from havn.runtime.layout.form import FormState
from havn.runtime.layout.summary import Answer, Part, Rules, Table
from havn.runtime.layout.surroundings import Surroundings
from havn.runtime.layout.tree import Layout


def form(layout: list[dict[str, Any]], model: dict[str, Any], **pages: Any) -> FormState:
    tree = Layout("f", default_data_type="m", pages={"one": {"layout": layout}, **pages})
    return FormState(tree, {"m": model}, Surroundings())


def field(id_: str, path: str, **raw: Any) -> dict[str, Any]:
    return {"id": id_, "type": "Input", "dataModelBindings": {"simpleBinding": path},
            "textResourceBindings": {"title": id_.upper()}, **raw}  # fmt: skip


def plain(items: Any) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if isinstance(item, Answer):
            found.append(f"{item.label}={'/'.join(item.lines) or item.empty}")
        elif isinstance(item, Table):
            found.append([item.title, list(item.columns), [list(row) for row in item.rows]])
        elif isinstance(item, Part):
            found.append({item.title: plain(item.items)})
    return found


GROUP = {"id": "g", "type": "Group", "children": ["b", "c"], "textResourceBindings": {"title": "**Group**"}}
ROWS = {"id": "r", "type": "RepeatingGroup", "dataModelBindings": {"group": "r"}, "children": ["x", "y"],
        "textResourceBindings": {"title": "Rows"}}  # fmt: skip


def test_answers_stand_under_their_groups_and_silent_components_are_left_out() -> None:
    state = form(
        [{"id": "h", "type": "Header"}, field("a", "a"), GROUP, field("b", "b"), field("c", "c", hidden=True)],
        {"a": "1", "c": "hidden"},
    )
    [page] = summary.whole(state)
    assert plain(page.items) == ["A=1", {"Group": ["B=None"]}]


def test_rows_of_plain_answers_are_a_table() -> None:
    state = form([ROWS, field("x", "r.x"), field("y", "r.y")], {"r": [{"x": "1", "y": "2"}, {"x": "3"}]})
    [page] = summary.whole(state)
    assert plain(page.items) == [["Rows", ["X", "Y"], [["1", "2"], ["3", ""]]]]


def test_rows_that_hold_rows_are_parts() -> None:
    inner = {"id": "y", "type": "RepeatingGroup", "dataModelBindings": {"group": "r.y"}, "children": ["z"]}
    state = form([ROWS, field("x", "r.x"), inner, field("z", "r.y.z")], {"r": [{"x": "1", "y": [{"z": "2"}]}]})
    [page] = summary.whole(state)
    assert plain(page.items) == [{"Rows": [{"Rows 1": ["X=1", ["", ["Z"], [["2"]]]]}]}]


def test_rules_leave_out_pages_components_and_empty_answers() -> None:
    state = form(
        [field("a", "a"), field("b", "b"), field("c", "c")], {"a": "1", "c": "3"}, two={"layout": [field("d", "a")]}
    )
    rules = Rules(hide_empty=True, excluded_components=["c"], overrides=[{"pageId": "two", "hidden": True}])
    assert [(page.name, plain(page.items)) for page in summary.whole(state, rules)] == [("one", ["A=1"])]
    rules = Rules(
        overrides=[{"componentId": "a", "hidden": True}, {"componentType": "Input", "emptyFieldText": "none"}]
    )
    assert plain(summary.of_page(state, "one", rules).items) == ["B=none", "C=3"]


def test_a_list_without_rows_is_an_answer_not_given() -> None:
    state = form([ROWS, field("x", "r.x"), field("y", "r.y")], {})
    [page] = summary.whole(state)
    assert plain(page.items) == ["Rows=None"]
    assert summary.whole(state, Rules(hide_empty=True)) == []


def test_a_likert_scale_answers_each_question() -> None:
    likert = {
        "id": "l", "type": "Likert", "dataModelBindings": {"questions": "q", "answer": "q.a"},
        "textResourceBindings": {"title": "Scale", "questions": ["dataModel", "q.text"]},
        "options": [{"value": "1", "label": "Bad"}, {"value": "2", "label": "Good"}],
        "filter": [{"key": "start", "value": "1"}],
    }  # fmt: skip
    state = form([likert], {"q": [{"text": "Zero"}, {"text": "One", "a": "2"}, {"text": "Two"}]})
    [page] = summary.whole(state)
    assert plain(page.items) == [{"Scale": ["One=Good", "Two=None"]}]
