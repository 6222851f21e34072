"""Routes of the decision log: search for the app's owner, and how long its decisions are kept."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.askers import asker, may_read_org
from havn.platform.authorization.decision_log import DecisionLog
from havn.platform.authorization.policies import check_address
from havn.platform.authorization.store.decisions import DecisionFilter, DecisionStore

READ_SCOPES = ("altinn:serviceowner/authorization.log.read", "altinn:serviceowner")
_MAX_PAGE = 1000
_NAMES = {"policy_version": "policyVersion", "trace_id": "traceId", "decided_by": "decidedBy"}


class Retention(msgspec.Struct, rename="camel", frozen=True):
    """For how many days an app's decisions are kept."""

    permit_days: int
    refusal_days: int


class LogApi:
    """Handlers; nothing but translation."""

    def __init__(
        self, store: DecisionStore, log: DecisionLog, components: PlatformTokenVerifier, default: Retention
    ) -> None:
        self._store = store
        self._log = log
        self._components = components
        self._default = default

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/decisions/{{org}}", self.search, methods=["GET"]),
            Route(f"{base}/decisions/{{org}}/{{app}}/retention", self.retention, methods=["GET"]),
            Route(f"{base}/decisions/{{org}}/{{app}}/retention", self.set_retention, methods=["PUT"]),
            Route(f"{base}/decisions/{{org}}/{{app}}", self.search, methods=["GET"]),
        ]

    async def search(self, request: Request) -> Response:
        """GET decisions/{org}[/{app}]: newest first; filters userId, partyId, instanceId, action, result, since, until.

        `before` is the `id` of the last one seen.
        """
        org, app = request.path_params["org"], request.path_params.get("app")
        check_address(org, app or "a")
        may_read_org(await asker(request, self._components), org, *READ_SCOPES)
        query = request.query_params
        pseudonyms = self._log.pseudonyms
        user, party = _digits(query.get("userId"), "userId"), _digits(query.get("partyId"), "partyId")
        limit = min(int(_digits(query.get("limit"), "limit") or 100), _MAX_PAGE)
        before = _digits(query.get("before"), "before")
        rows = await self._store.search(
            DecisionFilter(
                org=org,
                app=app,
                subject=pseudonyms.of(f"user:{user}") if user else query.get("subject"),
                party=pseudonyms.of(f"party:{party}") if party else None,
                instance=_guid(query.get("instanceId")),
                action=query.get("action"),
                result=query.get("result"),
                since=_time(query.get("since"), "since"),
                until=_time(query.get("until"), "until"),
                before=int(before) if before else None,
                limit=limit,
            )
        )
        found = [{_NAMES.get(key, key): value for key, value in row.items()} for row in rows]
        return json_response({"decisions": found, "before": rows[-1]["id"] if len(rows) == limit else None})

    async def retention(self, request: Request) -> Response:
        """GET decisions/{org}/{app}/retention."""
        org, app = request.path_params["org"], request.path_params["app"]
        may_read_org(await asker(request, self._components), org, *READ_SCOPES)
        own = await self._store.retention(org, app)
        return json_response(Retention(*own) if own is not None else self._default)

    async def set_retention(self, request: Request) -> Response:
        """PUT decisions/{org}/{app}/retention: by the owner, between 1 day and 10 years."""
        org, app = request.path_params["org"], request.path_params["app"]
        check_address(org, app)
        may_read_org(await asker(request, self._components), org, *READ_SCOPES)
        wanted = await read_json(request, Retention)
        if not (1 <= wanted.permit_days <= 3650 and 1 <= wanted.refusal_days <= 3650):
            raise Problem(400, "Decisions are kept between 1 day and 3650 days.", code="invalid_retention")
        await self._store.set_retention(org, app, wanted.permit_days, wanted.refusal_days)
        return json_response(wanted)


def _digits(text: str | None, name: str) -> str | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 18):
        raise Problem(400, f"{name} must be a number.", code="invalid_query")
    return str(int(text))


def _guid(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(UUID(text.rpartition("/")[2]))
    except ValueError:
        raise Problem(400, "instanceId must end in a guid.", code="invalid_query") from None


def _time(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Problem(400, f"{name} must be a time with zone, such as 2026-11-01T12:00:00Z.", code="invalid_query")
    return moment
