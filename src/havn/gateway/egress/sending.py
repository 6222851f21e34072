"""Sending a request on and its answer back, on a kept connection when there is one, within the app's limits."""

from __future__ import annotations

import ssl

from havn.engines.egress_policy import Policy
from havn.gateway.egress.answers import Refused
from havn.gateway.egress.decisions import Decision
from havn.gateway.egress.dialling import Connections, Key
from havn.kit.http1.head import Field, RequestHead, end_to_end
from havn.kit.http1.relay import AnswerFields, Result, Timeouts, UpstreamFailed, relay
from havn.kit.http1.wire import ConnectionEnded, Wire

# RFC 9110 section 9.2.2: these may be sent again when it is unknown whether the first was carried out.
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))
_OURS = b"havn-egress-"


class _Outward(Wire):
    """A connection that breaks off when more is sent than may be."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = 0
        self.over = False

    def write(self, data: bytes) -> None:
        """Send, within the budget."""
        if self.budget and self.bytes_out + len(data) > self.budget:
            self.over = True
            self.abort()
            return
        super().write(data)


def passed_on(request: RequestHead, dropped: frozenset[bytes] = frozenset()) -> list[Field]:
    """The app's fields without those of this hop, of framing, of our own, and `dropped`."""
    return [
        field
        for field in end_to_end(request.fields, request.named)
        if field[0] not in (b"host", b"content-length")
        and field[0] not in dropped
        and not field[0].startswith(_OURS)
    ]  # fmt: skip


def framing(request: RequestHead) -> list[Field]:
    """The fields that say where the app's body ends, as the upstream is to read it."""
    if request.body < 0:
        return [(b"transfer-encoding", b"chunked")]
    if request.body > 0 or request.get(b"content-length") is not None:
        return [(b"content-length", b"%d" % request.body)]
    return []


async def send(
    connections: Connections,
    key: Key,
    client: Wire,
    request: RequestHead,
    head: bytes,
    *,
    policy: Policy,
    decision: Decision,
    tls: ssl.SSLContext | None = None,
    answer_fields: AnswerFields | None = None,
) -> Result:
    """Send `head` (and the client's body after it) to where `key` says. Raises `Refused`, `Unreachable`."""
    limits = policy.limits
    if limits.request_bytes and request.body > limits.request_bytes:
        raise Refused(413, "too_large", "The request is larger than the app's limit requestBytes.", result="limit")
    timeouts = Timeouts(answer=limits.idle_seconds, body=min(30.0, limits.idle_seconds), take=limits.idle_seconds)
    repeatable = request.method in _IDEMPOTENT and request.body == 0
    reuse = repeatable
    while True:
        wire, decision.address, reused = await connections.take(
            key, _Outward, tls=tls, seconds=limits.connect_seconds, reuse=reuse
        )
        assert isinstance(wire, _Outward)
        sent, received, reusable = wire.bytes_out, client.bytes_out, False
        wire.budget = sent + limits.request_bytes + len(head) if limits.request_bytes else 0
        try:
            result = await relay(client, request, head, wire, timeouts=timeouts, answer_fields=answer_fields)
            reusable = result.upstream
            return result
        except UpstreamFailed as error:
            if wire.over:
                detail = "The request is larger than the app's limit requestBytes."
                raise Refused(413, "too_large", detail, result="limit") from None
            if reused and repeatable and not error.answered:
                reuse = False
                continue
            code = "upstream_timeout" if error.status == 504 else "upstream_broke_off"
            raise Refused(error.status, code, f"{key.host} failed: {error}", result="error") from None
        except ConnectionEnded:
            if client.gone or client.bytes_out > received:
                raise
            raise Refused(502, "upstream_broke_off", f"{key.host} broke off.", result="error") from None
        finally:
            decision.bytes_out += wire.bytes_out - sent
            decision.bytes_in += client.bytes_out - received
            connections.give(key, wire, decision.address, reusable=reusable)
