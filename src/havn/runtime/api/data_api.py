"""Form data and attachments over HTTP: read, patch, replace, upload, delete, tags, validation."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from havn.contracts.storage import DataElement, Instance, KeyValueEntry
from havn.kit.problem import Problem
from havn.kit.web import MiB, json_response, read_body, read_json
from havn.runtime import access, data, files, prefilling, validation, work, writing
from havn.runtime.api import instance_json
from havn.runtime.api.common import INSTANCE, actor, base, context, flag, instance_of, names, route
from havn.runtime.issues import ValidationIssue
from havn.runtime.model.patch import operations
from havn.runtime.model.paths import from_pointer
from havn.runtime.model.rows import without_row_ids
from havn.runtime.work import NewElement, Work

MAX_PATCH = 5 * MiB
_ELEMENT = f"{INSTANCE}/data/{{element_id:uuid}}"


class PatchOne(msgspec.Struct, frozen=True, rename="camel"):
    """Body of PATCH on one element."""

    patch: list[dict[str, Any]]
    ignored_validators: list[str] | None = None


class ElementPatch(msgspec.Struct, frozen=True, rename="camel"):
    """A patch and the element it is for."""

    data_element_id: str
    patch: list[dict[str, Any]]


class PatchMany(msgspec.Struct, frozen=True, rename="camel"):
    """Body of PATCH on several elements."""

    patches: list[ElementPatch]
    ignored_validators: list[str] | None = None


class Tags(msgspec.Struct, frozen=True):
    """Body of PUT `tags`."""

    tags: list[str]


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Body of PUT `user-defined-metadata`."""

    user_defined_metadata: list[KeyValueEntry]


def routes() -> list[BaseRoute]:
    """The routes."""

    def writing_route(path: str, handler: Any, method: str) -> BaseRoute:
        return route(path, handler, [method], antiforgery=True, scoped=True)

    return [
        route(_ELEMENT, read, scoped=True),
        writing_route(_ELEMENT, patch_one, "PATCH"),
        writing_route(_ELEMENT, replace, "PUT"),
        writing_route(_ELEMENT, delete, "DELETE"),
        route(f"{_ELEMENT}/tags", get_tags, scoped=True),
        writing_route(f"{_ELEMENT}/tags", add_tag, "POST"),
        writing_route(f"{_ELEMENT}/tags", set_tags, "PUT"),
        writing_route(f"{_ELEMENT}/tags/{{tag}}", delete_tag, "DELETE"),
        route(f"{_ELEMENT}/user-defined-metadata", get_metadata, scoped=True),
        writing_route(f"{_ELEMENT}/user-defined-metadata", set_metadata, "PUT"),
        route(f"{_ELEMENT}/validate", validate_element, scoped=True),
        writing_route(f"{INSTANCE}/data", patch_many, "PATCH"),
        writing_route(f"{INSTANCE}/data", create, "POST"),
        writing_route(f"{INSTANCE}/data/type/{{data_type}}", upload, "POST"),
        writing_route(f"{INSTANCE}/data/{{data_type}}", upload, "POST"),
        route(f"{INSTANCE}/validate", validate, scoped=True),
    ]


async def read(request: Request) -> Response:
    """A form's model as JSON, or a file as it was sent."""
    found = await instance_of(request)
    element = _element(request, found)
    app, who = context(request), actor(request)
    type_ = access.data_type(app, element.data_type)
    if access.is_form(type_):
        form = await data.load(app, who, found, element)
        model = form.model if flag(request, "includeRowId") else without_row_ids(form.model)
        return json_response(model, headers={"etag": f'"{form.version}"'})
    await access.require(app, who, found, "read")
    await access.require_data_read(app, who, found, type_)
    return await _file(request, found, element)


async def _file(request: Request, found: Instance, element: DataElement) -> Response:
    app, who = context(request), actor(request)
    opened = app.clients.storage.open_data(found.id or "", element.id or "", who.credentials)
    download = await opened.__aenter__()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async for chunk in download.chunks:
                yield chunk
        finally:
            await opened.__aexit__(None, None, None)

    headers = {}
    if element.filename:
        # Always to be saved, never shown in our own origin: it is somebody's file.
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(element.filename, safe='')}"
    if download.size is not None:
        headers["content-length"] = str(download.size)
    return StreamingResponse(chunks(), media_type=element.content_type or "application/octet-stream", headers=headers)


