"""Attachments: upload with every check, delete, tags and metadata."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from havn.contracts.application import DataType
from havn.contracts.storage import DataElement, Instance, KeyValueEntry
from havn.kit.problem import Problem
from havn.runtime import access, content_types, hook_data, service_code, validation, writing
from havn.runtime.hooks import FileAnalysis, InstanceContext, UploadedFile
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.messages import message
from havn.runtime.work import Model, Work, current_task

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

MAX_UPLOAD = 2000 * 1024 * 1024
"""Bytes, for data types that name no size: what storage takes."""
_IN_MEMORY = 1024 * 1024
_TAG = re.compile(r"[^\W\d_]([^\W\d_]|[-_])*")
_NAME = re.compile(r"[^\x00-\x1f/\\]{1,200}")


class FileResult(msgspec.Struct, frozen=True):
    """What an upload or a deletion led to."""

    instance: Instance
    element: DataElement | None
    """The new element; None after a deletion."""
    issues: Mapping[str, Sequence[ValidationIssue]]
    models: Mapping[str, Model]
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
    type_ = access.data_type(context, data_type)
    if access.is_form(type_):
        raise Problem(400, f"{type_.id} is form data, not a file type.", code="not_a_file_type")
    await access.require_data_write(context, actor, instance, type_, "create")
    require_room(instance, type_)
    media = _check_name(context, actor, type_, filename, content_type)
    limit = type_.max_size * 1024 * 1024 if type_.max_size else MAX_UPLOAD
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        size = await _receive(content, kept, limit, type_)
        if size == 0:
            raise _refused(actor, type_, "EmptyFile", "file_empty")
        work = Work(context, actor, instance)
        await _own_checks(work, type_, kept, filename or "", media, size)
        kept.seek(0)
        element = await context.clients.storage.add_data(
            instance.id or "",
            type_.id,
            _chunks(kept),
            actor.credentials,
            content_type=media,
            filename=filename,
        )
    work.instance = msgspec.structs.replace(instance, data=[*instance.data, element])
    return await _finish(work, element, ignored_validators)


async def replace(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element: DataElement,
    content: AsyncIterator[bytes],
    *,
    filename: str | None,
    content_type: str | None,
) -> DataElement:
    """Put new content in the place of an attachment's; the same checks and problems as for `upload`."""
    type_ = access.data_type(context, element.data_type)
    await access.require_data_write(context, actor, instance, type_, "update")
    if element.locked:
        raise Problem(409, "The element is locked and cannot be changed.", code="locked")
    name = filename or element.filename
    media = _check_name(context, actor, type_, name, content_type)
    limit = type_.max_size * 1024 * 1024 if type_.max_size else MAX_UPLOAD
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        size = await _receive(content, kept, limit, type_)
        if size == 0:
            raise _refused(actor, type_, "EmptyFile", "file_empty")
        await _own_checks(Work(context, actor, instance), type_, kept, name or "", media, size)
        kept.seek(0)
        return await context.clients.storage.replace_data(
            instance.id or "",
            element.id or "",
            _chunks(kept),
            actor.credentials,
            content_type=media,
            filename=name,
            refs=element.refs,
            if_match=element.version,
        )


async def delete(
    context: AppContext,
    actor: Actor,
    instance: Instance,
    element_id: str,
    *,
    ignored_validators: Sequence[str] | None = None,
) -> FileResult:
    """Delete an element. Problems: 400 the one required form element or `disallowUserDelete`; 403; 404; 409."""
    element = instance.element(element_id)
    if element is None:
        raise Problem(404, "The instance has no such element.", code="unknown_element")
    type_ = access.data_type(context, element.data_type)
    await access.require_data_write(context, actor, instance, type_, "delete")
    if element.locked:
        raise Problem(409, "The element is locked and cannot be deleted.", code="locked")
    work = Work(context, actor, instance)
    work.remove(element_id)
    await writing.run_hooks(work)
    await work.save()
    return await _finish(work, None, ignored_validators)


def require_room(instance: Instance, type_: DataType) -> None:
    """409 when the instance already holds as many elements of the type as it may."""
    count = sum(element.data_type == type_.id for element in instance.data)
    if 0 < type_.max_count <= count:
        raise Problem(409, f"There can be at most {type_.max_count} of {type_.id}.", code="TooManyDataElementsOfType")


async def set_tags(
    context: AppContext, actor: Actor, instance: Instance, element_id: str, tags: Sequence[str]
) -> DataElement:
    """Replace the element's tags; letters, `-` and `_` only (400)."""
    for tag in tags:
        if not _TAG.fullmatch(tag) or len(tag) > 100:
            raise Problem(400, "A tag is letters, - and _ only, and begins with a letter.", code="invalid_tag")
    element = await changeable(context, actor, instance, element_id)
    changed = msgspec.structs.replace(element, tags=list(dict.fromkeys(tags)))
    return await context.clients.storage.put_data_element(
        instance.id or "", changed, actor.credentials, if_match=element.version
    )


