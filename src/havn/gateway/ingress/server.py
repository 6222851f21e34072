"""The listening side: a task per client connection that reads requests, finds the route and has them relayed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import structlog

from havn.gateway.ingress.pages import page
from havn.gateway.ingress.routes import Route, Router, Table
from havn.kit.http1.head import BadMessage, Field, RequestHead, end_to_end, parse_request, write_head
from havn.kit.http1.pool import Pool
from havn.kit.http1.relay import Result, Timeouts, UpstreamFailed, relay
from havn.kit.http1.wire import ConnectionEnded, SlowPeer, Wire

_log = structlog.get_logger("ingress")
# RFC 9110 section 9.2.2: these may be sent again when it is unknown whether the first was carried out.
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
# What only we may say about where a request came from; an app believes it.
_OURS = (b"x-forwarded-", b"x-original-", b"x-rewrite-")
_OURS_EXACT = frozenset((b"forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"via", b"proxy"))


class Ingress:
    """A reverse proxy for one table at a time; `replace` swaps the table between two requests.

    `scheme` is that of the addresses that people use.
    """

    def __init__(self, *, scheme: str = "http", timeouts: Timeouts | None = None, max_connections: int = 2000) -> None:
        self._router = Router(Table(0))
        self._pool = Pool()
        self._scheme = scheme.encode()
        self._timeouts = timeouts or Timeouts()
        self._max = max_connections
        self._tasks: dict[Wire, asyncio.Task[None]] = {}
        self._waiting: set[Wire] = set()
        self._servers: list[asyncio.Server] = []
        self._closing = False

    @property
    def version(self) -> int:
        """The version of the table in use."""
        return self._router.version

    def replace(self, table: Table) -> None:
        """Use `table` for every request from now on; those under way end where they are."""
        self._router = Router(table)
        self._pool.keep_only(self._router.upstreams)

    async def drained(self, upstreams: Sequence[str], seconds: float) -> bool:
        """Wait until no request is under way at `upstreams`, which no route names any more."""
        return await self._pool.drained(upstreams, seconds)

    async def listen(self, host: str, port: int) -> int:
        """Start to listen; returns the port (of use when `port` is 0). Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Wire(self._arrived, self._left), host, port, backlog=512)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self, seconds: float = 5.0) -> None:
        """Stop listening, close idle connections, and give requests under way `seconds` to end."""
        self._closing = True
        for server in self._servers:
            server.close()
        for wire in list(self._waiting):
            wire.close()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=seconds)
        for wire, task in list(self._tasks.items()):
            task.cancel()
            wire.abort()
        self._pool.close()

    def _arrived(self, wire: Wire) -> None:
        if len(self._tasks) >= self._max:
            wire.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(wire))
        self._tasks[wire] = task
        task.add_done_callback(lambda _: self._tasks.pop(wire, None))

    def _left(self, wire: Wire) -> None:
        # Whatever is under way for a client that has left is broken off at once, so that its upstream is freed.
        if (task := self._tasks.get(wire)) is not None:
            task.cancel()

    async def _serve(self, client: Wire) -> None:
        request: RequestHead | None = None
        try:
            while not self._closing:
                request = None
                self._waiting.add(client)
                try:
                    head = await client.head(self._timeouts.idle, self._timeouts.head)
                finally:
                    self._waiting.discard(client)
                if head is None:
                    break
                request = parse_request(head)
                result = await self._exchange(client, request)
                if not result.client:
                    if result.unread:
                        await client.linger(2.0)
                    break
        except BadMessage as error:
            self._answer(client, request, error.status, "refused", close=True, detail=error.detail)
            await client.linger(1.0)
        except SlowPeer:
            if request is not None or client.buffer:
                self._answer(client, request, 408, "refused", close=True, detail="The request did not arrive in time.")
        except ConnectionEnded:
            client.abort()
        finally:
            client.close()

    async def _exchange(self, client: Wire, request: RequestHead) -> Result:
        if not request.target.startswith(b"/"):
            raise BadMessage("Only paths on this host can be asked for here.")
        host = _name(request.host)
        found = self._router.lookup(host, request.target)
        if found is None:
            code = "unknown_app" if self._router.knows(host) else "unknown_host"
            return self._refuse(client, request, 404, code, host=host.decode())
        route, upstreams = found
        head = self._head(client, request)
        for address in upstreams:
            result = await self._try(client, request, route, address, head)
            if result is not None:
                return result
        _log.warning("no_upstream", app=route.name, tried=len(upstreams))
        return self._refuse(client, request, 503, "not_running", name=route.name)

    async def _try(self, client: Wire, request: RequestHead, route: Route, address: str, head: bytes) -> Result | None:
        """Relay to one upstream; None when it cannot be reached, so that another may be tried."""
        repeatable = request.method in _IDEMPOTENT and request.body == 0
        while True:
            try:
                upstream, reused = await self._pool.take(address, reuse=repeatable)
            except OSError as error:
                _log.warning("upstream_unreachable", app=route.name, upstream=address, reason=str(error))
                return None
            reusable = False
            try:
                result = await relay(client, request, head, upstream, timeouts=self._timeouts)
                reusable = result.upstream
                return result
            except UpstreamFailed as error:
                if not error.answered and repeatable:
                    if reused:
                        continue  # it closed an old connection just as we used it: once more on a fresh one
                    return None
                _log.warning("upstream_failed", app=route.name, upstream=address, reason=str(error))
                code = "too_late" if error.status == 504 else "broke_off"
                return self._refuse(client, request, error.status, code, name=route.name)
            finally:
                self._pool.give(address, upstream, reusable=reusable)

    def _head(self, client: Wire, request: RequestHead) -> bytes:
        """The request's head as the upstream gets it: one hop's fields gone, forwarded fields our own."""
        upgrade = request.upgrade
        if upgrade is not None and (upgrade.startswith(b"h2") or request.body != 0):
            upgrade = None  # a second protocol behind our back would not be bound by these routes
        fields: list[Field] = [
            field
            for field in end_to_end(request.fields, request.named)
            if field[0] not in _OURS_EXACT and not field[0].startswith(_OURS)
            and field[0] not in (b"host", b"content-length")
        ]  # fmt: skip
        # After the fields that `Connection` names were dropped, so that none of these can be.
        fields.insert(0, (b"host", request.host))
        if request.body > 0 or request.get(b"content-length") is not None:
            fields.append((b"content-length", b"%d" % request.body))
        elif request.body < 0:
            fields.append((b"transfer-encoding", b"chunked"))
        port = request.host.rpartition(b":")[2] if b":" in request.host.rpartition(b"]")[2] else b""
        fields += [
            (b"x-forwarded-for", client.peer.encode()),
            (b"x-forwarded-host", request.host),
            (b"x-forwarded-proto", self._scheme),
            (b"x-forwarded-port", port or (b"443" if self._scheme == b"https" else b"80")),
        ]
        if upgrade is not None:
            fields += [(b"connection", b"upgrade"), (b"upgrade", upgrade)]
        return write_head(b"%b %b HTTP/1.1" % (request.method, request.target), fields)

    def _refuse(self, client: Wire, request: RequestHead, status: int, code: str, **words: str) -> Result:
        """Answer ourselves; a body that is still to come is not read, so then the connection ends."""
        keep = request.keep_alive and request.body == 0
        self._answer(client, request, status, code, close=not keep, **words)
        return Result(client=keep, upstream=False, status=status, unread=request.body != 0)

    def _answer(
        self, client: Wire, request: RequestHead | None, status: int, code: str, *, close: bool, **words: str
    ) -> None:
        accept = (request.get(b"accept") if request else None) or b""
        languages = (request.get(b"accept-language") if request else None) or b""
        body, fields = page(status, code, accept=accept, languages=languages, **words)
        if close:
            fields.append((b"connection", b"close"))
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
        client.write(write_head(line, fields) + (b"" if request and request.method == b"HEAD" else body))


def _name(host: bytes) -> bytes:
    """A Host field as routes know it: lower case, without port and final dot."""
    bare = host if host.endswith(b"]") else host.partition(b":")[0] if not host.startswith(b"[") else host
    return bare.lower().rstrip(b".")