async def patch_one(request: Request) -> Response:
    """JSON Patch on one model."""
    body = await read_json(request, PatchOne, limit=MAX_PATCH)
    found = await instance_of(request)
    element_id = str(request.path_params["element_id"])
    result = await data.patch(
        context(request),
        actor(request),
        found,
        [data.Patch(element_id, body.patch)],
        ignored_validators=body.ignored_validators or [],
    )
    return json_response(
        {
            "validationIssues": result.issues,
            "newDataModel": result.models.get(element_id),
            "instance": instance_json.instance(result.instance, base(request)),
        }
    )


async def patch_many(request: Request) -> Response:
    """JSON Patches on several models."""
    body = await read_json(request, PatchMany, limit=MAX_PATCH)
    found = await instance_of(request)
    result = await data.patch(
        context(request),
        actor(request),
        found,
        [data.Patch(one.data_element_id, one.patch) for one in body.patches],
        ignored_validators=body.ignored_validators or [],
    )
    return json_response(
        {
            "validationIssues": _by_source(result.issues),
            "newDataModels": _models(result.models),
            "instance": instance_json.instance(result.instance, base(request)),
        }
    )


async def replace(request: Request) -> Response:
    """A whole model, or a file's new content."""
    found = await instance_of(request)
    element = _element(request, found)
    app, who = context(request), actor(request)
    type_ = access.data_type(app, element.data_type)
    content_type = request.headers.get("content-type")
    if not access.is_form(type_):
        return await _replace_file(request, found, element)
    model = app.models.accept(type_.id, await read_body(request, work.MAX_MODEL), content_type)
    result = await data.replace(app, who, found, element, model)
    stored = result.instance.element(element.id or "") or element
    document = instance_json.element(stored, found.id or "", base(request))
    changed = _changed_fields(model, result.models.get(element.id or "", model))
    if changed:
        return json_response(document | {"changedFields": changed})
    return json_response(document, 201, {"location": document["selfLinks"]["apps"]})


async def _replace_file(request: Request, found: Instance, element: DataElement) -> Response:
    stored = await files.replace(
        context(request),
        actor(request),
        found,
        element,
        request.stream(),
        filename=filename_of(request),
        content_type=request.headers.get("content-type"),
    )
    document = instance_json.element(stored, found.id or "", base(request))
    return json_response(document, 201, {"location": document["selfLinks"]["apps"]})


