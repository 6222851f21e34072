"""How one part of the platform reaches the others: at the platform's own host, with a token of its own."""

from __future__ import annotations

from typing import Any, Protocol

from havn.guard.metering.meter import Meter
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import Clock
from havn.kit.http import HttpClient
from havn.kit.trust import open_trust


class Placed(Protocol):
    """The settings that say where the platform is, and who the part is to it."""

    @property
    def scheme(self) -> str:
        """Of the platform's public address."""

    @property
    def domain(self) -> str:
        """Of the environment, with port when it is not the scheme's own."""

    @property
    def platform_url(self) -> str:
        """Where platform APIs are reached from this process."""

    @property
    def platform_access_key(self) -> str:
        """The part's own private key (JWK)."""

    @property
    def trust_file(self) -> str | None:
        """Authorities that sign the other parts' certificates, beside the system's own."""


class Neighbours:
    """The other parts, for the one called `part`. `transport` carries calls in place of the network."""

    def __init__(self, settings: Placed, part: str, *, clock: Clock, transport: Any = None) -> None:
        self._part = part
        self._url = settings.platform_url
        self._host = f"platform.{settings.domain}"
        self.trust = open_trust(settings.trust_file)
        """Who is believed; None: whom the system does."""
        self._transport = transport
        self.signer = PlatformTokenSigner(
            issuer="platform",
            app=part,
            audience=f"{settings.scheme}://{self._host}",
            key=settings.platform_access_key,
            clock=clock,
        )

    def client(self, name: str, timeout: float) -> HttpClient:
        """Calls to the platform, called `name` in messages; who made it closes it."""
        return HttpClient(
            self._url, name=name, host=self._host, timeout=timeout, trust=self.trust, transport=self._transport
        )

    def meter(self) -> Meter:
        """Enforces what API management has of the part's own Apis."""
        return Meter.over(self.client, self.signer, org="platform", app=self._part)
