"""Servers with which no connection comes about: each is told in a sentence."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from havn.clusters.kubernetes import Kube
from havn.clusters.port import ClusterError
from havn.deploy.authority.certificates import authority, leaf


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """Of a server elsewhere, with its authority's, and its key; and the authority's."""
    now, day = datetime.now(UTC), timedelta(days=1)
    signer = authority("authority", now, day)
    made = leaf(signer, ["elsewhere"], now, day)
    server, trusted = tmp_path / "server.pem", tmp_path / "authority.pem"
    server.write_text(made.certificate + signer.certificate + made.key)
    trusted.write_text(signer.certificate)
    return server, trusted


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def told(folder: Path, context: ssl.SSLContext | None, **cluster: str) -> str:
    """What is said of a server that speaks TLS with `context`, or plainly."""
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", **cluster}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": "x"}}],
        }  # fmt: skip
        path = folder / "kubeconfig"
        path.write_bytes(msgspec.json.encode(config))
        kube = Kube(path)
        with pytest.raises(ClusterError) as caught:
            await kube.read("/version", dict)
        await kube.close()
    return str(caught.value)


async def test_a_server_that_nobody_who_was_given_has_signed_for_is_not_trusted(tmp_path, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server, trusted = certificate
    context.load_cert_chain(server)
    said = await told(tmp_path, context)
    assert said == (
        "The cluster's API server is not trusted: self-signed certificate in certificate chain. Give the authority "
        "of its certificate, and an address that this is made out to, with `havn cluster add`."
    )
    said = await told(tmp_path, context, **{"certificate-authority": str(trusted)})
    assert "IP address mismatch, certificate is not valid for '127.0.0.1'. Give" in said


async def test_a_server_without_tls_is_told(tmp_path):
    assert (await told(tmp_path, None)).startswith("What answers at the API server's address does not speak TLS: ")


async def test_a_name_that_nobody_knows_is_told_without_a_number(tmp_path):
    said = await told(tmp_path, None, server="https://nobody.invalid")
    assert said.startswith("The cluster's API server cannot be reached: ")
    assert "Errno" not in said