def _changed_fields(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    changed = {}
    for operation in operations(sent, without_row_ids(stored) if "altinnRowId" not in str(sent) else stored):
        steps = [part.replace("~1", "/").replace("~0", "~") for part in str(operation["path"]).split("/")[1:]]
        changed[from_pointer([int(step) if step.isdigit() else step for step in steps])] = operation.get("value")
    return changed


async def create(request: Request) -> Response:
    """A new element: a form (a row of a subform), its model in the body or none; or a file the older way."""
    found = await instance_of(request)
    app, who = context(request), actor(request)
    type_ = access.data_type(app, request.query_params.get("dataType"))
    if not access.is_form(type_):
        result = await files.upload(
            app,
            who,
            found,
            type_.id,
            request.stream(),
            filename=filename_of(request),
            content_type=request.headers.get("content-type"),
        )
        assert result.element is not None
        return _created(request, found, result.element)
    await access.require_data_write(app, who, found, type_, "create")
    files.require_room(found, type_)
    content = await read_body(request, work.MAX_MODEL)
    model = app.models.accept(type_.id, content, request.headers.get("content-type")) if content else {}
    unit = Work(app, who, found)
    unit.add(NewElement(type_, model=await prefilling.complete(unit, type_, model)))
    await writing.run_hooks(unit)
    before = {element.id for element in found.data}
    stored = await unit.save()
    made = next(e for e in stored.data if e.id not in before and e.data_type == type_.id)
    return _created(request, found, made)


def _created(request: Request, found: Instance, element: DataElement) -> Response:
    document = instance_json.element(element, found.id or "", base(request))
    return json_response(document, 201, {"location": document["selfLinks"]["apps"]})


async def upload(request: Request) -> Response:
    """An attachment."""
    found = await instance_of(request)
    ignored = names(request, "ignoredValidators") if "ignoredValidators" in request.query_params else None
    result = await files.upload(
        context(request),
        actor(request),
        found,
        request.path_params["data_type"],
        request.stream(),
        filename=filename_of(request),
        content_type=request.headers.get("content-type"),
        ignored_validators=ignored,
    )
    assert result.element is not None
    return json_response(
        {
            "newDataElementId": result.element.id,
            "instance": instance_json.instance(result.instance, base(request)),
            "validationIssues": _by_source(result.issues),
            "newDataModels": _models(result.models),
        }
    )


async def delete(request: Request) -> Response:
    """Delete an element."""
    found = await instance_of(request)
    ignored = names(request, "ignoredValidators") if "ignoredValidators" in request.query_params else None
    result = await files.delete(
        context(request),
        actor(request),
        found,
        str(request.path_params["element_id"]),
        ignored_validators=ignored,
    )
    return json_response(
        {
            "instance": instance_json.instance(result.instance, base(request)),
            "validationIssues": _by_source(result.issues),
            "newDataModels": _models(result.models),
        }
    )


async def get_tags(request: Request) -> Response:
    """The element's tags."""
    return json_response({"tags": _element(request, await instance_of(request)).tags})


async def add_tag(request: Request) -> Response:
    """Add one tag, a JSON string."""
    tag = await read_json(request, str, limit=4096)
    found = await instance_of(request)
    element = _element(request, found)
    return json_response({"tags": (await _put_tags(request, found, [*element.tags, tag])).tags}, 201)


async def set_tags(request: Request) -> Response:
    """Replace all tags."""
    body = await read_json(request, Tags, limit=64 * 1024)
    found = await instance_of(request)
    element = await _put_tags(request, found, body.tags)
    answer: dict[str, Any] = {"tags": element.tags}
    if "ignoredValidators" in request.query_params:
        unit = Work(context(request), actor(request), await instance_of(request))
        issues = await validation.after_file(unit, names(request, "ignoredValidators"))
        answer["validationIssues"] = _by_source(issues)
    return json_response(answer)


async def delete_tag(request: Request) -> Response:
    """Take one tag away; one that is not there is no error."""
    found = await instance_of(request)
    element = _element(request, found)
    tag = unquote(request.path_params["tag"])
    if tag in element.tags:
        await _put_tags(request, found, [each for each in element.tags if each != tag])
    return Response(status_code=204)


async def _put_tags(request: Request, found: Instance, tags: Sequence[str]) -> DataElement:
    element_id = str(request.path_params["element_id"])
    return await files.set_tags(context(request), actor(request), found, element_id, tags)


async def get_metadata(request: Request) -> Response:
    """The element's user-defined metadata."""
    element = _element(request, await instance_of(request))
    return json_response({"userDefinedMetadata": element.user_defined_metadata or []})


async def set_metadata(request: Request) -> Response:
    """Replace the element's user-defined metadata."""
    body = await read_json(request, Metadata, limit=64 * 1024)
    found = await instance_of(request)
    element = await files.set_metadata(
        context(request), actor(request), found, str(request.path_params["element_id"]), body.user_defined_metadata
    )
    return json_response({"userDefinedMetadata": element.user_defined_metadata or []})


async def validate(request: Request) -> Response:
    """All issues of the current task."""
    only = flag(request, "onlyIncrementalValidators") if "onlyIncrementalValidators" in request.query_params else None
    issues = await validation.validate(
        context(request),
        actor(request),
        await instance_of(request),
        ignored_validators=names(request, "ignoredValidators"),
        only_incremental=only,
    )
    return json_response(issues)


async def validate_element(request: Request) -> Response:
    """Those of one element, as older frontends ask."""
    element_id = str(request.path_params["element_id"])
    issues = await validation.validate(context(request), actor(request), await instance_of(request))
    return json_response([issue for issue in issues if issue.data_element_id == element_id])


def _element(request: Request, found: Instance) -> DataElement:
    element = found.element(str(request.path_params["element_id"]))
    if element is None:
        raise Problem(404, "The instance has no such element.", code="unknown_element")
    return element


def _by_source(issues: Mapping[str, Sequence[ValidationIssue]]) -> list[dict[str, Any]]:
    return [{"source": source, "issues": list(found)} for source, found in issues.items()]


def _models(models: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"dataElementId": element_id, "data": model} for element_id, model in models.items()]


_EXTENDED = re.compile(r"""filename\*\s*=\s*"?([\w-]*)'[^';]*'([^;"\s]*)""", re.IGNORECASE)
_QUOTED = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_BARE = re.compile(r"filename\s*=\s*([^;\s\"]+)", re.IGNORECASE)


def filename_of(request: Request) -> str | None:
    """The name in `Content-Disposition`: `filename*` (RFC 8187) first, percent-encoding undone; None without one."""
    header = request.headers.get("content-disposition", "")[:4096]
    if found := _EXTENDED.search(header):
        charset = "iso-8859-1" if found[1].lower() == "iso-8859-1" else "utf-8"
        return unquote(found[2], encoding=charset)
    if found := _QUOTED.search(header):
        return unquote(re.sub(r"\\(.)", r"\1", found[1]))
    found = _BARE.search(header)
    return unquote(found[1]) if found else None
