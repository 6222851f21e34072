"""The layout model with data: hidden, required, rows, values, choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from havn.runtime.layout import choices, display
from havn.runtime.layout.form import FormState
from havn.runtime.layout.reach import Reach, missing
from havn.runtime.layout.surroundings import Choice, Element, Surroundings
from havn.runtime.layout.tree import Layout

A, B, C = "a" * 8, "b" * 8, "c" * 8


def layout(*components: dict[str, Any], pages: Mapping[str, Any] | None = None, **options: Any) -> Layout:
    return Layout("form", default_data_type="m", pages=pages or {"p": {"layout": list(components)}}, **options)


def form(*components: dict[str, Any], model: dict[str, Any] | None = None, **surroundings: Any) -> FormState:
    return FormState(layout(*components), {"m": model or {}}, Surroundings(**surroundings))


def field(id: str, path: str, **raw: Any) -> dict[str, Any]:
    return {"id": id, "type": "Input", "dataModelBindings": {"simpleBinding": path}, **raw}


def shown(state: FormState) -> list[str]:
    return [node.id for node in state.walk()]


def test_a_container_hides_what_it_holds() -> None:
    state = form(
        {"id": "g", "type": "Group", "children": ["a", "h"], "hidden": ["equals", ["dataModel", "x"], "no"]},
        {"id": "h", "type": "Group", "children": ["b"]},
        field("a", "a"),
        field("b", "b"),
        field("c", "c", hidden=True),
        model={"x": "no"},
    )
    assert shown(state) == []
    state = FormState(state.layout, {"m": {"x": "yes"}})
    assert shown(state) == ["g", "a", "h", "b"]


def test_a_hidden_page_drops_out_of_the_order_and_hides_its_components() -> None:
    pages = {
        "one": {"layout": [field("a", "a")]},
        "two": {"layout": [field("b", "b")], "hidden": ["equals", ["component", "a"], "x"]},
        "out": {"layout": [field("c", "c")]},
    }
    tree = Layout("form", default_data_type="m", pages=pages, order=["one", "two"])
    assert [page.name for page in FormState(tree, {"m": {}}).pages()] == ["one", "two"]
    state = FormState(tree, {"m": {"a": "x"}})
    assert [page.name for page in state.pages()] == ["one"]
    b = state.find("b")
    assert b is not None
    assert b.hidden


def test_components_that_hide_by_each_other_do_not_go_round_for_ever() -> None:
    state = form(
        field("a", "a", hidden=["equals", ["component", "b"], "x"]),
        field("b", "b", hidden=["equals", ["component", "a"], "x"]),
        model={"a": "x", "b": "x"},
    )
    assert len(shown(state)) == 1


def test_an_expression_without_a_value_counts_as_the_default() -> None:
    state = form(
        field("a", "a", hidden=["greaterThan", ["dataModel", "a"], 1], required=["component", "nowhere"]),
        field("b", "b", hidden=["unknownFunction"]),
        model={"a": "text"},
    )
    assert shown(state) == ["a", "b"]
    a = state.find("a")
    assert a is not None
    assert not a.required


ROWS = {
    "people": [
        {"altinnRowId": A, "name": "Ada", "pets": [{"altinnRowId": C, "kind": "cat"}]},
        {"altinnRowId": B, "name": "Bo", "pets": []},
    ]
}


def people(**group: Any) -> FormState:
    return form(
        {"id": "people", "type": "RepeatingGroup", "dataModelBindings": {"group": "people"},
         "children": ["name", "pets"], **group},
        field("name", "people.name", required=["equals", ["dataModel", "people.name"], "Bo"]),
        {"id": "pets", "type": "RepeatingGroup", "dataModelBindings": {"group": "people.pets"}, "children": ["kind"]},
        field("kind", "people.pets.kind", hidden=["equals", ["component", "name"], "Bo"]),
        model=ROWS,
    )  # fmt: skip


def test_rows_are_named_by_their_ids_and_bound_by_their_places() -> None:
    state = people()
    assert shown(state) == [
        "people", f"name_{A}", f"pets_{A}", f"kind_{A}_{C}", f"name_{B}", f"pets_{B}",
    ]  # fmt: skip
    kind = state.node(state.layout.components["kind"], (0, 0))
    assert kind.path() == "people[0].pets[0].kind"
    assert kind.value() == "cat"
    assert [state.node(state.layout.components["name"], (row,)).required for row in (0, 1)] == [False, True]


def test_hidden_rows_are_hidden_with_all_they_hold() -> None:
    state = people(hiddenRow=["equals", ["dataModel", "people.name"], "Ada"])
    assert shown(state) == ["people", f"name_{B}", f"pets_{B}"]
    reach = Reach(state)
    assert reach.hides("m", "people[0].pets[0].kind")
    assert not reach.hides("m", "people[1].name")
    assert ("m", "people[0]") in reach.removable()


def test_a_component_in_other_rows_cannot_be_reached() -> None:
    state = people()
    assert state.find("name", ()) is None
    inner = state.layout.components["kind"]
    outer = state.find("name", (1, 0), inner)
    assert outer is not None
    assert outer.path() == "people[1].name"
    assert state.find("unknown") is None


@pytest.mark.parametrize(
    ("binding", "path"),
    [
        ("people.pets.kind", "people[0].pets[2].kind"),
        ("people.pets", "people[0].pets"),
        ("people", "people"),
        ("people.name", "people[0].name"),
        ("other.name", "other.name"),
        ("peoples.name", "peoples.name"),
        ("people[7].name", "people[7].name"),
    ],
)
def test_paths_get_the_indices_of_the_rows_they_run_through(binding: str, path: str) -> None:
    from havn.runtime.layout.nodes import with_rows
    from havn.runtime.layout.tree import Binding

    tree = people().layout
    lists = tree.components["kind"].lists
    assert with_rows(Binding("m", binding), lists, (0, 2)) == path


def test_what_is_required_and_empty_is_found_in_every_row() -> None:
    state = form(
        {"id": "g", "type": "RepeatingGroup", "dataModelBindings": {"group": "g"}, "children": ["a"]},
        field("a", "g.a", required=True),
        field("b", "b", required=True),
        field("c", "c", required=True, hidden=True),
        field("d", "d", required=["equals", ["dataModel", "b"], "  "]),
        model={"g": [{"a": "x"}, {"a": " "}, {}], "b": "  "},
    )
    assert [(item.data_type, item.path) for item in missing(state)] == [
        ("m", "g[1].a"), ("m", "g[2].a"), ("m", "b"), ("m", "d"),
    ]  # fmt: skip


def test_hidden_data_is_removed_unless_something_shown_needs_it() -> None:
    state = form(
        field("a", "a", hidden=True),
        field("again", "a"),
        field("b", "b", hidden=True),
        field("c", "c", hidden=True, removeWhenHidden=False),
        {"id": "g", "type": "RepeatingGroup", "dataModelBindings": {"group": "g"}, "children": ["x"], "hidden": True},
        field("x", "g.x"),
        model={"a": 1, "b": 2, "c": 3, "g": [{"x": 1}, {"x": 2}]},
    )
    reach = Reach(state)
    assert reach.removable() == [("m", "g[1].x"), ("m", "g[0].x"), ("m", "g"), ("m", "b")]
    assert reach.shows("m", "a")
    assert not reach.hides("m", "a")
    assert reach.hides("m", "g[1].x")
    assert not reach.hides("m", "nowhere")


FRUIT = Choice("f", "fruit.key", "fruit.description")


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        ({"options": [{"value": 1, "label": "one"}, {"value": True, "label": "yes"}]}, ["1=One!", "true=yes"]),
        ({"optionsId": "Fruit"}, ["f=Fruit!", "p=pear"]),
        ({"optionsId": "fruit", "sortOrder": "desc"}, ["p=pear", "f=Fruit!"]),
        ({"optionsId": "fruit", "optionFilter": ["notEquals", ["value"], "f"]}, ["p=pear"]),
        ({"optionsId": ["if", True, "fruit"]}, ["f=Fruit!", "p=pear"]),
        ({"optionsId": "fruit", "mapping": {"area": "where"}}, ["n=nut"]),
        ({"optionsId": "fruit", "queryParameters": {"where": ["dataModel", "area"]}}, ["n=nut"]),
        ({"optionsId": "unknown"}, []),
        ({"source": {"group": "rows", "value": "rows[{0}].id", "label": "row.label"}}, ["1=Row 1", "2=Row 2"]),
        (
            {"source": {"group": "rows", "value": "id", "label": ["concat", ["dataModel", "rows.id"], "!"]}},
            ["1=1!", "2=2!"],
        ),
    ],
)  # fmt: skip
def test_choices_come_from_the_layout_a_list_or_rows(raw: dict[str, Any], labels: list[str]) -> None:
    texts = {"one": "One!", "fruit.key": "Fruit!"}

    def find(key: str, rows: Any, models: Any) -> str | None:
        return f"Row {models['m']['rows'][rows[0]]['id']}" if key == "row.label" else texts.get(key)

    state = form(
        {"id": "c", "type": "Dropdown", "dataModelBindings": {"simpleBinding": "c"}, **raw},
        model={"area": "x", "rows": [{"id": "1"}, {"id": "2"}, {"id": None}]},
        find_text=find,
        choices={
            ("fruit", frozenset()): [FRUIT, Choice("p", "pear")],
            ("fruit", frozenset({("where", "x")})): [Choice("n", "nut")],
        },
    )
    node = state.find("c")
    assert node is not None
    assert [f"{choice.value}={choice.label}" for choice in choices.choices(node)] == labels


@pytest.mark.parametrize(
    ("raw", "value", "text"),
    [
        ({"type": "Input"}, "hei", "hei"),
        ({"type": "Input"}, 12.5, "12,5"),
        ({"type": "Input", "formatting": {"currency": "NOK"}}, 12000, "12\u00a0000\u00a0kr"),
        ({"type": "Input"}, True, "Ja"),
        ({"type": "Input"}, None, ""),
        ({"type": "Datepicker"}, "2026-02-01T00:00:00Z", "01.02.2026"),
        (
            {"type": "Checkboxes", "options": [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]},
            "b,a,z",
            "B, A, z",
        ),
        ({"type": "RadioButtons", "options": [{"value": True, "label": "yes"}]}, True, "yes"),
        ({"type": "Number", "value": ["dataModel", "v"], "formatting": {"unit": "kilogram"}}, 3, "3\u00a0kg"),
        ({"type": "Text", "value": ["concat", "<", ["dataModel", "v"], ">"]}, "x", "<x>"),
        ({"type": "Date", "value": ["dataModel", "v"], "format": "yyyy"}, "2026-02-01", "2026"),
    ],
)  # fmt: skip
def test_a_value_is_shown_as_a_person_reads_it(raw: dict[str, Any], value: Any, text: str) -> None:
    state = form({"id": "v", "dataModelBindings": {"simpleBinding": "v"}, **raw}, model={"v": value})
    node = state.find("v")
    assert node is not None
    assert display.text(node) == text


def test_attachments_belong_to_the_row_that_names_them() -> None:
    files = [Element(id="1", data_type="up", filename="a.pdf"), Element(id="2", data_type="up", filename="b.pdf")]
    state = form(
        {"id": "g", "type": "RepeatingGroup", "dataModelBindings": {"group": "g"}, "children": ["up"]},
        {"id": "up", "type": "FileUpload", "dataModelBindings": {"list": "g.files"}},
        model={"g": [{"files": ["2"]}, {}]},
        elements=files,
    )
    component = state.layout.components["up"]
    assert [display.text(state.node(component, (row,))) for row in (0, 1)] == ["b.pdf", ""]


def test_a_locked_model_makes_its_fields_read_only() -> None:
    state = form(field("a", "a"), elements=[Element(id="1", data_type="m", locked=True)])
    node = state.find("a")
    assert node is not None
    assert node.read_only


def test_components_claimed_twice_or_in_a_circle_are_drawn_once() -> None:
    tree = layout(
        {"id": "g", "type": "Group", "children": ["a", "h"]},
        {"id": "h", "type": "Group", "children": ["a", "g"]},
        field("a", "a"),
    )
    assert [component.id for component in tree.walk()] == ["g", "a", "h"]
    grid = layout(
        {"id": "t", "type": "Grid", "rows": [{"cells": [{"component": "a"}, {"text": "x"}]}]}, field("a", "a")
    )
    assert [component.id for component in grid.walk()] == ["t", "a"]
    pages = layout(
        {"id": "r", "type": "RepeatingGroup", "children": ["0:a"], "dataModelBindings": {}}, field("a", "r.a")
    )
    assert [component.id for component in pages.walk()] == ["r", "a"]


def test_what_stands_around_the_rows_is_drawn_once() -> None:
    state = form(
        {"id": "g", "type": "Group", "maxCount": 3, "dataModelBindings": {"group": "g"}, "children": ["a"],
         "rowsAfter": [{"cells": [{"text": "Sum"}, {"component": "sum"}]}]},
        field("a", "g.a"),
        field("sum", "sum"),
        model={"g": [{"altinnRowId": A}, {"altinnRowId": B}]},
    )  # fmt: skip
    assert shown(state) == ["g", "sum", f"a_{A}", f"a_{B}"]


def test_links_and_labels_are_answered_in_expressions() -> None:
    state = form(
        {"id": "t", "type": "Text", "value": ["linkToPage", "See", "p"]},
        {"id": "o", "type": "Text", "value": ["optionLabel", "fruit", "f"]},
        {"id": "d", "type": "Text", "value": ["displayValue", "a"]},
        field("a", "a", formatting={"currency": "NOK"}),
        model={"a": 5},
        choices={("fruit", frozenset()): [FRUIT]},
        page_address=lambda page: f"/app/{page}",
    )
    shown = {node.id: display.text(node) for node in state.walk()}
    assert "/app/p" in shown["t"]
    assert shown["o"] == "fruit.key"
    assert shown["d"] == "5\u00a0kr"
