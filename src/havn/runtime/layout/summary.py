"""What was answered, in the order of the form: for Summary2 on a page, the confirmation, and the receipt.

Only what is shown in the form is in the summary. A list of rows becomes a table when its rows hold nothing but
answers, and one part per row otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from havn.runtime.layout import display, markdown
from havn.runtime.layout.nodes import Node, State

_SILENT = frozenset(
    {
        "ActionButton", "Alert", "AttachmentList", "Audio", "Button", "Custom", "CustomButton", "Divider", "Header",
        "IFrame", "Image", "InstanceInformation", "InstantiationButton", "Link", "NavigationBar", "NavigationButtons",
        "PDFPreviewButton", "Panel", "Paragraph", "Payment", "PaymentDetails", "PrintButton", "SigneeList",
        "SigningActions", "SigningDocumentList", "Summary", "Summary2", "Video",
    }
)  # fmt: skip
_CONTAINERS = frozenset({"Group", "Accordion", "AccordionGroup", "Tabs", "Cards", "Grid", "ButtonGroup"})
MAX_COLUMNS = 6
_ADDRESS = {"nb": "Adresse", "nn": "Adresse", "en": "Address"}
"""An address seldom has a title of its own: its lines have theirs."""


class Answer(msgspec.Struct, frozen=True):
    """One question and its answer."""

    node: Node
    label: str
    lines: Sequence[str]
    empty: str | None = None
    """What to say where there is no answer, when the app says it itself."""


class Table(msgspec.Struct, frozen=True):
    """The rows of a list: the same questions, one answer each."""

    node: Node
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Part(msgspec.Struct, frozen=True):
    """A group, or one row of a list, with a title (that may be empty)."""

    node: Node
    title: str
    items: Sequence[Item]


Item: TypeAlias = Answer | Table | Part


class PageSummary(msgspec.Struct, frozen=True):
    """One page."""

    name: str
    title: str
    items: Sequence[Item]


class Rules(msgspec.Struct, frozen=True):
    """What a summary leaves out, and what it says instead of nothing."""

    hide_empty: bool = False
    excluded_pages: Collection[str] = ()
    excluded_components: Collection[str] = ()
    overrides: Sequence[Mapping[str, Any]] = ()

    def override(self, node: Node, name: str) -> Any:
        """What the overrides say about a component, the last word first."""
        for rule in reversed(self.overrides):
            mine = rule.get("componentId") == node.component.id or rule.get("componentType") == node.type
            if mine and name in rule:
                return rule[name]
        return None

    def skips_page(self, name: str) -> bool:
        """Whether a page is left out."""
        return name in self.excluded_pages or any(
            rule.get("pageId") == name and rule.get("hidden") is True for rule in self.overrides
        )


EVERYTHING = Rules()


def rules_of(node: Node) -> Rules:
    """The rules that a Summary2 component states."""
    overrides = node.raw.get("overrides")
    return Rules(
        hide_empty=node.raw.get("hideEmptyFields") is True,
        overrides=[rule for rule in overrides if isinstance(rule, dict)] if isinstance(overrides, list) else (),
    )


def whole(state: State, rules: Rules = EVERYTHING) -> list[PageSummary]:
    """Every shown page that has something to say."""
    pages = (of_page(state, page.name, rules) for page in state.pages() if not rules.skips_page(page.name))
    return [page for page in pages if page.items]


def of_page(state: State, name: str, rules: Rules = EVERYTHING) -> PageSummary:
    """One page."""
    page = state.layout.pages[name]
    return PageSummary(name, markdown.plain(state.text(name)), list(of_nodes(state.on_page(page), rules)))


def of_nodes(nodes: Sequence[Node], rules: Rules = EVERYTHING) -> Iterator[Item]:
    """The items of these nodes, in order."""
    for node in nodes:
        if node.hidden or node.component.id in rules.excluded_components or rules.override(node, "hidden") is True:
            continue
        yield from _of_node(node, rules)


def _of_node(node: Node, rules: Rules) -> Iterator[Item]:
    if node.component.list_binding is not None:
        yield from _of_list(node, rules)
    elif node.type in _CONTAINERS:
        items = list(of_nodes(node.children(), rules))
        if not items:
            return
        title = label(node)
        if title:
            yield Part(node, title, items)
        else:
            yield from items
    elif _answers(node):
        lines = display.values(node)
        if not lines and (rules.hide_empty or rules.override(node, "hideEmptyFields") is True):
            return
        said = rules.override(node, "emptyFieldText")
        yield Answer(node, label(node), lines, node.lookup(str(said)) if said and not lines else None)


def _of_list(node: Node, rules: Rules) -> Iterator[Item]:
    rows = [row for row in node.row_list if not row.hidden]
    title = label(node)
    if not rows:
        if not rules.hide_empty:
            yield Answer(node, title, ())
        return
    if node.type == "Likert":
        yield from _of_likert(node, rules)
        return
    per_row = [list(of_nodes(node.children(row.index), rules)) for row in rows]
    if _fits_a_table(per_row):
        columns = {
            item.node.component.id: item.label for items in per_row for item in items if isinstance(item, Answer)
        }
        cells = [
            {item.node.component.id: ", ".join(item.lines) for item in items if isinstance(item, Answer)}
            for items in per_row
        ]
        yield Table(node, title, list(columns.values()), [[row.get(id_, "") for id_ in columns] for row in cells])
        return
    yield Part(
        node,
        title,
        [Part(node, f"{title} {number}".strip(), items) for number, items in enumerate(per_row, start=1)],
    )


def _of_likert(node: Node, rules: Rules) -> Iterator[Item]:
    from havn.runtime.layout import likert

    answers: list[Item] = [
        Answer(node, markdown.plain(line.question), [choice] if (choice := line.label) else [])
        for line in likert.lines(node)
        if line.label or not rules.hide_empty
    ]
    if answers:
        yield Part(node, label(node), answers)


def _fits_a_table(rows: Sequence[Sequence[Item]]) -> bool:
    columns = {item.node.component.id for items in rows for item in items}
    return len(columns) <= MAX_COLUMNS and all(isinstance(item, Answer) for items in rows for item in items)


def _answers(node: Node) -> bool:
    if node.type in _SILENT:
        return node.raw.get("forceShowInSummary") is True
    return bool(node.component.bindings) or node.type in (
        "FileUpload", "FileUploadWithTag", "ImageUpload", "Text", "Number", "Date", "Option",
    )  # fmt: skip


def label(node: Node) -> str:
    """What a component is called in a summary, without markup."""
    for name in ("summaryTitle", "title", "tableTitle"):
        found = node.text(name)
        if found:
            return markdown.plain(found)
    return _ADDRESS.get(node.state.surroundings.language, _ADDRESS["nb"]) if node.type == "Address" else ""
