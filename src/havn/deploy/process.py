"""The control plane as a process of its own: everything from settings, nothing kept but in PostgreSQL.

Any number may run side by side; they share the work and see each other's changes at once.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette

from havn.deploy.app import build as build_app
from havn.deploy.estate import tools
from havn.deploy.estate.scratch import Scratch
from havn.deploy.estate.store import EstateStore
from havn.deploy.estate.wiring import Estate
from havn.deploy.logins.access import StoredAccess
from havn.deploy.logins.api import LoginApi
from havn.deploy.logins.provider import DeviceLogin, Provider
from havn.deploy.logins.store import LoginStore
from havn.deploy.protection.api import ProtectionApi
from havn.deploy.sealing import FileIdentities, SealError
from havn.deploy.settings import Settings
from havn.kit.clock import Clock, system_clock
from havn.kit.settings import SECRETS_DIR, SettingsError
from havn.kit.trust import open_trust


async def build(settings: Settings, *, clock: Clock = system_clock) -> Starlette:
    """Wire it. Raises `SettingsError`, and what a database that is away raises."""
    found = tools.connect(settings)
    if found is None:
        raise SettingsError("HAVN_REGISTRY_URL is needed: where releases and images are.")
    registry, registry_http = found
    work = Path(settings.work_folder)
    releases = work / "releases"
    releases.mkdir(parents=True, exist_ok=True)
    scratch = Scratch.open(work)
    equipment = tools.make(settings, run=scratch.path, releases=registry, target=registry)
    identities = FileIdentities(_identities(settings))
    try:
        identities.all()
    except SealError as error:
        raise SettingsError(str(error)) from None
    closing: list[Callable[[], Awaitable[None]]] = [registry_http.close]
    login = _login(settings, clock)
    if login is not None:
        closing.append(login.close)
    estate_store = await EstateStore.open(settings.deploy_database_url)
    logins = await LoginStore.open(settings.deploy_database_url)
    estate = Estate(
        estate_store, identities=identities, tools=equipment, clock=clock, trust_file=settings.trust_file,
        own_certificate=None if settings.tls_dir is None else Path(settings.tls_dir),
    )  # fmt: skip
    closing += [estate.close, logins.close, scratch.close]
    app, _ = await build_app(
        settings.deploy_database_url,
        environments=estate.environments,
        clusters=estate.clusters,
        registry=registry,
        keyring=estate.keyring,
        releases=releases,
        access=StoredAccess(logins, clock, settings.administrators.split()),
        identities=identities,
        clock=clock,
        extra=[
            *estate.endpoints(),
            *ProtectionApi(estate.protection, clock).endpoints(),
            *LoginApi(logins, login, clock).endpoints(),
        ],
        handlers=estate.handlers(),
        also_sealed=[estate.seal_anew],
        public=settings.console_url,
        closing=closing,
    )
    return app


def _login(settings: Settings, clock: Clock) -> DeviceLogin | None:
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise SettingsError("HAVN_OIDC_CLIENT_ID is needed beside HAVN_OIDC_ISSUER.")
    provider = Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        address=settings.oidc_address,
        scope=settings.oidc_scope,
    )
    return DeviceLogin(provider, clock, trust=open_trust(settings.trust_file))


def _identities(settings: Settings) -> Path:
    if settings.identities_file:
        return Path(settings.identities_file)
    folder = os.environ.get(SECRETS_DIR)
    if not folder:
        raise SettingsError("HAVN_IDENTITIES_FILE is needed: a file of age identities, as age-keygen makes it.")
    return Path(folder, "deploy-identities")
