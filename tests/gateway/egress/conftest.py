"""A world of the tests' own: a network namespace with public addresses, a DNS server, TLS targets, and the proxy."""

from __future__ import annotations

import asyncio
import ctypes
import ipaddress
import json
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import msgspec
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwk

from havn.gateway.egress.settings import EgressSettings
from havn.gateway.egress.wiring import Built, build
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock

PUBLIC4, OTHER4, PUBLIC6 = "93.184.216.34", "93.184.216.35", "2606:2800:220:1::1"
_ADDRESSES = (f"{PUBLIC4}/32", f"{OTHER4}/32", f"{PUBLIC6}/128", "169.254.169.254/32", "10.1.2.3/32")
_CLONE_NEWNET = 0x40000000


class Authority:
    """A certificate authority, and certificates from it."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        now = datetime.now(UTC)
        self._now = now
        certificate = self._builder(self._name, self._key, ca=True).sign(self._key, hashes.SHA256())
        self.file = folder / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._folder = folder

    def _builder(self, subject: x509.Name, key: Any, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(days=1))
            .not_valid_after(self._now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def issue(self, *names: str) -> str:
        """PEM of a certificate for `names`, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self._builder(subject, key, ca=False).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()

    def server(self, *names: str, clients: bool = False) -> ssl.SSLContext:
        """What a TLS server for `names` needs; with `clients`, it wants their certificates."""
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".pem") as file:
            file.write(self.issue(*names))
            file.flush()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file.name)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def client(self) -> ssl.SSLContext:
        """What a client needs to believe these."""
        return ssl.create_default_context(cafile=str(self.file))


class Received(msgspec.Struct):
    """A request as a target got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[Received], bytes]


def ok(body: bytes = b"hello", *headers: str) -> bytes:
    extra = "".join(f"{header}\r\n" for header in headers).encode()
    return b"HTTP/1.1 200 OK\r\n" + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Rig:
    """What a test has in hand, inside the namespace."""

    def __init__(self, folder: Path, authority: Authority, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.authority = authority
        self.names: dict[str, list[list[str]]] = {}
        """Addresses by name: one list for each time the name is asked for, the last one for ever."""
        self.asked: list[str] = []
        self.dns_silent = False
        self.lines: list[dict[str, Any]] = []
        self.received: list[Received] = []
        self.key = jwk.generate_key("EC", "P-256", private=True)
        self._settings = settings
        self._servers: list[asyncio.Server] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._turns: dict[tuple[str, int], int] = {}

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        rig = self

        class Dns(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: Any) -> None:
                if not rig.dns_silent:
                    self.transport.sendto(rig.answer(data), addr)

        transport, _ = await loop.create_datagram_endpoint(Dns, local_addr=("127.0.0.1", 5353))
        self._transports.append(transport)
        await self.serve("127.0.0.1", 8010, self._keys, record=False)
        settings = EgressSettings(
            domain="havn.localhost:8000",
            platform_url="http://127.0.0.1:8010",
            egress_policies=str(self.folder / "policies"),
            egress_secrets=str(self.folder / "secrets"),
            egress_ca_file=str(self.authority.file),
            **{"egress_nameservers": "127.0.0.1:5353", "egress_removed_seconds": 0.0, **self._settings},
        )
        (self.folder / "secrets").mkdir(exist_ok=True)
        self.built: Built = build(settings, write=self._write, clock=system_clock)
        self.port = await self.built.proxy.listen("127.0.0.1", 0)
        self.signer = self.signer_for("ttd", "skjema")

    async def end(self) -> None:
        for writer in self._writers:
            writer.close()
        await self.built.proxy.close(0)
        await self.built.http.close()
        for server in self._servers:
            server.close()
        for transport in self._transports:
            transport.close()
        await asyncio.sleep(0)

    def signer_for(self, org: str, app: str, *, audience: str = "egress") -> PlatformTokenSigner:
        members = {**self.key.as_dict(private=True), "kid": self.key.thumbprint()}
        return PlatformTokenSigner(
            issuer=org, app=app, audience=audience, key=json.dumps(members), clock=system_clock
        )  # fmt: skip

    def _keys(self, request: Received) -> bytes:
        public = {**self.key.as_dict(private=False), "kid": self.key.thumbprint(), "app": "skjema", "use": "sig"}
        return ok(json.dumps({"keys": [public]}).encode(), "Content-Type: application/json")

    def _write(self, data: bytes) -> None:
        self.lines += [json.loads(line) for line in data.splitlines()]

    def answer(self, data: bytes) -> bytes:
        asked = dns.message.from_wire(data)
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        response = dns.message.make_response(asked)
        turns = self.names.get(name)
        if turns is None:
            response.set_rcode(3)
        else:
            key = (name, int(question.rdtype))
            turn = self._turns.get(key, 0)
            self._turns[key] = turn + 1
            version = 4 if question.rdtype == 1 else 6
            found = [a for a in turns[min(turn, len(turns) - 1)] if ipaddress.ip_address(a).version == version]
            if found:
                kind = "A" if version == 4 else "AAAA"
                response.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, *found))
        return response.to_wire()

    def name(self, name: str, *turns: list[str] | str) -> None:
        self.names[name] = [[turn] if isinstance(turn, str) else turn for turn in turns]

    def policy(self, org: str = "ttd", app: str = "skjema", **members: Any) -> None:
        file = self.folder / "policies" / org / f"{app}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode({"version": 1, **members}))
        self.built.policies.load()

    def secret(self, name: str, value: str, org: str = "ttd", app: str = "skjema") -> None:
        file = self.folder / "secrets" / org / f"{app}.{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)

    async def serve(
        self, address: str, port: int, reply: Reply, *, tls: ssl.SSLContext | None = None, record: bool = True
    ) -> None:
        """An HTTP target that records what it gets."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    first, *rest = head.decode("latin-1").split("\r\n")
                    method, target, _ = first.split(" ")
                    headers = {}
                    for line in rest:
                        key, separator, value = line.partition(": ")
                        if separator:
                            headers[key.lower()] = value
                    body = b""
                    if "content-length" in headers:
                        body = await reader.readexactly(int(headers["content-length"]))
                    elif "transfer-encoding" in headers:
                        while (size := int((await reader.readline()).strip(), 16)) > 0:
                            body += await reader.readexactly(size)
                            await reader.readline()
                        await reader.readline()
                    request = Received(method, target, headers, body)
                    if record:
                        self.received.append(request)
                    data = reply(request)
                    if not data:
                        break
                    writer.write(data)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                pass
            finally:
                writer.close()

        self._servers.append(await asyncio.start_server(handle, address, port, ssl=tls))

    async def listen(self, address: str, port: int, handle: Callable[..., Awaitable[None]]) -> None:
        self._servers.append(await asyncio.start_server(handle, address, port))

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    @property
    def identity(self) -> str:
        return f"Proxy-Authorization: Bearer {self.signer.token()}\r\n"

    async def tunnel(self, host: str, port: int = 443, identity: str | None = None) -> Answer:
        """Ask for a tunnel; the answer has the connection."""
        reader, writer = await self.open()
        who = self.identity if identity is None else identity
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{who}\r\n".encode())
        return await Answer.read(reader, writer, "CONNECT")

    async def ask(
        self, method: str, target: str, *headers: str, body: bytes = b"", identity: str | None = None
    ) -> Answer:
        """One request through the proxy on a connection of its own."""
        host = target.partition("://")[2].partition("/")[0] if "://" in target else "egress"
        who = self.identity if identity is None else identity
        lines = "".join(f"{header}\r\n" for header in headers)
        size = f"Content-Length: {len(body)}\r\n" if body else ""
        reader, writer = await self.open()
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{who}{lines}{size}\r\n".encode() + body)
        return await Answer.read(reader, writer, method)

    async def raw(self, data: bytes) -> Answer:
        """Bytes as they are; `{identity}` in them is filled in."""
        reader, writer = await self.open()
        writer.write(data.replace(b"{identity}", self.identity.encode()))
        return await Answer.read(reader, writer, "GET")

    async def decision(self) -> dict[str, Any]:
        """The newest line of the decision log."""
        async with asyncio.timeout(5):
            while not self.lines:  # noqa: ASYNC110  (the proxy writes now and then)
                await asyncio.sleep(0.01)
        return self.lines[-1]


