"""The shared expression cases, each a test: evaluated with the layouts, models and instance that the case states."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from havn.contracts.storage import TextResource
from havn.engines import expressions
from havn.engines.expressions import Arguments, ExpressionError
from havn.runtime import texts
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import Node, NodeContext
from havn.runtime.layout.surroundings import Choice, Element, Surroundings
from havn.runtime.layout.tree import Layout

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("HAVN_CASES", ROOT.parent / "shared" / "cases")) / "expressions"

UNSUPPORTED: dict[str, str] = {}
"""Cases that are not met, each with the reason. `test_unsupported_cases_are_few` keeps the list honest."""


def _cases() -> list[Any]:
    found = []
    for folder in ("functions", "invalid"):
        for file in sorted((FOLDER / folder).rglob("*.json")):
            name = file.relative_to(FOLDER).with_suffix("").as_posix()
            case = json.loads(file.read_bytes())
            if "expression" in case:
                found.append(pytest.param(name, case, id=name))
            for number, inner in enumerate(case.get("testCases", ()), start=1):
                label = f"{name}#{number}"
                shared = {key: value for key, value in case.items() if not key.startswith(("expect", "testCases"))}
                found.append(pytest.param(label, {**shared, **inner}, id=label))
    return found


class CaseContext(NodeContext):
    """The form's own context, with what only the browser frontend has: its addresses and external APIs."""

    def __init__(self, case: dict[str, Any], state: FormState, node: Node | None, page: str) -> None:
        super().__init__(state, node, page)
        self._case = case
        self._here = page

    def time_zone(self) -> None:
        """The cases state dates in the zone they expect."""
        return

    def page_link(self, page: str, *, back: bool) -> str:
        return self._address(page) + self._query(page, back=back)

    def component_link(self, component_id: str, *, back: bool) -> str:
        found = self._find(component_id)
        page = found.component.page
        return f"{self._address(page)}?focusComponentId={component_id}{self._query(page, back=back, first='&')}"

    def _address(self, page: str) -> str:
        task = self._case.get("process", {}).get("currentTask", {}).get("elementId")
        if self._case.get("stateless") or not task:
            return f"/{page}"
        return f"/instance/{self._case['instance']['id']}/{task}/{page}"

    def _query(self, page: str, *, back: bool, first: str = "?") -> str:
        return f"{first}backToPage={self._here}" if back and self._here and self._here != page else ""

    def external_api(self, api_id: str) -> Any:
        return self._case.get("externalApis", {}).get("data", {}).get(api_id)


def _models(case: dict[str, Any]) -> dict[str, Any]:
    if "dataModels" in case:
        found: dict[str, Any] = {}
        for model in case["dataModels"]:
            found.setdefault(model["dataElement"]["dataType"], model["data"])
        return found
    return {"default": case.get("dataModel", {})}


def _elements(case: dict[str, Any]) -> list[Element]:
    raws = [*case.get("instanceDataElements", ()), *(model["dataElement"] for model in case.get("dataModels", ()))]
    return [
        Element(id=raw["id"], data_type=raw["dataType"], filename=raw.get("filename"), size=raw.get("size", 0))
        for raw in raws
    ]


def _instance(case: dict[str, Any]) -> dict[str, str | None] | None:
    raw = case.get("instance")
    if raw is None:
        return None
    owner = raw.get("instanceOwner", {})
    kinds = (("personNumber", "person"), ("organisationNumber", "org"), ("username", "selfIdentified"))
    return {
        "instanceId": raw.get("id"),
        "appId": raw.get("appId"),
        "instanceOwnerPartyId": owner.get("partyId"),
        "instanceOwnerPartyType": next((kind for name, kind in kinds if owner.get(name)), "unknown"),
        "instanceOwnerName": owner.get("party", {}).get("name"),
    }


def _actions(case: dict[str, Any]) -> frozenset[str]:
    given = case.get("permissions", {})
    named = {name for name in ("read", "write") if given.get(name)}
    return frozenset(named | {name for name, granted in given.get("actions", {}).items() if granted})


