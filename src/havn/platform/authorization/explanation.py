"""How a decision came about, as data and as sentences a service owner understands. Names no person."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.contracts.authorization import AttributePair
from havn.engines.app_policy.names import ACCESS_LISTS
from havn.engines.xacml import Decision
from havn.guard.reporting import kept_attributes
from havn.platform.authorization.pdp import Decided

# What the engine's account shows of identities: the values are withheld, that they were compared is not.
_WITHHELD = frozenset(
    {
        "urn:altinn:userid",
        "urn:altinn:party:uuid",
        "urn:altinn:person:uuid",
        "urn:altinn:organization:uuid",
        "urn:altinn:systemuser:uuid",
        "urn:altinn:person:identifier-no",
        "urn:altinn:sessionid",
    }
)


class Explanation(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """What decided, on which facts.

    `attributes` are those the decision rested on beside identities, those fetched included; `delegation` names the
    delegated right that permitted; `account` is the engine's, rule by rule.
    """

    sentences: list[str]
    policy_version: int | None = None
    delegation: str | None = None
    attributes: list[AttributePair] = []
    account: Any = None


def of(decided: Decided) -> Explanation:
    """The explanation of one decision."""
    result, completed, policy = decided.result, decided.completed, decided.policy
    if completed is None:
        return Explanation([f"Nothing was decided: {result.status.message or result.status.code}"])
    attributes = kept_attributes(completed.request)
    if policy is None:
        return Explanation([result.status.message or "The app has no policy."], attributes=attributes)
    engine = policy.compiled.explain(completed.request)
    sentences = list(engine.sentences)
    if decided.right is not None:
        sentences = [f"Permitted by delegation {decided.right.id}: no rule of the policy itself permits it."]
    if result.rule == ACCESS_LISTS:
        sentences.append(f"Refused after all: {result.status.message}")
    elif result.decision is Decision.NOT_APPLICABLE and completed.facts is not None and completed.facts.rights:
        sentences.append(f"None of {len(completed.facts.rights)} delegated rights covers it.")
    return Explanation(
        sentences,
        policy_version=policy.version,
        delegation=decided.right.id if decided.right is not None else None,
        attributes=attributes,
        account=_masked(engine.to_json()),
    )


def _masked(value: Any) -> Any:
    """The account without the values of identities."""
    if isinstance(value, dict):
        masked = {name: _masked(member) for name, member in value.items()}
        if masked.get("attributeId") in _WITHHELD:
            for name in ("expected", "actual"):
                if name in masked:
                    masked[name] = "(withheld)" if name == "expected" else []
        return masked
    if isinstance(value, list):
        return [_masked(member) for member in value]
    return value
