"""Putting a proxy together from its settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from havn.clients.authentication import AuthenticationClient
from havn.engines.egress_policy import networks
from havn.gateway.egress.credentials.fetching import TokenServers
from havn.gateway.egress.credentials.injection import Injector
from havn.gateway.egress.credentials.source import FolderSecrets
from havn.gateway.egress.credentials.tokens import TokenCache
from havn.gateway.egress.decisions import DecisionLog
from havn.gateway.egress.dialling import Dialler
from havn.gateway.egress.identity import AUDIENCE, Identities
from havn.gateway.egress.metrics import Metrics
from havn.gateway.egress.policies import Policies
from havn.gateway.egress.resolver import DnsResolver, Server, system_servers
from havn.gateway.egress.server import Parts, Proxy
from havn.gateway.egress.settings import EgressSettings
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.clock import Clock
from havn.kit.http import HttpClient
from havn.kit.trust import open_trust


class Built(msgspec.Struct, frozen=True):
    """A proxy and what else the process looks after."""

    proxy: Proxy
    policies: Policies
    metrics: Callable[[], bytes]
    http: HttpClient


def build(settings: EgressSettings, *, write: Callable[[bytes], object], clock: Clock) -> Built:
    """The proxy of `settings`; decision lines go to `write`. Raises ValueError for ranges that are none."""
    metrics = Metrics()
    resolver = DnsResolver(nameservers(settings.egress_nameservers) or system_servers())
    dialler = Dialler(
        resolver,
        allowed=networks(settings.egress_allowed_ranges.split(",")),
        denied=networks(settings.egress_denied_ranges.split(",")),
    )
    http = HttpClient(
        settings.platform_url, name="Authentication", host=f"platform.{settings.domain}", timeout=5,
        trust=open_trust(settings.trust_file),
    )  # fmt: skip
    client = AuthenticationClient(http)

    async def keys(org: str) -> Mapping[str, Any]:
        return {"keys": (await client.access_token_jwks(org)).keys}

    def tls() -> ssl.SSLContext:
        made = ssl.create_default_context()
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.egress_ca_file:
            made.load_verify_locations(settings.egress_ca_file)
        return made

    tokens = TokenCache(failed=metrics.credential_failures.inc)
    injector = Injector(
        FolderSecrets(Path(settings.egress_secrets)), tokens, TokenServers(dialler, tls), clock, tls,
        expiry=metrics.certificate,
    )  # fmt: skip
    policies = Policies(
        Path(settings.egress_policies),
        environment=settings.environment,
        production=settings.environment_type == "production",
    )
    verifier = PlatformTokenVerifier(audience=AUDIENCE, jwks=keys, clock=clock)
    proxy = Proxy(
        Parts(
            policies=policies,
            identities=Identities(verifier, clock),
            dialler=dialler,
            injector=injector,
            log=DecisionLog(write, clock),
            metrics=metrics,
            clock=clock,
            removed_seconds=settings.egress_removed_seconds,
        )
    )
    policies.on_change(proxy.policies_changed)

    def text() -> bytes:
        metrics.token_age.set(tokens.ages())
        return metrics.text()

    return Built(proxy, policies, text, http)


def nameservers(text: str) -> list[Server]:
    """DNS servers written as `address` or `address:port` (IPv6 in brackets when it has a port)."""
    found = []
    for each in (part.strip() for part in text.split(",")):
        if each.startswith("["):
            address, _, port = each[1:].partition("]:")
            found.append((address.rstrip("]"), int(port or 53)))
        elif each.count(":") == 1:
            address, _, port = each.partition(":")
            found.append((address, int(port)))
        elif each:
            found.append((each, 53))
    return found
