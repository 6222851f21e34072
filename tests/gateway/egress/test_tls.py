"""A proxy that speaks TLS itself: around the tunnels' own TLS, and with a certificate that is renewed."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from havn.kit.http import HttpClient, ProxiedTransport
from havn.kit.operations import Operations
from havn.kit.problem import Problem
from havn.kit.tls import TlsContext
from havn.kit.trust import Trust

PUBLIC4 = "93.184.216.34"
HOST = "data.example.no"


def certify(folder: Path, authority: Any) -> None:
    """A new certificate of the proxy's."""
    certificate, _, key = authority.issue("localhost").partition("-----END CERTIFICATE-----\n")
    (folder / "tls.key").write_text(key)
    (folder / "tls.crt").write_text(f"{certificate}-----END CERTIFICATE-----\n")


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_a_client_reaches_a_host_through_a_proxy_over_tls_also_when_its_certificate_is_renewed(
    world: Any, reply: Any, tmp_path: Path
) -> None:
    async def test(rig: Any) -> None:
        await rig.serve(PUBLIC4, 443, lambda _: reply(), tls=rig.authority.server(HOST))
        rig.name(HOST, PUBLIC4)
        rig.policy(mode="enforce", allow=[{"host": HOST}])
        served = tmp_path / "tls"
        served.mkdir()
        certify(served, rig.authority)
        tls = TlsContext(served, look_every=0.02)
        following = asyncio.create_task(tls.follow())
        port = await rig.built.proxy.listen("127.0.0.1", 0, tls.context)

        def client(trust: Trust | None) -> HttpClient:
            carrier = ProxiedTransport(
                f"https://localhost:{port}", rig.signer.token, verify=rig.authority.client(), trust=trust
            )
            return HttpClient(f"https://{HOST}", name="The target", transport=carrier)

        http = client(Trust(rig.authority.file, system=False))
        assert (await http.request("GET", "/")).text == "hello"
        before = await asyncio.to_thread(shown, port)
        certify(served, rig.authority)
        while (after := await asyncio.to_thread(shown, port)) == before:
            pass
        # On the tunnel that was there, and on a new one.
        assert (await http.request("GET", "/")).text == "hello"
        await http.close()
        http = client(Trust(rig.authority.file, system=False))
        assert (await http.request("GET", "/")).text == "hello"
        await http.close()
        # Half a pair is no certificate.
        (served / "tls.key").write_text("nothing")
        assert {await asyncio.to_thread(shown, port) for _ in range(5)} == {after}
        # Whoever does not know the authority sends nothing to it, not even who asks.
        stranger = client(None)
        with pytest.raises(Problem):
            await stranger.request("GET", "/")
        await stranger.close()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    world.run(test)


def test_in_clear_such_a_proxy_and_its_metrics_answer_nothing(world: Any, tmp_path: Path) -> None:
    async def test(rig: Any) -> None:
        certify(tmp_path, rig.authority)
        tls = TlsContext(tmp_path)
        operations = Operations(lambda: b"metric 1\n")
        ports = [
            await rig.built.proxy.listen("127.0.0.1", 0, tls.context),
            await operations.listen("127.0.0.1", 0, tls.context),
        ]
        for port in ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                assert b"HTTP/" not in await reader.read(1000)
            writer.close()
        http = HttpClient(
            f"https://localhost:{ports[1]}", name="The proxy", trust=Trust(rig.authority.file, system=False)
        )
        assert (await http.request("GET", "/metrics")).text == "metric 1\n"
        await http.close()
        operations.close()

    world.run(test)
