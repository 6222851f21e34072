"""Platform tokens: a component or app proves itself with its own key, and only as itself."""

from __future__ import annotations

import msgspec
import pytest
from joserfc import jwt
from starlette.requests import Request

from havn.guard.platform_token import Caller, PlatformTokenSigner, PlatformTokenVerifier, require_caller
from havn.kit.problem import Problem

AUDIENCE = "https://platform.havn.example"


@pytest.fixture
def keys(ec_key):
    return {"permit": ec_key("permit-1"), "other": ec_key("other-1"), "storage": ec_key("storage-1")}


@pytest.fixture
def verifier(keys, clock):
    asked: list[str] = []

    async def jwks(org: str):
        asked.append(org)
        names = {"ttd": ["permit", "other"], "platform": ["storage"]}.get(org, [])
        return {"keys": [{**keys[name].as_dict(private=False), "app": name} for name in names]}

    made = PlatformTokenVerifier(audience=AUDIENCE, jwks=jwks, clock=clock)
    made.asked = asked
    return made


@pytest.fixture
def signer(keys, clock):
    def make(issuer: str = "ttd", app: str = "permit", key: str | None = None) -> PlatformTokenSigner:
        private = msgspec.json.encode(keys[key or app].as_dict(private=True)).decode()
        return PlatformTokenSigner(issuer=issuer, app=app, audience=AUDIENCE, key=private, clock=clock)

    return make


def forged(keys, clock, key: str = "permit", **changes) -> str:
    now = int(clock().timestamp())
    claims = {
        "iss": "ttd", "sub": "ttd/permit", "urn:altinn:app": "permit", "aud": AUDIENCE, "nbf": now, "exp": now + 300,
        "jti": "1",
    }  # fmt: skip
    claims.update(changes)
    return jwt.encode({"alg": "ES256", "kid": keys[key].kid}, claims, keys[key], algorithms=["ES256"])


async def test_a_token_names_its_app(verifier, signer) -> None:
    assert await verifier.verify(signer().token()) == Caller("ttd", "permit")
    assert await verifier.verify(signer("platform", "storage").token()) == Caller("platform", "storage")


def test_a_token_is_used_until_thirty_seconds_before_its_end(signer, clock) -> None:
    made = signer()
    first = made.token()
    clock.forward(269)
    assert made.token() == first
    clock.forward(2)
    assert made.token() != first


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://platform.other.example"},
        {"aud": None},
        {"iss": "skd"},
        {"iss": "../platform"},
        {"iss": ""},
        {"iss": 3},
        {"sub": "ttd/other"},
        {"urn:altinn:app": "other", "sub": "ttd/other"},
        {"urn:altinn:app": None},
        {"exp": 1},
        {"exp": None},
    ],
)
async def test_a_wrong_claim_is_refused(verifier, keys, clock, changes) -> None:
    with pytest.raises(Problem) as caught:
        await verifier.verify(forged(keys, clock, **changes))
    assert caught.value.status == 401


async def test_an_apps_key_never_speaks_for_its_neighbour(verifier, keys, clock) -> None:
    with pytest.raises(Problem, match="another app's key"):
        await verifier.verify(forged(keys, clock, key="other"))


async def test_an_apps_key_never_speaks_for_a_component(verifier, keys, clock) -> None:
    token = forged(keys, clock, iss="platform", sub="platform/permit")
    with pytest.raises(Problem):
        await verifier.verify(token)


async def test_an_issuer_that_could_not_be_one_is_never_asked_about(verifier, keys, clock) -> None:
    for issuer in ("../x", "a" * 60, "TTD", "a/b", "a?b"):
        with pytest.raises(Problem):
            await verifier.verify(forged(keys, clock, iss=issuer))
    assert verifier.asked == []


def request(*headers: tuple[str, str]) -> Request:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": encoded, "query_string": b""})


async def test_a_route_takes_exactly_one_token_from_whom_it_allows(verifier, signer) -> None:
    good = ("PlatformAccessToken", signer().token())
    assert await require_caller(request(good), verifier) == Caller("ttd", "permit")
    for headers, issuers in (((), None), ((good, good), None), ((good,), {"platform"})):
        with pytest.raises(Problem) as caught:
            await require_caller(request(*headers), verifier, issuers=issuers)
        assert caught.value.status == 401


async def test_a_signed_in_person_without_a_platform_token_is_403(verifier, make_verifier, issuer) -> None:
    made = request()
    made.scope["havn.principal"] = await make_verifier().verify(issuer.token())
    with pytest.raises(Problem) as caught:
        await require_caller(made, verifier)
    assert caught.value.status == 403
