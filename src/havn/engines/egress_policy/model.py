"""The file `deployment/egress.yaml` as types; its JSON Schema is made from them, so the two never differ."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Mode = Literal["observe", "enforce", "open"]
Port = Annotated[int, Meta(ge=1, le=65535)]
Method = Annotated[str, Meta(pattern="^[A-Z]{1,20}$", description="An HTTP method, in capitals.")]
Path = Annotated[str, Meta(pattern="^/", max_length=1024, description="A path prefix; it matches whole segments.")]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,62}$")]
Host = Annotated[str, Meta(max_length=255)]
Text = Annotated[str, Meta(max_length=500)]
Token = Annotated[str, Meta(pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
Visible = Annotated[str, Meta(pattern="^[ -~]*$", max_length=200)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Rule(_Part, frozen=True, kw_only=True):
    """One destination the app may reach itself: by a tunnel (`https`), or in clear (`http`)."""

    host: Annotated[Host, Meta(description="An exact name, or one wildcard as the first label: *.example.no.")]
    scheme: Literal["https", "http"] = "https"
    ports: Annotated[tuple[Port, ...], Meta(max_length=20)] = ()
    """Without any: 443 for https, 80 for http."""
    methods: tuple[Method, ...] = ()
    """Only for http: what is inside a tunnel nobody sees. Without any: every method."""
    paths: tuple[Path, ...] = ()
    reason: Text = ""
    """Why the app needs it; for those who review."""


class Upstream(_Part, frozen=True, kw_only=True):
    """An address reached as `http://egress/<name>/…`; the proxy makes the TLS connection and adds credentials."""

    url: Annotated[str, Meta(max_length=2000, pattern="^https?://")]
    methods: tuple[Method, ...] = ()
    paths: tuple[Path, ...] = ()
    """Prefixes below the path of `url`."""
    credentials: Annotated[tuple[Name, ...], Meta(max_length=5)] = ()
    reason: Text = ""


class _Credential(_Part, frozen=True, kw_only=True):
    secret: Name
    """Name of the secret, among those kept for this app."""
    hosts: Annotated[tuple[Host, ...], Meta(min_length=1, max_length=20)]
    """Exact names this may be sent to: a second lock, independent of the upstream's address."""
    methods: tuple[Method, ...] = ()
    paths: tuple[Path, ...] = ()


class HeaderCredential(_Credential, frozen=True, kw_only=True, tag="header", tag_field="type"):
    """The secret as the value of a header field, after `prefix`."""

    header: Token = "Authorization"
    prefix: Visible = ""


class BasicCredential(_Credential, frozen=True, kw_only=True, tag="basic", tag_field="type"):
    """HTTP Basic (RFC 7617); the secret is the password."""

    username: Annotated[str, Meta(pattern="^[^:\\x00-\\x1f]{1,200}$")]


class HmacCredential(_Credential, frozen=True, kw_only=True, tag="hmac", tag_field="type"):
    """An HMAC (RFC 2104) over `signed`, joined by line feeds, in a header field."""

    header: Token
    prefix: Visible = ""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: Annotated[tuple[Literal["method", "path", "host", "timestamp", "body", "body-digest"], ...],
                      Meta(min_length=1)] = ("method", "path", "timestamp", "body-digest")  # fmt: skip
    timestamp_header: Token = "X-Timestamp"
    """Seconds since 1970, sent when `timestamp` is signed."""


class OAuth2Credential(_Credential, frozen=True, kw_only=True, tag="oauth2", tag_field="type"):
    """OAuth 2.0 client credentials (RFC 6749 section 4.4); the secret is the client's."""

    token_url: Annotated[str, Meta(pattern="^https?://", max_length=2000)]
    client_id: Annotated[str, Meta(pattern="^[!-~]{1,200}$")]
    scopes: tuple[Annotated[str, Meta(pattern="^[!-~]{1,200}$")], ...] = ()
    audience: Visible = ""
    client_auth: Literal["basic", "post"] = "basic"


class MaskinportenCredential(_Credential, frozen=True, kw_only=True, tag="maskinporten", tag_field="type"):
    """A JWT bearer grant (RFC 7523) as Maskinporten takes it; the secret is the client's private JWK (RSA, `kid`)."""

    token_url: Annotated[str, Meta(pattern="^https?://", max_length=2000)]
    issuer: Annotated[str, Meta(pattern="^[!-~]{1,200}$", description="The client's id.")]
    audience: Annotated[str, Meta(pattern="^[!-~]{1,500}$", description="The issuer address of the token server.")]
    scopes: Annotated[tuple[Annotated[str, Meta(pattern="^[!-~]{1,200}$")], ...], Meta(min_length=1)]
    resource: Visible = ""
    consumer_org: Visible = ""


class CertificateCredential(_Credential, frozen=True, kw_only=True, tag="certificate", tag_field="type"):
    """A TLS client certificate; the secret is PEM with the chain and the private key."""


class PlaceholderCredential(_Credential, frozen=True, kw_only=True, tag="placeholder", tag_field="type"):
    """A text in the body, JSON or form, that the secret replaces (escaped as the body's type asks)."""

    placeholder: Annotated[str, Meta(pattern="^[A-Za-z0-9_{}-]{8,100}$")]


Credential = (
    HeaderCredential | BasicCredential | HmacCredential | OAuth2Credential | MaskinportenCredential
    | CertificateCredential | PlaceholderCredential
)  # fmt: skip


class Open(_Part, frozen=True, kw_only=True):
    """Who allowed everything, and until when (that day included)."""

    until: date
    approved_by: Annotated[str, Meta(min_length=3, max_length=200)]


class Limits(_Part, frozen=True, kw_only=True):
    """What the app may use at once. Each replica of the proxy counts for itself."""

    requests_per_second: Annotated[float, Meta(gt=0, le=10_000)] = 100
    burst: Annotated[int, Meta(ge=1, le=10_000)] = 200
    concurrent: Annotated[int, Meta(ge=1, le=10_000)] = 200
    tunnels: Annotated[int, Meta(ge=1, le=10_000)] = 200
    request_bytes: Annotated[int, Meta(ge=0)] = 1024**3
    tunnel_bytes: Annotated[int, Meta(ge=0)] = 100 * 1024**3
    connect_seconds: Annotated[float, Meta(gt=0, le=60)] = 5
    idle_seconds: Annotated[float, Meta(gt=0, le=3600)] = 300
    total_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 3600


class Override(_Part, frozen=True, kw_only=True):
    """What is different in one environment: a mode of its own, more rules, other upstreams under the same names."""

    mode: Mode | None = None
    open: Open | None = None
    allow: Annotated[tuple[Rule, ...], Meta(max_length=500)] = ()
    upstreams: dict[Name, Upstream] = {}
    credentials: dict[Name, Credential] = {}
    limits: Limits | None = None


class EgressPolicy(_Part, frozen=True, kw_only=True):
    """The whole file."""

    version: Literal[1] = 1
    mode: Mode | None = None
    """Without one: observe in test environments, enforce in production."""
    open: Open | None = None
    allow: Annotated[tuple[Rule, ...], Meta(max_length=500)] = ()
    upstreams: dict[Name, Upstream] = {}
    credentials: dict[Name, Credential] = {}
    limits: Limits = Limits()
    environments: dict[Name, Override] = {}


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deployment/egress.yaml",
        **msgspec.json.schema(EgressPolicy),
    }
