"""The process over HTTP: where an instance stands, the next step, custom buttons, history, the receipt's preview."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.kit.web import MiB, decode_json, json_response, read_body
from havn.runtime import access, process, receipts
from havn.runtime.api import instance_json
from havn.runtime.api.common import INSTANCE, actor, base, context, instance_of, language, route
from havn.runtime.hook_data import of_instance, run
from havn.runtime.hooks import ActionDone, ActionFailed, ActionRedirect, InstanceContext, PdfFormat
from havn.runtime.process import actions
from havn.runtime.process.state import agreed
from havn.runtime.work import Work, current_task


class Next(msgspec.Struct, frozen=True, rename="camel"):
    """Body of PUT `process/next`."""

    action: str | None = None
    action_on_behalf_of: str | None = None


class Press(msgspec.Struct, frozen=True, rename="camel"):
    """Body of POST `actions`."""

    action: str | None = None
    button_id: str | None = None
    metadata: dict[str, Any] | None = None
    ignored_validators: dict[str, list[str]] | list[str] | None = None
    on_behalf_of: str | None = None


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        route(f"{INSTANCE}/process", state, scoped=True),
        route(f"{INSTANCE}/process/start", start, ["POST"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/process/next", next_task, ["PUT"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/process/completeProcess", complete, ["PUT"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/process/history", history, scoped=True),
        route(f"{INSTANCE}/actions", press, ["POST"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/pdf/preview", preview, scoped=True),
        route(f"{INSTANCE}/data/{{element_id:uuid}}/pdf/format", pdf_format, scoped=True),
    ]


async def state(request: Request) -> Response:
    """Where the instance stands."""
    found = await instance_of(request)
    return json_response(await process.state(context(request), actor(request), found))


async def start(request: Request) -> Response:
    """Start a process; it starts with the instance here, so there is only to say that it has."""
    found = await instance_of(request)
    await access.require(context(request), actor(request), found, "instantiate", "write")
    raise Problem(409, "The process has started already.", code="already_started")


async def next_task(request: Request) -> Response:
    """Submit, confirm, reject."""
    content = await read_body(request, MiB)
    body = decode_json(content, Next) if content.strip() not in (b"", b"null") else Next()
    found = await instance_of(request)
    _moved, now = await process.next_task(
        context(request), actor(request), found, body.action or None, on_behalf_of=body.action_on_behalf_of
    )
    return json_response(now)


async def complete(request: Request) -> Response:
    """All steps up to the end."""
    found = await instance_of(request)
    _moved, now = await process.complete_process(context(request), actor(request), found)
    return json_response(now)


async def history(request: Request) -> Response:
    """The steps taken so far."""
    app, who, found = context(request), actor(request), await instance_of(request)
    await access.require(app, who, found, "read")
    return json_response(await app.clients.storage.process_history(found.id or "", who.credentials))


async def press(request: Request) -> Response:
    """A custom button of the current task."""
    content = await read_body(request, MiB)
    body = decode_json(content, Press) if content else Press()
    app, who, found = context(request), actor(request), await instance_of(request)
    if not body.action:
        raise Problem(400, "Name the action.", code="action_missing")
    if current_task(found) is None:
        raise Problem(409, "The process has not started, or has ended.", code="no_current_task")
    if who.principal.kind not in (Kind.USER, Kind.SYSTEM_USER):
        raise Problem(401, "Only a user takes an action.", code="not_a_user")
    await access.require(app, who, found, body.action)
    if not await agreed(app, who, found, body.action):
        raise Problem(403, "The app does not permit this action.", code="action_refused")
    ignored = body.ignored_validators if isinstance(body.ignored_validators, list) else None
    answer = await actions.handle(
        (unit := Work(app, who, found)),
        body.action,
        button_id=body.button_id,
        metadata=body.metadata,
        on_behalf_of=body.on_behalf_of,
        ignored_validators=ignored,
    )
    if answer is None:
        return _failed(404, "ActionNotFound", f"The app has no action {body.action}.")
    result = answer.result
    if isinstance(result, ActionFailed):
        return _failed(actions.STATUS[result.kind], result.code, result.message, result.metadata)
    return json_response(
        {
            "instance": instance_json.instance(unit.instance, base(request)),
            "updatedDataModels": answer.models,
            "updatedValidationIssues": answer.issues,
            "clientActions": [
                {"id": each.id, "metadata": each.metadata}
                for each in (result.client_actions if isinstance(result, ActionDone) else ())
            ],
            "error": None,
            "redirectUrl": result.url if isinstance(result, ActionRedirect) else None,
        }
    )


def _failed(status: int, code: str, message: str, metadata: Any = None) -> Response:
    """An action that failed answers in its own shape, which the frontend reads."""
    error = {"code": code, "message": message, "metadata": metadata or {}}
    return json_response({"instance": None, "clientActions": [], "error": error}, status)


async def preview(request: Request) -> Response:
    """The receipt as it would be made now."""
    app, who, found = context(request), actor(request), await instance_of(request)
    await access.require(app, who, found, "read")
    task = current_task(found)
    if task is None:
        raise Problem(409, "The process has not started, or has ended.", code="no_current_task")
    definition = app.folder.process.task(task)
    shown = definition.pdf.task_ids if definition is not None and definition.pdf is not None else ()
    unit = Work(app, who, found)
    made = await receipts.pdf(unit, shown or [task])
    return Response(made, media_type="application/pdf", headers={"content-language": language(request)})


async def pdf_format(request: Request) -> Response:
    """What the app leaves out of the receipt."""
    app, who, found = context(request), actor(request), await instance_of(request)
    if found.element(str(request.path_params["element_id"])) is None:
        raise Problem(404, "The instance has no such element.", code="unknown_element")
    task = current_task(found)
    if task is None:
        raise Problem(409, "The process has no current task.", code="no_current_task")
    hook = app.hooks.first("format_pdf")
    chosen = PdfFormat()
    if hook is not None:
        chosen = await run(hook, InstanceContext(**of_instance(Work(app, who, found), read_only=True)))
    layout_set = app.folder.layout_set_for_task(task)
    return json_response(
        {
            "excludedPages": sorted({*chosen.excluded_pages, *(layout_set.exclude_from_pdf if layout_set else ())}),
            "excludedComponents": sorted(
                {*chosen.excluded_components, *(layout_set.components_exclude_from_pdf if layout_set else ())}
            ),
        }
    )
