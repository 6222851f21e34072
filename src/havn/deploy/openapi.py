"""The OpenAPI 3.1 document of the control plane's API, made of the table of routes and the wire types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from types import UnionType
from typing import Any, get_args

import msgspec

from havn import __version__
from havn.deploy.endpoints import BASE, Endpoint, all_orgs
from havn.kit.problem import MEDIA_TYPE

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_PROBLEM = {
    "type": "object",
    "description": "A failure (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for a person."},
        "code": {"type": "string", "description": "Stable: what a program decides by."},
    },
}


def document(endpoints: Sequence[Endpoint], *, server: str = "") -> dict[str, Any]:
    """The document; `server` is the control plane's public address, when known."""
    types = [one for endpoint in endpoints for each in (endpoint.body, endpoint.answer) for one in _alternatives(each)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    found = {str(type_): schema for type_, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PARAMETER.sub(r"{\1}", f"{BASE}{endpoint.path}")
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Havn's control plane",
            "version": __version__,
            "description": "What runs where, and everything that changes it. Failures are problem documents.",
        },
        **({"servers": [{"url": server}]} if server else {}),
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _alternatives(type_: Any) -> tuple[Any, ...]:
    """The types of an answer that may be one of several."""
    if type_ is None:
        return ()
    return get_args(type_) if isinstance(type_, UnionType) else (type_,)


def _schema(type_: Any, schemas: dict[str, Any]) -> Any:
    found = [schemas[str(each)] for each in _alternatives(type_)]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    doc = inspect.getdoc(endpoint.handler) or ""
    needs_token = endpoint.role is not None or endpoint.signed_in
    whose = "all orgs" if endpoint.org is all_orgs else "the org"
    success: dict[str, Any] = {"description": "Done."}
    if endpoint.answer is not None:
        kind = "application/x-ndjson" if endpoint.lines else "application/json"
        success["content"] = {kind: {"schema": _schema(endpoint.answer, schemas)}}
    failures = [400, *((401, 403) if needs_token else ()), 404]
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": doc.partition("\n")[0],
        "parameters": [
            *(
                {
                    "name": name, "in": "path", "required": True,
                    "schema": {"type": "integer" if kind == "int" else "string"},
                }
                for name, kind in _PARAMETER.findall(endpoint.path)
            ),
            *(
                {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
                for name, meaning in endpoint.query.items()
            ),
        ],
        "responses": {
            str(endpoint.status): success,
            **{
                str(status): {
                    "description": "See `detail`.",
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status in failures
            },
        },
        "security": [{"token": []}] if needs_token else [],
    }  # fmt: skip
    if endpoint.role is not None:
        operation["description"] = f"Takes the role `{endpoint.role}` for {whose}."
        operation["x-havn-role"] = endpoint.role
    if endpoint.body is not None:
        content = {"application/json": {"schema": _schema(endpoint.body, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = re.findall(r"\w+", _PARAMETER.sub(r"\1", endpoint.path))
    return "_".join([endpoint.method.lower(), *words]).replace("-", "_")
