"""What service code answers with: issues, refusals, outcomes, pages of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from havn.runtime.issues import Severity


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a validator. `text_key` names a text resource; `description` is used where there is none."""

    field: str | None = None
    """Path with indices, `children[1].name`; None for a message about the whole task."""
    description: str | None = None
    text_key: str | None = None
    parameters: dict[str, str] | None = None
    code: str | None = None
    severity: Severity = Severity.ERROR
    element_id: str | None = None


def error(field: str | None, text: str, **parameters: str) -> Issue:
    """An error on `field`; `text` is a text key or a sentence."""
    return Issue(field=field, text_key=text, description=text, parameters=parameters or None)


def warning(field: str | None, text: str, **parameters: str) -> Issue:
    """A warning on `field`: shown, and stops nothing."""
    return Issue(field=field, text_key=text, description=text, parameters=parameters or None, severity=Severity.WARNING)


class Abandon(Exception):
    """Raised by a data hook: the request ends with these issues and nothing is saved."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__("abandoned")
        self.issues = issues


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An instantiation validator's no; shown to the user."""

    message: str | None = None
    text_key: str | None = None
    parameters: dict[str, str] | None = None
    valid_party_ids: Sequence[int] = ()


class Done(msgspec.Struct, frozen=True):
    """A process hook or service task succeeded; returning None means the same."""


class Retry(msgspec.Struct, frozen=True):
    """It failed for now: the move stops, and doing it again may succeed. `reason` is for the log and the user."""

    reason: str


class Failed(msgspec.Struct, frozen=True):
    """It failed for good. With `action` (such as `reject`) a service task moves on that way instead of stopping."""

    reason: str
    action: str | None = None


Outcome = Done | Retry | Failed


class ClientAction(msgspec.Struct, frozen=True):
    """What the frontend should do after a user action: `nextPage`, `previousPage`, `navigateToPage`, `closeSubform`."""

    id: str
    metadata: Mapping[str, Any] | None = None


class ActionDone(msgspec.Struct, frozen=True):
    """A user action succeeded."""

    client_actions: Sequence[ClientAction] = ()


class ActionFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A user action failed; `message` is a text key. `kind` decides the status: 400, 401, 409 or 500."""

    code: str
    message: str
    metadata: Mapping[str, str] | None = None
    kind: Literal["bad_request", "unauthorized", "conflict", "internal"] = "internal"


class ActionRedirect(msgspec.Struct, frozen=True):
    """Send the user's browser to `url`, an https address."""

    url: str


ActionResult = ActionDone | ActionFailed | ActionRedirect


class Option(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """One choice; `label`, `description` and `help_text` are text keys or plain text."""

    value: str | float | bool | None
    label: str
    description: str | None = None
    help_text: str | None = None
    tags: Mapping[str, str] | None = None


class Options(msgspec.Struct, frozen=True):
    """The choices, and the parameters the provider asked its source with (header `Altinn-DownstreamParameters`)."""

    options: Sequence[Option]
    parameters: Mapping[str, str] = {}


class DataListPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a data list; `total` counts all rows."""

    rows: Sequence[Mapping[str, Any]]
    page: int = 0
    size: int = 0
    total: int = 0


class PdfFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What to leave out of the receipt."""

    excluded_pages: Sequence[str] = ()
    excluded_components: Sequence[str] = ()


class FileAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """What a file analyser found out about an upload."""

    mime_type: str | None = None
    extensions: Sequence[str] = ()
    metadata: Mapping[str, str] = {}
