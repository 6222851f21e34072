"""Everything of the estate wired together, for whoever hosts the control plane."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from havn.clusters.kubernetes import Kube, doctor
from havn.clusters.kubernetes.outbound import OutboundRules
from havn.clusters.port import Cluster
from havn.deploy.authority.api import AuthorityApi
from havn.deploy.authority.keeper import Keeper
from havn.deploy.authority.store import AuthorityStore
from havn.deploy.authority.tending import ClusterIssuer, Tending
from havn.deploy.endpoints import Endpoint
from havn.deploy.estate.api import EstateApi
from havn.deploy.estate.bootstrap import Bootstrap
from havn.deploy.estate.clusters import EstateClusters, Tools
from havn.deploy.estate.environments import EstateEnvironments
from havn.deploy.estate.keyring import StoredKeyring
from havn.deploy.estate.model import ClusterRow, EnvironmentRow
from havn.deploy.estate.protection import ClusterProtection
from havn.deploy.estate.store import EstateStore
from havn.deploy.protection.store import ProtectionStore
from havn.deploy.sealing import Identities, Sealed, Sealer
from havn.kit.clock import Clock
from havn.kit.queue import Handler


class Estate:
    """Environments, clusters and keys from the rows; the routes that change them, and the jobs that follow."""

    def __init__(
        self,
        store: EstateStore,
        *,
        identities: Identities,
        tools: Tools,
        clock: Clock,
        reserved: Collection[str] = (),
        resolve: doctor.Resolve = doctor.system_resolve,
        trust_file: str | None = None,
        own_certificate: Path | None = None,
    ) -> None:
        sealer = Sealer(identities)
        self.store = store
        self._keeper = Keeper(AuthorityStore(store.database), sealer, clock)
        self.clusters = EstateClusters(store, sealer, tools, clock, self._issuer)
        self.environments = EstateEnvironments(store, sealer, clock, self._outbound, trust_file)
        self.keyring = StoredKeyring(store, sealer)
        self._sealer = sealer
        self._api = EstateApi(
            store, self.clusters, sealer, reserved=reserved, clock=clock, resolve=resolve,
            own_certificate=own_certificate,
        )  # fmt: skip
        shut = ProtectionStore(store.database)
        self.protection = ClusterProtection(
            shut, estate=store, clusters=self.clusters, environments=self.environments, clock=clock
        )
        self._bootstrap = Bootstrap(store, self.clusters, self._keeper, shut, clock)
        self._tending = Tending(self._keeper, self._find)
        self._authority_api = AuthorityApi(self._keeper, clock)

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table of routes."""
        return [*self._api.endpoints(), *self._authority_api.endpoints()]

    def handlers(self) -> Mapping[str, Handler]:
        """The jobs, by kind."""
        return {
            "bootstrap": self._bootstrap.run,
            "certificates": self._tending.run,
            **self.protection.handlers(),
        }

    async def seal_anew(self) -> int:
        """Seal with the first identity what another sealed; returns how many values. Raises `SealError`."""

        def again(place: str, sealed: Sealed) -> Sealed | None:
            if sealed.key_id == self._sealer.key_id():
                return None
            return self._sealer.seal(place, self._sealer.open(place, sealed))

        return await self.store.seal_anew(again) + await self._keeper.rekey()

    def _issuer(self, row: ClusterRow, environment: EnvironmentRow) -> ClusterIssuer:
        return ClusterIssuer(self._keeper, row.environment, row.org, environment.authorities)

    def _outbound(self, environment: str) -> OutboundRules:
        """Rules lie in each org's cluster, where its API proxy reads them."""

        async def kube(org: str) -> Kube:
            return (await self.clusters.find(org, environment)).kube

        return OutboundRules(kube)

    async def _find(self, org: str, environment: str) -> Cluster | None:
        if await self.store.cluster(org, environment) is None:
            return None
        return await self.clusters.find(org, environment)

    async def close(self) -> None:
        """Close every connection, and take credentials off the disk."""
        await self.clusters.close()
        await self.environments.close()
        await self.store.close()
