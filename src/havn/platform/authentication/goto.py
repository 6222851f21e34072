"""Where a sign-in may lead: only to addresses under our own domain, and how a token reaches an owner's host."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import msgspec

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}", re.IGNORECASE)
_ORG = re.compile(r"[a-z][a-z0-9]{0,49}")
_MAX = 4000
CATALOGUE = ("platform", "management")
"""Who redeems the codes for the host `api.`, the pages of API management: a component of the platform."""


class Goto(msgspec.Struct, frozen=True):
    """A checked address. `org`, `app` and `prefix` (path segments, no slashes around) are set for an app's address.

    So they are for the host `api.`, as `CATALOGUE` with an empty prefix.
    """

    url: str
    origin: str
    org: str | None = None
    app: str | None = None
    prefix: str | None = None

    def with_code(self, code: str) -> str:
        """The app's address that redeems `code` and then leads to this one."""
        base = f"{self.origin}/{self.prefix}" if self.prefix else self.origin
        return f"{base}/api/authentication/session?code={code}&goto={quote(self.url, safe='')}"


def parse(text: str | None, *, scheme: str, domain: str) -> Goto | None:
    """`text` as an address that a browser may be sent to, or None.

    It must be absolute, with our scheme and port, without user information, backslash, space or control characters,
    and its host must be our domain or below it.
    """
    if text is None or len(text) > _MAX or any(c in "\\\u007f" or c <= " " or c.isspace() for c in text):
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != scheme or host is None or "@" in parts.netloc or not host.isascii():
        return None
    host = host.rstrip(".")
    own_host, _, own_port = domain.partition(":")
    default = {"https": 443, "http": 80}[scheme]
    if (port or default) != (int(own_port) if own_port else default):
        return None
    if host != own_host and not host.endswith(f".{own_host}"):
        return None
    if not all(_label(label) for label in host.split(".")):
        return None
    origin = f"{scheme}://{host}" + (f":{port}" if port not in (None, default) else "")
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    url = f"{origin}{parts.path or '/'}{query}{fragment}"
    if host == f"api.{own_host}":
        return Goto(url, origin, *CATALOGUE, prefix="")
    apps = f".apps.{own_host}"
    if not host.endswith(apps):
        return Goto(url, origin)
    org = host[: -len(apps)]
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and segments[0] == org:
        app, prefix = (segments[1], "/".join(segments[:2])) if len(segments) > 1 else ("", "")
    else:
        app = prefix = segments[0] if segments else ""
    if not _ORG.fullmatch(org) or not _SEGMENT.fullmatch(app):
        return None
    return Goto(url, origin, org, app, prefix)


def _label(text: str) -> bool:
    return bool(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text))
