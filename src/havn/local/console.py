"""The control plane as it runs inside `havn up`: one environment, the machine's own clusters, a token file."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from havn.appfolder.ids import AppId
from havn.clusters.port import ClusterError
from havn.contracts.deploy import AppInfo, AuditEntry
from havn.deploy.access import TokenFileAccess
from havn.deploy.app import build
from havn.deploy.endpoints import Endpoint
from havn.deploy.environments import Environment, FixedEnvironments
from havn.deploy.overview import Overview
from havn.deploy.protection.api import ProtectionApi
from havn.deploy.protection.port import Ingresses
from havn.deploy.publishing import Publisher
from havn.deploy.registry import Registry, RegistryError
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.model import ReleaseError
from havn.deploy.release.open import APP, DEPENDENCIES, unpack
from havn.deploy.secrets.vault import Vault
from havn.deploy.store import Store
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.serve import serve
from havn.local import environment
from havn.local.cluster import LocalClusters, Unpacked
from havn.local.egress import FolderRules
from havn.local.identities import LocalIdentities
from havn.local.keyring import LocalKeyring
from havn.local.others import Others, OwnFirst
from havn.local.secrets import SecretStore, write_private
from havn.local.state import State

_STOP_WITHIN = 5.0


class LocalReleases:
    """Unpacks releases from the registry folder for the local clusters."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder

    async def open(self, org: str, app: str, digest: str) -> Unpacked:
        """See `havn.local.cluster.Releases.open`."""
        place = self._folder / digest.removeprefix("sha256:")
        try:
            await unpack(self._registry, f"{org}/{app}", digest, place)
        except (ReleaseError, RegistryError) as error:
            raise ClusterError(str(error)) from error
        return Unpacked(place / APP, place / DEPENDENCIES)


class Console:
    """The control plane, served on a loopback port until `stop`."""

    def __init__(
        self,
        state: State,
        addresses: environment.Addresses,
        *,
        database_url: str,
        clusters: LocalClusters,
        keys: environment.Keys,
        keyring: LocalKeyring,
        identities: LocalIdentities,
    ) -> None:
        self._state = state
        self._addresses = addresses
        self._database_url = database_url
        self._clusters = clusters
        self._keyring = keyring
        self._identities = identities
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._store: Store | None = None
        signer = PlatformTokenSigner(
            issuer="platform",
            app="deploy",
            audience=addresses.public("platform"),
            key=keys.components["deploy"],
            clock=system_clock,
        )
        http = HttpClient(
            addresses.platform_url,
            name="The platform",
            host=f"platform.{addresses.domain}",
            timeout=15,
            verify=False,
        )
        self.publisher = Publisher(http, signer, outbound=FolderRules(state, SecretStore(state.secrets)))

    async def start(self, extra: Sequence[Endpoint], ingress: Ingresses) -> None:
        """Serve, and enqueue putting back what the clusters should run. Raises `SettingsError`.

        `ingress` is this machine's own.
        """
        registry = LayoutRegistry(self._state.registry)
        others = await Others.open(
            self._database_url, self._addresses, identities=self._identities, releases=registry, run=self._state.run
        )
        environments = FixedEnvironments(
            Environment(
                name=environment.NAME,
                type="test",
                scheme=environment.SCHEME,
                domain=self._addresses.domain,
                publisher=self.publisher,
                settings=environment.settings(self._addresses),
            ),
            others=others.estate.environments,
        )
        clusters = OwnFirst(environment.NAME, self._clusters, others.estate.clusters)
        protection = ProtectionApi(others.estate.protection, system_clock, {environment.NAME: ingress})
        app, store = await build(
            self._database_url,
            environments=environments,
            clusters=clusters,
            registry=registry,
            keyring=self._keyring,
            releases=self._state.releases,
            access=TokenFileAccess(_token(self._state.token), getpass.getuser(), others.access),
            identities=self._identities,
            extra=[*others.endpoints(), *protection.endpoints(), *extra],
            handlers=others.estate.handlers(),
            also_sealed=[others.estate.seal_anew],
            public=self._addresses.public("console"),
            closing=[others.close],
        )
        self._store = store
        self.vault: Vault = app.state.vault
        self._overview = Overview(store, environments, clusters)
        wanted = await store.all_desired()
        await asyncio.to_thread(_forget_others, self._state.releases, {each.release for each in wanted})
        for desired in wanted:
            # Only what runs on this machine was stopped with it.
            if desired.target.environment == environment.NAME:
                await store.request_restore(desired.target)
        self._serving = asyncio.create_task(serve(app, port=self._addresses.console_port, stop=self._stop))

    @property
    def store(self) -> Store:
        """The control plane's rows."""
        assert self._store is not None
        return self._store

    async def apps(self) -> list[AppInfo]:
        """Every app, as it should be and as it is."""
        return await self._overview.apps()

    async def known(self) -> set[AppId]:
        """The apps that should run on this machine."""
        wanted = await self.store.all_desired()
        return {
            AppId(each.target.org, each.target.app) for each in wanted if each.target.environment == environment.NAME
        }

    async def note(self, entry: AuditEntry) -> None:
        """Add a line to the audit log."""
        await self.store.note(entry)

    async def settled(self) -> None:
        """Wait until every deployment and restore has ended, or was tried once and failed."""
        while await self.store.unsettled():  # noqa: ASYNC110  (jobs may be done by others)
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop serving and working."""
        self._stop.set()
        if self._serving is not None:
            done, _ = await asyncio.wait({self._serving}, timeout=_STOP_WITHIN)
            if not done:
                self._serving.cancel()
                await asyncio.gather(self._serving, return_exceptions=True)
        await self.publisher.close()


def _forget_others(releases: Path, wanted: set[str]) -> None:
    """Remove the unpacked releases that nothing asks for; the registry still has them."""
    for place in releases.iterdir():
        if f"sha256:{place.name}" not in wanted:
            shutil.rmtree(place, ignore_errors=True)


def _token(path: Path) -> str:
    """The token in the file `path`, made when it is not there; the file is readable by its owner alone."""
    try:
        path.chmod(0o600)
        token = path.read_text().strip()
    except FileNotFoundError:
        token = ""
    if len(token) < 32:
        token = secrets.token_urlsafe(32)
        write_private(path, f"{token}\n".encode())
    return token
