"""Wire types of what a deploy would change, and of the open instances that it would strand."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Way = Literal["gained", "lost", "changed"]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of these types."""


class FileChange(Wire, frozen=True):
    """A file of the release that is added, changed or removed; sizes in bytes."""

    path: str
    change: Literal["added", "changed", "removed"]
    before: int | None
    after: int | None
    text: str | None = None
    """Unified diff, when it was asked for and both are text."""


class ValueChange(Wire, frozen=True):
    """A value at a place in a document, such as `dataTypes[skjema].maxCount`; null where there is none."""

    place: str
    before: Any
    after: Any


class RightChange(Wire, frozen=True):
    """A right that the policy gives or takes, or whose condition changes."""

    change: Way
    subject: str
    place: str
    action: str
    was: str
    becomes: str


class PolicyChanges(Wire, frozen=True):
    """The policies compared by truth table over every combination that either names."""

    compared: int
    rights: list[RightChange]
    notes: list[str]
    """What the table leaves out, or why there is none."""


class Stranded(Wire, frozen=True):
    """Open instances that the new version would have no place for: their task, data type or schema is gone."""

    what: Literal["task", "dataType", "schema"]
    id: str
    count: int
    sample: list[str]
    """Ids of some of them."""


class Difference(Wire, frozen=True):
    """What putting `after` where `before` is would change; `before` is null where the app is not deployed."""

    environment: str
    org: str
    app: str
    before: str | None
    after: str
    files: list[FileChange]
    files_left_out: int
    """How many more files change than are listed."""
    settings: list[ValueChange]
    values: list[ValueChange]
    policy: PolicyChanges
    egress: list[ValueChange]
    metadata: list[ValueChange]
    texts: list[ValueChange]
    process: list[ValueChange]
    stranded: list[Stranded]

    @property
    def same(self) -> bool:
        """Whether nothing at all would change."""
        return not (
            self.files or self.settings or self.values or self.policy.rights or self.egress or self.metadata
            or self.texts or self.process
        )  # fmt: skip
