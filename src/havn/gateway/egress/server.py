"""The proxy: takes requests from apps, finds out who asks and whether they may, and has the rest done.

A tunnel (`CONNECT`) and a request in clear (`http://host/…`) go where the rules allow; `http://egress/<name>/…`, or the
same path asked of the proxy itself, goes to a named upstream with its credentials.
"""

from __future__ import annotations

import asyncio
import ssl

import msgspec

from havn.engines.egress_policy import Policy
from havn.gateway.egress.answers import Refused, answer
from havn.gateway.egress.credentials.injection import Injector
from havn.gateway.egress.decisions import Decision, DecisionLog, trace_of
from havn.gateway.egress.dialling import AddressRefused, Connections, Dialler, Unreachable
from havn.gateway.egress.forward import forward
from havn.gateway.egress.identity import Identities, NoIdentity
from havn.gateway.egress.limits import OverLimit, Usage, Usages
from havn.gateway.egress.metrics import Metrics
from havn.gateway.egress.policies import Policies
from havn.gateway.egress.request import Asked, read
from havn.gateway.egress.tunnel import Tunnel
from havn.gateway.egress.tunnels import OpenTunnels
from havn.gateway.egress.upstreams import call
from havn.guard.platform_token import Caller
from havn.kit.clock import Clock
from havn.kit.http1.head import BadMessage, RequestHead, parse_request
from havn.kit.http1.relay import Timeouts
from havn.kit.http1.wire import ConnectionEnded, SlowPeer, Wire

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_SWEEP_SECONDS = 2.0
_HANDSHAKE_SECONDS = 10.0
_LINGER_SECONDS = 60.0


class Parts(msgspec.Struct, frozen=True):
    """What a proxy works with."""

    policies: Policies
    identities: Identities
    dialler: Dialler
    injector: Injector
    log: DecisionLog
    metrics: Metrics
    clock: Clock
    timeouts: Timeouts = Timeouts()
    max_connections: int = 10_000
    removed_seconds: float = 10.0


