"""Token verification: good ones are understood, every kind of bad one is refused, and key fetches are bounded."""

from __future__ import annotations

import base64
import json

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from havn.guard.principal import Kind
from havn.guard.tokens import AudienceRule
from havn.kit.problem import Problem


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def refused(verifier, token: str) -> Problem:
    with pytest.raises(Problem) as caught:
        await verifier.verify(token)
    return caught.value


async def test_a_good_token_tells_who_is_calling(make_verifier, issuer) -> None:
    caller = await make_verifier().verify(issuer.token())
    assert caller.kind is Kind.USER
    assert (caller.user_id, caller.party_id, caller.auth_level, caller.sid) == (1337, 501337, 3, "s-1")
    assert caller.has_scope("altinn:portal/enduser")
    assert not caller.has_scope("altinn:portal")
    assert caller.audience_org == "ttd"
    assert caller.performed_by() == "1337"


async def test_a_token_never_shows_in_a_representation(make_verifier, issuer) -> None:
    token = issuer.token()
    assert token not in repr(await make_verifier().verify(token))


@pytest.mark.parametrize(
    ("claims", "kind", "performed_by"),
    [
        ({"urn:altinn:org": "ttd", "urn:altinn:orgNumber": "310000000"}, Kind.SERVICE_OWNER, "310000000"),
        ({"urn:altinn:userid": None, "urn:altinn:orgNumber": "310000000"}, Kind.ORG, "310000000"),
        ({"urn:altinn:userid": None, "consumer": {"ID": "0192:310000000"}}, Kind.ORG, "310000000"),
        (
            {
                "urn:altinn:userid": None,
                "authorization_details": [
                    {
                        "type": "urn:altinn:systemuser",
                        "systemuser_id": ["b8d4"],
                        "systemuser_org": {"ID": "0192:310000001"},
                    }
                ],
            },
            Kind.SYSTEM_USER,
            "310000001",
        ),
        ({"urn:altinn:userid": None, "urn:altinn:app": "studio.designer"}, Kind.NONE, ""),
    ],
)
async def test_claims_decide_the_kind_of_caller(make_verifier, issuer, claims, kind, performed_by) -> None:
    caller = await make_verifier().verify(issuer.token(**({"urn:altinn:userid": None} | claims)))
    assert caller.kind is kind
    if kind is not Kind.SERVICE_OWNER or "urn:altinn:userid" not in claims:
        assert caller.performed_by() == performed_by


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://platform.havn.example/authentication/api/v1/openid"},
        {"iss": None},
        {"aud": "https://skd.apps.havn.example"},
        {"aud": "https://platform.havn.example"},
        {"aud": None},
        {"aud": ["https://ttd.apps.havn.example", 7]},
        {"aud": {"https://ttd.apps.havn.example": 1}},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"nbf": 4102444800},
        {"urn:altinn:authlevel": 9},
        {"urn:altinn:userid": ["1337"]},
        {"urn:altinn:org": 3},
        {"scope": 3},
    ],
)
async def test_a_wrong_claim_is_refused(make_verifier, issuer, claims) -> None:
    problem = await refused(make_verifier(), issuer.token(**claims))
    assert problem.status == 401
    assert problem.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


async def test_time_has_ten_seconds_of_skew(make_verifier, issuer, clock) -> None:
    verifier, token = make_verifier(), issuer.token()
    clock.forward(1800 + 9)
    await verifier.verify(token)
    clock.forward(1)
    assert (await refused(verifier, token)).code == "token_expired"


async def test_a_changed_token_is_refused(make_verifier, issuer) -> None:
    head, payload, signature = issuer.token().split(".")
    claims = issuer.claims(**{"urn:altinn:userid": "1338"})
    for forged in (
        f"{head}.{b64(claims)}.{signature}",
        f"{head}.{payload}.{signature[:-8]}AAAAAAAA",
        f"{head}.{payload}.",
        f"{b64({'alg': 'none', 'kid': 'k1'})}.{b64(claims)}.",
        f"{b64({'alg': 'RS256', 'kid': 'k1', 'crit': ['exp']})}.{payload}.{signature}",
        f"{b64({'alg': 'PS256', 'kid': 'k1'})}.{payload}.{signature}",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.x.y",
        "",
        "x" * 100,
        "æøå.æ.ø",
        "\ud800.a.b",
    ):
        assert (await refused(make_verifier(), forged)).status == 401


