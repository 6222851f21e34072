"""The Authorization API wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from havn.clients.applications import ApplicationsClient
from havn.clients.register import RegisterClient
from havn.clients.storage import StorageClient
from havn.guard.callers import Callers
from havn.guard.facts import FactCache
from havn.guard.metering.middleware import metered
from havn.guard.middleware import Authentication
from havn.guard.neighbours import Neighbours
from havn.guard.reporting import DecisionReporter
from havn.kit.clock import Clock, system_clock
from havn.kit.problem import Problem
from havn.kit.web import create_app
from havn.platform.authorization.access_list_api import AccessListApi
from havn.platform.authorization.access_lists import AccessLists
from havn.platform.authorization.addresses import Addresses
from havn.platform.authorization.changes import ChangeHub
from havn.platform.authorization.context import ContextHandler
from havn.platform.authorization.decision_api import DecisionApi
from havn.platform.authorization.decision_log import DecisionLog, LocalSink, Pseudonyms
from havn.platform.authorization.delegation_api import DelegationApi
from havn.platform.authorization.delegation_rule_api import DelegationRuleApi
from havn.platform.authorization.delegation_rules import DelegationRules
from havn.platform.authorization.delegations import Delegations
from havn.platform.authorization.freshness import AtLeast, Versions
from havn.platform.authorization.information_api import InformationApi
from havn.platform.authorization.instance_delegation_api import InstanceDelegationApi
from havn.platform.authorization.instances import InstanceLookup
from havn.platform.authorization.log_api import LogApi, Retention
from havn.platform.authorization.metrics import DecisionMetrics
from havn.platform.authorization.party_api import PartyApi
from havn.platform.authorization.pdp import DecisionPoint
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.policy_api import PolicyApi
from havn.platform.authorization.policy_trial_api import PolicyTrialApi
from havn.platform.authorization.prp import LocalFacts
from havn.platform.authorization.registry import Registry
from havn.platform.authorization.replay import Replay
from havn.platform.authorization.residual import Residuals
from havn.platform.authorization.residual_api import InstanceFinder, ResidualApi
from havn.platform.authorization.resource_api import ResourceApi
from havn.platform.authorization.resource_policy_api import ResourcePolicyApi
from havn.platform.authorization.rights_api import RightsApi
from havn.platform.authorization.settings import AuthorizationSettings
from havn.platform.authorization.store import Stores

BASE = "/authorization/api/v1"
REGISTRY = "/resourceregistry/api/v1"
COMPONENT = "authorization"


async def build(settings: AuthorizationSettings, *, clock: Clock = system_clock, transport: Any = None) -> Starlette:
    """Connect to the database and wire the API; its lifespan follows changes, writes the log and closes connections.

    `transport` carries calls to other platform APIs in place of the network.
    """
    stores = await Stores.open(settings.authorization_database_url)

    neighbours = Neighbours(settings, COMPONENT, clock=clock, transport=transport)
    http = neighbours.client("The platform", 35)
    callers = Callers(http, scheme=settings.scheme, domain=settings.domain, clock=clock)
    meter = neighbours.meter()
    information = InformationPoint(RegisterClient(http), neighbours.signer, stores.delegations, clock=clock)
    hub = ChangeHub(settings.authorization_database_url, information.role_version)
    source = LocalFacts(stores.policies, information)
    facts = FactCache(source, hub, clock=clock)
    hub.listen(facts.apply)
    versions = Versions(stores.versions, facts)
    stamp = versions.stamped
    log = DecisionLog(
        stores.decisions,
        Pseudonyms.from_secrets(settings.authorization_pseudonym_key, settings.platform_access_key),
        clock=clock,
        permit_days=settings.permit_retention_days,
        refusal_days=settings.refusal_retention_days,
    )
    reporter = DecisionReporter(LocalSink(log, COMPONENT))
    storage = StorageClient(http)
    instances = InstanceLookup(storage, neighbours.signer)
    addresses = Addresses(stores.resources)
    metrics = DecisionMetrics()
    decisions = DecisionPoint(
        facts, lambda: ContextHandler(facts, information, addresses, instances.facts), reporter, metrics, clock=clock
    )
    administration = PolicyAdministration(stores.policies, hub.tell)
    delegations = Delegations(
        stores.delegations,
        information,
        decisions,
        stores.resources,
        clock=clock,
        max_depth=settings.max_delegation_depth,
        announce=hub.tell,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(stores.close)
            stack.push_async_callback(http.close)
            await stack.enter_async_context(callers.following())
            await stack.enter_async_context(log.cleaning())
            await stack.enter_async_context(reporter.running())
            await stack.enter_async_context(hub.running())
            await stack.enter_async_context(meter.running())
            yield

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(request: Request) -> Response:
        await stores.ready()
        return PlainTextResponse("OK")

    async def error(request: Request) -> Response:
        raise Problem(500, "Something went wrong on our side.", code="internal_error")

    components = callers.components
    retention = Retention(settings.permit_retention_days, settings.refusal_retention_days)
    instance_api = InstanceDelegationApi(
        stores.delegations, information, administration, components, clock=clock, announce=hub.tell
    )
    replay = Replay(stores.decisions, stores.policies, administration, log.pseudonyms, clock=clock)
    access_lists = AccessLists(stores.access_lists, information, addresses, clock=clock, announce=hub.tell)
    registry = Registry(
        stores.resources,
        addresses,
        administration,
        stores.access_lists,
        ApplicationsClient(http),
        clock=clock,
        announce=hub.tell,
    )
    rule_api = DelegationRuleApi(
        DelegationRules(delegations, stores.delegations, information, administration, clock=clock)
    )
    app = create_app(
        [
            Route(f"{BASE}/health", health),
            Route(f"{BASE}/health/ready", ready),
            Route(f"{BASE}/error", error),
            *DecisionApi(decisions, source, hub, log, metrics, components, clock=clock).routes(BASE),
            *PolicyApi(administration, stores.policies, replay, components).routes(BASE, stamp),
            *PolicyTrialApi(administration, components, clock=clock).routes(BASE),
            # Callers write the folder in either case.
            *rule_api.routes(f"{BASE}/Delegations", stamp),
            *rule_api.routes(f"{BASE}/delegations", stamp),
            *DelegationApi(delegations, registry, administration).routes(BASE, stamp),
            *instance_api.routes(f"{BASE}/app", stamp),
            *instance_api.routes("/accessmanagement/api/v1/app", stamp),
            *RightsApi(decisions, administration, InstanceFinder(storage), components, clock=clock).routes(BASE),
            *ResidualApi(Residuals(decisions, clock=clock), components).routes(BASE),
            *ResourceApi(registry, components).routes(REGISTRY, stamp),
            *ResourcePolicyApi(registry, administration, components).routes(REGISTRY, stamp),
            *AccessListApi(access_lists, components).routes(BASE, REGISTRY, stamp),
            *PartyApi(information, facts).routes(BASE),
            *InformationApi(information, stores.delegations, stores.resources, facts, components, clock=clock).routes(
                "/accessmanagement/api/v1/policyinformation"
            ),
            *LogApi(stores.decisions, log, components, retention).routes(BASE),
        ],
        name=COMPONENT,
        lifespan=lifespan,
        middleware=[
            Middleware(Authentication, verifier=callers.users),
            *metered(COMPONENT, meter, callers.components),
            Middleware(AtLeast, versions=versions),
        ],
    )
    app.state.metrics = metrics.text
    return app
