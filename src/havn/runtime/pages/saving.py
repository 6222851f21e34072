"""Saving what a form sent: fields, tags, rows; and judging the result."""

from __future__ import annotations

import copy
from typing import Any

from havn.kit.problem import Problem
from havn.runtime import files
from havn.runtime.issues import ValidationIssue
from havn.runtime.layout import display
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import Node, State
from havn.runtime.layout.tree import Layout
from havn.runtime.model import paths
from havn.runtime.model.rows import ROW_ID
from havn.runtime.pages.merge import Change, Merge
from havn.runtime.pages.opened import Opened
from havn.runtime.pages.posted import Posted
from havn.runtime.work import new_id


class Saved:
    """What became of a post's fields."""

    def __init__(self, merge: Merge) -> None:
        self.merge = merge
        self.conflicts: dict[str, Change] = {}
        self.issues: list[ValidationIssue] | None = None
        """Everything that is wrong on saving; None when nothing was saved, so that nobody has looked."""
        self.refused: Problem | None = None
        """The app's own code refused the change."""

    @property
    def clean(self) -> bool:
        """Whether everything typed is kept."""
        return not (self.merge.invalid or self.conflicts or self.merge.gone or self.refused)


async def save(opened: Opened, layout: Layout, page: str, posted: Posted) -> Saved:
    """Bring the fields together with the models and save, one element after the other."""
    context = opened.site.context
    state = await opened.state(layout)
    merge = Merge(state, page, posted, context.models.shape)
    saved = Saved(merge)
    for data_type in merge.changes:
        if data_type not in opened.models:
            continue
        differs, against = merge.apply(state, data_type, copy.deepcopy(opened.models[data_type]))
        if not differs:
            saved.conflicts |= against
            continue
        found: dict[str, Change] = {}

        def change(model: dict[str, Any], data_type: str = data_type, found: dict[str, Change] = found) -> None:
            # May run again on a newer model.
            found.clear()
            newest = FormState(layout, {**opened.models, data_type: model}, state.surroundings)
            found.update(merge.apply(newest, data_type, model)[1])

        try:
            saved.issues = await opened.edit(data_type, change)
        except Problem as problem:
            if problem.status == 400 and "uploadValidationIssues" in problem.extensions:
                saved.refused = problem
                continue
            raise
        saved.conflicts |= found
    await _save_tags(opened, state, page, posted)
    return saved


async def _save_tags(opened: Opened, state: State, page: str, posted: Posted) -> None:
    for node in _on_page(state, page):
        if node.type != "FileUploadWithTag" or node.read_only:
            continue
        for element in display.attached(node):
            name = f"{node.id}.{element.id}"
            if name not in posted.fields:
                continue
            wanted = [value for value in posted.values(name) if value]
            if wanted != list(element.tags):
                changed = await files.set_tags(
                    opened.site.context, opened.site.actor, opened.instance, element.id, wanted
                )
                opened.replace_element(changed)


def _on_page(state: State, page: str) -> list[Node]:
    return [node for top in state.on_page(state.layout.pages[page]) for node in top.walk()]


def find(state: State, page: str, node_id: str) -> Node | None:
    """A shown node of the page by its id."""
    return next((node for node in _on_page(state, page) if node.id == node_id), None)


async def add_row(opened: Opened, node: Node) -> str | None:
    """Another row at the end of a list; its id."""
    binding = node.component.list_binding
    if binding is None or node.read_only or binding.data_type not in opened.models:
        return None
    path, row_id = node.indexed(binding), new_id()

    def change(model: dict[str, Any]) -> None:
        rows = paths.get(model, path)
        if not isinstance(rows, list):
            rows = []
            paths.put(model, path, rows)
        rows.append({ROW_ID: row_id})

    await opened.edit(binding.data_type, change)
    return row_id


async def delete_row(opened: Opened, node: Node, row_id: str) -> None:
    """Take a row out of a list; one already gone is no error."""
    binding = node.component.list_binding
    if binding is None or node.read_only or binding.data_type not in opened.models:
        return
    path = node.indexed(binding)

    def change(model: dict[str, Any]) -> None:
        rows = paths.get(model, path)
        if isinstance(rows, list):
            rows[:] = [row for row in rows if not (isinstance(row, dict) and row.get(ROW_ID) == row_id)]

    await opened.edit(binding.data_type, change)
