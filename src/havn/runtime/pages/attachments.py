"""Attachments of an upload component: let in, listed in the model where a row wants it, and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from starlette.datastructures import UploadFile

from havn.kit.problem import Problem
from havn.runtime import content_types, files
from havn.runtime.layout import display
from havn.runtime.layout.nodes import Node
from havn.runtime.model import paths
from havn.runtime.pages.checks import endings, most
from havn.runtime.pages.feedback import Feedback
from havn.runtime.pages.opened import Opened

DEFAULT_SIZE = 50
"""MiB, for data types that name no size: what one form may send without script."""
MAX_AT_ONCE = 5
_CHUNK = 256 * 1024


async def upload(opened: Opened, node: Node, sent: Sequence[UploadFile], feedback: Feedback) -> None:
    """Store files one after the other; what cannot be stored is told at the component."""
    word = opened.site.word
    if node.read_only:
        return
    if not sent:
        feedback.add(node.id, word("no_file"))
    limit = most(node)
    room = MAX_AT_ONCE if limit is None else limit - len(display.attached(node))
    allowed = endings(node)
    for file in sent:
        name = file.filename or ""
        if room <= 0:
            feedback.add(node.id, word("too_many_files", limit=limit))
            return
        if allowed and not name.lower().endswith(tuple(allowed)):
            feedback.add(node.id, f"{name}: {word('file_type', types=', '.join(allowed))}")
            continue
        if await _store(opened, node, file, name, feedback):
            room -= 1


async def _store(opened: Opened, node: Node, file: UploadFile, name: str, feedback: Feedback) -> bool:
    try:
        result = await files.upload(
            opened.site.context,
            opened.site.actor,
            opened.instance,
            node.component.id,
            _chunks(file),
            filename=name,
            # The browser's guess is a guess; the ending decides, as for other clients.
            content_type=content_types.of_name(name) or file.content_type,
        )
    except Problem as problem:
        if problem.status not in (400, 409, 413):
            raise
        for text in _reasons(problem):
            feedback.add(node.id, f"{name}: {text}")
        return False
    opened.renew(result.models, result.instance)
    if result.element is not None:
        await _list(opened, node, result.element.id or "", add=True)
    return True


async def delete(opened: Opened, node: Node, element_id: str) -> None:
    """Delete one of the component's own attachments; one already gone is no error."""
    if node.read_only or all(element.id != element_id for element in display.attached(node)):
        return
    await _list(opened, node, element_id, add=False)
    result = await files.delete(opened.site.context, opened.site.actor, opened.instance, element_id)
    opened.renew(result.models, result.instance)


async def _list(opened: Opened, node: Node, element_id: str, *, add: bool) -> None:
    """In a row, the model says which attachments are its own."""
    single, many = (node.component.bindings.get(name) for name in ("simpleBinding", "list"))
    binding = single or many
    if binding is None or binding.data_type not in opened.models:
        return
    path = node.indexed(binding)

    def change(model: dict[str, Any]) -> None:
        if single is not None:
            paths.put(model, path, element_id if add else None)
            return
        held = paths.get(model, path)
        ids = [each for each in held if each != element_id] if isinstance(held, list) else []
        paths.put(model, path, [*ids, element_id] if add else ids)

    await opened.edit(binding.data_type, change)


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK):
        yield chunk


def _reasons(problem: Problem) -> list[str]:
    issues = msgspec.to_builtins(problem.extensions.get("uploadValidationIssues", []))
    texts = [str(issue["description"]) for issue in issues if isinstance(issue, dict) and issue.get("description")]
    return texts or [problem.detail or problem.title]
