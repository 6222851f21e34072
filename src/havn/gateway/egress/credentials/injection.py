"""Adding an upstream's credentials to one request: fields, client certificate, body; and hiding them in the answer."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import os
import ssl
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from urllib.parse import quote_plus

import msgspec
from cryptography import x509

from havn.engines.egress_policy.matching import Target
from havn.engines.egress_policy.model import (
    BasicCredential,
    CertificateCredential,
    Credential,
    HeaderCredential,
    HmacCredential,
    MaskinportenCredential,
    OAuth2Credential,
    PlaceholderCredential,
)
from havn.engines.egress_policy.names import under
from havn.gateway.egress.credentials.fetching import TokenServers
from havn.gateway.egress.credentials.grants import client_credentials, maskinporten
from havn.gateway.egress.credentials.source import SecretSource
from havn.gateway.egress.credentials.tokens import Token, TokenCache
from havn.kit.clock import Clock
from havn.kit.http1.head import Field

_MASK = b"***"
_MAX_CONTEXTS = 200


class CredentialUnusable(Exception):
    """The secret does not fit its kind; the message names the credential, never the value."""


class NotBound(Exception):
    """None of the upstream's credentials is for this method and path."""


class Outgoing(msgspec.Struct, frozen=True):
    """The request that credentials are added to; `body` is None when it is not held in memory."""

    org: str
    app: str
    method: str
    target: str
    content_type: str
    body: bytes | None


class Injection(msgspec.Struct, frozen=True):
    """What is added: `dropped` fields of the app's go, `fields` come; `secret` values are masked in the answer."""

    names: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    dropped: frozenset[bytes] = frozenset()
    secret: tuple[bytes, ...] = ()
    body: bytes | None = None
    tokens: tuple[tuple[Hashable, str], ...] = ()

    def __repr__(self) -> str:
        return f"Injection({self.names!r})"

    def masked(self, fields: list[Field]) -> list[Field]:
        """`fields` of an answer without what was added to the request."""
        result = []
        for name, value in fields:
            for secret in self.secret:
                if secret in value:
                    value = value.replace(secret, _MASK)  # noqa: PLW2901
            result.append((name, value))
        return result


def needs_body(target: Target, method: str, path: str) -> bool:
    """Whether the whole body must be at hand before the request is sent."""
    return any(
        isinstance(credential, PlaceholderCredential)
        or (isinstance(credential, HmacCredential) and not {"body", "body-digest"}.isdisjoint(credential.signed))
        for _, credential in bound(target, method, path)
    )


def renewable(target: Target, method: str, path: str) -> bool:
    """Whether a token is among the credentials, so that a 401 may mean that it has ended early."""
    kinds = (OAuth2Credential, MaskinportenCredential)
    return any(isinstance(credential, kinds) for _, credential in bound(target, method, path))


def bound(target: Target, method: str, path: str) -> list[tuple[str, Credential]]:
    """The upstream's credentials that are for this host, method and path."""
    return [
        (name, credential)
        for name, credential in target.credentials
        if target.host in credential.hosts
        and (not credential.methods or method in credential.methods)
        and under(path, credential.paths)
    ]


