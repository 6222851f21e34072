"""Tunnels: allowed, denied with the line to add, checked on every address, and ended when their rule goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

PUBLIC4, OTHER4, PUBLIC6 = "93.184.216.34", "93.184.216.35", "2606:2800:220:1::1"
HOST = "data.example.no"
ALLOW = {"mode": "enforce", "allow": [{"host": HOST}]}


async def target(rig: Any, reply: Any, *names: str, address: str = PUBLIC4) -> None:
    await rig.serve(address, 443, lambda _: reply(), tls=rig.authority.server(*(names or (HOST,))))


async def hello(rig: Any, answer: Any, host: str = HOST) -> bytes:
    """A request inside the tunnel."""
    await answer.writer.start_tls(rig.authority.client(), server_hostname=host)
    answer.writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    async with asyncio.timeout(10):
        return await answer.reader.readuntil(b"hello")


def test_a_tunnel_to_an_allowed_host_carries_tls_end_to_end(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        assert answer.status == 200
        assert (await hello(rig, answer)).endswith(b"hello")
        answer.writer.close()
        line = await rig.decision()
        assert (line["org"], line["app"], line["host"], line["address"], line["rule"]) == (
            "ttd", "skjema", HOST, PUBLIC4, f"https://{HOST}:443",
        )  # fmt: skip
        assert line["bytesIn"] > 0

    world.run(test)


def test_ipv6_is_dialled_too(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply, address=PUBLIC6)
        rig.name(HOST, PUBLIC6)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        assert answer.status == 200
        await hello(rig, answer)

    world.run(test)


def test_a_dead_first_address_does_not_keep_from_the_second(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply)
        rig.name(HOST, [OTHER4, PUBLIC4])
        rig.policy(**ALLOW)
        assert (await rig.tunnel(HOST)).status == 200

    world.run(test)


def test_a_denial_names_the_line_to_add_in_body_and_status_line(world: Any) -> None:
    async def test(rig: Any) -> None:
        rig.policy(**ALLOW)
        answer = await rig.tunnel("other.example.no", 8443)
        assert answer.status == 403
        assert answer.problem["code"] == "no_rule"
        assert answer.problem["add"] == "- {host: other.example.no, ports: [8443]}"
        assert "Add: - {host: other.example.no, ports: [8443]}" in answer.reason
        assert answer.problem["traceId"]
        assert rig.asked == []

    world.run(test)


def test_observe_lets_through_what_enforce_would_deny_and_says_so(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply)
        rig.name(HOST, PUBLIC4)
        answer = await rig.tunnel(HOST)
        assert answer.status == 200
        answer.writer.close()
        line = await rig.decision()
        assert (line["result"], line["reason"], line["wouldDeny"]) == ("allow", "observed", True)
        assert line["add"] == f"- {{host: {HOST}}}"

    world.run(test)


def test_without_a_policy_production_lets_nothing_out(world: Any) -> None:
    async def test(rig: Any) -> None:
        assert (await rig.tunnel(HOST)).status == 403

    world.run(test, environment_type="production")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.1.1", "172.16.5.5", "100.64.1.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "168.63.129.16", "::1", "::", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001:0:5ef5:79fd::1", "fd00:ec2::254", "fe80::1", "ff02::1", "2a00:1:2:3:0:5efe:7f00:1",
    ],
)  # fmt: skip
def test_a_name_that_leads_inside_is_refused_even_when_allowed(world: Any, address: str) -> None:
    async def test(rig: Any) -> None:
        reached = []

        async def handle(reader: Any, writer: Any) -> None:
            reached.append(1)
            writer.close()

        for local in ("127.0.0.1", "10.1.2.3", "169.254.169.254"):
            await rig.listen(local, 443, handle)
        rig.name(HOST, address)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        assert (answer.status, answer.problem["code"]) == (403, "address_refused")
        assert reached == []

    world.run(test)


@pytest.mark.parametrize("mode", ["observe", "open"])
def test_no_mode_opens_the_way_inside(world: Any, mode: str) -> None:
    async def test(rig: Any) -> None:
        rig.name("evil.example.org", "169.254.169.254")
        more = {"open": {"until": "2999-01-01", "approvedBy": "Kari Nordmann"}} if mode == "open" else {}
        rig.policy(mode=mode, **more)
        answer = await rig.tunnel("evil.example.org", 80)
        assert (answer.status, answer.problem["code"]) == (403, "address_refused")

    world.run(test)


def test_one_inner_address_among_public_ones_refuses_the_name(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply)
        rig.name(HOST, [PUBLIC4, "10.1.2.3"])
        rig.policy(**ALLOW)
        assert (await rig.tunnel(HOST)).problem["code"] == "address_refused"

    world.run(test)


def test_an_inner_ipv6_address_beside_a_public_ipv4_one_refuses_the_name(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply)
        rig.name(HOST, [PUBLIC4, "::1"])
        rig.policy(**ALLOW)
        assert (await rig.tunnel(HOST)).problem["code"] == "address_refused"

    world.run(test)


def test_dns_rebinding_finds_the_checked_address_dialled_and_nothing_asked_again(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        inside = []

        async def handle(reader: Any, writer: Any) -> None:
            inside.append(1)
            writer.close()

        await target(rig, reply)
        await rig.listen("127.0.0.1", 443, handle)
        # The first question is answered with a public address, every later one with an inner one.
        rig.name(HOST, PUBLIC4, "127.0.0.1")
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        assert answer.status == 200
        await hello(rig, answer)
        assert rig.asked == [HOST, HOST]  # once for each family
        assert (await rig.tunnel(HOST)).problem["code"] == "address_refused"
        assert inside == []

    world.run(test)


def test_an_operators_denied_range_comes_first(world: Any, reply: Any) -> None:
    async def test(rig: Any) -> None:
        await target(rig, reply)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW)
        assert (await rig.tunnel(HOST)).problem["code"] == "address_refused"

    world.run(test, egress_denied_ranges="93.184.216.0/24")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0x7f.1", "2130706433", "017700000001", "localhost", f"{HOST}.", "user@data.example.no", "1.2.3.4.5"],
)
def test_odd_hosts_are_refused(world: Any, host: str) -> None:
    async def test(rig: Any) -> None:
        rig.policy(mode="observe")
        assert (await rig.tunnel(host)).status in (400, 403)
        assert rig.asked == []

    world.run(test)


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ("", "identity_missing"),
        ("Proxy-Authorization: Basic dHRkOnNramVtYQ==\r\n", "identity_missing"),
        ("Proxy-Authorization: Bearer x.y.z\r\n", "identity_invalid"),
        ("X-Org: ttd\r\nX-App: skjema\r\n", "identity_missing"),
    ],
)
def test_without_a_valid_token_nobody_is_anybody(world: Any, identity: str, code: str) -> None:
    async def test(rig: Any) -> None:
        answer = await rig.tunnel(HOST, identity=identity)
        assert (answer.status, answer.problem["code"]) == (407, code)
        assert answer.headers["proxy-authenticate"].startswith("Bearer")

    world.run(test)


def test_a_token_for_another_audience_or_app_is_refused(world: Any) -> None:
    async def test(rig: Any) -> None:
        for signer in (
            rig.signer_for("ttd", "skjema", audience="http://platform.havn.localhost:8000"),
            rig.signer_for("ttd", "annen"),
        ):
            answer = await rig.tunnel(HOST, identity=f"Proxy-Authorization: Bearer {signer.token()}\r\n")
            assert (answer.status, answer.problem["code"]) == (407, "identity_invalid")

    world.run(test)


def test_a_tunnel_ends_when_its_rule_is_removed(world: Any) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            await reader.read()
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        rig.policy(mode="enforce")
        async with asyncio.timeout(10):
            assert await _rest(answer.reader) == b""
        assert (await rig.decision())["reason"] == "rule_removed"

    world.run(test)


def test_a_silent_tunnel_ends(world: Any) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            await reader.read()
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW, limits={"idleSeconds": 0.1})
        answer = await rig.tunnel(HOST)
        async with asyncio.timeout(10):
            assert await _rest(answer.reader) == b""
        assert (await rig.decision())["reason"] == "idle_timeout"

    world.run(test)


def test_both_ways_end_on_their_own(world: Any) -> None:
    """A server that answers only once the client has said everything gets to answer."""

    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            said = await reader.read()
            writer.write(b"you said %d" % len(said))
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        answer.writer.write(b"x" * 3_000_000)
        answer.writer.write_eof()
        async with asyncio.timeout(10):
            assert await answer.reader.read() == b"you said 3000000"

    world.run(test)


def test_a_server_that_speaks_first_is_heard(world: Any) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            writer.write(b"220 ready\r\n")
            await reader.read()
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        async with asyncio.timeout(10):
            assert await answer.reader.readline() == b"220 ready\r\n"

    world.run(test)


def test_tunnels_and_rate_have_limits(world: Any) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            await reader.read()
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW, limits={"tunnels": 1})
        assert (await rig.tunnel(HOST)).status == 200
        full = await rig.tunnel(HOST)
        assert (full.status, full.problem["code"]) == (429, "limit_reached")
        assert "tunnels" in full.problem["detail"]

    world.run(test)


def test_the_rate_has_a_limit(world: Any) -> None:
    async def test(rig: Any) -> None:
        rig.policy(**ALLOW, limits={"requestsPerSecond": 0.001, "burst": 1})
        assert (await rig.tunnel("other.example.no")).status == 403
        fast = await rig.tunnel("other.example.no")
        assert fast.status == 429
        assert "requestsPerSecond" in fast.problem["detail"]
        assert int(fast.headers["retry-after"]) > 1

    world.run(test)


def test_more_bytes_than_the_limit_end_the_tunnel(world: Any) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            while await reader.read(65536):
                pass
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW, limits={"tunnelBytes": 1000})
        answer = await rig.tunnel(HOST)
        answer.writer.write(b"x" * 5000)
        async with asyncio.timeout(10):
            assert await _rest(answer.reader) == b""
        assert (await rig.decision())["reason"] == "byte_limit"

    world.run(test)


def test_faults_behind_are_told_apart(world: Any) -> None:
    async def test(rig: Any) -> None:
        rig.policy(**ALLOW)
        missing = await rig.tunnel(HOST)
        assert (missing.status, missing.problem["code"]) == (502, "upstream_dns")
        rig.name(HOST, PUBLIC4)
        dead = await rig.tunnel(HOST)
        assert (dead.status, dead.problem["code"]) == (502, "upstream_connect")
        for _ in range(4):
            await rig.tunnel(HOST)
        broken = await rig.tunnel(HOST)
        assert broken.problem["code"] == "upstream_broken_circuit"
        assert b'havn_egress_connect_errors_total{type="dns"} 1.0' in rig.built.metrics()

    world.run(test)


def test_a_silent_dns_server_is_a_504(world: Any) -> None:
    async def test(rig: Any) -> None:
        rig.dns_silent = True
        rig.policy(**ALLOW, limits={"connectSeconds": 0.2})
        assert (await rig.tunnel(HOST)).status == 504

    world.run(test)


def test_draining_lets_a_tunnel_finish_and_takes_no_new_ones(world: Any) -> None:
    async def test(rig: Any) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            writer.write(b"got " + await reader.readline())
            writer.close()

        await rig.listen(PUBLIC4, 443, handle)
        rig.name(HOST, PUBLIC4)
        rig.policy(**ALLOW)
        answer = await rig.tunnel(HOST)
        draining = asyncio.create_task(rig.built.proxy.close(20))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionError):
            await rig.tunnel(HOST)
        answer.writer.write(b"all of it\n")
        assert await answer.reader.read() == b"got all of it\n"
        await draining

    world.run(test)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""
