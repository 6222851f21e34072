"""Reading an app's description of itself: what it says, and what is no description."""

from __future__ import annotations

import json

import httpx2
import pytest

from havn.contracts.management import Api, Title
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.platform.management import openapi

API = Api(id="ttd.a.b.v1", org="ttd", app="a", name="b", title=Title(nb="B"), paths=("/instances",))


def _document(paths: object, **members: object) -> bytes:
    return json.dumps({"openapi": "3.0.3", "info": {"title": "T"}, "paths": paths, **members}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"openapi": "2.0", "paths": {}}',
        b'{"openapi": "3.1.0", "paths": []}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_description_is_none(body: bytes) -> None:
    assert openapi.read(body) is None


def test_anything_odd_inside_is_left_out() -> None:
    found = openapi.read(
        _document(
            {
                "/a": {
                    "get": {"parameters": ["x", {"$ref": "#/components/parameters/p"}, {"$ref": "#/nowhere"}]},
                    "post": {"requestBody": {"content": {"text/json": {"schema": {"oneOf": [{"$ref": "#/s/M"}, 1]}}}}},
                    "trace": {},
                    "put": 7,
                },
                "/b": None,
            },
            components={"parameters": {"p": {"name": "p", "in": "query", "schema": {"type": ["string", "null"]}}}},
        )
    )
    assert found is not None
    assert [(each.method, each.path) for each in found.operations] == [("GET", "/a"), ("POST", "/a")]
    assert [(each.name, each.type) for each in found.operations[0].parameters][1] == ("p", "string | null")
    assert found.operations[1].body == "text/json: M | "


def test_prefixes_match_whole_segments() -> None:
    for path, prefixes, inside in (
        ("/instances", ("/instances",), True),
        ("/instances/1", ("/instances/",), True),
        ("/instancesfoo", ("/instances",), False),
        ("/anything", ("/",), True),
        ("/a", (), False),
    ):
        assert openapi.under(path, prefixes) is inside


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_an_app_that_says_nothing_useful_is_asked_once_a_minute(status: int) -> None:
    asked = 0

    async def app(request: httpx2.Request) -> httpx2.Response:
        nonlocal asked
        asked += 1
        return httpx2.Response(status, content=b"x" * (openapi.MAX_BYTES + 1))

    http = HttpClient("", name="The app", transport=httpx2.MockTransport(app))
    descriptions = openapi.Descriptions(http, lambda api: ("https://app.example/x", {}), system_clock)
    assert await descriptions.of(API) is None
    assert await descriptions.of(API) is None
    assert asked == 1
    await http.close()


async def test_an_app_that_is_away_has_no_description() -> None:
    async def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("away")

    http = HttpClient("", name="The app", transport=httpx2.MockTransport(away))
    assert await openapi.Descriptions(http, lambda api: ("https://x/", {}), system_clock).of(API) is None
    await http.close()
