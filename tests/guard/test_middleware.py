"""Who a request is from: bearer before cookie, and never one in place of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.middleware import Middleware
from starlette.routing import Route

from havn.guard.middleware import Authentication, from_cookie, principal, require_principal
from havn.kit.problem import Problem
from havn.kit.web import create_app, json_response


@pytest.fixture
def client(make_verifier) -> Callable[..., httpx2.AsyncClient]:
    async def who(request: Any) -> Any:
        return json_response([principal(request).user_id, from_cookie(request)])

    async def strict(request: Any) -> Any:
        return json_response(require_principal(request).user_id)

    async def version(request: Any) -> Any:
        return json_response(principal(request).at_least)

    def make(**options: Any) -> httpx2.AsyncClient:
        app = create_app(
            [Route("/who", who), Route("/strict", strict), Route("/version", version)],
            name="test",
            middleware=[Middleware(Authentication, verifier=make_verifier(**options))],
        )
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://ttd.apps.havn.example")

    return make


async def test_a_bearer_token_and_a_cookie_each_tell_who_calls(client, issuer) -> None:
    bearer = await client().get("/who", headers={"Authorization": f"Bearer {issuer.token()}"})
    assert bearer.json() == [1337, False]
    cookie = await client().get("/who", headers={"Cookie": f"AltinnStudioRuntime={issuer.token()}"})
    assert cookie.json() == [1337, True]


async def test_a_wrong_bearer_token_never_falls_back_to_the_cookie(client, issuer) -> None:
    headers = {"Authorization": "Bearer nonsense", "Cookie": f"AltinnStudioRuntime={issuer.token()}"}
    response = await client().get("/who", headers=headers)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith("Bearer error=")


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "", "Token x"])
async def test_another_scheme_is_401(client, value: str) -> None:
    assert (await client().get("/who", headers={"Authorization": value})).status_code == 401


async def test_two_authorization_headers_are_401(client, issuer) -> None:
    headers = [("Authorization", f"Bearer {issuer.token()}"), ("Authorization", f"Bearer {issuer.token()}")]
    assert (await client().get("/who", headers=headers)).status_code == 401


async def test_a_bad_cookie_makes_nobody_of_the_caller(client, issuer) -> None:
    for cookie in ("nonsense", issuer.token(exp=1), issuer.token(aud="https://skd.apps.havn.example")):
        response = await client().get("/who", headers={"Cookie": f"AltinnStudioRuntime={cookie}"})
        assert response.json() == [None, False]


async def test_nobody_is_let_through_where_somebody_is_needed(client) -> None:
    assert (await client().get("/who")).json() == [None, False]
    response = await client().get("/strict")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_when_keys_cannot_be_fetched_the_answer_is_503_and_not_a_signed_out_page(client, issuer) -> None:
    issuer.server.failure = Problem(503)
    for headers in (
        {"Authorization": f"Bearer {issuer.token()}"},
        {"Cookie": f"AltinnStudioRuntime={issuer.token()}"},
    ):
        response = await client().get("/who", headers=headers)
        assert response.status_code == 503
        assert response.headers["retry-after"]


async def test_a_caller_may_demand_access_rights_no_older_than_it_knows_of(client, issuer) -> None:
    bearer = {"Authorization": f"Bearer {issuer.token()}"}
    assert (await client().get("/version", headers=bearer)).json() is None
    assert (await client().get("/version", headers=bearer | {"X-Authz-Version": "42"})).json() == 42
    for text in ("newest", "-1", "", "9" * 19, "٤"):
        refused = await client().get("/version", headers=bearer | {"X-Authz-Version": text.encode()})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_version")
