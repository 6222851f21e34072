"""Failures reach the caller as problem documents, whatever goes wrong."""

from __future__ import annotations

import httpx2
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.kit.problem import MEDIA_TYPE, Problem
from havn.kit.web import create_app, json_response, read_json


class Thing(msgspec.Struct):
    name: str
    size: int


async def echo(request: Request) -> Response:
    thing = await read_json(request, Thing, limit=100)
    return json_response(thing)


async def refuse(request: Request) -> Response:
    raise Problem(409, "The thing is taken.", code="taken", thing="a")


async def crash(request: Request) -> Response:
    raise RuntimeError("a secret")


@pytest.fixture
async def client():
    app = create_app(
        [Route("/echo", echo, methods=["POST"]), Route("/refuse", refuse), Route("/crash", crash)], name="test"
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_body_is_decoded_and_written_back(client):
    response = await client.post("/echo", content=b'{"name":"x","size":3}')
    assert response.json() == {"name": "x", "size": 3}


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (b'{"name":"x","size":"3"}', 400, "invalid_body", "$.size"),
        (b'{"name":', 400, "invalid_json", "not valid JSON"),
        (b"\xff\xfe", 400, "invalid_json", "not valid JSON"),
        (b'{"name":"' + b"x" * 200 + b'","size":3}', 413, "too_large", "100 bytes"),
    ],
)
async def test_a_bad_body_is_refused_naming_what_is_wrong(client, body, status, code, says):
    response = await client.post("/echo", content=body)
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA_TYPE)
    assert response.json()["code"] == code
    assert says in response.json()["detail"]


async def test_a_body_without_declared_length_is_bounded_too(client):
    async def chunks():
        for _ in range(50):
            yield b"x" * 10

    response = await client.post("/echo", content=chunks())
    assert response.status_code == 413


async def test_a_problem_keeps_its_code_and_extensions(client):
    response = await client.get("/refuse")
    assert response.status_code == 409
    assert response.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "The thing is taken.",
        "code": "taken",
        "thing": "a",
    }


async def test_a_crash_tells_the_caller_a_trace_id_and_nothing_else(client):
    parent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    response = await client.get("/crash", headers={"traceparent": parent})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["traceId"] == "ab" * 16


async def test_an_unknown_path_is_a_problem_too(client):
    response = await client.get("/nowhere")
    assert (response.status_code, response.headers["content-type"]) == (404, MEDIA_TYPE)
    assert response.json()["detail"] == "There is nothing at this address."


async def test_an_unknown_method_is_told_the_known_ones(client):
    response = await client.delete("/echo")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["detail"] == "This address takes POST, not DELETE."
