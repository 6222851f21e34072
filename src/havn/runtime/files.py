"""Attachments: upload with every check, delete, tags."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from havn.contracts.storage import DataElement, Instance
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext
    from havn.runtime.data import Model
    from havn.runtime.validation import ValidationIssue


class FileResult(msgspec.Struct, frozen=True):
    """What an upload or a deletion led to."""

    instance: Instance
    element: DataElement | None
    """The new element; None after a deletion."""
    issues: dict[str, Sequence[ValidationIssue]]
    models: dict[str, Model]
    """Element id to model, for form data that the app's code changed."""


async def upload(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    data_type: str,
    content: AsyncIterator[bytes],
    *,
    filename: str | None,
    content_type: str | None,
    ignored_validators: Sequence[str] | None = None,
) -> FileResult:
    """Check and store a file. Incremental validation runs only when `ignored_validators` is given.

    Problems: 400 `File validation failed` with `uploadValidationIssues` (name, type, emptiness, the app's validators);
    413 larger than the data type's `maxSize`; 409 too many, or archived; 403; 404 unknown data type.
    The file name is kept as text only and never used as a path.
    """
    raise NotImplementedError


async def delete(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element_id: str,
    *,
    ignored_validators: Sequence[str] | None = None,
) -> FileResult:
    """Delete an element. Problems: 400 the one required form element or `disallowUserDelete`; 403; 404; 409."""
    raise NotImplementedError


async def set_tags(
    context: AppContext, actor: Actor, instance: Instance, element_id: str, tags: Sequence[str]
) -> DataElement:
    """Replace the element's tags; letters, `-` and `_` only (400)."""
    raise NotImplementedError