async def test_a_symmetric_signature_is_refused(make_verifier, issuer) -> None:
    secret = OctKey.import_key(issuer.key.as_pem(private=False).hex())
    token = issuer.token(secret, {"alg": "HS256", "kid": "k1"})
    assert (await refused(make_verifier(), token)).status == 401


async def test_a_huge_token_is_refused_before_it_is_read(make_verifier, issuer) -> None:
    token = issuer.token(padding="x" * 16384)
    assert (await refused(make_verifier(), token)).status == 401
    assert issuer.server.asked == 0


async def test_a_stream_of_unknown_key_ids_costs_one_fetch_a_minute(make_verifier, issuer, clock) -> None:
    verifier = make_verifier()
    await verifier.verify(issuer.token())
    other = RSAKey.generate_key(2048, {"kid": "other"}, auto_kid=False)
    clock.forward(1)
    for number in range(20):
        token = issuer.token(other, {"alg": "RS256", "kid": f"made-up-{number}"})
        assert (await refused(verifier, token)).status == 401
    assert issuer.server.asked == 2
    clock.forward(61)
    await refused(verifier, issuer.token(other, {"alg": "RS256", "kid": "again"}))
    assert issuer.server.asked == 3


async def test_a_new_key_is_found_when_first_used(make_verifier, issuer, clock) -> None:
    verifier = make_verifier()
    await verifier.verify(issuer.token())
    new = RSAKey.generate_key(2048, {"kid": "k2", "alg": "RS256", "use": "sig"}, auto_kid=False)
    issuer.server.keys.append(new)
    clock.forward(1)
    assert (await verifier.verify(issuer.token(new))).user_id == 1337


async def test_a_withdrawn_key_stops_working_within_five_minutes(make_verifier, issuer, clock) -> None:
    verifier, token = make_verifier(), issuer.token()
    await verifier.verify(token)
    issuer.server.keys = [RSAKey.generate_key(2048, {"kid": "k2", "alg": "RS256", "use": "sig"}, auto_kid=False)]
    clock.forward(301)
    assert (await refused(verifier, token)).status == 401


async def test_keys_that_cannot_be_fetched_are_503_at_first_and_old_ones_serve_for_an_hour(
    make_verifier, issuer, clock
) -> None:
    verifier = make_verifier()
    issuer.server.failure = Problem(503, "Authentication cannot be reached just now.")
    assert (await refused(verifier, issuer.token())).status == 503
    issuer.server.failure = None
    clock.forward(2)
    await verifier.verify(issuer.token())
    issuer.server.failure = Problem(503)
    clock.forward(1000)
    assert (await verifier.verify(issuer.token())).user_id == 1337
    clock.forward(3000)
    assert (await refused(verifier, issuer.token())).status == 503


class Ended:
    def __init__(self) -> None:
        self.sids: set[str] = set()

    def revoked(self, sid: str) -> bool:
        return sid in self.sids


async def test_an_ended_session_is_refused_though_its_token_was_good_a_moment_ago(make_verifier, issuer) -> None:
    ended = Ended()
    verifier, token = make_verifier(revoked=ended), issuer.token()
    await verifier.verify(token)
    ended.sids.add("s-1")
    assert (await refused(verifier, token)).code == "session_ended"


async def test_a_key_may_only_sign_as_it_says(make_verifier, issuer) -> None:
    confused = ECKey.generate_key("P-256", {"kid": "k3", "alg": "ES256", "use": "sig"}, auto_kid=False)
    issuer.server.keys.append(confused)
    token = issuer.token(header={"alg": "RS256", "kid": "k3"})
    assert (await refused(make_verifier(), token)).status == 401


@pytest.mark.parametrize(
    ("aud", "accepted", "org"),
    [
        ("https://platform.havn.example", True, None),
        ("https://ttd.apps.havn.example", True, "ttd"),
        (["https://ttd.apps.havn.example", "https://platform.havn.example"], True, None),
        (["https://ttd.apps.havn.example", "https://skd.apps.havn.example"], False, None),
        ("https://.apps.havn.example", False, None),
        ("https://evil.example/.apps.havn.example", False, None),
        ("http://ttd.apps.havn.example", False, None),
    ],
)
def test_the_platform_takes_its_own_audience_or_one_owners(aud, accepted, org) -> None:
    rule = AudienceRule.platform(scheme="https", domain="havn.example")
    found = rule.match(aud)
    assert found[0] is accepted
    if accepted:
        assert found[1] == org