class Proxy:
    """Listens, serves, and drains when told to stop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._usages = Usages()
        self._connections = Connections(parts.dialler)
        self._tunnels = OpenTunnels(parts.metrics)
        self._tasks: dict[Wire, asyncio.Task[None]] = {}
        self._waiting: set[Wire] = set()
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._closing = False

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Start to listen, over TLS when there is a certificate; returns the port. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Wire(self._arrived, self._left), host, port, backlog=1024, ssl=tls,
            ssl_handshake_timeout=None if tls is None else _HANDSHAKE_SECONDS,
        )  # fmt: skip
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep())
        return int(server.sockets[0].getsockname()[1])

    async def close(self, seconds: float) -> None:
        """Take no more; what is under way, tunnels too, may go on for `seconds`."""
        self._closing = True
        for server in self._servers:
            server.close()
        for wire in list(self._waiting):
            wire.close()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=seconds)
        self._tunnels.close_all("stopping")
        for wire, task in list(self._tasks.items()):
            task.cancel()
            wire.abort()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        self._connections.close()
        self._parts.log.flush()

    def policies_changed(self) -> None:
        """Tunnels that no rule allows any more are given notice."""
        self._parts.metrics.broken.set(len(self._parts.policies.broken))
        today = self._parts.clock().date()
        self._tunnels.recheck(
            lambda each: self._parts.policies.of(each.org, each.app).decide(each.request, today).allowed,
            self._parts.removed_seconds,
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._tunnels.sweep()
            self._connections.sweep()

    def _arrived(self, wire: Wire) -> None:
        if len(self._tasks) >= self._parts.max_connections or self._closing:
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
        timeouts = self._parts.timeouts
        request: RequestHead | None = None
        try:
            while not self._closing:
                request = None
                self._waiting.add(client)
                try:
                    head = await client.head(timeouts.idle, timeouts.head)
                finally:
                    self._waiting.discard(client)
                if head is None:
                    break
                request = parse_request(head)
                if not await self._exchange(client, request):
                    break
        except BadMessage as error:
            self._refuse_unread(client, request, Refused(error.status, error.code, error.detail, result="error"))
            await client.linger(1.0)
        except SlowPeer:
            if request is not None or client.buffer:
                slow = Refused(408, "too_slow", "The request did not arrive in time.", result="error")
                self._refuse_unread(client, request, slow)
        except ConnectionEnded:
            client.abort()
        finally:
            client.close()

    def _refuse_unread(self, client: Wire, request: RequestHead | None, refused: Refused) -> None:
        """Answer what could not be read as a request; it is logged too, without a name."""
        trace = trace_of(request.get(b"traceparent") if request else None)
        client.write(answer(refused, trace, close=True))
        if request is None:
            decision = Decision(trace_id=trace, result="error", reason=refused.code, status=refused.status)
            self._finish(decision, None, asyncio.get_running_loop().time())

    async def _exchange(self, client: Wire, request: RequestHead) -> bool:
        """One request; whether the connection may carry another."""
        began = asyncio.get_running_loop().time()
        decision = Decision(
            trace_id=trace_of(request.get(b"traceparent")), result="allow", method=request.method.decode()
        )
        policy: Policy | None = None
        try:
            caller = await self._parts.identities.caller(request)
            decision.org, decision.app = caller.org, caller.app
            policy = self._parts.policies.of(caller.org, caller.app)
            decision.mode = policy.mode_on(self._parts.clock().date())
            usage = self._usages.of(f"{caller.org}/{caller.app}")
            usage.admit(policy.limits, began)
            asked = read(request)
            decision.kind, decision.host, decision.port = asked.kind, asked.host, asked.port
            if asked.kind == "connect":
                await self._tunnel(client, asked, caller, policy, usage, decision)
                return False
            return await self._request(client, request, asked, caller, policy, usage, decision)
        except NoIdentity as error:
            decision.result = "identity" if error.status == 407 else "error"
            return self._refuse(
                client, request, decision, Refused(error.status, error.code, str(error), result=decision.result)
            )
        except OverLimit as error:
            detail = f"The app's limit {error.limit} is reached."
            refused = Refused(429, "limit_reached", detail, result="limit", retry_after=error.retry_after)
            return self._refuse(client, request, decision, refused)
        except AddressRefused as error:
            decision.address = error.address
            detail = f"{decision.host} leads to an address that may not be reached ({error.reason})."
            return self._refuse(client, request, decision, Refused(403, "address_refused", detail))
        except Unreachable as error:
            self._parts.metrics.connect_error(error.kind)
            refused = Refused(error.status, f"upstream_{error.kind}", str(error), result="error",
                              retry_after=10 if error.kind == "broken_circuit" else 0)  # fmt: skip
            return self._refuse(client, request, decision, refused)
        except Refused as refused:
            return self._refuse(client, request, decision, refused)
        except BadMessage as error:
            decision.result, decision.reason, decision.status = "error", error.code, error.status
            raise
        except (SlowPeer, ConnectionEnded, asyncio.CancelledError):
            if not decision.status:
                decision.result, decision.reason, decision.status = "error", "client_left", 499
            raise
        finally:
            self._finish(decision, policy, began)

    async def _request(
        self,
        client: Wire,
        request: RequestHead,
        asked: Asked,
        caller: Caller,
        policy: Policy,
        usage: Usage,
        decision: Decision,
    ) -> bool:
        usage.begin_request(policy.limits)
        try:
            async with asyncio.timeout(policy.limits.total_seconds):
                if asked.kind == "http":
                    verdict = policy.decide(asked.as_request(), self._parts.clock().date())
                    _note(decision, verdict.rule, verdict.reason, verdict.would_deny, verdict.hint)
                    if not verdict.allowed:
                        raise _denied(verdict.reason, asked.host, verdict.hint)
                    result = await forward(self._connections, client, request, asked, caller, policy, decision)
                else:
                    parts = self._parts
                    result = await call(
                        self._connections, parts.injector, parts.metrics, client, request, asked, caller, policy,
                        decision,
                    )  # fmt: skip
        except TimeoutError:
            if decision.bytes_in:
                raise ConnectionEnded from None  # too late for another answer
            raise Refused(504, "total_timeout", "The request took longer than it may in all.", result="error") from None
        finally:
            usage.end_request()
        decision.status = result.status
        if not result.client and result.unread:
            await client.linger(2.0)
        return result.client

    async def _tunnel(
        self, client: Wire, asked: Asked, caller: Caller, policy: Policy, usage: Usage, decision: Decision
    ) -> None:
        wanted = asked.as_request()
        verdict = policy.decide(wanted, self._parts.clock().date())
        _note(decision, verdict.rule, verdict.reason, verdict.would_deny, verdict.hint)
        if not verdict.allowed:
            raise _denied(verdict.reason, asked.host, verdict.hint)
        limits = policy.limits
        usage.begin_tunnel(limits)
        try:
            tunnel = Tunnel(limits.tunnel_bytes)
            target, _, decision.address = await self._parts.dialler.connect(
                asked.host, asked.port, lambda: tunnel.target, seconds=limits.connect_seconds
            )
            if client.gone:
                target.abort()
                raise ConnectionEnded
            transport, early = client.hand_over(tunnel.client)
            transport.write(_ESTABLISHED)
            decision.status = 200
            entry = self._tunnels.add(tunnel, caller, wanted, limits)
            tunnel.start(transport, early)
            try:
                await tunnel.ended
            except asyncio.CancelledError:
                tunnel.close("stopping")
                raise
            finally:
                self._tunnels.remove(entry)
                decision.bytes_out, decision.bytes_in = tunnel.client.count, tunnel.target.count
                if tunnel.reason != "closed":
                    decision.reason = tunnel.reason
            # What one side has already sent, the other may still take; but not for ever.
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, tunnel.abort)
        finally:
            usage.end_tunnel()

    def _refuse(self, client: Wire, request: RequestHead, decision: Decision, refused: Refused) -> bool:
        """Answer; a body that is still to come is not read, so then the connection ends."""
        decision.result = refused.result  # type: ignore[assignment]
        decision.reason, decision.status = refused.code, refused.status
        keep = request.keep_alive and request.body == 0 and request.method != b"CONNECT"
        body = request.method != b"HEAD"
        client.write(answer(refused, decision.trace_id, close=not keep, with_body=body))
        return keep

    def _finish(self, decision: Decision, policy: Policy | None, began: float) -> None:
        decision.ms = round((asyncio.get_running_loop().time() - began) * 1000, 3)
        self._parts.log.add(decision)
        if decision.upstream:
            host = f"egress/{decision.upstream}"
        else:
            host = policy.label(decision.host) if policy is not None and decision.host else "other"
        self._parts.metrics.ended(decision, host)


def _note(decision: Decision, rule: str, reason: str, would_deny: bool, add: str) -> None:
    decision.rule, decision.reason, decision.would_deny = rule, reason, would_deny
    decision.add = add if would_deny else ""


def _denied(reason: str, host: str, hint: str) -> Refused:
    if reason == "bad_host":
        return Refused(403, "bad_host", hint)
    return Refused(403, "no_rule", f"No rule in deployment/egress.yaml allows {host}.", add=hint)
