"""Requests in clear and to named upstreams: bound, passed on clean, with credentials that the app never sees."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwk, jwt

PUBLIC4, OTHER4 = "93.184.216.34", "93.184.216.35"
HOST = "data.example.no"
PLAIN = {"mode": "enforce", "allow": [{"host": HOST, "scheme": "http", "methods": ["GET", "POST"], "paths": ["/api"]}]}


def upstream(credential: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    used = {"credentials": ["key"]} if credential else {}
    policy: dict[str, Any] = {
        "mode": "enforce",
        "upstreams": {"folk": {"url": f"https://{HOST}/v1", **used, **members}},
    }
    if credential:
        policy["credentials"] = {"key": {"secret": "nokkel", "hosts": [HOST], **credential}}
    return policy


async def target(rig: Any, reply: Any, **options: Any) -> None:
    await rig.serve(PUBLIC4, 443, reply, tls=rig.authority.server(HOST, **options))
    rig.name(HOST, PUBLIC4)


def test_a_request_in_clear_reaches_only_what_its_rule_names(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await rig.serve(PUBLIC4, 80, lambda _: reply())
        rig.name(HOST, PUBLIC4)
        rig.policy(**PLAIN)
        answer = await rig.ask("GET", f"http://{HOST}/api/1?x=2", "Connection: x-mine", "X-Mine: 1", "Accept: a/b")
        assert (answer.status, answer.body) == (200, b"hello")
        (got,) = rig.received
        assert (got.method, got.target) == ("GET", "/api/1?x=2")
        assert got.headers == {"host": HOST, "accept": "a/b"}
        posted = await rig.ask("POST", f"http://{HOST}/api", body=b"data")
        assert (posted.status, rig.received[-1].body) == (200, b"data")
        for method, path in (("DELETE", "/api/1"), ("GET", "/apis"), ("GET", "/")):
            denied = await rig.ask(method, f"http://{HOST}{path}")
            assert (denied.status, denied.problem["code"]) == (403, "no_rule")
            assert f"methods: [{method}]" in denied.problem["add"]
        assert len(rig.received) == 2

    world.run(test)


def test_redirects_are_handed_back_not_followed(world: Any) -> None:
    async def test(rig: Any) -> None:
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
        await rig.serve(PUBLIC4, 80, lambda _: moved)
        rig.name(HOST, PUBLIC4)
        rig.policy(**PLAIN)
        answer = await rig.ask("GET", f"http://{HOST}/api")
        assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/latest")
        assert len(rig.received) == 1

    world.run(test)


@pytest.mark.parametrize(
    "data",
    [
        b"POST http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}Content-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}Content-Length: 4\r\n"
        b"Content-Length: 5\r\n\r\nabcde",
        b"POST http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}"
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}X-A: b\r\n c\r\n\r\n",
        b"GET http://data.example.no/api HTTP/1.1\r\nHost: other.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\nHost: data.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no@10.1.2.3/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no/api HTTP/1.1\r\nHost : data.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no/api/../x HTTP/1.1\r\nHost: data.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no/api/%2e%2e/x HTTP/1.1\r\nHost: data.example.no\r\n{identity}\r\n",
        b"GET https://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}"
        b"X: " + b"y" * 40000 + b"\r\n\r\n",
        b"CONNECT data.example.no:443 HTTP/1.1\r\nHost: other.example.no:443\r\n{identity}\r\n",
        b"CONNECT data.example.no:443 HTTP/1.1\r\nHost: data.example.no:443\r\n{identity}Content-Length: 3\r\n\r\nabc",
        b"CONNECT data.example.no HTTP/1.1\r\nHost: data.example.no\r\n{identity}\r\n",
        b"TRACE http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}\r\n",
        b"GET http://data.example.no/api HTTP/2.0\r\nHost: data.example.no\r\n{identity}\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_goes_nowhere(world: Any, reply: Any, data: bytes) -> None:
    async def test(rig: Any) -> None:
        await rig.serve(PUBLIC4, 80, lambda _: reply())
        rig.name(HOST, PUBLIC4)
        rig.policy(mode="observe")
        answer = await rig.raw(data)
        assert 400 <= answer.status < 600
        assert answer.headers["connection"] == "close"
        assert rig.received == []

    world.run(test)


def test_broken_chunks_never_become_a_whole_request(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await rig.serve(PUBLIC4, 80, lambda _: reply())
        rig.name(HOST, PUBLIC4)
        rig.policy(**PLAIN)
        answer = await rig.raw(
            b"POST http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n"
        )
        assert answer.status == 400
        assert rig.received == []

    world.run(test)


@pytest.mark.parametrize(
    ("behave", "status", "code"),
    [
        (b"", 502, "upstream_broke_off"),
        (b"nonsense\r\n\r\n", 502, "upstream_broke_off"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 502, "upstream_broke_off"),
        (None, 504, "upstream_timeout"),
    ],
)
def test_an_upstream_that_fails_is_told_apart(world: Any, behave: bytes | None, status: int, code: str) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if behave is None:
                await reader.read()
            else:
                writer.write(behave)
            writer.close()

        await rig.listen(PUBLIC4, 80, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**PLAIN, limits={"idleSeconds": 0.3})
        answer = await rig.ask("GET", f"http://{HOST}/api")
        assert (answer.status, answer.problem["code"]) == (status, code)

    world.run(test)


def test_the_byte_limit_holds_for_chunked_requests_too(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await rig.serve(PUBLIC4, 80, lambda _: reply())
        rig.name(HOST, PUBLIC4)
        rig.policy(**PLAIN, limits={"requestBytes": 1000})
        known = await rig.ask("POST", f"http://{HOST}/api", body=b"x" * 1001)
        assert (known.status, known.problem["code"]) == (413, "too_large")
        unknown = await rig.raw(
            b"POST http://data.example.no/api HTTP/1.1\r\nHost: data.example.no\r\n{identity}"
            b"Transfer-Encoding: chunked\r\n\r\n800\r\n" + b"x" * 2048 + b"\r\n0\r\n\r\n"
        )
        assert unknown.status == 413
        assert rig.received == []

    world.run(test)


def test_a_named_upstream_is_reached_in_both_forms_and_within_its_bounds(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply())
        rig.policy(**upstream(methods=["GET"], paths=["/people"]))
        for form in ("/folk/people/1?q=2", "http://egress/folk/people/1?q=2"):
            assert (await rig.ask("GET", form)).status == 200
            assert (rig.received[-1].target, rig.received[-1].headers["host"]) == ("/v1/people/1?q=2", HOST)
        for method, path, status in (
            ("POST", "/folk/people", 403), ("GET", "/folk/secrets", 403), ("GET", "/folk/people/../secrets", 400),
            ("GET", "/folk/people/%2E%2e/secrets", 400), ("GET", "/other/x", 404),
        ):  # fmt: skip
            assert (await rig.ask(method, path)).status == status
        assert len(rig.received) == 2
        assert (await rig.ask("GET", "/folk/people", identity="")).status == 407

    world.run(test)


def test_a_certificate_that_nobody_vouches_for_is_not_believed(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await rig.serve(PUBLIC4, 443, lambda _: reply(), tls=rig.authority.server("wrong.example.no"))
        rig.name(HOST, PUBLIC4)
        rig.policy(**upstream())
        answer = await rig.ask("GET", "/folk/x")
        assert (answer.status, answer.problem["code"]) == (502, "upstream_tls")

    world.run(test)


def test_a_header_credential_replaces_what_the_app_says_and_is_masked_when_echoed(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda got: reply(b"hello", f"X-Echo: key={got.headers['x-api-key']}"))
        rig.policy(**upstream({"type": "header", "header": "X-Api-Key"}))
        rig.secret("nokkel", "s3cr3t-value\n")
        answer = await rig.ask("GET", "/folk/x", "X-Api-Key: mine", "Authorization: Bearer mine")
        got = rig.received[-1].headers
        assert got["x-api-key"] == "s3cr3t-value"
        assert "authorization" not in got
        assert "proxy-authorization" not in got
        assert answer.headers["x-echo"] == "key=***"
        line = await rig.decision()
        assert line["credentials"] == ["key"]
        assert "s3cr3t" not in json.dumps(rig.lines)

    world.run(test)


def test_a_credential_is_bound_to_app_method_and_path(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply())
        rig.policy(**upstream({"type": "header", "methods": ["GET"], "paths": ["/v1/open"]}))
        rig.secret("nokkel", "anothers", app="annen")
        missing = await rig.ask("GET", "/folk/open")
        assert (missing.status, missing.problem["code"]) == (502, "secret_missing")
        rig.secret("nokkel", "own-secret")
        assert (await rig.ask("GET", "/folk/open")).status == 200
        for method, path in (("POST", "/folk/open"), ("GET", "/folk/other")):
            assert (await rig.ask(method, path)).problem["code"] == "credential_not_bound"
        assert [got.headers["authorization"] for got in rig.received] == ["own-secret"]

    world.run(test)


def test_basic_and_hmac(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply())
        rig.secret("nokkel", "pass:word")
        rig.policy(**upstream({"type": "basic", "username": "skjema"}))
        await rig.ask("GET", "/folk/x")
        pair = base64.b64decode(rig.received[-1].headers["authorization"].removeprefix("Basic "))
        assert pair == b"skjema:pass:word"
        rig.policy(**upstream({"type": "hmac", "header": "X-Signature", "prefix": "v1="}))
        answer = await rig.ask("POST", "/folk/x?y=1", "Expect: 100-continue", body=b"data")
        assert answer.status == 100
        assert (await type(answer).read(answer.reader, answer.writer, "POST")).status == 200
        got = rig.received[-1]
        signed = f"POST\n/v1/x?y=1\n{got.headers['x-timestamp']}\n{hashlib.sha256(b'data').hexdigest()}"
        expected = hmac.new(b"pass:word", signed.encode(), "sha256").hexdigest()
        assert (got.headers["x-signature"], got.body) == (f"v1={expected}", b"data")

    world.run(test)


def test_a_placeholder_in_the_body_is_replaced_and_escaped(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply())
        rig.secret("nokkel", 'se"cret&1')
        rig.policy(**upstream({"type": "placeholder", "placeholder": "{{password}}"}))
        sent = json.dumps({"password": "{{password}}"}).encode()
        await rig.ask("POST", "/folk/x", "Content-Type: application/json", body=sent)
        assert json.loads(rig.received[-1].body) == {"password": 'se"cret&1'}
        form = b"p={{password}}&q=1"
        await rig.ask("POST", "/folk/x", "Content-Type: application/x-www-form-urlencoded", body=form)
        assert parse_qs(rig.received[-1].body.decode()) == {"p": ['se"cret&1'], "q": ["1"]}
        odd = await rig.ask("POST", "/folk/x", "Content-Type: text/plain", body=b"{{password}}")
        assert odd.problem["code"] == "credential_unusable"

    world.run(test)


def test_a_client_certificate_is_shown(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply(), clients=True)
        rig.policy(**upstream({"type": "certificate"}))
        rig.secret("nokkel", rig.authority.issue("client.example.no"))
        assert (await rig.ask("GET", "/folk/x")).status == 200
        assert b'havn_egress_certificate_expiry_seconds{credential="ttd/skjema/key"}' in rig.built.metrics()

    world.run(test)


def test_client_credentials_are_fetched_once_for_all_and_again_after_a_401(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        issued: list[Any] = []
        valid: set[str] = set()
        refusing: list[int] = []

        def tokens(got: Any) -> bytes:
            issued.append(got)
            valid.add(token := f"token-{len(issued)}")
            return reply(json.dumps({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}).encode())

        def api(got: Any) -> bytes:
            if not refusing and got.headers["authorization"].removeprefix("Bearer ") in valid:
                return reply(got.body)
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"

        await rig.serve(OTHER4, 443, tokens, tls=rig.authority.server("login.example.no"), record=False)
        rig.name("login.example.no", OTHER4)
        await target(rig, api)
        rig.secret("nokkel", "client secret")
        rig.policy(
            **upstream({
                "type": "oauth2", "tokenUrl": "https://login.example.no/token", "clientId": "c:1", "scopes": ["a", "b"],
            })
        )  # fmt: skip
        answers = await asyncio.gather(*(rig.ask("GET", "/folk/x") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        (first,) = issued
        assert parse_qs(first.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
        assert base64.b64decode(first.headers["authorization"].removeprefix("Basic ")) == b"c%3A1:client%20secret"
        valid.clear()
        again = await rig.ask("POST", "/folk/x", body=b"once more")
        assert (again.status, again.body, len(issued)) == (200, b"once more", 2)
        # A fresh token that is refused too is not fetched for ever: the app gets the answer.
        refusing.append(1)
        refused = await rig.ask("GET", "/folk/x")
        assert (refused.status, len(issued)) == (401, 3)

    world.run(test)


def test_maskinporten_gets_an_assertion_of_two_minutes(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        key = jwk.generate_key("RSA", 2048, private=True)
        asked: list[dict[str, Any]] = []

        def tokens(got: Any) -> bytes:
            form = {name: values[0] for name, values in parse_qs(got.body.decode()).items()}
            assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            decoded = jwt.decode(form["assertion"], key, algorithms=["RS256"])
            asked.append({**decoded.claims, "kid": decoded.header["kid"]})
            return reply(b'{"access_token": "mp-token", "expires_in": 119}')

        await rig.serve(OTHER4, 443, tokens, tls=rig.authority.server("maskinporten.example.no"), record=False)
        rig.name("maskinporten.example.no", OTHER4)
        await target(rig, lambda _: reply())
        rig.secret("nokkel", json.dumps({**key.as_dict(private=True), "kid": "key-1"}))
        rig.policy(
            **upstream({
                "type": "maskinporten", "tokenUrl": "https://maskinporten.example.no/token", "issuer": "client-1",
                "audience": "https://maskinporten.example.no/", "scopes": ["ttd:folk"],
            })
        )  # fmt: skip
        assert (await rig.ask("GET", "/folk/x")).status == 200
        assert rig.received[-1].headers["authorization"] == "Bearer mp-token"
        (claims,) = asked
        assert claims["exp"] - claims["iat"] == 120
        assert (claims["iss"], claims["aud"], claims["scope"], claims["kid"]) == (
            "client-1", "https://maskinporten.example.no/", "ttd:folk", "key-1",
        )  # fmt: skip

    world.run(test)


def test_a_token_server_inside_is_not_reached(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        rig.name("login.example.no", "10.1.2.3")
        await target(rig, lambda _: reply())
        rig.secret("nokkel", "client-secret")
        rig.policy(
            **upstream({"type": "oauth2", "tokenUrl": "https://login.example.no/token", "clientId": "c"})
        )  # fmt: skip
        answer = await rig.ask("GET", "/folk/x")
        assert (answer.status, answer.problem["code"]) == (502, "token_unavailable")
        assert rig.received == []

    world.run(test)


def test_without_the_secret_store_nothing_is_sent(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply())
        rig.policy(**upstream({"type": "header"}))
        (rig.folder / "secrets").rmdir()
        answer = await rig.ask("GET", "/folk/x")
        assert (answer.status, answer.problem["code"]) == (503, "secrets_unavailable")
        assert rig.received == []

    world.run(test)


def test_a_broken_policy_file_leaves_the_last_good_one_in_force(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, lambda _: reply())
        rig.policy(**upstream())
        file = rig.folder / "policies/ttd/skjema.json"
        good = file.read_bytes()
        for broken in (b"{", b'{"modus": "open"}', b'{"allow": [{"host": "10.0.0.1"}]}'):
            file.write_bytes(broken)
            rig.built.policies.load()
            assert (await rig.ask("GET", "/folk/x")).status == 200
            assert b"havn_egress_policies_broken 1.0" in rig.built.metrics()
        file.write_bytes(good)
        rig.built.policies.load()
        assert b"havn_egress_policies_broken 0.0" in rig.built.metrics()
        other = rig.folder / "policies/ttd/annen.json"
        other.write_bytes(b"{")
        rig.built.policies.load()
        assert rig.built.policies.of("ttd", "annen").mode == "enforce"

    world.run(test)


def test_a_clock_set_back_makes_nobody_valid_for_longer(world: Any) -> None:
    from datetime import UTC, datetime, timedelta

    from havn.gateway.egress.identity import Identities
    from havn.guard.platform_token import Caller
    from havn.kit.http1.head import parse_request
    from havn.kit.problem import Problem

    now = [datetime(2026, 1, 1, 12, tzinfo=UTC)]
    answers: list[Any] = [Caller("ttd", "skjema"), Problem(401, "The token has expired.")]

    class Verifier:
        async def verify(self, token: str) -> Caller:
            answer = answers.pop(0)
            if isinstance(answer, Problem):
                raise answer
            return answer

    async def run() -> None:
        identities = Identities(Verifier(), lambda: now[0])  # type: ignore[arg-type]
        request = parse_request(b"GET / HTTP/1.1\r\nHost: egress\r\nProxy-Authorization: Bearer t")
        assert (await identities.caller(request)).app == "skjema"
        assert (await identities.caller(request)).app == "skjema"
        now[0] -= timedelta(hours=1)
        with pytest.raises(Exception, match="expired"):
            await identities.caller(request)

    asyncio.run(run())
