"""Identity providers, whose addresses others chose, are reached through the API proxy alone."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx2
import msgspec
import pyrage
import pytest

from havn.local.testdata import orgs
from havn.platform.authentication.app import build
from havn.platform.authentication.settings import Settings
from havn.platform.secrets import new_key, public_key

DOMAIN = "tt02.example.no"


@pytest.fixture
async def proxy():
    """A proxy that keeps what it is asked for and lets nothing out: its port, and the heads of the requests."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], asked
    server.close()
    await server.wait_closed()


async def test_a_provider_is_asked_through_the_proxy_with_our_own_token(make_database, proxy, tmp_path):
    port, asked = proxy
    orgs.write(tmp_path / "orgs.json")
    key = new_key()
    providers = {"default": "idporten", "signIn": {"idporten": {"issuer": "https://idp.example.no", "clientId": "us"}}}
    settings = Settings(
        domain=DOMAIN,
        environment_type="test",
        platform_url="http://tt02-{api}",
        authentication_database_url=await make_database("authentication"),
        authentication_key_folder=str(tmp_path / "keys"),
        authentication_key_identity=str(pyrage.x25519.Identity.generate()),
        authentication_session_pepper="p" * 40,
        authentication_providers=msgspec.json.encode(providers).decode(),
        orgs_file=str(tmp_path / "orgs.json"),
        platform_access_key=key,
        platform_jwks=msgspec.json.encode({"keys": [public_key(key)]}).decode(),
        egress_url=f"http://127.0.0.1:{port}",
    )
    app = await build(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=f"https://platform.{DOMAIN}") as client,
    ):
        goto = f"https://ttd.apps.{DOMAIN}/ttd/first/"
        answer = await client.get("/authentication/api/v1/authentication", params={"goto": goto})
    assert answer.status_code >= 500
    head = asked[0]
    assert head.startswith("CONNECT idp.example.no:443 ")
    token = next(
        line.split()[-1] for line in head.splitlines() if line.lower().startswith("proxy-authorization: bearer")
    )
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("platform", "platform/authentication", "egress")
