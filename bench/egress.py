"""The API proxy: CPU per request on a kept tunnel, per new tunnel and per GiB, latency, and memory at 1,000 tunnels.

Beside squid, when it is installed, and a direct connection, in the same run. The proxy identifies every caller,
resolves and checks every name, and writes its decision log; squid logs too, and allows one address.
`python bench/egress.py` prints the table as Markdown.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.rrset
import msgspec
import psutil
import uvloop
from joserfc import jwk

from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.local.environment import free_port

NAME = "bench.example.no"
REQUESTS, TUNNELS, OPEN, GIB = 20_000, 1_000, 1_000, 1024**3
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Target(asyncio.Protocol):
    """Answers a request with `ok`, and the byte `B` with one GiB."""

    def connection_made(self, transport):
        self.transport = transport
        self.left = 0

    def data_received(self, data):
        if data[:1] == b"B":
            self.left = GIB
            self.resume_writing()
        else:
            self.transport.write(ANSWER * data.count(b"\r\n\r\n"))

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        block = bytes(256 * 1024)
        while self.left and not self.paused:
            self.left -= len(block)
            self.transport.write(block)


class Names(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        response = dns.message.make_response(dns.message.from_wire(data))
        question = response.question[0]
        if question.rdtype == 1:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
        self.transport.sendto(response.to_wire(), addr)


def surroundings(target: int, names: int, keys: int, published: bytes, ready: threading.Event) -> None:
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(published) + published)
        writer.close()

    async def main():
        loop = asyncio.get_running_loop()
        await loop.create_server(Target, "127.0.0.1", target, backlog=2048)
        await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", names))
        await asyncio.start_server(answer, "127.0.0.1", keys)
        ready.set()
        await asyncio.Event().wait()

    uvloop.run(main())


def connect(port: int, target: int, host: str, token: str | None) -> socket.socket:
    """A tunnel by the proxy at `port`; 0: a direct connection."""
    made = socket.create_connection(("127.0.0.1", port or target))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if port:
        who = f"Proxy-Authorization: Bearer {token}\r\n" if token else ""
        made.sendall(f"CONNECT {host}:{target} HTTP/1.1\r\nHost: {host}:{target}\r\n{who}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += made.recv(4096)
        if b" 200 " not in head:
            raise SystemExit(f"No tunnel: {head[:300]!r}")
    return made


def measure(open_: Callable[[], socket.socket], process: psutil.Process | None) -> list[str]:
    """Requests/s, p50 and p99 (µs), CPU per request, per tunnel (µs) and per GiB (s), MiB/s, MiB at 1,000 tunnels."""

    def cpu() -> float:
        if process is None:
            return 0.0
        every = [process, *process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in every)

    request = b"GET / HTTP/1.1\r\nHost: bench.example.no\r\n\r\n"
    with open_() as kept:
        took = []
        before, began = cpu(), time.perf_counter()
        for _ in range(REQUESTS):
            start = time.perf_counter()
            kept.sendall(request)
            kept.recv(4096)
            took.append(time.perf_counter() - start)
        seconds, per_request = time.perf_counter() - began, (cpu() - before) / REQUESTS
    before = cpu()
    for _ in range(TUNNELS):
        open_().close()
    per_tunnel = (cpu() - before) / TUNNELS
    with open_() as big:
        before, began = cpu(), time.perf_counter()
        big.sendall(b"B")
        left = GIB
        buffer = bytearray(1024 * 1024)
        while left > 0:
            left -= big.recv_into(buffer)
        speed, per_gib = 1024 / (time.perf_counter() - began), cpu() - before
    held = [open_() for _ in range(OPEN)]
    memory = sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]) if process else 0
    for each in held:
        each.close()
    quantiles = statistics.quantiles(took, n=100)
    figures = [f"{REQUESTS / seconds:,.0f}", f"{quantiles[49] * 1e6:.0f}", f"{quantiles[98] * 1e6:.0f}"]
    own = [f"{per_request * 1e6:.0f}", f"{per_tunnel * 1e6:.0f}", f"{per_gib:.2f}"] if process else ["", "", ""]
    return [*figures, *own, f"{speed:,.0f}", f"{memory / 2**20:.0f}" if process else ""]


def wait_for(port: int) -> None:
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("The proxy did not start.")


def main() -> None:
    target, names, keys, port, squid_port = (free_port() for _ in range(5))
    key = jwk.generate_key("EC", "P-256", private=True)
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "app": "bench", "use": "sig"}
    published = json.dumps({"keys": [public]}).encode()
    ready = threading.Event()
    if os.fork() == 0:
        # In a process of its own, so that it does not take the loader's time.
        surroundings(target, names, keys, published, ready)
    wait_for(target)
    signer = PlatformTokenSigner(
        issuer="ttd", app="bench", audience="egress", clock=system_clock,
        key=json.dumps({**key.as_dict(private=True), "kid": kid}),
    )  # fmt: skip
    rows = [("direct", measure(lambda: connect(0, target, NAME, None), None))]
    with tempfile.TemporaryDirectory() as folder:
        policies = Path(folder, "policies", "ttd")
        policies.mkdir(parents=True)
        limits = {"tunnels": 2000, "requestsPerSecond": 10000, "burst": 10000}
        policy = {"mode": "enforce", "allow": [{"host": NAME, "ports": [target]}], "limits": limits}
        (policies / "bench.json").write_bytes(msgspec.json.encode(policy))
        environ = {
            **os.environ, "HAVN_PORT": str(port), "HAVN_DOMAIN": "bench", "HAVN_PLATFORM_URL": f"http://127.0.0.1:{keys}",
            "HAVN_EGRESS_POLICIES": str(policies.parent), "HAVN_EGRESS_SECRETS": folder,
            "HAVN_EGRESS_NAMESERVERS": f"127.0.0.1:{names}", "HAVN_EGRESS_ALLOWED_RANGES": "127.0.0.1/32",
            "HAVN_EGRESS_DRAIN_SECONDS": "0",
        }  # fmt: skip
        with Path(folder, "log").open("wb") as log:
            own = subprocess.Popen([sys.executable, "-m", "havn.gateway.egress"], env=environ, stdout=log)
        try:
            wait_for(port)
            rows.append(("Havn", measure(lambda: connect(port, target, NAME, signer.token()), psutil.Process(own.pid))))
        finally:
            own.terminate()
            own.wait()
        if (squid := shutil.which("squid")) is not None:
            config = Path(folder, "squid.conf")
            config.write_text(
                f"http_port 127.0.0.1:{squid_port}\nacl t dst 127.0.0.1\nhttp_access allow t\nhttp_access deny all\n"
                f"access_log stdio:{folder}/access.log\ncache deny all\ncache_log /dev/null\npid_filename none\n"
                "cache_effective_user proxy\nshutdown_lifetime 0 seconds\n"
            )
            Path(folder).chmod(0o777)
            peer = subprocess.Popen([squid, "-N", "-f", str(config)], stderr=subprocess.DEVNULL)
            try:
                wait_for(squid_port)
                run = measure(lambda: connect(squid_port, target, "127.0.0.1", None), psutil.Process(peer.pid))
                rows.append(("squid", run))
            finally:
                peer.terminate()
                peer.wait()
        else:
            print("squid is not installed, so it is not measured.", file=sys.stderr)
    columns = [
        "requests/s",
        "p50 µs",
        "p99 µs",
        "CPU µs/request",
        "CPU µs/tunnel",
        "CPU s/GiB",
        "MiB/s",
        "MiB at 1,000",
    ]
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, figures in rows:
        print(f"| {name} | {' | '.join(figures)} |")


if __name__ == "__main__":
    try:
        main()
    finally:
        for child in psutil.Process().children():
            child.kill()