async def set_metadata(
    context: AppContext, actor: Actor, instance: Instance, element_id: str, entries: Sequence[KeyValueEntry]
) -> DataElement:
    """Replace the element's user-defined metadata; 400 for keys that occur twice or that the data type lacks."""
    element = await changeable(context, actor, instance, element_id)
    type_ = access.data_type(context, element.data_type)
    keys = [entry.key for entry in entries]
    if len(set(keys)) != len(keys):
        raise Problem(400, "A key may be used only once.", code="duplicate_key")
    allowed = type_.allowed_keys_for_user_defined_metadata
    unknown = sorted(set(keys) - set(allowed or ()))
    if allowed and unknown:
        raise Problem(400, f"These keys are not allowed: {', '.join(unknown)[:200]}.", code="key_not_allowed")
    changed = msgspec.structs.replace(element, user_defined_metadata=list(entries))
    return await context.clients.storage.put_data_element(
        instance.id or "", changed, actor.credentials, if_match=element.version
    )


async def changeable(context: AppContext, actor: Actor, instance: Instance, element_id: str) -> DataElement:
    """The element, if the actor may change it."""
    element = instance.element(element_id)
    if element is None:
        raise Problem(404, "The instance has no such element.", code="unknown_element")
    await access.require_data_write(context, actor, instance, access.data_type(context, element.data_type), "update")
    return element


async def _finish(work: Work, element: DataElement | None, ignored_validators: Sequence[str] | None) -> FileResult:
    issues: Mapping[str, Sequence[ValidationIssue]] = {}
    if ignored_validators is not None and current_task(work.instance) is not None:
        issues = await validation.after_file(work, ignored_validators)
    models = {entry.element.id or "": entry.model for entry in work.loaded.values() if entry.element.id}
    return FileResult(work.instance, element, issues, models)


def _check_name(
    context: AppContext, actor: Actor, type_: DataType, filename: str | None, content_type: str | None
) -> str:
    """The content type to keep; 400 when the name or the type will not do."""
    if not filename:
        raise _refused(actor, type_, "MissingFileName", "file_name_missing")
    stem, dot, ending = filename.rpartition(".")
    if not _NAME.fullmatch(filename) or not dot or not ending or not stem:
        raise _refused(actor, type_, "InvalidFileNameFormat", "file_name_invalid")
    if not content_type:
        raise _refused(actor, type_, "MissingContentType", "file_type_missing")
    media = content_type.partition(";")[0].strip().lower()
    by_name = content_types.of_name(filename)
    if media == content_types.OCTETS:
        # A browser that does not know the kind says so; the name then decides what the data type is asked for.
        media = by_name or media
    elif by_name is not None and not content_types.same(by_name, media):
        raise _refused(actor, type_, "ContentTypeNotAllowed", "file_type")
    if not content_types.allowed(media, type_.allowed_content_types):
        raise _refused(actor, type_, "ContentTypeNotAllowed", "file_type")
    return media


def _refused(actor: Actor, type_: DataType, code: str, text: str, **values: object) -> Problem:
    description = message(actor.language, text, **values)
    issue = ValidationIssue(severity=Severity.ERROR, field=type_.id, code=code, description=description, source="File")
    return upload_problem(description, [issue])


def upload_problem(detail: str, issues: Sequence[ValidationIssue], status: int = 400) -> Problem:
    """What a caller gets for a file that will not do."""
    return Problem(
        status,
        detail,
        title="File validation failed",
        code=issues[0].code if issues and issues[0].code else "file_validation_failed",
        uploadValidationIssues=list(issues),
    )


async def _receive(content: AsyncIterator[bytes], into: IO[bytes], limit: int, type_: DataType) -> int:
    size = 0
    async for chunk in content:
        size += len(chunk)
        if size > limit:
            raise Problem(413, f"The file is larger than {limit} bytes.", code="DataElementTooLarge", limit=limit)
        into.write(chunk)
    return size


async def _chunks(kept: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := kept.read(256 * 1024):
        yield chunk


async def _own_checks(work: Work, type_: DataType, kept: IO[bytes], filename: str, media: str, size: int) -> None:
    """The app's analysers and validators named on the data type; they are given a file of their own to read."""
    hooks = work.context.hooks
    analysers = [h for name in type_.enabled_file_analysers if (h := hooks.first("analyse_file", name))]
    validators = [h for name in type_.enabled_file_validators if (h := hooks.first("validate_file", name))]
    if not analysers and not validators:
        return
    handle, name = tempfile.mkstemp(prefix="havn-upload-")
    try:
        kept.seek(0)
        with os.fdopen(handle, "wb") as copy:
            while chunk := kept.read(256 * 1024):
                copy.write(chunk)
        file = UploadedFile(data_type=type_.id, filename=filename, content_type=media, size=size, path=Path(name))
        given = InstanceContext(**hook_data.of_instance(work, read_only=True))
        analyses: dict[str, FileAnalysis] = {}
        for hook in analysers:
            analyses[hook.keys[0]] = await hook_data.run(hook, given, file)
        file = msgspec.structs.replace(file, analyses=analyses)
        found: list[ValidationIssue] = []
        for hook in validators:
            issues = await hook_data.run(hook, given, file)
            found += service_code.to_issues(work.context, work.actor, issues, hook.keys[0], None)
        if validation.has_errors(found):
            detail = "; ".join(issue.description or "" for issue in found if issue.severity is Severity.ERROR)
            raise upload_problem(detail, found)
    finally:
        Path(name).unlink(missing_ok=True)
