"""Instances over HTTP: instantiation in its three forms, reading, listing, deleting, marking, copying."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from havn.contracts.register import Party
from havn.contracts.storage import Instance, Substatus
from havn.guard.principal import Kind
from havn.kit.problem import Problem
from havn.kit.web import MiB, decode_json, json_response, read_json
from havn.runtime import instances
from havn.runtime.api import instance_json, instantiation
from havn.runtime.api.common import INSTANCE, actor, base, context, flag, route
from havn.runtime.api.instantiation import Create
from havn.runtime.instances import OwnerRef

MAX_PREFILL = 500


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        route("/instances", create, ["POST"], antiforgery=True, scoped=True),
        route("/instances/create", create_simple, ["POST"], antiforgery=True, scoped=True),
        route("/instances/{party_id:int}/active", active, scoped=True),
        route(INSTANCE, get, scoped=True),
        route(INSTANCE, delete, ["DELETE"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/complete", complete, ["POST"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/substatus", substatus, ["PUT"], antiforgery=True, scoped=True),
        route(f"{INSTANCE}/filescanresult", file_scan, scoped=True),
        route("/legacy/instances/{party_id:int}/{guid:uuid}/copy", copy, scoped=True, reads=False),
    ]


async def create(request: Request) -> Response:
    """With the owner in the query, in a JSON instance, or in a multipart body with data beside it."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query_party = request.query_params.get("instanceOwnerPartyId")
    if media == "multipart/form-data":
        body = await instantiation.read_multipart(request)
        template, parts = body.template, body.parts
    else:
        content = await request.body()
        template = decode_json(content, Create) if content.strip() not in (b"", b"null") else None
        parts = []
    if query_party is not None and template is not None:
        raise Problem(400, "Name the owner in the query or in the instance, not in both.", code="owner_twice")
    if query_party is not None:
        owner = OwnerRef(party_id=query_party)
    elif template is not None and template.instance_owner is not None:
        owner = template.instance_owner.reference()
    else:
        raise Problem(400, "The instance owner is not named.", code="owner_missing")
    made = await instances.create(
        context(request),
        actor(request),
        owner,
        parts=parts,
        due_before=template.due_before if template else None,
        visible_after=template.visible_after if template else None,
    )
    return await _answer(request, made, 201)


async def create_simple(request: Request) -> Response:
    """With prefill, or as a copy of an archived instance."""
    body = await read_json(request, Create, limit=MiB)
    if body.source_instance_id:
        party, _, guid = body.source_instance_id.partition("/")
        if not (party.isascii() and party.isdigit() and len(guid) == 36):
            raise Problem(400, "sourceInstanceId is no instance id.", code="invalid_source")
        owner = body.instance_owner
        if owner is None or str(owner.party_id) != party:
            raise Problem(400, "The owner of a copy is that of its source.", code="other_owner")
        made = await instances.copy(context(request), actor(request), int(party), guid)
        return await _answer(request, made, 201)
    if body.instance_owner is None:
        raise Problem(400, "The instance owner is not named.", code="owner_missing")
    if body.prefill and len(body.prefill) > MAX_PREFILL:
        raise Problem(400, f"At most {MAX_PREFILL} prefilled fields.", code="too_much_prefill")
    made = await instances.create(
        context(request),
        actor(request),
        body.instance_owner.reference(),
        prefill=body.prefill,
        due_before=body.due_before,
        visible_after=body.visible_after,
    )
    return await _answer(request, made, 201)


async def active(request: Request) -> Response:
    """Unfinished instances of a party."""
    return json_response(await instances.active(context(request), actor(request), int(request.path_params["party_id"])))


async def get(request: Request) -> Response:
    """One instance."""
    return await _answer(request, await instances.get(context(request), actor(request), *_id(request)))


async def delete(request: Request) -> Response:
    """Delete, for good with `hard=true`."""
    hard = flag(request, "hard")
    found = await instances.delete(context(request), actor(request), *_id(request), hard=hard)
    return json_response(instance_json.instance(found, base(request)))


async def complete(request: Request) -> Response:
    """The owner has fetched what it needs."""
    found = await instances.complete(context(request), actor(request), *_id(request))
    return json_response(instance_json.instance(found, base(request)))


async def substatus(request: Request) -> Response:
    """What the owner wants shown beside the status."""
    wanted = await read_json(request, Substatus, limit=64 * 1024)
    found = await instances.set_substatus(context(request), actor(request), *_id(request), wanted)
    return json_response(instance_json.instance(found, base(request)))


async def file_scan(request: Request) -> Response:
    """How far the scan of attachments has come: the worst of them."""
    found = await instances.load(context(request), actor(request), *_id(request))
    results = [element.file_scan_result for element in found.data]
    worst = next((each for each in ("Infected", "Pending", "Clean") if each in results), "NotApplicable")
    elements = [{"id": element.id, "fileScanResult": element.file_scan_result} for element in found.data]
    return json_response({"id": found.id, "fileScanResult": worst, "data": elements})


async def copy(request: Request) -> Response:
    """Copy an archived instance and go to the copy's page."""
    if request.headers.get("sec-fetch-site", "same-origin") == "cross-site":
        # It makes something by GET, so a foreign page must not be able to ask for it.
        raise Problem(403, "Open this from the app itself.", code="cross_site")
    made = await instances.copy(context(request), actor(request), *_id(request))
    return RedirectResponse(f"{base(request)}/#/instance/{made.id}", 302)


async def _answer(request: Request, found: Instance, status: int = 200) -> Response:
    party = await _party(request, found)
    document = instance_json.instance(found, base(request), party)
    headers = {"location": document["selfLinks"]["apps"]} if status == 201 else None
    return json_response(document, status, headers)


async def _party(request: Request, found: Instance) -> Party | None:
    """The owner's party; somebody who may see the instance but not the party sees it without."""
    who = actor(request)
    if who.principal.kind is Kind.NONE:
        return None
    try:
        return await context(request).clients.register.party(found.party_id, who.credentials)
    except Problem as problem:
        if problem.status in (401, 403, 404):
            return None
        raise


def _id(request: Request) -> tuple[int, str]:
    return int(request.path_params["party_id"]), str(request.path_params["guid"])
