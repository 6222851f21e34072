"""The policy enforcement point: may this caller do this to that. One piece of code for apps and platform APIs.

A `DecisionPoint` says what the policy says; the `Enforcer` checks the authentication level that the policy obliges us
to, and turns every doubt into a refusal: only Permit lets a caller through, and a decision that could not be made is a
503, never a 403.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from havn.guard.principal import Principal
from havn.kit.problem import Problem


class Resource(msgspec.Struct, frozen=True):
    """What is acted on. `instance_id` is `{partyId}/{guid}`; `task` or `end_event`, not both, as stored.

    A resource that is no app has its owner as `org` and `resource:{id}` as `app`.
    """

    org: str
    app: str
    party_id: int | None = None
    instance_id: str | None = None
    task: str | None = None
    end_event: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """A decision point's word: Permit or not, and the levels that its obligations ask for."""

    permit: bool
    minimum_level: int | None = None
    minimum_level_org: int | None = None


class Decision(msgspec.Struct, frozen=True):
    """Whether the caller may. `required_level` is set when only the authentication level was too low."""

    permitted: bool
    required_level: int | None = None


class DecisionPoint(Protocol):
    """Where decisions come from."""

    async def outcomes(
        self, principal: Principal, resources: Sequence[Resource], actions: Sequence[str]
    ) -> list[dict[str, Outcome]]:
        """One mapping from action to outcome for each resource, in order.

        Raises a 503 `Problem` when it cannot decide; never guesses.
        """


_REFUSED = Decision(permitted=False)
_ACR = {3: "idporten-loa-substantial", 4: "idporten-loa-high"}


class Enforcer:
    """Asks a decision point and checks the level obligations."""

    def __init__(self, point: DecisionPoint) -> None:
        self._point = point

    async def decide(self, principal: Principal, resource: Resource, actions: Sequence[str]) -> dict[str, Decision]:
        """A decision for each action. 503 `Problem` when the decision point is away."""
        return (await self.decide_many(principal, [resource], actions))[0]

    async def decide_many(
        self, principal: Principal, resources: Sequence[Resource], actions: Sequence[str]
    ) -> list[dict[str, Decision]]:
        """As `decide`, for each resource in order; the work grows with distinct circumstances, not with instances."""
        if not resources or not actions:
            return [{} for _ in resources]
        if not principal.authenticated:
            return [dict.fromkeys(actions, _REFUSED) for _ in resources]
        answers = await self._point.outcomes(principal, resources, actions)
        return [{action: _judge(principal, answer.get(action)) for action in actions} for answer in answers]

    async def require(self, principal: Principal, resource: Resource, *actions: str) -> None:
        """Return when any of `actions` is permitted.

        Otherwise a 403 `Problem`; when only the level lacks, with `RequiredAuthenticationLevel` (text) and, where a
        sign-in can be asked for it, `acrValues` (OpenID Connect core 3.1.2.1). 401 when nobody is signed in; 503 when
        the decision point is away.
        """
        if not principal.authenticated:
            raise Problem(401, "Sign in first.", code="not_signed_in", headers={"WWW-Authenticate": "Bearer"})
        decisions = (await self.decide(principal, resource, actions)).values()
        if any(decision.permitted for decision in decisions):
            return
        levels = [decision.required_level for decision in decisions if decision.required_level is not None]
        if levels:
            acr: dict[str, Any] = {"acrValues": _ACR[min(levels)]} if min(levels) in _ACR else {}
            raise Problem(
                403,
                "This needs a stronger sign-in.",
                code="authentication_level_too_low",
                RequiredAuthenticationLevel=str(min(levels)),
                **acr,
            )
        raise Problem(403, "You do not have the rights for this.", code="forbidden")


def _judge(principal: Principal, outcome: Outcome | None) -> Decision:
    """Apply the level obligations to a Permit.

    A service owner's token may pass on the level that the policy sets for owners, which therefore only ever eases.
    """
    if outcome is None or not outcome.permit:
        return _REFUSED
    wanted = outcome.minimum_level
    if wanted is None or principal.auth_level >= wanted:
        return Decision(permitted=True)
    if principal.org is not None and outcome.minimum_level_org is not None:
        if principal.auth_level >= outcome.minimum_level_org:
            return Decision(permitted=True)
        return Decision(permitted=False, required_level=outcome.minimum_level_org)
    return Decision(permitted=False, required_level=wanted)
