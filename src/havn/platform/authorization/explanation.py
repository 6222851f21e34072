"""How a decision came about, as data and as a sentence a service owner understands. Names no person."""

from __future__ import annotations

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair
from havn.engines.xacml import Decision
from havn.guard.reporting import kept_attributes
from havn.platform.authorization.pdp import Decided


class Explanation(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """What decided, on which facts.

    `attributes` are those the decision rested on beside identities; `nearest` is the kind of permission that came
    closest; `trace` is the engine's account, rule by rule.
    """

    sentence: str
    policy_version: int | None = None
    policy_id: str | None = None
    rule_id: str | None = None
    via: str | None = None
    delegation: str | None = None
    attributes: list[AttributePair] = []


def of(decided: Decided) -> Explanation:
    """The explanation of one decision."""
    result, completed, policy = decided.result, decided.completed, decided.policy
    if completed is None:
        return Explanation(f"Nothing was decided: {result.status.message or result.status.code}.")
    attributes = kept_attributes(completed.request)
    if policy is None:
        return Explanation(result.status.message or "The app has no policy.", attributes=attributes)
    via = None
    if decided.right is not None:
        via = "delegation"
    elif result.decision is Decision.PERMIT:
        held = {pair.id.removeprefix("s:") for pair in attributes}
        via = "org" if contract.ORG in held and contract.ROLE_CODE not in held else "role"
    return Explanation(
        f"Policy version {policy.version}: {result.decision.value}.",
        policy_version=policy.version,
        policy_id=result.policy,
        rule_id=result.rule,
        via=via,
        delegation=decided.right.id if decided.right is not None else None,
        attributes=attributes,
    )
