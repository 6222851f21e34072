"""Sending images to a real registry: over connections that break, side by side, and only what is missing."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from havn.deploy.image.transfer import Place, copy
from havn.deploy.registry import Manifest, RegistryError
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.registry.model import EMPTY, EMPTY_BYTES, MANIFEST
from havn.deploy.registry.remote import RemoteRegistry
from havn.kit.http import HttpClient

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MiB = 1024 * 1024
pytestmark = pytest.mark.cluster


class Relay:
    """A TCP relay to a registry that cuts connections: each time `cut_after` bytes have gone to it, `cuts` times."""

    def __init__(self, address: str, *, cut_after: int, cuts: int) -> None:
        self._host, _, port = address.removeprefix("http://").partition(":")
        self._port = int(port)
        self._cut_after = cut_after
        self._cuts = cuts
        self.sent = 0
        self.broken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        upstream_reader, upstream = await asyncio.open_connection(self._host, self._port)
        back = asyncio.create_task(self._pass_back(upstream_reader, writer))
        passed = 0
        with suppress(OSError):
            while data := await reader.read(65536):
                upstream.write(data)
                await upstream.drain()
                passed += len(data)
                self.sent += len(data)
                if self.broken < self._cuts and passed >= self._cut_after:
                    self.broken += 1
                    writer.transport.abort()
                    break
        upstream.close()
        back.cancel()
        writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def relayed(address: str, *, cut_after: int, cuts: int, pauses: tuple[float, ...] = (0.0,) * 6):
    relay = Relay(address, cut_after=cut_after, cuts=cuts)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", name="registry", timeout=30)
    yield relay, RemoteRegistry(client, prefix=f"relay{os.urandom(6).hex()}", pauses=pauses)
    await client.close()
    server.close()


async def image(registry: LayoutRegistry, *layers: bytes) -> str:
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=await registry.put("havn/base", EMPTY_BYTES, EMPTY),
        layers=tuple([await registry.put("havn/base", layer, LAYER) for layer in layers]),
    )
    return (await registry.put_manifest("havn/base", manifest)).digest


async def test_an_upload_that_breaks_goes_on_where_the_registry_got_to(distribution):
    content = os.urandom(24 * MiB)
    async with relayed(distribution, cut_after=9 * MiB, cuts=2) as (relay, registry):
        descriptor = await registry.put("ttd/first", content, LAYER)
        assert relay.broken == 2
        # Twice over it would be 48 MiB: at most the piece under way was sent again.
        assert relay.sent < 24 * MiB + 3 * 4 * MiB
        assert await registry.has("ttd/first", descriptor.digest)


async def test_a_registry_that_goes_on_breaking_is_given_up_in_a_sentence(distribution):
    async with relayed(distribution, cut_after=1, cuts=1000, pauses=(0.0, 0.0)) as (relay, registry):
        with pytest.raises(RegistryError, match="cannot be reached just now"):
            await registry.put("ttd/first", b"some bytes", LAYER)
        assert relay.broken <= 10


async def test_only_what_is_missing_is_sent_and_a_second_copy_sends_nothing(distribution, tmp_path):
    local = LayoutRegistry(tmp_path)
    below, above, newer = os.urandom(MiB), b"one", b"two"
    first, second = await image(local, below, above), await image(local, below, newer)
    source = Place(local, "havn/base")
    async with relayed(distribution, cut_after=0, cuts=0) as (relay, registry):
        target = Place(registry, "havn/base")
        sent = await copy(source, first, target)
        assert sent == len(below) + len(above) + len(EMPTY_BYTES)
        assert await copy(source, first, target) == 0
        before = relay.sent
        assert await copy(source, second, target) == len(newer)
        assert relay.sent - before < 16_000
        assert (await registry.manifest("havn/base", second))[0].digest == second


async def test_a_layer_that_another_repository_has_is_mounted_from_there(distribution, tmp_path):
    local = LayoutRegistry(tmp_path)
    digest = await image(local, os.urandom(MiB))
    async with relayed(distribution, cut_after=0, cuts=0) as (relay, registry):
        await copy(Place(local, "havn/base"), digest, Place(registry, "havn/base"))
        before = relay.sent
        assert await copy(Place(local, "havn/base"), digest, Place(registry, "ttd/first")) == 0
        assert relay.sent - before < 16_000


async def test_a_folder_shares_the_layers_of_its_repositories(tmp_path):
    registry = LayoutRegistry(tmp_path)
    digest = await image(registry, b"one")
    assert await copy(Place(registry, "havn/base"), digest, Place(registry, "ttd/first")) == 0
    assert (await registry.manifest("ttd/first", digest))[0].digest == digest
    assert not await registry.mount("ttd/second", "sha256:" + "0" * 64, "havn/base")


def test_a_release_that_was_built_before_the_registry_was_known_is_sent_when_it_is_deployed(distribution, tmp_path):
    environ = {**os.environ, "HAVN_STATE": str(tmp_path / "state"), "NO_COLOR": "1"}

    def havn(*arguments: str, **more: str) -> str:
        command = [Path(sys.executable).with_name("havn"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**environ, **more})
        assert "Traceback" not in done.stderr
        return done.stderr

    havn("new", "ttd/unsent", "--into", str(tmp_path / "app"))
    assert "Sent" not in havn("build", str(tmp_path / "app"))
    # There is no control plane here, but it would have to find the release.
    said = havn("deploy", "ttd/unsent", HAVN_REGISTRY_URL=distribution)
    assert re.search(r"^Sent [\d.]+ kB to the registry\.$", said, re.MULTILINE), said
    assert "No platform runs" in said
    assert "Sent" not in havn("deploy", "ttd/unsent", HAVN_REGISTRY_URL=distribution)
