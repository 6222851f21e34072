"""One line of an access log in the JSON that Traefik writes, and which app it is about.

Both ingresses write the same fields, so one reader reads both. Nothing personal is in a line: no query, no header but
ours, digits that may be a national identity number masked, the client's address without its last part.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from datetime import UTC, datetime

import msgspec

SUBSCRIPTION_HEADER = "X-Havn-Subscription"
VERSION_HEADER = "X-Havn-Version"
MAX_LINE = 64 * 1024
MAX_PATH = 512

_IDENTITY = re.compile(r"\d{11,}")
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,62}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,79}")
_PROBES = ("/health", "/health/live", "/health/ready")
# Routers that lead to no app: the page for unknown addresses and the redirect to TLS.
_NO_APP = ("havn-unknown", "havn-to-https")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that are read; times in nanoseconds, as Traefik has them. Others are passed over."""

    start: str = msgspec.field(name="StartUTC")
    """RFC 3339, in UTC. Kept as text: Traefik writes nanoseconds, and rounding would move some into the next minute."""
    duration: int = msgspec.field(name="Duration", default=0)
    origin_duration: int = msgspec.field(name="OriginDuration", default=0)
    overhead: int = msgspec.field(name="Overhead", default=0)
    origin_status: int = msgspec.field(name="OriginStatus", default=0)
    status: int = msgspec.field(name="DownstreamStatus", default=0)
    host: str = msgspec.field(name="RequestHost", default="")
    path: str = msgspec.field(name="RequestPath", default="")
    method: str = msgspec.field(name="RequestMethod", default="")
    router: str = msgspec.field(name="RouterName", default="")
    origin: str = msgspec.field(name="ServiceName", default="")
    client: str = msgspec.field(name="ClientHost", default="")
    refusal: str = msgspec.field(name="HavnRefusal", default="")
    """Why our own ingress answered itself; Traefik has no such field."""
    subscription: str = msgspec.field(name=f"origin_{SUBSCRIPTION_HEADER}", default="")
    version: str = msgspec.field(name=f"origin_{VERSION_HEADER}", default="")


class Record(msgspec.Struct, frozen=True):
    """One request to one app, as it counts. `minute` is whole minutes since 1970 UTC; durations are nanoseconds.

    A platform API is an app of the org `platform`.
    """

    org: str
    app: str
    version: str
    subscription: str
    minute: int
    status: int
    total: int
    backend: int
    gateway: int
    probe: bool
    passed_on: bool
    """Whether the ingress tried to have the app answer, and did not refuse the request itself."""


_decode = msgspec.json.Decoder(Line).decode


def read(line: bytes, domain: str) -> Record | None:
    """The request that `line` records, or None when it was to no app of `domain` (a host name without port).

    Raises ValueError for what is not an access record.
    """
    try:
        fields = _decode(line)
        minute = _minute(fields.start)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ValueError("not an access record") from error
    if not 100 <= fields.status <= 999 or not fields.router or any(name in fields.router for name in _NO_APP):
        return None
    found = _app(fields.host.lower().rstrip("."), fields.path.partition("?")[0], domain)
    if found is None:
        return None
    org, app, rest = found
    return Record(
        org=org,
        app=app,
        version=_word(fields.version),
        subscription=_word(fields.subscription),
        minute=minute,
        status=fields.status,
        total=max(fields.duration, 0),
        backend=max(fields.origin_duration, 0),
        gateway=max(fields.overhead, 0),
        probe=rest in _PROBES,
        # Traefik has no status of the origin where a middleware holds the answer back, but always its time.
        passed_on=fields.origin_status != 0 or fields.origin_duration > 0,
    )


def stamp(nanoseconds: int) -> str:
    """A moment, in nanoseconds since 1970, as `StartUTC` has it."""
    whole, part = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part:09}Z"


def mask_path(target: str) -> str:
    """A request target as it may be kept: without its query, runs of eleven digits or more masked, and not too long."""
    return _IDENTITY.sub("***********", target.partition("?")[0])[:MAX_PATH]


@functools.lru_cache(4096)
def truncate_address(address: str) -> str:
    """A client's address without the part that tells one household from another: /24 and /48."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    network = ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False)
    return str(network.network_address)


def _minute(start: str) -> int:
    if not start.endswith("Z") or start[10:11] != "T":
        raise ValueError(start)
    return int(datetime.fromisoformat(f"{start[:16]}+00:00").timestamp()) // 60


def _app(host: str, path: str, domain: str) -> tuple[str, str, str] | None:
    """Org, app, and the path below the app."""
    if not host.endswith(f".{domain}"):
        return None
    left = host.removesuffix(f".{domain}")
    segments = path.split("/")[1:]
    if left == "platform":
        # Some platform APIs answer under a second name too; each name is counted as it is called.
        return _named("platform", segments[0] if segments else "", segments[1:])
    org, dot, apps = left.partition(".")
    if not dot or apps != "apps" or not _LABEL.fullmatch(org):
        return None
    if segments and segments[0] == org:
        segments = segments[1:]
    return _named(org, segments[0] if segments else "", segments[1:])


def _named(org: str, app: str, rest: list[str]) -> tuple[str, str, str] | None:
    if not _LABEL.fullmatch(app):
        return None
    if org == "platform" and rest[:2] == ["api", "v1"]:
        rest = rest[2:]
    return org, app, "/" + "/".join(rest)


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else ""
