"""Many decisions in one question: what may I do with an app, and what may somebody do with each of many instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair
from havn.engines.app_policy.reading import rules
from havn.engines.xacml import DecisionRequest, Request
from havn.guard import evaluation, xacml
from havn.guard.middleware import require_principal
from havn.guard.pep import Outcome, Resource
from havn.guard.platform_token import PlatformTokenVerifier
from havn.guard.snapshot import to_outcome
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.askers import Asker, asker, may_decide
from havn.platform.authorization.context import Completed
from havn.platform.authorization.pdp import DecisionPoint
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.residual_api import Found, InstanceFinder, StorageQuery, app_named

_BODY = 4 * 1024 * 1024


class MatrixResource(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """One instance, or an app for a party; `app` is `{org}/{app}`, `task` or `end_event` where the instance stands."""

    app: str
    party: int
    instance_id: str | None = None
    task: str | None = None
    end_event: str | None = None


class MatrixQuestion(msgspec.Struct, rename="camel", frozen=True):
    """Body: which of `actions` the subject may do with each of `resources`, or with each that `query` finds."""

    subject: list[AttributePair]
    actions: list[str]
    resources: list[MatrixResource] | None = None
    query: StorageQuery | None = None


class MatrixRow(msgspec.Struct, rename="camel", frozen=True):
    """What is allowed with one resource, and the highest sign-in level that any of it asks for."""

    instance_id: str | None
    allowed: list[str]
    min_level: int


class MatrixPage(msgspec.Struct, rename="camel", frozen=True):
    """The answer to a query; `continuation_token` in the query asks for the next page, null after the last."""

    rows: list[MatrixRow]
    continuation_token: str | None


class Right(msgspec.Struct, rename="camel", frozen=True):
    """An action the caller has and the level of sign-in it needs."""

    action: str
    min_level: int


class PlaceRights(msgspec.Struct, rename="camel", frozen=True):
    """Rights at one place of the process; neither task nor end event before it has begun."""

    task: str | None
    end_event: str | None
    rights: list[Right]


class RightsApi:
    """Handlers for rights and the decision matrix."""

    def __init__(
        self,
        decisions: DecisionPoint,
        administration: PolicyAdministration,
        finder: InstanceFinder,
        components: PlatformTokenVerifier,
        *,
        clock: Clock,
    ) -> None:
        self._finder = finder
        self._decisions = decisions
        self._administration = administration
        self._components = components
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/rights", self.rights, methods=["GET"]),
            Route(f"{base}/decision/matrix", self.matrix, methods=["POST"]),
        ]

    async def rights(self, request: HttpRequest) -> Response:
        """GET rights?app={org}/{app}&party=: what the caller may do at each place that the policy names."""
        who = require_principal(request)
        org, app = app_named(request.query_params.get("app", ""))
        party = request.query_params.get("party", "")
        if not (party.isascii() and party.isdigit() and 0 < int(party[:11]) < 2**31):
            raise Problem(400, "party must be a party id.", code="invalid_query")
        _, document = await self._administration.document(org, app)
        actions: set[str] = set()
        places: set[tuple[str, str]] = set()
        for view in rules(document):
            for grant in view.grants:
                if grant.action is not None:
                    actions.add(grant.action.value)
                named = {pair.id: pair.value for pair in grant.resource}
                places.update((id_, named[id_]) for id_ in (contract.TASK, contract.END_EVENT) if id_ in named)
        ordered = sorted(actions)
        wanted = [Resource(org, app, int(party))] + [
            Resource(
                org, app, int(party), None, value if id_ == contract.TASK else None,
                value if id_ == contract.END_EVENT else None,
            )
            for id_, value in sorted(places, reverse=True)
        ]  # fmt: skip
        subject = evaluation.bags(xacml.subject(who))
        rows = await self._decide(subject, wanted, ordered, may_decide(Asker(None, who)))
        return json_response(
            [
                PlaceRights(
                    place.task,
                    place.end_event,
                    [Right(action, row[action].minimum_level or 0) for action in ordered if row[action].permit],
                )
                for place, row in zip(wanted, rows, strict=True)
            ]
        )

    async def matrix(self, request: HttpRequest) -> Response:
        """POST decision/matrix: for whoever may ask for each of the decisions singly."""
        who = await asker(request, self._components)
        asked = await read_json(request, MatrixQuestion, limit=_BODY)
        if (asked.resources is None) == (asked.query is None):
            raise Problem(400, "Give resources or a query.", code="invalid_query")
        found = Found([], None)
        if asked.query is not None:
            found = await self._finder.find(asked.query, who.principal)
        wanted = found.places or [
            Resource(*app_named(one.app), one.party, one.instance_id, one.task, one.end_event)
            for one in asked.resources or ()
        ]
        actions = list(dict.fromkeys(asked.actions))
        subject = evaluation.bags((pair.id, pair.value) for pair in asked.subject)
        rows = [
            MatrixRow(
                place.instance_id,
                [action for action in actions if row[action].permit],
                max((row[action].minimum_level or 0 for action in actions if row[action].permit), default=0),
            )
            for place, row in zip(wanted, await self._decide(subject, wanted, actions, may_decide(who)), strict=True)
        ]
        return json_response(MatrixPage(rows, found.next) if asked.query is not None else rows)

    async def _decide(
        self,
        subject: evaluation.Bags,
        wanted: Sequence[Resource],
        actions: Sequence[str],
        allowed: Callable[[Completed], None],
    ) -> list[dict[str, Outcome]]:
        """An outcome for each resource and action. 413 for too many, 503 when facts are lacking."""
        if len(wanted) * len(actions) > contract.MAX_SUB_REQUESTS:
            raise Problem(413, f"At most {contract.MAX_SUB_REQUESTS} decisions fit in one call.", code="too_many")
        now = self._clock()
        requests: list[Request] = []
        for place in wanted:
            bags = evaluation.bags(xacml.whole_resource(place))
            requests += [evaluation.request(subject, bags, action, now) for action in actions]
        answer = await self._decisions.decide(DecisionRequest(requests=tuple(requests)), allowed=allowed)
        if answer.fault:
            raise Problem(
                503, "Facts that the decisions rest on are lacking just now.", code="authorization_unavailable",
                headers={"Retry-After": "2"},
            )  # fmt: skip
        results = iter(answer.results)
        return [{action: to_outcome(next(results)) for action in actions} for _ in wanted]
