"""The description of this app's API (OpenAPI 3.1), for systems that submit or fetch instances."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from havn.kit.web import json_response
from havn.runtime import access, texts
from havn.runtime.api.common import base, context, route

_INSTANCE = "/instances/{instanceOwnerPartyId}/{instanceGuid}"
_PROBLEM = {
    "description": "Problem document (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}


def routes() -> list[BaseRoute]:
    """The routes."""
    return [route("/v1/customOpenapi.json", describe, anonymous=True)]


async def describe(request: Request) -> Response:
    """The calls of an end-user system, with the app's own models."""
    app = context(request)
    forms = [type_ for type_ in app.folder.data_types.values() if access.is_form(type_)]
    schemas: dict[str, Any] = {}
    for type_ in forms:
        schema = app.folder.schema(type_.id)
        if schema is not None:
            document = msgspec.json.decode(schema)
            # A schema of its own inside the description: its references stay its own.
            document["$id"] = f"{base(request)}/api/jsonschema/{type_.id}"
            schemas[type_.id] = document
    return json_response(
        {
            "openapi": "3.1.0",
            "info": {"title": texts.app_name(app.folder, "nb"), "version": app.settings.release or "development"},
            "servers": [{"url": base(request)}],
            "security": [{"bearer": []}],
            "paths": _paths([type_.id for type_ in forms]),
            "components": {
                "schemas": schemas,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            },
        }
    )


def _paths(forms: list[str]) -> dict[str, Any]:
    owner = [_in_path("instanceOwnerPartyId", "integer"), _in_path("instanceGuid", "string")]
    models = [{"$ref": f"#/components/schemas/{form}"} for form in forms]
    model = models[0] if len(models) == 1 else {"anyOf": models} if models else {"type": "object"}
    return {
        "/instances": {"post": _call("Make an instance", 201, [_in_query("instanceOwnerPartyId", "integer")])},
        "/instances/create": {"post": _call("Make an instance, prefilled", 201, body={"type": "object"})},
        _INSTANCE: {
            "get": _call("Read an instance", 200, owner),
            "delete": _call("Delete an instance", 200, [*owner, _in_query("hard", "boolean")]),
        },
        f"{_INSTANCE}/complete": {"post": _call("Confirm that an instance has been fetched", 200, owner)},
        f"{_INSTANCE}/data/{{dataGuid}}": {
            "get": _call("Read a data element", 200, [*owner, _in_path("dataGuid", "string")], answer=model),
            "put": _call("Replace form data", 201, [*owner, _in_path("dataGuid", "string")], body=model),
            "patch": _call(
                "Change form data (JSON Patch)",
                200,
                [*owner, _in_path("dataGuid", "string")],
                body={"type": "object", "required": ["patch"], "properties": {"patch": {"type": "array"}}},
            ),
            "delete": _call("Delete a data element", 200, [*owner, _in_path("dataGuid", "string")]),
        },
        f"{_INSTANCE}/data/{{dataType}}": {
            "post": _call("Upload a file", 200, [*owner, _in_path("dataType", "string")]),
        },
        f"{_INSTANCE}/validate": {"get": _call("Validate", 200, owner)},
        f"{_INSTANCE}/process": {"get": _call("Where the process stands", 200, owner)},
        f"{_INSTANCE}/process/next": {
            "put": _call(
                "Move the process on",
                200,
                owner,
                body={"type": "object", "properties": {"action": {"type": ["string", "null"]}}},
            )
        },
        f"{_INSTANCE}/process/history": {"get": _call("The steps so far", 200, owner)},
    }


def _call(
    summary: str, status: int, parameters: list[Any] | None = None, *, body: Any = None, answer: Any = None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            str(status): {
                "description": "Done",
                "content": {"application/json": {"schema": answer or {"type": "object"}}},
            },
            "4XX": _PROBLEM,
        },
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _in_path(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _in_query(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}}
