"""Beside its own environment, the control plane of `havn up` takes others: real clusters, people, machines' tokens.

The same parts as of a control plane in Kubernetes, wired for one machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from havn.clusters.port import Cluster, Clusters
from havn.deploy.access import Access
from havn.deploy.endpoints import Endpoint
from havn.deploy.estate import tools
from havn.deploy.estate.store import EstateStore
from havn.deploy.estate.wiring import Estate
from havn.deploy.logins.access import StoredAccess
from havn.deploy.logins.api import LoginApi
from havn.deploy.logins.provider import DeviceLogin, Provider
from havn.deploy.logins.store import LoginStore
from havn.deploy.registry import Registry
from havn.deploy.sealing import Identities
from havn.deploy.settings import ToolSettings
from havn.kit import settings
from havn.kit.clock import system_clock
from havn.local import environment
from havn.local.oidc.device import CLIENT_ID


class OwnFirst:
    """See `Clusters`: this machine's own for its environment, and `others` for every other."""

    def __init__(self, name: str, own: Clusters, others: Clusters) -> None:
        self._name = name
        self._own = own
        self._others = others

    async def find(self, org: str, environment: str) -> Cluster:
        """See `Clusters.find`."""
        return await (self._own if environment == self._name else self._others).find(org, environment)


class Others:
    """Rows of environments and clusters, and of those who may use them."""

    def __init__(
        self, estate: Estate, access: Access, logins: LoginApi, closing: Sequence[Callable[[], Awaitable[None]]]
    ) -> None:
        self.estate = estate
        self.access = access
        self._logins = logins
        self._closing = closing

    @classmethod
    async def open(
        cls,
        database_url: str,
        addresses: environment.Addresses,
        *,
        identities: Identities,
        releases: Registry,
        run: Path,
    ) -> Self:
        """Connect. Helm and the registry are read from the environment (`ToolSettings`). Raises `SettingsError`."""
        told = settings.load(ToolSettings)
        target = tools.connect(told)
        equipment = tools.make(
            told, run=run / "kubernetes", releases=releases, target=target[0] if target is not None else None
        )
        login = DeviceLogin(
            Provider(
                issuer=addresses.public("login"), client_id=CLIENT_ID, address=addresses.platform_url, scope="openid"
            ),
            system_clock,
        )
        estate_store, logins = await EstateStore.open(database_url), await LoginStore.open(database_url)
        estate = Estate(
            estate_store,
            identities=identities,
            tools=equipment,
            clock=system_clock,
            reserved=(environment.NAME,),
        )
        closing = [estate.close, logins.close, login.close, *([target[1].close] if target is not None else [])]
        return cls(estate, StoredAccess(logins, system_clock), LoginApi(logins, login, system_clock), closing)

    def endpoints(self) -> list[Endpoint]:
        """Their rows of the table of routes."""
        return [*self.estate.endpoints(), *self._logins.endpoints()]

    async def close(self) -> None:
        """Close every connection."""
        for close in self._closing:
            await close()
