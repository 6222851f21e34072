"""The OpenAPI document: complete, and sound."""

from __future__ import annotations

import re
from typing import Any

from havn.deploy.endpoints import BASE


async def test_every_route_is_in_the_document_with_its_types_and_role(plane):
    document = (await plane.call("GET", "/openapi.json", None)).json()
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "https://console.example.no"}]
    told = {(method, path) for path, methods in document["paths"].items() for method in methods}
    there = {
        (method.lower(), re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in plane.app.routes
        for method in route.methods - {"HEAD"}
    }
    assert told == there
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    for endpoint in plane.endpoints:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", BASE + endpoint.path)
        operation = document["paths"][path][endpoint.method.lower()]
        assert operation["summary"].endswith("."), path
        assert operation.get("x-havn-role") == endpoint.role
        assert bool(operation["security"]) == (endpoint.role is not None or endpoint.signed_in)
        assert ("requestBody" in operation) == (endpoint.body is not None)
        named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)", endpoint.path))


async def test_every_reference_in_the_document_leads_somewhere(plane):
    document = (await plane.call("GET", "/openapi.json", None)).json()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [each for inner in value.values() for each in references(inner)]
        return [each for inner in value for each in references(inner)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for each in found:
        assert each.removeprefix("#/components/schemas/") in document["components"]["schemas"], each


async def test_no_credential_is_in_an_answer_type(plane):
    document = (await plane.call("GET", "/openapi.json", None)).json()
    schemas = document["components"]["schemas"]
    # What a caller sends, and the three answers that show a token of the caller's own, once.
    for name in ("ClusterInfo", "EnvironmentDetails", "OrgInfo", "Grant", "WhoAmI", "Finding"):
        members = set(schemas[name]["properties"])
        assert not members & {"token", "key", "certificate", "deployKey", "credentials", "deviceCode"}, name
