"""Options, data lists, external data and look-ups over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from havn.contracts.storage import Instance
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.runtime import access, options
from havn.runtime.api.common import INSTANCE, actor, context, instance_of, route
from havn.runtime.messages import message


class PersonSearch(msgspec.Struct, frozen=True, rename="camel"):
    """Body of POST `lookup/person`."""

    social_security_number: str
    last_name: str


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        route("/api/options/{options_id}", find, anonymous=True),
        route(f"{INSTANCE}/options/{{options_id}}", find_of_instance, scoped=True),
        route("/api/datalists/{list_id}", rows, anonymous=True),
        route(f"{INSTANCE}/datalists/{{list_id}}", rows_of_instance, scoped=True),
        route(f"{INSTANCE}/api/external/{{api_id}}", external, scoped=True),
        route("/api/v1/lookup/person", person, ["POST"], antiforgery=True),
        route("/api/v1/lookup/organisation/{number}", organisation),
    ]


async def find(request: Request) -> Response:
    """Options by id."""
    return await _options(request, None)


async def find_of_instance(request: Request) -> Response:
    """The same with an instance, for `secure` components."""
    found = await instance_of(request)
    await access.require(context(request), actor(request), found, "read")
    return await _options(request, found)


async def _options(request: Request, instance: Instance | None) -> Response:
    found = await options.find(
        context(request), actor(request), request.path_params["options_id"], _query(request), instance=instance
    )
    headers = {}
    if found.parameters:
        headers["Altinn-DownstreamParameters"] = ",".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in found.parameters.items()
        )
    return json_response(found.options, headers=headers)


async def rows(request: Request) -> Response:
    """A page of a data list."""
    return await _rows(request, None)


async def rows_of_instance(request: Request) -> Response:
    """The same with an instance."""
    found = await instance_of(request)
    await access.require(context(request), actor(request), found, "read")
    return await _rows(request, found)


async def _rows(request: Request, instance: Instance | None) -> Response:
    query = _query(request)
    size = query.get("size", "")
    page = await options.data_list(
        context(request), actor(request), request.path_params["list_id"], query, instance=instance
    )
    wanted = page.size or (int(size) if size.isascii() and size.isdigit() and len(size) < 6 else 0) or len(page.rows)
    total = page.total or len(page.rows)
    return json_response(
        {
            "listItems": page.rows,
            # The misspelt member is the wire's own.
            "_metaData": {
                "page": page.page,
                "pageCount": -(-total // wanted) if wanted else 0,
                "pageSize": wanted,
                "totaltItemsCount": total,
                "links": [],
            },
        }
    )


async def external(request: Request) -> Response:
    """What an external API answers, through the app's code."""
    found = await instance_of(request)
    app, who = context(request), actor(request)
    await access.require(app, who, found, "read")
    return json_response(
        await options.external(app, who, request.path_params["api_id"], _query(request), instance=found)
    )


async def person(request: Request) -> Response:
    """A person by number and last name, through the register, which counts the misses."""
    search = await read_json(request, PersonSearch, limit=4096)
    who = actor(request)
    found = await context(request).clients.register.person(
        search.social_security_number, search.last_name, who.credentials
    )
    details = None
    if found is not None:
        details = {
            "ssn": found.ssn,
            "name": found.name,
            "firstName": found.first_name,
            "middleName": found.middle_name,
            "lastName": found.last_name,
        }
    return json_response({"success": details is not None, "personDetails": details})


async def organisation(request: Request) -> Response:
    """An organisation by number."""
    number = request.path_params["number"]
    if not (number.isascii() and number.isdigit() and len(number) == 9):
        raise Problem(400, message(actor(request).language, "invalid"), code="invalid_number")
    found = await context(request).clients.register.organization(number, actor(request).credentials)
    details = None if found is None else {"orgNr": found.org_number, "name": found.name}
    return json_response({"success": details is not None, "organisationDetails": details})


def _query(request: Request) -> Mapping[str, str]:
    return dict(request.query_params)
