"""Routes that try a policy without keeping it: as a table, against another, on cases, on a request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.engines import xacml
from havn.engines.app_policy import cases
from havn.engines.xacml import CompiledPolicy, RequestError, compile_policy, json_profile
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.askers import asker, may_read_org
from havn.platform.authorization.policies import MAX_BYTES, PolicyAdministration, check_address

_BODY = 3 * MAX_BYTES


class Chosen(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A policy: its XML text, a kept version, or neither: the one in force."""

    policy: str | None = None
    version: int | None = None


class TableQuery(Chosen, rename="camel", frozen=True):
    """Body of `table`; tasks and end events that the policy does not name may be added."""

    tasks: list[str] = []
    end_events: list[str] = []


class DiffQuery(msgspec.Struct, rename="camel", frozen=True):
    """Body of `diff`: from which policy to which; in force where one of them is left out."""

    before: Chosen = Chosen()
    after: Chosen = Chosen()
    tasks: list[str] = []
    end_events: list[str] = []


class CasesQuery(Chosen, rename="camel", frozen=True):
    """Body of `test`: cases as in `policy.test.yaml`, in JSON."""

    cases: Any = None


class CasesReport(msgspec.Struct, rename="camel", frozen=True):
    """What came of the cases."""

    passed: int
    failed: int
    outcomes: list[cases.Outcome]


class DecideQuery(Chosen, rename="camel", frozen=True):
    """Body of `decide`: a request in the JSON profile, decided on what it says and nothing else."""

    request: msgspec.Raw = msgspec.Raw(b"null")
    explain: bool = False


class PolicyTrialApi:
    """Handlers for the owner, its apps and components; nothing is kept and nothing is logged as a decision."""

    def __init__(
        self, administration: PolicyAdministration, components: PlatformTokenVerifier, *, clock: Clock
    ) -> None:
        self._administration = administration
        self._components = components
        self._clock = clock

    def routes(self, base: str) -> list[Route]:
        """The route table, under `base`."""
        one = f"{base}/policies/{{org}}/{{app}}"
        return [
            Route(f"{one}/table", self.table, methods=["POST"]),
            Route(f"{one}/diff", self.diff, methods=["POST"]),
            Route(f"{one}/test", self.test, methods=["POST"]),
            Route(f"{one}/decide", self.decide, methods=["POST"]),
        ]

    async def table(self, request: Request) -> Response:
        """POST policies/{org}/{app}/table: who may do what where."""
        org, app = await self._about(request)
        asked = await read_json(request, TableQuery, limit=_BODY)
        compiled = await self._compiled(org, app, asked)
        return await _tabulated(xacml.table, compiled, tasks=asked.tasks, end_events=asked.end_events)

    async def diff(self, request: Request) -> Response:
        """POST policies/{org}/{app}/diff: every right gained and lost between two policies."""
        org, app = await self._about(request)
        asked = await read_json(request, DiffQuery, limit=_BODY)
        before, after = [await self._compiled(org, app, one) for one in (asked.before, asked.after)]
        return await _tabulated(xacml.diff, before, after, tasks=asked.tasks, end_events=asked.end_events)

    async def test(self, request: Request) -> Response:
        """POST policies/{org}/{app}/test: cases tried on a policy."""
        org, app = await self._about(request)
        asked = await read_json(request, CasesQuery, limit=_BODY)
        try:
            file = cases.read(asked.cases)
        except cases.CasesError as error:
            raise Problem(400, f"The cases cannot be used: {error}.", code="cases_invalid") from None
        compiled = await self._compiled(org, app, asked)
        outcomes = await asyncio.to_thread(cases.run, compiled, file, org=org, app=app, now=self._clock())
        passed = sum(outcome.passed for outcome in outcomes)
        return json_response(CasesReport(passed, len(outcomes) - passed, outcomes))

    async def decide(self, request: Request) -> Response:
        """POST policies/{org}/{app}/decide: a request decided on what it says, with the engine's own account."""
        org, app = await self._about(request)
        asked = await read_json(request, DecideQuery, limit=_BODY)
        compiled = await self._compiled(org, app, asked)
        try:
            wanted = json_profile.read(bytes(asked.request), now=self._clock())
        except RequestError as error:
            status = 413 if error.too_large else 400
            raise Problem(status, f"The request cannot be read: {error}", code="invalid_request") from None
        results = await asyncio.to_thread(xacml.decide, compiled, wanted)
        answer = msgspec.json.decode(json_profile.write(results, style="camel"), type=dict[str, Any])
        if asked.explain:
            answer["explanations"] = [compiled.explain(one).to_json() for one in wanted.requests]
        return json_response(answer)

    async def _about(self, request: Request) -> tuple[str, str]:
        org, app = request.path_params["org"], request.path_params["app"]
        check_address(org, app)
        may_read_org(await asker(request, self._components), org)
        return org, app

    async def _compiled(self, org: str, app: str, chosen: Chosen) -> CompiledPolicy:
        return compile_policy(await self._administration.chosen(org, app, chosen.policy, chosen.version))


async def _tabulated(draw: Any, *policies: CompiledPolicy, tasks: Sequence[str], end_events: Sequence[str]) -> Response:
    try:
        return json_response(await asyncio.to_thread(draw, *policies, tasks=tasks, end_events=end_events))
    except ValueError as error:
        raise Problem(422, f"The policy cannot be tabulated: {error}.", code="too_many_combinations") from None
