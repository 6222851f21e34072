"""The control plane wired together: its API, and the worker that carries deployments out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from havn.clusters.port import Clusters
from havn.deploy.access import Access
from havn.deploy.api import Api
from havn.deploy.endpoints import Endpoint, routes
from havn.deploy.environments import Environments, Keyring
from havn.deploy.folders import Folders
from havn.deploy.image.api import BaseApi
from havn.deploy.inspection_api import InspectionApi
from havn.deploy.management import ManagementRelay
from havn.deploy.openapi import document
from havn.deploy.plan import Plan
from havn.deploy.promotion.api import PromotionApi
from havn.deploy.promotion.gate import Gate
from havn.deploy.promotion.store import Approvals
from havn.deploy.registry import Registry
from havn.deploy.rollout import Reached, Rollout, unheard
from havn.deploy.sealing import Identities, Sealer
from havn.deploy.secrets.api import SecretsApi
from havn.deploy.secrets.redeploy import Redeploy
from havn.deploy.secrets.store import SecretStore
from havn.deploy.secrets.vault import Vault
from havn.deploy.store import Store
from havn.deploy.story import Changes
from havn.kit.background import background
from havn.kit.clock import Clock, system_clock
from havn.kit.queue import Handler, Worker
from havn.kit.web import create_app, json_response

_JOBS, _JOBS_PER_CLUSTER = 16, 4


async def build(
    database_url: str,
    *,
    environments: Environments,
    clusters: Clusters,
    registry: Registry,
    keyring: Keyring,
    releases: Path,
    access: Access,
    identities: Identities,
    clock: Clock = system_clock,
    extra: Sequence[Endpoint] = (),
    reached: Reached = unheard,
    handlers: Mapping[str, Handler] | None = None,
    also_sealed: Sequence[Callable[[], Awaitable[int]]] = (),
    public: str = "",
    closing: Sequence[Callable[[], Awaitable[None]]] = (),
) -> tuple[Starlette, Store]:
    """Connect to the schema `deploy` and wire everything; the app's lifespan runs the worker.

    Secrets are reached at `app.state.vault` by whoever hosts the control plane.

    `identities` open what is sealed in the database. `releases` is the folder into which releases are unpacked to be
    read. `extra` are rows of the table of routes for whoever hosts the control plane. `reached` is told each step of a
    deployment. `handlers` do other kinds of jobs. `also_sealed` seal with the first identity what they keep sealed.
    `public` is the control plane's public address. `closing` is done at the end, when nothing works any more.
    """
    store = await Store.open(database_url)
    secret_store = await SecretStore.open(database_url)
    vault = Vault(secret_store, Sealer(identities))
    changes = Changes()
    folders = Folders(registry, releases)
    plan = Plan(store, environments, folders, clock=clock)
    approvals = Approvals(store.database)
    gate = Gate(store, approvals, environments=environments, plan=plan, clock=clock)
    rollout = Rollout(
        store,
        environments=environments,
        clusters=clusters,
        registry=registry,
        keyring=keyring,
        secrets=vault,
        folders=folders,
        changes=changes,
        clock=clock,
        reached=reached,
    )
    jobs = {"deployment": rollout.deployment, "restore": rollout.restore, **(handlers or {})}
    # A job's key is environment/org/app: jobs for a cluster that does not answer leave places to the others.
    worker = Worker(database_url, "deploy", jobs, at_once=_JOBS, per_group=_JOBS_PER_CLUSTER)
    secrets_api = SecretsApi(
        vault,
        environments=environments,
        identities=identities,
        redeploy=Redeploy(store, clock),
        clock=clock,
        also_sealed=also_sealed,
    )
    api = Api(store, environments=environments, clusters=clusters, changes=changes, gate=gate, clock=clock)
    inspection = InspectionApi(store, environments=environments, clusters=clusters, plan=plan, clock=clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            async with background(worker.run(), name="deploy worker"):
                yield
        finally:
            await secret_store.close()
            await store.close()
            for close in closing:
                await close()

    async def health(request: Request) -> Response:
        """Whether the control plane answers, and has its database."""
        await store.unsettled()
        return PlainTextResponse("OK")

    async def openapi(request: Request) -> Response:
        """This document."""
        return json_response(document(table, server=public))

    table = [
        Endpoint(method="GET", path="/health", handler=health, role=None),
        Endpoint(method="GET", path="/openapi.json", handler=openapi, role=None),
        *api.endpoints(),
        *inspection.endpoints(),
        *BaseApi(store, environments=environments, clock=clock).endpoints(),
        *PromotionApi(gate, approvals, clock).endpoints(),
        *secrets_api.endpoints(),
        *ManagementRelay(environments).endpoints(),
        *extra,
    ]
    app = create_app(routes(table, access), name="deploy", lifespan=lifespan)
    app.state.vault = vault
    app.state.endpoints = tuple(table)
    return app, store
