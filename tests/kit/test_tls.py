"""A server over TLS whose certificate is replaced while it runs, and clients that follow their trust bundle."""

import asyncio
import ipaddress
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from havn.kit.http import HttpClient
from havn.kit.operations import answering
from havn.kit.problem import Problem
from havn.kit.tls import Certificate, TlsContext, TlsError, TlsServer
from havn.kit.trust import Trust, TrustError


def certificate(name: str, days: float = 1) -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 that is its own authority, good for so long, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def mount(folder, name: str, files: dict[str, bytes]) -> None:
    """Put files into a folder as the kubelet does: all at once, by the swap of a link."""
    (folder / name).mkdir()
    for file, data in files.items():
        (folder / name / file).write_bytes(data)
    (folder / ".swap").symlink_to(name)
    (folder / ".swap").replace(folder / "..data")
    for file in files:
        if not (folder / file).is_symlink():
            (folder / file).symlink_to(f"..data/{file}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shown(port: int) -> bytes:
    return ssl.get_server_certificate(("127.0.0.1", port)).encode()


@asynccontextmanager
async def serving(folder, leaving_seconds=0.3):
    """A server with the folder's certificate; gives its port, and whether its lifespan has begun and ended."""
    lived = []

    @asynccontextmanager
    async def lifespan(app):
        lived.append("begun")
        yield
        lived.append("ended")

    async def echo(request):
        return PlainTextResponse(await request.body())

    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])], lifespan=lifespan)
    stop, port = asyncio.Event(), free_port()
    server = TlsServer(app, folder, host="127.0.0.1", port=port, look_every=0.02, leaving_seconds=leaving_seconds)
    working = asyncio.create_task(server.serve(stop))
    try:
        await until(lambda: working.done() or accepts(port))
        yield port, lived
    finally:
        stop.set()
        await working


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(what) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(what):  # noqa: ASYNC110  (the truth is in another thread)
            await asyncio.sleep(0.01)


async def test_no_request_fails_while_the_certificate_is_replaced_again_and_again(tmp_path):
    served, trusted = tmp_path / "tls", tmp_path / "trust"
    served.mkdir()
    trusted.mkdir()
    pairs = [certificate(f"number {number}") for number in range(5)]
    mount(served, "0", {"tls.crt": pairs[0][0], "tls.key": pairs[0][1]})
    mount(trusted, "0", {"ca.crt": b"".join(pair[0] for pair in pairs)})
    trust = Trust(trusted / "ca.crt", system=False)
    answered, done = 0, False

    async def ask(http: HttpClient) -> None:
        nonlocal answered
        while not done:
            # Not repeatable: a connection that were closed under it would be an error here.
            answer = await http.request("POST", "/", content=b"x" * 50)
            assert answer.text == "x" * 50
            answered += 1

    async with serving(served) as (port, lived):
        clients = [HttpClient(f"https://127.0.0.1:{port}", name="The server", trust=trust) for _ in range(3)]
        # One whose connection is idle meanwhile, and closed at last while nobody uses it.
        idle = HttpClient(f"https://127.0.0.1:{port}", name="The server", trust=trust)
        await idle.request("GET", "/")
        asking = [asyncio.create_task(ask(http)) for http in clients for _ in range(2)]
        for number, (public, private) in enumerate(pairs[1:], 1):
            before = answered
            mount(served, str(number), {"tls.crt": public, "tls.key": private})
            await until(lambda public=public: shown(port) == public)
            await until(lambda before=before: answered > before + 20)
        # The one before takes connections too for a while, and then no more.
        await until(lambda: {shown(port) for _ in range(10)} == {pairs[-1][0]})
        done = True
        await asyncio.gather(*asking)
        assert (await idle.request("GET", "/")).status_code == 200
        assert lived == ["begun"]
        for http in [*clients, idle]:
            await http.close()
    assert lived == ["begun", "ended"]


async def test_a_certificate_that_cannot_be_used_leaves_the_one_before_in_place(tmp_path):
    public, private = certificate("good")
    mount(tmp_path, "0", {"tls.crt": public, "tls.key": private})
    other = certificate("other")
    async with serving(tmp_path) as (port, _):
        mount(tmp_path, "1", {"tls.crt": other[0], "tls.key": private})
        with pytest.raises(TlsError):
            Certificate(tmp_path)
        # Looked at many times meanwhile.
        assert {await asyncio.to_thread(shown, port) for _ in range(20)} == {public}
        mount(tmp_path, "2", {"tls.crt": other[0], "tls.key": other[1]})
        await until(lambda: shown(port) == other[0])