class Injector:
    """Makes injections, with secrets as they are now and tokens from the cache."""

    def __init__(
        self,
        secrets: SecretSource,
        tokens: TokenCache,
        servers: TokenServers,
        clock: Clock,
        tls: Callable[[], ssl.SSLContext],
        *,
        expiry: Callable[[str, float], None] = lambda _name, _until: None,
    ) -> None:
        self._secrets = secrets
        self._tokens = tokens
        self._servers = servers
        self._clock = clock
        self._tls = tls
        self._expiry = expiry
        self._plain: ssl.SSLContext | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def inject(self, target: Target, request: Outgoing) -> Injection:
        """The injection for one request.

        Raises `NotBound`, `CredentialUnusable`, `SecretMissing`, `SecretsAway`, `TokenAway`.
        """
        wanted = bound(target, request.method, request.target)
        if target.credentials and not wanted:
            raise NotBound
        made = _Making(request)
        for name, credential in wanted:
            if isinstance(credential, CertificateCredential):
                continue
            secret = await self._secrets.get(request.org, request.app, credential.secret)
            made.names.append(name)
            made.hide(secret)
            if isinstance(credential, OAuth2Credential | MaskinportenCredential):
                key = (request.org, request.app, name, _digest(secret), credential)
                token = await self._tokens.get(key, functools.partial(self._fetch, credential, secret))
                made.tokens.append((key, token.value))
                made.field("Authorization", f"Bearer {token.value}")
                made.hide(token.value)
            else:
                made.static(name, credential, secret, target, self._clock())
        return made.done()

    def forget(self, injection: Injection) -> None:
        """The upstream did not accept the tokens of `injection`."""
        for key, value in injection.tokens:
            self._tokens.forget(key, value)

    async def context(self, target: Target, org: str, app: str) -> tuple[ssl.SSLContext, str]:
        """The TLS context for an upstream, with its client certificate if it has one, and a name for that."""
        for name, credential in target.credentials:
            if isinstance(credential, CertificateCredential) and target.host in credential.hosts:
                pem = await self._secrets.get(org, app, credential.secret)
                return self._with_certificate(name, f"{org}/{app}/{name}", pem)
        if self._plain is None:
            self._plain = self._tls()
        return self._plain, ""

    async def _fetch(self, credential: OAuth2Credential | MaskinportenCredential, secret: str) -> Token:
        if isinstance(credential, OAuth2Credential):
            return await client_credentials(self._servers, credential, secret)
        return await maskinporten(self._servers, credential, secret, self._clock)

    def _with_certificate(self, name: str, label: str, pem: str) -> tuple[ssl.SSLContext, str]:
        key = _digest(f"{label}\n{pem}")
        found = self._contexts.get(key)
        if found is None:
            found = self._tls()
            # The standard library reads keys from files only; this one lies in memory and has no name.
            descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
            try:
                os.write(descriptor, pem.encode())
                found.load_cert_chain(f"/proc/self/fd/{descriptor}")
                certificate = x509.load_pem_x509_certificate(pem.encode())
            except (ssl.SSLError, OSError, ValueError):
                raise CredentialUnusable(f"The secret of {name} is no certificate with its key in PEM.") from None
            finally:
                os.close(descriptor)
            if len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.pop(next(iter(self._contexts)))
            self._contexts[key] = found
            self._expiry(label, certificate.not_valid_after_utc.timestamp())
        return found, key


class _Making:
    def __init__(self, request: Outgoing) -> None:
        self.request = request
        self.names: list[str] = []
        self.fields: list[Field] = []
        self.tokens: list[tuple[Hashable, str]] = []
        self._hidden: list[bytes] = []
        self._body: bytes | None = None

    def hide(self, value: str) -> None:
        # Shorter ones would mask innocent text, and are no secrets.
        if len(value) >= 4:
            self._hidden.append(value.encode())

    def field(self, name: str, value: str) -> None:
        raw = value.encode()
        if any(byte < 0x20 or byte == 0x7F for byte in raw):
            raise CredentialUnusable(f"The secret cannot stand in the header field {name}.")
        self.fields.append((name.lower().encode(), raw))

    def static(self, name: str, credential: Credential, secret: str, target: Target, now: datetime) -> None:
        if isinstance(credential, HeaderCredential):
            self.field(credential.header, credential.prefix + secret)
        elif isinstance(credential, BasicCredential):
            pair = base64.b64encode(f"{credential.username}:{secret}".encode()).decode()
            self.field("Authorization", f"Basic {pair}")
            self.hide(pair)
        elif isinstance(credential, HmacCredential):
            self._sign(credential, secret, target, now)
        elif isinstance(credential, PlaceholderCredential):
            self._replace(name, credential, secret)

    def _sign(self, credential: HmacCredential, secret: str, target: Target, now: datetime) -> None:
        stamp = str(int(now.astimezone(UTC).timestamp()))
        body = self.request.body or b""
        parts = {
            "method": self.request.method.encode(),
            "path": self.request.target.encode(),
            "host": target.host.encode(),
            "timestamp": stamp.encode(),
            "body": body,
            "body-digest": hashlib.new(credential.algorithm, body).hexdigest().encode(),
        }
        mac = hmac.new(secret.encode(), b"\n".join(parts[part] for part in credential.signed), credential.algorithm)
        written = mac.hexdigest() if credential.encoding == "hex" else base64.b64encode(mac.digest()).decode()
        self.field(credential.header, credential.prefix + written)
        if "timestamp" in credential.signed:
            self.field(credential.timestamp_header, stamp)

    def _replace(self, name: str, credential: PlaceholderCredential, secret: str) -> None:
        kind = self.request.content_type.partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            written = msgspec.json.encode(secret)[1:-1]
        elif kind == "application/x-www-form-urlencoded":
            written = quote_plus(secret).encode()
        else:
            raise CredentialUnusable(f"The placeholder of {name} can only be in a body of JSON or a form.")
        self.hide(written.decode())
        self._body = (self._body or self.request.body or b"").replace(credential.placeholder.encode(), written)

    def done(self) -> Injection:
        return Injection(
            names=tuple(self.names),
            fields=tuple(self.fields),
            # What the app says in these fields would compete with what we say.
            dropped=frozenset([name for name, _ in self.fields] + ([b"authorization"] if self.names else [])),
            secret=tuple(sorted(self._hidden, key=len, reverse=True)),
            body=self._body,
            tokens=tuple(self.tokens),
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
