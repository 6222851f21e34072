"""A request to a named upstream: found in the policy, given its credentials, sent, and once more after a 401."""

from __future__ import annotations

import msgspec

from havn.engines.egress_policy import Policy
from havn.engines.egress_policy.matching import Target
from havn.gateway.egress.answers import Refused
from havn.gateway.egress.credentials.injection import (
    CredentialUnusable,
    Injection,
    Injector,
    NotBound,
    Outgoing,
    needs_body,
    renewable,
)
from havn.gateway.egress.credentials.source import SecretMissing, SecretsAway
from havn.gateway.egress.credentials.tokens import TokenAway
from havn.gateway.egress.decisions import Decision
from havn.gateway.egress.dialling import Connections, Key
from havn.gateway.egress.metrics import Metrics
from havn.gateway.egress.request import Asked
from havn.gateway.egress.sending import framing, passed_on, send
from havn.guard.platform_token import Caller
from havn.kit.http1.body import BodyReader
from havn.kit.http1.head import Field, RequestHead, ResponseHead, write_head
from havn.kit.http1.relay import Result
from havn.kit.http1.wire import Wire

_MAX_HELD = 1024 * 1024
_MAX_REPEATED = 64 * 1024
_BODY_SECONDS = 30.0


class _Unauthorized(Exception):
    """The upstream refused the token, and none of its answer was passed on."""


async def call(
    connections: Connections,
    injector: Injector,
    metrics: Metrics,
    client: Wire,
    request: RequestHead,
    asked: Asked,
    caller: Caller,
    policy: Policy,
    decision: Decision,
) -> Result:
    """Do it all. Raises `Refused` with the reason for the app."""
    decision.upstream = asked.name
    target = policy.targets.get(asked.name)
    if target is None:
        raise Refused(
            404,
            "unknown_upstream",
            f"deployment/egress.yaml has no upstream {asked.name}.",
            add=f"{asked.name}: {{url: 'https://…'}}  # under upstreams",
        )
    decision.host, decision.port = target.host, target.port
    decision.rule, decision.reason = f"upstreams.{target.name}", "rule"
    if not target.permits(asked.method, asked.target):
        raise Refused(
            403,
            "method_or_path",
            f"The upstream {target.name} is not for this method and path.",
            add=f"methods: [{asked.method}]  # under upstreams.{target.name}, and the path under paths",
        )
    path = target.path + asked.target
    again = renewable(target, asked.method, path)
    body: bytes | None = b"" if request.body == 0 else None
    if needs_body(target, asked.method, path) or (again and 0 < request.body <= _MAX_REPEATED):
        body = await _whole(client, request)
        request = msgspec.structs.replace(request, body=0)
    tls, certificate = None, ""
    try:
        if target.scheme == "https":
            tls, certificate = await injector.context(target, caller.org, caller.app)
        key = Key(f"{caller.org}/{caller.app}", target.host, target.port, tls is not None, certificate)
        content_type = (request.get(b"content-type") or b"").decode("latin-1")
        wanted = Outgoing(caller.org, caller.app, asked.method, path, content_type, body)
        injection = await injector.inject(target, wanted)
        decision.credentials = injection.names
        repeat = again and body is not None
        while True:
            try:
                return await send(
                    connections,
                    key,
                    client,
                    request,
                    _head(request, target, path, injection, body),
                    policy=policy,
                    decision=decision,
                    tls=tls,
                    answer_fields=_Answer(injection, refuse=repeat),
                )
            except _Unauthorized:
                repeat = False
                injector.forget(injection)
                injection = await injector.inject(target, wanted)
    except NotBound:
        raise Refused(
            403, "credential_not_bound", f"No credential of the upstream {target.name} is for this method and path."
        ) from None
    except SecretMissing as error:
        metrics.credential_failures.inc()
        raise Refused(
            502,
            "secret_missing",
            f"The secret {error} of this app is not there: have it stored with"
            f" `havn egress secret {caller.org}/{caller.app} {error}`.",
            result="error",
        ) from None
    except SecretsAway as error:
        metrics.credential_failures.inc()
        raise Refused(
            503, "secrets_unavailable", f"The secret {error} cannot be read just now.", result="error", retry_after=5
        ) from None
    except CredentialUnusable as error:
        metrics.credential_failures.inc()
        raise Refused(502, "credential_unusable", str(error), result="error") from None
    except TokenAway as error:
        raise Refused(
            502,
            "token_unavailable",
            f"No token for the upstream {target.name}: {error}.",
            result="error",
            retry_after=2,
        ) from None


class _Answer:
    """Masks what was injected; with `refuse`, a 401 is not passed on."""

    def __init__(self, injection: Injection, *, refuse: bool) -> None:
        self._injection = injection
        self._refuse = refuse

    def __call__(self, head: ResponseHead, fields: list[Field]) -> list[Field]:
        if self._refuse and head.status == 401:
            raise _Unauthorized
        return self._injection.masked([field for field in fields if not field[0].startswith(b"havn-egress-")])


async def _whole(client: Wire, request: RequestHead) -> bytes:
    if request.body > _MAX_HELD:
        raise Refused(413, "too_large", "The body is too large for this upstream's credentials.", result="limit")
    if (request.get(b"expect") or b"").lower() == b"100-continue":
        client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    reader = BodyReader(request.body)
    body = bytearray()
    while piece := await client.payload(reader, _BODY_SECONDS):
        body += piece
        if len(body) > _MAX_HELD:
            raise Refused(413, "too_large", "The body is too large for this upstream's credentials.", result="limit")
    return bytes(body)


def _head(request: RequestHead, target: Target, path: str, injection: Injection, body: bytes | None) -> bytes:
    """The request as the upstream gets it, with its body when that is held here."""
    default = 443 if target.scheme == "https" else 80
    authority = target.host if target.port == default else f"{target.host}:{target.port}"
    held = injection.body if injection.body is not None else body
    sized = framing(request)
    if held:
        sized = [(b"content-length", b"%d" % len(held))]
    dropped = injection.dropped | ({b"expect"} if held else set())
    fields = [(b"host", authority.encode()), *passed_on(request, dropped), *injection.fields, *sized]
    return write_head(b"%b %b HTTP/1.1" % (request.method, path.encode()), fields) + (held or b"")
