"""What each button of a form does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from havn.runtime.pages import moves, row_actions, saving
from havn.runtime.pages.filling import Form
from havn.runtime.pages.posted import Posted
from havn.runtime.pages.saving import Saved

Verb = Callable[[Form, Posted, Saved], Awaitable[Response]]
VERBS: Mapping[str, Verb] = {
    "next": moves.next_page,
    "back": moves.previous_page,
    "goto": moves.go_to_page,
    "lang": moves.change_language,
    "submit": moves.submit,
    "process": moves.submit,
    "instantiate": moves.instantiate,
    "add-row": row_actions.add_row,
    "open-row": row_actions.open_row,
    "close-row": row_actions.close_row,
    "next-row": row_actions.close_row,
    "delete-row": row_actions.delete_row,
    "ask": row_actions.ask,
    "keep": row_actions.keep,
    "upload": row_actions.upload,
    "delete-file": row_actions.delete_file,
}
"""The part of a button's value before the colon; any other only saves."""


async def take(form: Form, sent: Posted) -> Response:
    """Save what was sent, then do what was asked."""
    saved = await saving.save(form.opened, form.layout, form.page.name, sent)
    verb = VERBS.get(sent.verb)
    return await (verb(form, sent, saved) if verb is not None else form.answer(sent, saved))
