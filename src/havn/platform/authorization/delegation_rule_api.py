"""Routes of delegation rules, for the portal's own back end: it says on which user's word it acts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.delegation_rules import DelegationRule, RuleQuery, RulesToDelete
from havn.guard.middleware import require_principal
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.delegation_rules import DelegationRules
from havn.platform.authorization.freshness import Stamp

PORTAL = "sbl.authorization"


class DelegationRuleApi:
    """Handlers; nothing but translation."""

    def __init__(self, rules: DelegationRules) -> None:
        self._rules = rules

    def routes(self, base: str, stamp: Stamp) -> list[Route]:
        """The route table, under `base`; `stamp` has writes tell their version."""
        return [
            Route(f"{base}/AddRules", stamp(self.add), methods=["POST"]),
            Route(f"{base}/GetRules", self.find, methods=["POST"]),
            Route(f"{base}/DeleteRules", stamp(self.delete), methods=["POST"]),
            Route(f"{base}/DeletePolicy", stamp(self.delete_policy), methods=["POST"]),
            Route(f"{base}/delegationchangeevents/replay", self.replay, methods=["POST"]),
        ]

    async def add(self, request: Request) -> Response:
        """POST AddRules: 201 when all were written, 206 when some, 400 when none."""
        _portal(request)
        written = await self._rules.add(await read_json(request, list[DelegationRule]))
        done = sum(rule.created_successfully for rule in written)
        if done == 0:
            raise Problem(400, "Delegation could not be completed.", code="nothing_delegated")
        return json_response(written, 201 if done == len(written) else 206)

    async def find(self, request: Request) -> Response:
        """POST GetRules?onlyDirectDelegations=."""
        _portal(request)
        direct_only = request.query_params.get("onlyDirectDelegations", "").lower() == "true"
        return json_response(await self._rules.find(await read_json(request, RuleQuery), direct_only=direct_only))

    async def delete(self, request: Request) -> Response:
        """POST DeleteRules: 200 when all are gone, 206 when some, 400 when none."""
        return await self._delete(request, whole=False)

    async def delete_policy(self, request: Request) -> Response:
        """POST DeletePolicy: as DeleteRules, for all rights of each match."""
        return await self._delete(request, whole=True)

    async def _delete(self, request: Request, *, whole: bool) -> Response:
        _portal(request)
        ended, complete = await self._rules.delete(await read_json(request, list[RulesToDelete]), whole=whole)
        if not ended:
            raise Problem(400, "Nothing could be taken back.", code="nothing_deleted")
        return json_response(ended, 200 if complete else 206)

    async def replay(self, request: Request) -> Response:
        """POST delegationchangeevents/replay?startId=&endId=: recorded changes, in the answer."""
        _portal(request)
        first, last = _number(request, "startId"), _number(request, "endId")
        if first < 1:
            raise Problem(400, "startId must be 1 or more.", code="invalid_query")
        if 0 < last < first:
            raise Problem(422, "endId comes before startId.", code="range_invalid")
        return json_response(await self._rules.events(first, last or None))


def _portal(request: Request) -> None:
    if require_principal(request).claims.get("urn:altinn:app") != PORTAL:
        raise Problem(403, "Only the portal's back end may do this.", code="forbidden")


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, f"{name} must be a number.", code="invalid_query")
    return int(text)
