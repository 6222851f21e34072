"""How a list of rows is drawn: its way of editing, its columns, which rows stand open, whether one may add."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from havn.runtime.layout import display, markdown
from havn.runtime.layout.choices import SELECTIONS
from havn.runtime.layout.nodes import Node, is_true
from havn.runtime.layout.surroundings import Row
from havn.runtime.layout.tree import Component
from havn.runtime.pages import field

_SHOWN_IN_CELLS = frozenset({"Text", "Number", "Date", "Option", "FileUpload", "FileUploadWithTag", "Likert"})


class RowsView:
    """One list of rows, for its template."""

    def __init__(self, node: Node, open_rows: Collection[str]) -> None:
        self.node = node
        raw = node.raw.get("edit")
        self._edit: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
        self.rows = [row for row in node.row_list if not row.hidden]
        self.opened = self._opened(open_rows)

    @property
    def mode(self) -> str:
        """`showTable`, `hideTable`, `showAll` or `onlyTable`."""
        mode = self._edit.get("mode")
        return mode if mode in ("showTable", "hideTable", "showAll", "onlyTable") else "showTable"

    def edit(self, name: str, *, default: bool = False) -> bool:
        """A switch of `edit`, which may be an expression."""
        return is_true(self.node.evaluate(self._edit.get(name), f"edit.{name}", default))

    def row_edit(self, row: Row, name: str, *, default: bool = False) -> bool:
        """A switch of `edit` for one row."""
        raw = self._edit.get(name)
        return is_true(self.node.in_row(row.index, raw, f"edit.{name}", default))

    @property
    def may_add(self) -> bool:
        """Whether there is a button for another row."""
        most = self.node.raw.get("maxCount")
        full = isinstance(most, int) and most > 0 and len(self.rows) >= most
        if self.node.read_only or full or not self.edit("addButton", default=True):
            return False
        return not self.opened or self.mode in ("showAll", "onlyTable") or self.edit("alwaysShowAddButton")

    @property
    def may_delete(self) -> bool:
        """Whether any row has a button to delete it."""
        return not self.node.read_only and any(self.row_edit(row, "deleteButton", default=True) for row in self.rows)

    @property
    def columns(self) -> list[Component]:
        """The components that have a column: those in `tableHeaders`, else all that hold one value."""
        headers = self.node.raw.get("tableHeaders")
        below = [
            child for child in self.node.component.walk() if child.lists and child.lists[-1] is self.node.component
        ]
        known = {child.id: child for child in below}
        if isinstance(headers, list):
            chosen = [known[name] for name in headers if name in known]
        else:
            chosen = [child for child in below if child.type in _SHOWN_IN_CELLS or child.type in field.FIELDS]
        return [child for child in chosen if not self._column(child).get("hidden")]

    def title(self, column: Component) -> str:
        """What a column is called, in plain words."""
        node = self.node.state.node(column, (*self.node.rows, self.rows[0].index)) if self.rows else None
        if node is None:
            return column.id
        return markdown.plain(node.text("tableTitle") or node.text("title") or column.id)

    def in_table(self, column: Component) -> bool:
        """Whether the column's fields are edited in the table itself."""
        return self.mode == "onlyTable" or self._column(column).get("editInTable") is True

    def align(self, column: Component) -> str:
        """`right`, `center` or nothing."""
        align = self._column(column).get("alignText")
        return align if align in ("right", "center") else ""

    def cell(self, column: Component, row: Row) -> Node:
        """The column's node in a row."""
        return self.node.state.node(column, (*self.node.rows, row.index))

    def name(self, row: Row, number: int) -> str:
        """What a row is called for those who cannot see where they are: its first answer, else its number."""
        for column in self.columns:
            cell = self.cell(column, row)
            if not cell.hidden and (column.type in ("Input", "Text") or column.type in SELECTIONS):
                shown = display.text(cell)
                if shown:
                    return shown
        return f"{markdown.plain(self.node.text('title') or '')} {number}".strip()

    def number(self, row: Row) -> int:
        """The row's number among those shown, from 1."""
        return self.rows.index(row) + 1

    def _column(self, column: Component) -> Mapping[str, Any]:
        settings = self.node.raw.get("tableColumns")
        found = settings.get(column.id) if isinstance(settings, dict) else None
        return found if isinstance(found, dict) else {}

    def _opened(self, open_rows: Collection[str]) -> list[str]:
        if self.mode in ("showAll", "onlyTable") or self.node.read_only:
            return []
        # `-` notes that somebody has closed what stands open by default.
        opened = [row.id for row in self.rows if f"{self.node.id}:{row.id}" in open_rows]
        if opened or f"{self.node.id}:-" in open_rows or not self.rows:
            return opened
        default = self._edit.get("openByDefault")
        if default == "first":
            return [self.rows[0].id]
        if default == "last":
            return [self.rows[-1].id]
        return []
