"""What service code gets as `ctx.http`, against the real proxy: tunnels, upstreams, and refusals with a hint."""

from __future__ import annotations

from typing import Any

import pytest

from havn.runtime.http import Http, HttpError, HttpRefused

PUBLIC4 = "93.184.216.34"
HOST = "data.example.no"
POLICY = {
    "mode": "enforce",
    "allow": [{"host": HOST}],
    "upstreams": {"folk": {"url": f"https://{HOST}/v1", "credentials": ["key"]}},
    "credentials": {"key": {"type": "header", "secret": "nokkel", "hosts": [HOST], "prefix": "Bearer "}},
}


async def start(rig: Any, reply: Any) -> Http:
    await rig.serve(PUBLIC4, 443, lambda got: reply(got.body or b"hello"), tls=rig.authority.server(HOST))
    rig.name(HOST, PUBLIC4)
    rig.policy(**POLICY)
    rig.secret("nokkel", "s3cret")
    return Http.through(f"http://127.0.0.1:{rig.port}", rig.signer.token, verify=rig.authority.client())


def test_calls_go_through_the_proxy_as_the_deployment(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        http = await start(rig, reply)
        assert (await http.get(f"https://{HOST}/list", params={"page": 2})).text == "hello"
        assert rig.received[-1].target == "/list?page=2"
        assert "proxy-authorization" not in rig.received[-1].headers
        answer = await http.upstream("folk").post("/people", json={"name": "Åse"})
        assert answer.json() == {"name": "Åse"}
        assert rig.received[-1].target == "/v1/people"
        assert rig.received[-1].headers["authorization"] == "Bearer s3cret"
        await http.close()

    world.run(test)


def test_a_refusal_says_which_line_is_missing(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        http = await start(rig, reply)
        with pytest.raises(HttpRefused, match=r"Add: - \{host: other\.example\.no\}"):
            await http.get("https://other.example.no/x")
        with pytest.raises(HttpRefused, match="no upstream annet") as refused:
            await http.upstream("annet").get("/x")
        assert refused.value.code == "unknown_upstream"
        await http.close()

    world.run(test)


def test_a_fresh_token_is_used_without_losing_a_call(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        first = await start(rig, reply)
        await first.close()
        tokens = [rig.signer.token(), rig.signer_for("ttd", "skjema").token()]
        assert tokens[0] != tokens[1]
        http = Http.through(f"http://127.0.0.1:{rig.port}", lambda: tokens[0], verify=rig.authority.client())
        assert (await http.get(f"https://{HOST}/1")).status_code == 200
        tokens.pop(0)
        assert (await http.get(f"https://{HOST}/2")).status_code == 200
        await http.close()

    world.run(test)


async def test_without_a_proxy_there_is_no_way_out() -> None:
    with pytest.raises(HttpError, match="no way out"):
        await Http(None).get("https://data.example.no/")
