"""The listening side: a task per client connection that reads requests, finds the route and has them relayed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import structlog

from havn.gateway.ingress.limits import Gate, Limits, bucket
from havn.gateway.ingress.pages import page
from havn.gateway.ingress.records import AccessLog, Exchange
from havn.gateway.ingress.routes import Route, Router, Table
from havn.gateway.ingress.shut import Shut
from havn.kit.http1.head import BadMessage, Field, RequestHead, end_to_end, parse_request, write_head
from havn.kit.http1.pool import Pool
from havn.kit.http1.relay import Result, Timeouts, Upload, UpstreamFailed, relay
from havn.kit.http1.wire import ConnectionEnded, SlowPeer, Wire

_log = structlog.get_logger("ingress")
# RFC 9110 section 9.2.2: these may be sent again when it is unknown whether the first was carried out.
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
# What only we may say about where a request came from; an app believes it.
_OURS = (b"x-forwarded-", b"x-original-", b"x-rewrite-")
_OURS_EXACT = frozenset(
    (b"forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"via", b"proxy",
     b"x-havn-subscription", b"x-havn-version")
)  # fmt: skip
_MAINTENANCE_AGAIN = 300
# nginx's number for a client that left before its answer, which Traefik's log uses too.
_CLIENT_LEFT = 499


class Ingress:
    """A reverse proxy for one table at a time; `replace` swaps the table between two requests.

    `scheme` is that of the addresses that people use. Every request is recorded in `access_log`, if there is one;
    `clock` gives nanoseconds since 1970.
    """

    def __init__(
        self,
        *,
        scheme: str = "http",
        timeouts: Timeouts | None = None,
        max_connections: int = 2000,
        limits: Limits | None = None,
        access_log: AccessLog | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._router = Router(Table(0))
        self._shut = Shut((), ())
        limits = limits or Limits()
        self._gate = Gate(limits)
        self._upload = Upload(limits.body_bytes, limits.upload_rate, limits.upload_grace)
        self._access_log = access_log
        self._clock = clock
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
        self._shut = Shut(table.closed, table.blocked)
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
        left = list(self._tasks.items())
        for wire, task in left:
            task.cancel()
            wire.abort()
        # Each still writes its line in the access log.
        await asyncio.gather(*(task for _, task in left), return_exceptions=True)
        self._pool.close()

    def _arrived(self, wire: Wire) -> None:
        if len(self._tasks) >= self._max:
            wire.abort()
            return
        address = bucket(wire.peer)
        if not self._gate.connect(address):
            self._answer(wire, None, 429, "too_many", close=True)
            wire.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(wire, address))
        self._tasks[wire] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.pop(wire, None)
            self._gate.disconnect(address)

        task.add_done_callback(ended)

    def _left(self, wire: Wire) -> None:
        # Whatever is under way for a client that has left is broken off at once, so that its upstream is freed.
        if (task := self._tasks.get(wire)) is not None:
            task.cancel()

    async def _serve(self, client: Wire, address: str) -> None:
        exchange: Exchange | None = None
        try:
            while not self._closing:
                exchange = None
                self._waiting.add(client)
                try:
                    head = await client.head(self._timeouts.idle, self._timeouts.head)
                finally:
                    self._waiting.discard(client)
                if head is None:
                    break
                exchange = self._begin(client)
                request = exchange.request = parse_request(head)
                result = await self._admit(client, exchange, request, address)
                exchange.status = result.status
                self._record(exchange)
                if not result.client:
                    if result.unread:
                        await client.linger(2.0)
                    break
        except BadMessage as error:
            exchange = exchange or self._begin(client)
            self._broke(client, exchange, error.status, error.code, error.detail)
            await client.linger(1.0)
        except SlowPeer:
            if exchange is not None or client.buffer:
                exchange = exchange or self._begin(client)
                self._broke(client, exchange, 408, "too_slow", "The request did not arrive in time.")
        except ConnectionEnded:
            if exchange is not None:
                # With the client still there, it was the app that broke off in the middle of its answer.
                exchange.status = _CLIENT_LEFT if client.gone else 502
                self._record(exchange)
            client.abort()
        except asyncio.CancelledError:
            if exchange is not None and not exchange.status:
                # Unless it was we who could wait no longer.
                exchange.status = 503 if self._closing and not client.gone else _CLIENT_LEFT
                self._record(exchange)
            raise
        finally:
            client.close()

    def _begin(self, client: Wire) -> Exchange:
        return Exchange(self._clock(), time.perf_counter(), client.peer, None)

    def _record(self, exchange: Exchange) -> None:
        if self._access_log is not None:
            self._access_log.write(exchange, time.perf_counter())

    def _broke(self, client: Wire, exchange: Exchange, status: int, code: str, detail: str) -> None:
        """Answer a request that is at fault, and record it."""
        exchange.status = status
        exchange.refusal = code
        self._answer(client, exchange.request, status, "refused", close=True, detail=detail)
        self._record(exchange)

    async def _admit(self, client: Wire, exchange: Exchange, request: RequestHead, address: str) -> Result:
        """Refuse what comes from blocked, hasty or greedy addresses; else see to it."""
        loop = asyncio.get_running_loop()
        now = datetime.fromtimestamp(exchange.start / 1_000_000_000, UTC)
        if (until := self._shut.blocked_until(client.peer, now)) is not None:
            seconds = math.ceil((until - now).total_seconds())
            return self._refuse(client, exchange, request, 429, "blocked", retry_after=seconds)
        if wait := self._gate.wait(address, loop.time()):
            return self._refuse(client, exchange, request, 429, "too_many", retry_after=math.ceil(wait))
        if not self._gate.request(address):
            return self._refuse(client, exchange, request, 429, "too_many", retry_after=1)
        try:
            return await self._exchange(client, exchange, request)
        finally:
            self._gate.answered(address)

    async def _exchange(self, client: Wire, exchange: Exchange, request: RequestHead) -> Result:
        if not request.target.startswith(b"/"):
            raise BadMessage("Only paths on this host can be asked for here.")
        host = _name(request.host)
        found = self._router.lookup(host, request.target)
        if found is None:
            code = "unknown_app" if self._router.knows(host) else "unknown_host"
            return self._refuse(client, exchange, request, 404, code, host=host.decode())
        route, upstreams = found
        exchange.route = route.name
        # Its health address stays the app's own, so that a rollout can be seen through.
        if (closed := self._shut.closed(route.name)) is not None and not _is_health(route, request.target):
            seconds = _MAINTENANCE_AGAIN
            if closed.until is not None:
                left = closed.until.timestamp() - exchange.start / 1_000_000_000
                # Not in vain before the hour, and at least once an hour in case it is over early.
                seconds = min(max(math.ceil(left), 30), 3600)
            return self._refuse(
                client, exchange, request, 503, "maintenance", retry_after=seconds, until=closed.until,
                message=closed.message, name=route.name,
            )  # fmt: skip
        if self._upload.size and request.body > self._upload.size:
            raise BadMessage("The request is too large.", 413, "too_large")
        org = route.name.partition("/")[0]
        if not self._gate.enter(org):
            return self._refuse(client, exchange, request, 503, "busy", retry_after=1)
        try:
            head = self._head(client, request)
            for address in upstreams:
                result = await self._try(client, exchange, request, route, address, head)
                if result is not None:
                    return result
        finally:
            self._gate.leave(org)
        _log.warning("no_upstream", app=route.name, tried=len(upstreams))
        return self._refuse(client, exchange, request, 503, "not_running", name=route.name)

    async def _try(
        self, client: Wire, exchange: Exchange, request: RequestHead, route: Route, address: str, head: bytes
    ) -> Result | None:
        """Relay to one upstream; None when it cannot be reached, so that another may be tried."""
        repeatable = request.method in _IDEMPOTENT and request.body == 0
        exchange.upstream = address
        if exchange.origin_began is None:
            exchange.origin_began = time.perf_counter()
        while True:
            try:
                upstream, reused = await self._pool.take(address, reuse=repeatable)
            except OSError as error:
                _log.warning("upstream_unreachable", app=route.name, upstream=address, reason=str(error))
                return None
            reusable = False
            try:
                result = await relay(
                    client, request, head, upstream, timeouts=self._timeouts, answer_fields=exchange.answer,
                    allowed=self._upload,
                )  # fmt: skip
                reusable = result.upstream
                return result
            except UpstreamFailed as error:
                if not error.answered and repeatable:
                    if reused:
                        continue  # it closed an old connection just as we used it: once more on a fresh one
                    return None
                _log.warning("upstream_failed", app=route.name, upstream=address, reason=str(error))
                code = "too_late" if error.status == 504 else "broke_off"
                return self._refuse(client, exchange, request, error.status, code, name=route.name)
            finally:
                exchange.origin_ended = time.perf_counter()
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

    def _refuse(
        self, client: Wire, exchange: Exchange, request: RequestHead, status: int, code: str, **words: Any
    ) -> Result:
        """Answer ourselves; a body that is still to come is not read, so then the connection ends."""
        exchange.refusal = code
        keep = request.keep_alive and request.body == 0
        self._answer(client, request, status, code, close=not keep, **words)
        return Result(client=keep, upstream=False, status=status, unread=request.body != 0)

    def _answer(
        self, client: Wire, request: RequestHead | None, status: int, code: str, *, close: bool, **words: Any
    ) -> None:
        accept = (request.get(b"accept") if request else None) or b""
        languages = (request.get(b"accept-language") if request else None) or b""
        body, fields = page(status, code, accept=accept, languages=languages, **words)
        if close:
            fields.append((b"connection", b"close"))
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
        client.write(write_head(line, fields) + (b"" if request and request.method == b"HEAD" else body))


def _is_health(route: Route, target: bytes) -> bool:
    return target.partition(b"?")[0] == f"{route.prefix}/health".encode()


def _name(host: bytes) -> bytes:
    """A Host field as routes know it: lower case, without port and final dot."""
    bare = host if host.endswith(b"]") else host.partition(b":")[0] if not host.startswith(b"[") else host
    return bare.lower().rstrip(b".")
