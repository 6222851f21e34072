"""Buttons that change a page without leaving it: rows of a list, attachments, questions before deleting."""

from __future__ import annotations

from starlette.responses import Response

from havn.runtime.layout.nodes import Node
from havn.runtime.pages import attachments, field, page, saving
from havn.runtime.pages.feedback import Feedback
from havn.runtime.pages.filling import Form
from havn.runtime.pages.posted import Posted
from havn.runtime.pages.rows import RowsView
from havn.runtime.pages.saving import Saved


async def add_row(form: Form, sent: Posted, saved: Saved) -> Response:
    """Another row, opened, the cursor in its first field."""
    state = await form.opened.state(form.layout)
    node = saving.find(state, form.page.name, sent.subject)
    row_id = None
    if node is not None and RowsView(node, form.open_rows).may_add:
        row_id = await saving.add_row(form.opened, node)
    if node is not None and row_id is not None:
        saved.issues = None
        form.open_rows = frozenset({*_others(form, node.id), f"{node.id}:{row_id}"})
        state = await form.opened.state(form.layout)
        group = saving.find(state, form.page.name, node.id)
        form.focus = _first_field(group, row_id) if group is not None else None
    return await form.answer(sent, saved)


async def open_row(form: Form, sent: Posted, saved: Saved) -> Response:
    """Open a row for editing; others of the same list close."""
    group, _, row = sent.subject.rpartition(":")
    form.open_rows = frozenset({*_others(form, group), f"{group}:{row}"})
    state = await form.opened.state(form.layout)
    node = saving.find(state, form.page.name, group)
    form.focus = _first_field(node, row) if node is not None else None
    return await form.answer(sent, saved)


async def close_row(form: Form, sent: Posted, saved: Saved) -> Response:
    """Close a row, after validating it where the list says so; then perhaps open the next."""
    group, _, row = sent.subject.rpartition(":")
    state = await form.opened.state(form.layout)
    node = saving.find(state, form.page.name, group)
    if node is None:
        return await form.answer(sent, saved)
    if node.raw.get("validateOnSaveRow") and saved.clean:
        form.shown.add(row)
        view = await form.view(saved)
        inside = [below for index in node.row_list if index.id == row for below in node.children(index.index)]
        if any(view.feedback.wrong(below.id) for child in inside for below in child.walk()):
            form.focus = next(below.id for child in inside for below in child.walk() if view.feedback.wrong(below.id))
            return page.changed(view, sent, focus=form.focus) if form.site.partial else form.stay(view)
        form.shown.discard(row)
    if not saved.clean:
        return await form.answer(sent, saved)
    form.open_rows = frozenset({*_others(form, group), f"{group}:-"})
    form.focus = f"{group}-{row}-e"
    if sent.verb == "next-row":
        rows = [one.id for one in node.row_list if not one.hidden]
        at = rows.index(row) + 1 if row in rows else len(rows)
        if at < len(rows):
            form.open_rows = frozenset({*_others(form, group), f"{group}:{rows[at]}"})
            form.focus = _first_field(node, rows[at])
    return await form.answer(sent, saved)


async def delete_row(form: Form, sent: Posted, saved: Saved) -> Response:
    """Take a row out."""
    group, _, row = sent.subject.rpartition(":")
    state = await form.opened.state(form.layout)
    node = saving.find(state, form.page.name, group)
    found = next((one for one in node.row_list if one.id == row), None) if node is not None else None
    if node is not None and found is not None and RowsView(node, ()).row_edit(found, "deleteButton", default=True):
        await saving.delete_row(form.opened, node, row)
        saved.issues = None
    form.open_rows = frozenset({*_others(form, group), f"{group}:-"})
    form.focus = group
    return await form.answer(sent, saved)


async def ask(form: Form, sent: Posted, saved: Saved) -> Response:
    """Ask before something is deleted."""
    form.asking = sent.subject
    form.focus = f"{sent.subject.replace(':', '-')}-yes"
    return await form.answer(sent, saved)


async def keep(form: Form, sent: Posted, saved: Saved) -> Response:
    """Do not delete it after all."""
    form.focus = f"{sent.subject.replace(':', '-')}-x"
    return await form.answer(sent, saved)


def _others(form: Form, group: str) -> set[str]:
    return {row for row in form.open_rows if row.rpartition(":")[0] != group}


async def upload(form: Form, sent: Posted, saved: Saved) -> Response:
    """Store the files chosen at one component."""
    state = await form.opened.state(form.layout)
    node = saving.find(state, form.page.name, sent.subject)
    feedback = Feedback()
    if node is not None:
        await attachments.upload(form.opened, node, sent.files(f"_file.{node.id}"), feedback)
        saved.issues = None
        form.focus = node.id
    return await form.answer(sent, saved, feedback=feedback if feedback.fields else None)


async def delete_file(form: Form, sent: Posted, saved: Saved) -> Response:
    """Delete one attachment."""
    node_id, _, element_id = sent.subject.rpartition(":")
    state = await form.opened.state(form.layout)
    node = saving.find(state, form.page.name, node_id)
    if node is not None:
        await attachments.delete(form.opened, node, element_id)
        saved.issues = None
        form.focus = node.id
    return await form.answer(sent, saved)


def _first_field(group: Node, row_id: str) -> str:
    """Where the cursor goes in a row that was opened."""
    for row in group.row_list:
        if row.id == row_id:
            for child in group.children(row.index):
                for node in child.walk():
                    if node.type in field.FIELDS and not node.read_only:
                        return str(node.id)
    return f"{group.id}-{row_id}"
