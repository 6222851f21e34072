"""A decision point over HTTP: every decision is asked of the authorization API."""

from __future__ import annotations

from collections.abc import Sequence

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts import authorization as contract
from havn.guard import xacml
from havn.guard.facts import BEHIND
from havn.guard.pep import Outcome, Resource
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.principal import Principal
from havn.kit.problem import Problem

# What concerns the version that the caller itself demanded is told as it is.
_TOLD = frozenset({BEHIND, "version_not_made"})
_INCLUDED = frozenset({contract.ACTION_ID, contract.INSTANCE_ID})


class RemoteDecisionPoint:
    """Asks `POST /decision` with this part's own platform token. Caches nothing."""

    def __init__(self, client: AuthorizationClient, signer: PlatformTokenSigner) -> None:
        self._client = client
        self._signer = signer

    async def outcomes(
        self, principal: Principal, resources: Sequence[Resource], actions: Sequence[str]
    ) -> list[dict[str, Outcome]]:
        """As `DecisionPoint.outcomes`; equal resources are asked about once, many in several calls."""
        distinct = list(dict.fromkeys(resources))
        found: dict[Resource, dict[str, Outcome]] = {}
        step = max(1, contract.MAX_SUB_REQUESTS // len(actions))
        for start in range(0, len(distinct), step):
            part = distinct[start : start + step]
            found.update(zip(part, await self._ask(principal, part, actions), strict=True))
        return [found[resource] for resource in resources]

    async def _ask(
        self, principal: Principal, resources: Sequence[Resource], actions: Sequence[str]
    ) -> list[dict[str, Outcome]]:
        places = [f"r{number}" for number in range(1, len(resources) + 1)]
        doings = [f"a{number}" for number in range(1, len(actions) + 1)]
        request = contract.Request(
            access_subject=[xacml.category(xacml.subject(principal), id_="s1", included=frozenset())],
            action=[
                xacml.category([(contract.ACTION_ID, action)], id_=id_, included=_INCLUDED)
                for id_, action in zip(doings, actions, strict=True)
            ],
            resource=[
                xacml.category(xacml.resource(resource), id_=id_, included=_INCLUDED)
                for id_, resource in zip(places, resources, strict=True)
            ],
            multi_requests=contract.MultiRequests(
                [contract.RequestReference(["s1", doing, place]) for place in places for doing in doings]
            ),
        )
        try:
            credentials = Credentials(platform_token=self._signer.token(), at_least=principal.at_least)
            answer = await self._client.decide(request, credentials)
        except Problem as problem:
            if problem.code in _TOLD:
                raise
            raise unavailable() from problem
        if len(answer.response) != len(resources) * len(actions):
            raise unavailable()
        results = iter(answer.response)
        return [{action: outcome(next(results)) for action in actions} for _ in resources]


def outcome(result: contract.Result) -> Outcome:
    """One result in the enforcer's terms; a level that is no number refuses."""
    if result.decision != "Permit":
        return Outcome(permit=False)
    levels: dict[str, int] = {}
    for obligation in result.obligations or ():
        for assignment in obligation.attribute_assignment or ():
            if assignment.category in (contract.MINIMUM_LEVEL, contract.MINIMUM_LEVEL_ORG):
                try:
                    level = int(assignment.value)
                except ValueError:
                    return Outcome(permit=False)
                levels[assignment.category] = max(level, levels.get(assignment.category, level))
    return Outcome(True, levels.get(contract.MINIMUM_LEVEL), levels.get(contract.MINIMUM_LEVEL_ORG))


def unavailable() -> Problem:
    """What a caller gets when nobody can decide: try again, not "you may not"."""
    return Problem(
        503,
        "Access rights cannot be checked just now. Try again in a moment.",
        code="authorization_unavailable",
        headers={"Retry-After": "2"},
    )
