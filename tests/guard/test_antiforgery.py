"""Antiforgery: a pair fits one person in one session, and only unsafe posts by cookie need it."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx2
import pytest
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from havn.guard.antiforgery import Antiforgery
from havn.guard.middleware import Authentication
from havn.kit.web import create_app

KEY = b"k" * 32


@pytest.fixture
def client(make_verifier):
    antiforgery = Antiforgery(KEY, secure=False)

    async def page(request):
        response = PlainTextResponse("")
        response.headers["x-token"] = antiforgery.issue(request, response)
        return response

    async def post(request):
        await antiforgery.check(request)
        return PlainTextResponse("done")

    app = create_app(
        [Route("/page", page), Route("/post", post, methods=["POST", "GET"])],
        name="test",
        middleware=[Middleware(Authentication, verifier=make_verifier())],
    )
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://ttd.apps.havn.example")


def cookies(**values: str) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name.replace('_', '-')}={value}" for name, value in values.items())}


async def pair(client, token: str) -> tuple[str, str]:
    response = await client.get("/page", headers=cookies(AltinnStudioRuntime=token))
    found = {}
    for header in response.headers.get_list("set-cookie"):
        name, _, rest = header.partition("=")
        found[name] = rest.partition(";")[0]
        assert ("HttpOnly" in header) is (name == "AS-XSRF-TOKEN")
    client.cookies.clear()
    return found["AS-XSRF-TOKEN"], found["XSRF-TOKEN"]


async def test_a_post_with_its_pair_passes_by_header_and_by_field(client, issuer) -> None:
    token = issuer.token()
    secret, request_token = await pair(client, token)
    held = cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN=secret)
    by_header = await client.post("/post", headers=held | {"X-XSRF-TOKEN": request_token})
    assert by_header.text == "done"
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode({"__RequestVerificationToken": request_token})
    assert (await client.post("/post", headers=held | form, content=body)).text == "done"


async def test_without_or_with_a_wrong_pair_it_is_400(client, issuer) -> None:
    token = issuer.token()
    secret, request_token = await pair(client, token)
    other_secret, other_token = await pair(client, issuer.token(sid="s-2"))
    for held, sent in (
        (cookies(AltinnStudioRuntime=token), {}),
        (cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN=secret), {}),
        (cookies(AltinnStudioRuntime=token), {"X-XSRF-TOKEN": request_token}),
        (cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN=secret), {"X-XSRF-TOKEN": secret}),
        (cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN=secret), {"X-XSRF-TOKEN": other_token}),
        (cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN=other_secret), {"X-XSRF-TOKEN": other_token}),
        (cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN="x"), {"X-XSRF-TOKEN": "x"}),
    ):
        response = await client.post("/post", headers=held | sent)
        assert response.status_code == 400
        assert response.json()["code"] == "antiforgery"


async def test_a_pair_is_of_one_person_and_one_session(client, issuer) -> None:
    secret, request_token = await pair(client, issuer.token())
    for other in (issuer.token(sid="s-2"), issuer.token(**{"urn:altinn:userid": "7"})):
        held = cookies(AltinnStudioRuntime=other, AS_XSRF_TOKEN=secret)
        response = await client.post("/post", headers=held | {"X-XSRF-TOKEN": request_token})
        assert response.status_code == 400
    renewed = issuer.token(jti="j-2")
    held = cookies(AltinnStudioRuntime=renewed, AS_XSRF_TOKEN=secret)
    assert (await client.post("/post", headers=held | {"X-XSRF-TOKEN": request_token})).status_code == 200


async def test_reading_and_bearer_callers_need_no_pair(client, issuer) -> None:
    token = issuer.token()
    assert (await client.get("/post", headers=cookies(AltinnStudioRuntime=token))).status_code == 200
    assert (await client.post("/post", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    assert (await client.post("/post")).status_code == 200


async def test_pages_in_other_tabs_go_on_working(client, issuer) -> None:
    token = issuer.token()
    secret, request_token = await pair(client, token)
    again = await client.get("/page", headers=cookies(AltinnStudioRuntime=token, AS_XSRF_TOKEN=secret))
    assert again.headers["x-token"] == request_token


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Antiforgery(b"short")
