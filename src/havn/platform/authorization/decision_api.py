"""Routes of the decision point: `decision`, `authorize`, and what an enforcement point may do instead of asking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import FactsQuery, LogBatch
from havn.contracts.resources import PLATFORM_OWNER
from havn.engines import xacml
from havn.engines.xacml import RequestError, json_profile, xml_profile
from havn.guard.facts import MAX_PARTIES, FactSource
from havn.guard.middleware import require_principal
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_body, read_json
from havn.platform.authorization import explanation
from havn.platform.authorization.askers import AUTHORIZE_SCOPES, Asker, asker, may_decide, may_know, may_read_org
from havn.platform.authorization.changes import ChangeHub
from havn.platform.authorization.decision_log import DecisionLog
from havn.platform.authorization.metrics import DecisionMetrics
from havn.platform.authorization.pdp import Answer, DecisionPoint

_REQUEST_BYTES = 8 * 1024 * 1024
_LOG_BYTES = 8 * 1024 * 1024
_MAX_BATCH = 2_000
XACML_JSON = "application/xacml+json"
XACML_XML = "application/xacml+xml"


class DecisionApi:
    """Handlers; nothing but translation."""

    def __init__(
        self,
        decisions: DecisionPoint,
        facts: FactSource,
        hub: ChangeHub,
        log: DecisionLog,
        metrics: DecisionMetrics,
        components: PlatformTokenVerifier,
        *,
        clock: Clock,
    ) -> None:
        self._decisions = decisions
        self._facts = facts
        self._hub = hub
        self._log = log
        self._metrics = metrics
        self._components = components
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        return [
            Route(f"{base}/decision", self.decision, methods=["POST"]),
            Route(f"{base}/authorize", self.authorize, methods=["POST"]),
            Route(f"{base}/facts/policies/{{org}}/{{app}}", self.policy_facts, methods=["GET"]),
            Route(f"{base}/facts/subjects", self.subject_facts, methods=["POST"]),
            Route(f"{base}/events", self.events, methods=["GET"]),
            Route(f"{base}/decisions/log", self.take_log, methods=["POST"]),
        ]

    async def decision(self, request: Request) -> Response:
        """POST decision."""
        who = await asker(request, self._components)
        return await self._decide(request, who, as_json=_is_json(request))

    async def authorize(self, request: Request) -> Response:
        """POST authorize: the external route, JSON only, by scope."""
        caller = require_principal(request)
        if not caller.has_scope(*AUTHORIZE_SCOPES):
            raise Problem(403, "The token lacks the scope for asking on behalf of others.", code="scope_missing")
        if not _is_json(request):
            raise Problem(415, "Send JSON.", code="unsupported_media_type")
        return await self._decide(request, None, as_json=True)

    async def _decide(self, request: Request, who: Asker | None, *, as_json: bool) -> Response:
        body = await read_body(request, _REQUEST_BYTES)
        try:
            read = json_profile.read if as_json else xml_profile.read
            asked = read(body, now=self._clock())
        except RequestError as error:
            raise Problem(
                413 if error.too_large else 400, f"The request cannot be read: {error}", code="invalid_request"
            ) from None
        answer = await self._decisions.decide(
            asked,
            allowed=may_decide(who) if who is not None else None,
            api="external" if who is None else "internal",
        )
        headers = {contract.FAULT_HEADER: "true"} if answer.fault else {}
        results = [xacml.combined(answer.results)] if asked.combined else answer.results
        wants_standard = XACML_JSON in request.headers.get("accept", "")
        if not as_json:
            return Response(xml_profile.write(results), headers=headers, media_type=XACML_XML)
        written = json_profile.write(results, style="pascal" if wants_standard else "camel")
        if request.query_params.get("explain", "").lower() == "true":
            written = self._explained(written, answer, who)
        return Response(written, headers=headers, media_type=XACML_JSON if wants_standard else "application/json")

    def _explained(self, written: bytes, answer: Answer, who: Asker | None) -> bytes:
        """The answer with an `explanation` beside each result. It reveals policy: for the app's owner only."""
        for entry in answer.decided:
            if entry.completed is not None and who is not None:
                may_read_org(who, entry.completed.resource.org)
            elif not (who is not None and who.is_component):
                raise Problem(403, "Explanations are for the app's owner.", code="forbidden")
        document = msgspec.json.decode(written, type=dict[str, Any])
        results = next(value for name, value in document.items() if name.lower() == "response")
        for result, entry in zip(results, answer.decided, strict=False):
            result["explanation"] = msgspec.to_builtins(explanation.of(entry))
        return msgspec.json.encode(document)

    async def policy_facts(self, request: Request) -> Response:
        """GET facts/policies/{org}/{app}: for components, and for apps of that owner."""
        who = await asker(request, self._components)
        org, app = request.path_params["org"], request.path_params["app"]
        if org != PLATFORM_OWNER or who.caller is None:
            may_read_org(who, org)
        found = await self._facts.policy(org, app)
        if found is None:
            raise Problem(404, f"There is no policy for {org}/{app}.", code="policy_not_found")
        return json_response(found)

    async def subject_facts(self, request: Request) -> Response:
        """POST facts/subjects: for components, and for apps that show the subject's own token."""
        who = await asker(request, self._components)
        query = await read_json(request, FactsQuery)
        if len(query.parties) > MAX_PARTIES:
            raise Problem(400, f"At most {MAX_PARTIES} parties can be asked about at once.", code="too_many")
        if not all(0 < party < 2**31 for party in query.parties):
            raise Problem(400, "A party id is not valid.", code="invalid_party")
        may_know(who, query.subject)
        found = await self._facts.subject_facts(query.subject, query.parties, None)
        if who.caller is not None and not who.is_component:
            found = [_for_owner(facts, who.caller.org) for facts in found]
        return json_response(found)

    async def events(self, request: Request) -> Response:
        """GET events: one change a line, `alive` several times a second while nothing is missed."""
        who = await asker(request, self._components)
        if who.caller is None:
            raise Problem(403, "The stream is for apps and components.", code="forbidden")
        org = None if who.is_component else who.caller.org
        return StreamingResponse(
            self._lines(org), media_type="application/x-ndjson", headers={"cache-control": "no-store"}
        )

    async def _lines(self, org: str | None) -> AsyncIterator[bytes]:
        async for change in self._hub.subscribe():
            # An app learns nothing about other owners' deployments.
            if org is None or change.org in (None, org, PLATFORM_OWNER):
                yield msgspec.json.encode(change) + b"\n"

    async def take_log(self, request: Request) -> Response:
        """POST decisions/log: decisions made in an app or a component, each about what it may decide."""
        who = await asker(request, self._components)
        if who.caller is None:
            raise Problem(403, "Only apps and components report decisions.", code="forbidden")
        batch = await read_json(request, LogBatch, limit=_LOG_BYTES)
        if len(batch.decisions) > _MAX_BATCH:
            raise Problem(400, f"At most {_MAX_BATCH} decisions go into one batch.", code="too_many")
        now = self._clock()
        for decision in batch.decisions:
            if not who.is_component and (decision.org, decision.app) != (who.caller.org, who.caller.app):
                raise Problem(403, "An app reports only its own decisions.", code="foreign_org")
            if decision.at.tzinfo is None or abs(decision.at - now) > timedelta(days=1) or decision.count < 1:
                raise Problem(400, "A decision's time or count is not plausible.", code="invalid_decision")
        await self._log.write(batch, by=who.name())
        self._metrics.missed(batch.dropped)
        for decision in batch.decisions:
            self._metrics.decided(
                decision.org, decision.app, decision.decision, "reported", count=decision.count, micros=decision.micros
            )
        return Response(status_code=204)


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _for_owner(facts: contract.SubjectFacts, org: str) -> contract.SubjectFacts:
    """Without rights to other owners' apps."""
    rights = [right for right in facts.rights if contract.AttributePair(contract.ORG, org) in right.resource]
    return msgspec.structs.replace(facts, rights=rights)
