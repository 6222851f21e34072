"""What a request to the proxy asks for, read strictly: its three forms (RFC 9112 section 3.2) and nothing between."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from havn.engines.egress_policy import Request, host_fault, path_fault
from havn.kit.http1.head import BadMessage, RequestHead

OWN_HOST = "egress"
"""The host under which named upstreams are asked for."""
_AUTHORITY = re.compile(r"([^:/?#@\[\]]{1,255})(?::([0-9]{1,5}))?")
_UPSTREAM = re.compile(r"/([a-z][a-z0-9-]{0,62})(/.*|\?.*)?", re.DOTALL)


class Asked(msgspec.Struct, frozen=True):
    """A tunnel to `host`, a request in clear, or the upstream `name`; `target` is the path (and query) there."""

    kind: Literal["connect", "http", "upstream"]
    host: str = ""
    port: int = 0
    method: str = ""
    target: str = "/"
    name: str = ""

    def as_request(self) -> Request:
        """As the policy takes it."""
        return Request("connect" if self.kind == "connect" else "http", self.host, self.port, self.method, self.target)


def read(request: RequestHead) -> Asked:
    """Raises `BadMessage` for what could be understood in two ways."""
    method, target = request.method.decode(), request.target.decode("ascii")
    if method == "CONNECT":
        if request.body != 0:
            raise BadMessage("CONNECT has no body.")
        host, port = _authority(target, None)
        if port is None or (host, port) != _authority(request.host.decode(), port):
            raise BadMessage("CONNECT needs a host with its port, and Host must say the same.")
        return Asked("connect", host, port, method)
    if method == "TRACE":
        raise BadMessage("TRACE would send credentials back.", 405, "method_not_allowed")
    if target.startswith("/"):
        return _upstream(method, target)
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise BadMessage("Only http:// can be asked for in clear; for https use CONNECT or a named upstream.")
    mark = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, port = _authority(rest[:mark], 80)
    if _authority(request.host.decode(), 80) != (host, port):
        raise BadMessage("Host and the address in the request line differ.")
    path = rest[mark:] or "/"
    path = path if path.startswith("/") else "/" + path
    if host == OWN_HOST:
        return _upstream(method, path)
    _check(path)
    return Asked("http", host, port or 80, method, path)


def _upstream(method: str, target: str) -> Asked:
    match = _UPSTREAM.fullmatch(target)
    if match is None:
        raise BadMessage("The path must begin with the name of an upstream.", 404, "unknown_upstream")
    rest = match[2] or "/"
    rest = rest if rest.startswith("/") else "/" + rest
    _check(rest)
    return Asked("upstream", method=method, target=rest, name=match[1])


def _check(target: str) -> None:
    if (fault := path_fault(target)) is not None:
        raise BadMessage(f"The path cannot be used: {fault}.", 400, "bad_path")


def _authority(text: str, port: int | None) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise BadMessage("The host cannot be used: it must be a name, without user or address.", 403, "bad_host")
    host = match[1].lower()
    if host != OWN_HOST and (fault := host_fault(host)) is not None:
        raise BadMessage(f"The host cannot be used: {fault}.", 403, "bad_host")
    number = int(match[2]) if match[2] else port
    if number is not None and not 1 <= number <= 65535:
        raise BadMessage("The port is not a port.")
    return host, number
