"""What a form sends, read and bounded.

Besides the fields themselves a page sends what it was drawn from: `_fields` names every field with a digest of what the
model held, so that a change made elsewhere meanwhile is noticed field by field; `_parts` names the parts with a digest
of their look, so that only what changed is sent back; `_open` the open rows; `_shown` where missing answers are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from havn.kit.problem import Problem

MAX_FIELDS = 3000
MAX_FIELD_BYTES = 1024 * 1024
MAX_BYTES = 8 * 1024 * 1024
"""Of a post without files."""
AUTO = "auto"
"""The action of a save that no button asked for."""


class Seen:
    """What the page knew of one field: the value it was drawn from, and a conflict it has told of."""

    def __init__(self, text: str) -> None:
        self.drawn, _, self.told = text.partition("!")


class Posted:
    """One post of a page's form."""

    def __init__(self, form: FormData) -> None:
        self._form = form
        action = self.one("_action") or "save"
        self.verb, _, self.subject = action.partition(":")
        self.fields: Mapping[str, Seen] = {name: Seen(text) for name, text in _pairs(self.one("_fields"))}
        self.parts: Mapping[str, str] = dict(_pairs(self.one("_parts")))
        self.open_rows = frozenset(self.one("_open").split())
        self.shown = frozenset(self.one("_shown").split())
        self.typing = self.one("_typing")
        """The field one is typing in just now: what is wrong there is not said yet."""

    @property
    def explicit(self) -> bool:
        """Whether somebody pressed a button."""
        return self.verb != AUTO

    def one(self, name: str) -> str:
        """A text field's value; empty when it was not sent."""
        value = self._form.get(name)
        return value if isinstance(value, str) else ""

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for value in self._form.getlist(name) if isinstance(value, str)]

    def files(self, name: str) -> list[UploadFile]:
        """The files of a file field; browsers send an empty one for a field without a choice."""
        found = [value for value in self._form.getlist(name) if isinstance(value, UploadFile)]
        return [file for file in found if file.filename]

    def everything(self) -> list[tuple[str, str]]:
        """Every text field as it came, for giving it back."""
        return [(name, value) for name, value in self._form.multi_items() if isinstance(value, str)]


async def read(request: Request, limit: int = MAX_BYTES) -> Posted:
    """The form of a post of at most `limit` bytes. Problems: 413, 400 not a form."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    # The counter stands in front of whoever reads the body: the antiforgery check, or we.
    request._receive = _counted(request._receive, limit)  # noqa: SLF001 - Starlette has no other place for it
    return Posted(await request.form(max_files=50, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES))


def _counted(receive: Receive, limit: int) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The form is larger than {limit} bytes.", code="too_large", limit=limit)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = (item.partition("=") for item in text.split(" ") if item)
    return [(name, value) for name, _, value in pairs if name]


def pairs(values: Mapping[str, str]) -> str:
    """The text of `_fields` or `_parts`."""
    return " ".join(f"{name}={value}" for name, value in values.items())


def words(values: Sequence[str] | frozenset[str]) -> str:
    """The text of `_open` or `_shown`."""
    return " ".join(sorted(values))
