"""What the page says about each field: validation messages, what was typed but not kept, what changed elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.layout.nodes import Node, State

Kind = Literal["danger", "warning", "info", "success"]
_KINDS: Mapping[Severity, Kind] = {
    Severity.ERROR: "danger",
    Severity.WARNING: "warning",
    Severity.INFORMATIONAL: "info",
    Severity.SUCCESS: "success",
}
REQUIRED = "Required"
"""The source of messages about missing answers: shown only when somebody has tried to go on."""
WHOLE_PAGE = "*"
UPLOADS = frozenset({"FileUpload", "FileUploadWithTag", "ImageUpload"})


class Message(msgspec.Struct, frozen=True):
    """One sentence about a field."""

    kind: Kind
    text: str


class Feedback:
    """Gathered for one drawing of a page. Fields are named as in the form."""

    def __init__(self, shown: Collection[str] = ()) -> None:
        self.shown = frozenset(shown)
        """Where missing answers are pointed out: `*` for everywhere, or ids of rows."""
        self.fields: dict[str, list[Message]] = {}
        self.general: list[Message] = []
        self.typed: dict[str, Sequence[str]] = {}
        """What was typed and could not be kept."""
        self.elsewhere: dict[str, str] = {}
        """What fields hold that were changed elsewhere while they were being changed here."""

    def add(self, field: str, text: str, kind: Kind = "danger") -> None:
        """A sentence about a field; said once."""
        message = Message(kind, text)
        messages = self.fields.setdefault(field, [])
        if message not in messages:
            messages.append(message)

    def say(self, text: str, kind: Kind = "danger") -> None:
        """A sentence about the whole."""
        if (message := Message(kind, text)) not in self.general:
            self.general.append(message)

    def wrong(self, field: str) -> bool:
        """Whether an error stands at the field."""
        return any(message.kind == "danger" for message in self.fields.get(field, ())) or field in self.elsewhere

    def shows_missing(self, node: Node) -> bool:
        """Whether missing answers of this node are pointed out."""
        return WHOLE_PAGE in self.shown or any(row in self.shown for row in node.row_ids)


def field_name(node: Node, binding: str = "simpleBinding") -> str:
    """What the form calls a field; also its HTML id."""
    return node.id if binding in ("simpleBinding", "group", "list", "questions") else f"{node.id}.{binding}"


def put_issues(
    feedback: Feedback,
    state: State,
    issues: Iterable[ValidationIssue],
    data_types: Mapping[str, str],
    *,
    page: str | None = None,
) -> None:
    """Sort issues to the fields they are about; `data_types`: element id to data type.

    What is about no shown field is said about the whole. With `page`, what is about fields of other pages is left out.
    """
    places: dict[tuple[str, str], list[tuple[Node, str]]] = {}
    uploads: dict[str, list[Node]] = {}
    for node in state.walk():
        for name, binding in node.component.bindings.items():
            places.setdefault((binding.data_type, node.indexed(binding)), []).append((node, name))
        if node.type in UPLOADS:
            uploads.setdefault(node.component.id, []).append(node)
    default = state.layout.default_data_type
    for issue in issues:
        data_type = data_types.get(issue.data_element_id or "", default)
        found = places.get((data_type, issue.field or ""), [])
        if not found and issue.field in uploads:
            found = [(node, "simpleBinding") for node in uploads[issue.field or ""]]
        if not found and data_type in uploads:
            found = [(node, "simpleBinding") for node in uploads[data_type]]
        text = _text(state, issue)
        if not found:
            # Nobody is told of a required field that no page shows: nobody could fill it in.
            if issue.source != REQUIRED or WHOLE_PAGE in feedback.shown:
                feedback.say(text, _KINDS[issue.severity])
            continue
        for node, name in found:
            if page is not None and node.component.page != page:
                continue
            if issue.source != REQUIRED or feedback.shows_missing(node):
                feedback.add(field_name(node, name), text, _KINDS[issue.severity])


def _text(state: State, issue: ValidationIssue) -> str:
    if issue.description:
        return issue.description
    return state.text(issue.custom_text_key or issue.code or "invalid")