class Answer:
    def __init__(
        self, status: int, reason: str, headers: dict[str, str], body: bytes, reader: Any, writer: Any
    ) -> None:
        self.status, self.reason, self.headers, self.body = status, reason, headers, body
        self.reader, self.writer = reader, writer

    @property
    def problem(self) -> dict[str, Any]:
        return json.loads(self.body)

    @classmethod
    async def read(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str) -> Answer:
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            _, status, reason = head[0].split(" ", 2)
            headers = {}
            for line in head[1:]:
                key, separator, value = line.partition(": ")
                if separator:
                    headers[key.lower()] = value
            body = b""
            if "content-length" in headers and method != "HEAD":
                body = await reader.readexactly(int(headers["content-length"]))
            elif "transfer-encoding" in headers:
                while (size := int((await reader.readline()).strip(), 16)) > 0:
                    body += await reader.readexactly(size)
                    await reader.readline()
                await reader.readline()
        return cls(int(status), reason, headers, body, reader, writer)


Test = Callable[[Rig], Awaitable[None]]


class World:
    """Runs a test's coroutine with a rig, in a thread that has a network of its own."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority

    def run(self, test: Test, **settings: Any) -> None:
        failure: list[BaseException] = []

        async def main() -> None:
            rig = Rig(self.folder, self.authority, settings)
            await rig.begin()
            try:
                async with asyncio.timeout(60):
                    await test(rig)
            finally:
                await rig.end()

        def thread() -> None:
            try:
                _enter_namespace()
                uvloop.run(main())
            except BaseException as error:  # noqa: BLE001
                failure.append(error)

        running = threading.Thread(target=thread)
        running.start()
        running.join()
        if failure:
            raise failure[0]


def _enter_namespace() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    # A child has the namespace of the thread that starts it.
    commands = "link set lo up\n" + "".join(f"addr add {address} dev lo\n" for address in _ADDRESSES)
    subprocess.run(["ip", "-batch", "-"], input=commands.encode(), check=True)


def _may_unshare() -> bool:
    if os.geteuid() != 0:
        return False
    found: list[bool] = []

    def attempt() -> None:
        try:
            _enter_namespace()
            found.append(True)
        except (OSError, subprocess.CalledProcessError):
            found.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def namespaces() -> None:
    if not _may_unshare():
        pytest.skip("network namespaces need root and ip(8)")


@pytest.fixture
def world(tmp_path: Path, authority: Authority, namespaces: None) -> World:
    return World(tmp_path, authority)


@pytest.fixture
def reply() -> Callable[..., bytes]:
    return ok
