"""A request in clear, passed on to the host it names."""

from __future__ import annotations

from havn.engines.egress_policy import Policy
from havn.gateway.egress.decisions import Decision
from havn.gateway.egress.dialling import Connections, Key
from havn.gateway.egress.request import Asked
from havn.gateway.egress.sending import framing, passed_on, send
from havn.guard.platform_token import Caller
from havn.kit.http1.head import RequestHead, write_head
from havn.kit.http1.relay import Result
from havn.kit.http1.wire import Wire


async def forward(
    connections: Connections,
    client: Wire,
    request: RequestHead,
    asked: Asked,
    caller: Caller,
    policy: Policy,
    decision: Decision,
) -> Result:
    """Send what the policy has allowed."""
    authority = asked.host if asked.port == 80 else f"{asked.host}:{asked.port}"
    fields = [(b"host", authority.encode()), *passed_on(request), *framing(request)]
    head = write_head(b"%b %b HTTP/1.1" % (request.method, asked.target.encode()), fields)
    key = Key(caller=f"{caller.org}/{caller.app}", host=asked.host, port=asked.port, tls=False)
    return await send(connections, key, client, request, head, policy=policy, decision=decision)