@pytest.mark.parametrize("server", ["apps", "alone"])
async def test_a_certificate_that_nobody_renews_is_told_of_once_a_day(tmp_path, server):
    public, private = certificate("good", days=300)
    mount(tmp_path, "0", {"tls.crt": public, "tls.key": private})
    until_ = x509.load_pem_x509_certificate(public).not_valid_after_utc
    looks: list[datetime] = []
    # Each look finds the next of these times.
    times = [timedelta(days=days, hours=hours) for days, hours in ((-31, 0), (-29, 0), (-29, 12), (-27, 0), (1, 0))]

    def clock() -> datetime:
        looks.append(until_)
        return until_ + times[min(len(looks), len(times)) - 1]

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})

    stop = asyncio.Event()
    with capture_logs() as logs:
        if server == "apps":
            made = TlsServer(app, tmp_path, host="127.0.0.1", port=free_port(), look_every=0.001, clock=clock)
            working = asyncio.create_task(made.serve(stop))
        else:
            working = asyncio.create_task(TlsContext(tmp_path, look_every=0.001, clock=clock).follow())
        await until(lambda: len(looks) > len(times))
        if server == "apps":
            stop.set()
        else:
            working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    said = [(each["event"], each["log_level"]) for each in logs if each["event"].startswith("certificate_end")]
    assert said == [("certificate_ends_soon", "warning")] * 2 + [("certificate_ended", "warning")]
    assert {each["until"] for each in logs if "until" in each} == {until_.isoformat()}


async def test_nothing_but_tls_is_spoken(tmp_path):
    public, private = certificate("good")
    mount(tmp_path, "0", {"tls.crt": public, "tls.key": private})
    async with serving(tmp_path) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not (await reader.read(100)).startswith(b"HTTP")
        writer.close()


async def test_a_missing_certificate_is_told_by_name(tmp_path):
    async def app(scope, receive, send): ...

    with pytest.raises(TlsError, match=str(tmp_path)):
        await TlsServer(app, tmp_path, host="127.0.0.1", port=0).serve(asyncio.Event())


async def test_metrics_on_a_port_of_their_own_are_told_over_tls_alone(tmp_path):
    served, bundle = tmp_path / "tls", tmp_path / "ca.crt"
    served.mkdir()
    public, private = certificate("mine")
    mount(served, "0", {"tls.crt": public, "tls.key": private})
    bundle.write_bytes(public)
    async with answering(lambda: b"metric 1\n", host="127.0.0.1", port=0, tls=served) as port:
        http = HttpClient(f"https://127.0.0.1:{port}", name="Metrics", trust=Trust(bundle))
        told = (await http.request("GET", "/metrics")).text
        until = x509.load_pem_x509_certificate(public).not_valid_after_utc
        assert told.startswith("metric 1\n")
        assert f"\nhavn_certificate_not_after_timestamp_seconds {until.timestamp():.0f}\n" in told
        assert (await http.request("GET", "/elsewhere")).status_code == 404
        await http.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert not (await reader.read(100)).startswith(b"HTTP")
        writer.close()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises(TlsError):
        async with answering(lambda: b"", host="127.0.0.1", port=0, tls=tmp_path):
            pass


async def test_a_client_believes_the_bundle_as_it_is_now(tmp_path):
    served, bundle = tmp_path / "tls", tmp_path / "ca.crt"
    served.mkdir()
    mine, stranger = certificate("mine"), certificate("stranger")
    mount(served, "0", {"tls.crt": mine[0], "tls.key": mine[1]})
    bundle.write_bytes(stranger[0])
    now = 0.0
    trust = Trust(bundle, clock=lambda: now)
    async with serving(served) as (port, _):
        http = HttpClient(f"https://127.0.0.1:{port}", name="The server", trust=trust)
        with pytest.raises(Problem) as refused:
            await http.request("GET", "/")
        assert refused.value.status == 503
        bundle.write_bytes(stranger[0] + mine[0])
        now = 10.0
        assert (await http.request("GET", "/")).status_code == 200
        # A file that is away, or half written, changes nothing.
        bundle.unlink()
        now = 20.0
        assert (await http.request("GET", "/")).status_code == 200
        bundle.write_bytes(stranger[0])
        now = 30.0
        with pytest.raises(Problem):
            await http.request("GET", "/")
        await http.close()


def test_a_bundle_without_an_authority_is_refused_at_the_start(tmp_path):
    with pytest.raises(TrustError, match=r"ca\.crt"):
        Trust(tmp_path / "ca.crt")
    (tmp_path / "ca.crt").write_text("nothing")
    with pytest.raises(TrustError):
        Trust(tmp_path / "ca.crt")


async def test_descriptors_are_given_back_after_each_replacement(tmp_path):
    pairs = [certificate(str(number)) for number in range(4)]
    mount(tmp_path, "0", {"tls.crt": pairs[0][0], "tls.key": pairs[0][1]})
    async with serving(tmp_path, leaving_seconds=0.05) as (port, _):
        await until(lambda: shown(port) == pairs[0][0])
        before = descriptors()
        for number, pair in enumerate(pairs[1:], 1):
            mount(tmp_path, str(number), {"tls.crt": pair[0], "tls.key": pair[1]})
            await until(lambda pair=pair: shown(port) == pair[0])
        await until(lambda: descriptors() <= before)
