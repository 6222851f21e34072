"""Servers with which no connection comes about: each is told in a sentence."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from havn.clusters.kubernetes import Kube
from havn.clusters.port import ClusterError


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """Of a server elsewhere, that it has signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("elsewhere")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "server.pem", tmp_path / "server.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


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
    context.load_cert_chain(*certificate)
    said = await told(tmp_path, context)
    assert said == (
        "The cluster's API server is not trusted: self-signed certificate. Give the authority of its certificate, and "
        "an address that this is made out to, with `havn cluster add`."
    )
    said = await told(tmp_path, context, **{"certificate-authority": str(certificate[0])})
    assert "IP address mismatch, certificate is not valid for '127.0.0.1'. Give" in said


async def test_a_server_without_tls_is_told(tmp_path):
    assert (await told(tmp_path, None)).startswith("What answers at the API server's address does not speak TLS: ")


async def test_a_name_that_nobody_knows_is_told_without_a_number(tmp_path):
    said = await told(tmp_path, None, server="https://nobody.invalid")
    assert said.startswith("The cluster's API server cannot be reached: ")
    assert "Errno" not in said