def _state(case: dict[str, Any]) -> FormState:
    models = _models(case)
    default = next(iter(models))
    instance = _instance(case)
    language = case.get("profileSettings", {}).get("language") or "nb"
    settings = case.get("frontendSettings", {})
    resource = msgspec.convert({"language": language, "resources": case.get("textResources", [])}, TextResource)
    folder: Any = SimpleNamespace(texts={language: resource})

    def find_text(key: str, rows: Any, given: Any) -> str | None:
        sources = texts.TextSources(
            models=given,
            default_data_type=default,
            instance={name: value for name, value in (instance or {}).items() if value is not None},
            settings=settings,
            rows=rows,
        )
        return texts.find(folder, language, key, sources)

    choices = {
        (name.lower(), frozenset()): [Choice(item["value"], item["label"]) for item in items]
        for name, items in case.get("codeLists", {}).items()
    }
    layout = Layout(
        "set",
        default_data_type=default,
        pages={name: page["data"] for name, page in case.get("layouts", {}).items()},
    )
    around = Surroundings(
        language=language,
        find_text=find_text,
        instance=instance,
        settings=settings,
        elements=_elements(case),
        actions=_actions(case),
        choices=choices,  # type: ignore[arg-type]
    )
    return FormState(layout, models, around)


def _evaluate(case: dict[str, Any]) -> Any:
    state = _state(case)
    place = case.get("context", {})
    component = state.layout.components.get(place.get("component", ""))
    node = state.node(component, tuple(place.get("rowIndices", ()))) if component is not None else None
    page = place.get("currentLayout", "")
    values = case.get("valueArguments", {})
    arguments = Arguments(
        positional=tuple(case.get("positionalArguments", ())),
        values=values.get("data"),
        default_key=values.get("defaultKey"),
    )
    return expressions.evaluate(case["expression"], CaseContext(case, state, node, page), arguments)


@pytest.mark.parametrize(("name", "case"), _cases())
def test_case(name: str, case: dict[str, Any]) -> None:
    if name in UNSUPPORTED:
        pytest.skip(f"not supported: {UNSUPPORTED[name]}")
    if "expectsFailure" in case:
        with pytest.raises(ExpressionError):
            _evaluate(case)
        return
    value = _evaluate(case)
    assert value == case["expects"]
    assert isinstance(value, bool) == isinstance(case["expects"], bool)


def _tree(nodes: list[Node]) -> list[dict[str, Any]]:
    return [_branch(node) for node in nodes]


def _branch(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {"component": node.component.id, "currentLayout": node.component.page}
    if node.rows:
        found["rowIndices"] = list(node.rows)
    children = (
        node.children()
        if node.component.list_binding is None
        else [child for row in node.row_list for child in node.children(row.index)]
    )
    if children:
        found["children"] = _tree(children)
    return found


def _context_lists() -> list[Any]:
    files = sorted((FOLDER / "context-lists").rglob("*.json"))
    return [pytest.param(json.loads(file.read_bytes()), id=file.stem) for file in files]


@pytest.mark.parametrize("case", _context_lists())
def test_components_are_drawn_once_per_row(case: dict[str, Any]) -> None:
    state = _state(case)
    found = []
    for page in state.pages():
        branch: dict[str, Any] = {"component": page.name, "currentLayout": page.name}
        if nodes := state.on_page(page):
            branch["children"] = _tree(nodes)
        found.append(branch)
    assert found == [_normal(context) for context in case["expectedContexts"]]


def _normal(context: dict[str, Any]) -> dict[str, Any]:
    found = {name: context[name] for name in ("component", "currentLayout", "rowIndices") if context.get(name)}
    if context.get("children"):
        found["children"] = [_normal(child) for child in context["children"]]
    return found


def test_unsupported_cases_exist_and_are_few(cases: Path) -> None:
    names = {parameter.id for parameter in _cases()}
    assert set(UNSUPPORTED) <= names
    assert len(UNSUPPORTED) <= 5
    assert len(names) >= 300, f"only {len(names)} cases under {cases}"
