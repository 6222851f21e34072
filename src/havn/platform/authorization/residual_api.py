"""Which of these, by query: a filter for a database, or instances that storage finds."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.clients.credentials import Credentials
from havn.clients.storage import StorageClient
from havn.contracts.authorization import AttributePair
from havn.contracts.storage import Instance, InstanceQuery
from havn.guard import evaluation
from havn.guard.pep import Resource
from havn.guard.platform_token import PlatformTokenVerifier
from havn.guard.principal import Principal
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.askers import asker, may_decide
from havn.platform.authorization.policies import check_names
from havn.platform.authorization.residual import Residuals

_BODY = 1024 * 1024


class ResidualQuestion(msgspec.Struct, rename="camel", frozen=True):
    """Body: for which of `parties`, and where, the subject may do each of `actions` with instances of `apps`."""

    subject: list[AttributePair]
    actions: list[str]
    apps: list[str]
    parties: list[int]


class ResidualApi:
    """The handler; nothing but translation."""

    def __init__(self, residuals: Residuals, components: PlatformTokenVerifier) -> None:
        self._residuals = residuals
        self._components = components

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [Route(f"{base}/decision/residual", self.residual, methods=["POST"])]

    async def residual(self, request: Request) -> Response:
        """POST decision/residual: for whoever may ask for each of the decisions singly."""
        who = await asker(request, self._components)
        asked = await read_json(request, ResidualQuestion, limit=_BODY)
        if not asked.apps or not asked.parties or not asked.actions:
            raise Problem(400, "Name apps, parties and actions.", code="invalid_query")
        if not all(0 < party < 2**31 for party in asked.parties):
            raise Problem(400, "A party id is not valid.", code="invalid_party")
        apps = [app_named(app) for app in dict.fromkeys(asked.apps)]
        subject = evaluation.bags((pair.id, pair.value) for pair in asked.subject)
        parties, actions = list(dict.fromkeys(asked.parties)), list(dict.fromkeys(asked.actions))
        return json_response(await self._residuals.filters(subject, apps, parties, actions, may_decide(who)))


class StorageQuery(msgspec.Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instances, as `GET /instances` of storage is asked; at most 1,000 at a time."""

    org: str | None = None
    app_id: str | None = None
    party_id: int | None = None
    current_task: str | None = None
    is_complete: bool | None = None
    is_archived: bool | None = None
    is_soft_deleted: bool | None = None
    size: int | None = None
    continuation_token: str | None = None


class Found(msgspec.Struct, frozen=True):
    """A page of what storage found; `next` asks for the one after it."""

    places: list[Resource]
    next: str | None


class InstanceFinder:
    """Asks storage, with the asker's own token, so that nobody finds what they may not see."""

    def __init__(self, storage: StorageClient) -> None:
        self._storage = storage

    async def find(self, query: StorageQuery, who: Principal) -> Found:
        """A page of instances as places to decide about; 400 without a signed-in caller, or as storage refuses."""
        if who.token is None:
            raise Problem(400, "A query is asked with the token of whoever looks.", code="query_needs_token")
        wanted = InstanceQuery(**msgspec.structs.asdict(query), include_data_elements=False)
        page = await self._storage.query(wanted, Credentials(token=who.token, at_least=who.at_least))
        tokens = parse_qs(urlsplit(page.next or "").query).get("continuationToken")
        return Found([place_of(instance) for instance in page.instances], tokens[0] if tokens else None)


def place_of(instance: Instance) -> Resource:
    """What a decision about an instance is made on."""
    org, app = app_named(instance.app_id or "")
    process = instance.process
    task = process.current_task.element_id if process is not None and process.current_task is not None else None
    end = process.end_event if process is not None and task is None else None
    owner = instance.instance_owner.party_id if instance.instance_owner is not None else None
    return Resource(org, app, int(owner or 0), instance.id, task, end)


def app_named(text: str) -> tuple[str, str]:
    """Org and app of `{org}/{app}`; 400 for anything else."""
    org, _, app = text.partition("/")
    check_names(org, app)
    return org, app
