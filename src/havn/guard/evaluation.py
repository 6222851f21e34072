"""Deciding with an app's policy and the facts about a subject: what the PDP and every in-process PEP do alike.

First the policy itself. If, and only if, it is NotApplicable, the rights that were delegated: a right permits its
action on resources that have all of its attributes, and carries the policy's own obligations and advice.
Last, access lists: what is permitted for a party that is on none of a limited app's lists is denied after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import AccessLimit, DelegatedRight, PolicyFacts
from havn.engines import xacml
from havn.engines.app_policy.names import ACCESS_LISTS
from havn.engines.xacml import CompiledPolicy, Decision, Effect, Request, Result
from havn.engines.xacml.algorithms import RULE_ALGORITHMS
from havn.engines.xacml.policy import Policy, PolicyDocument, Rule

Bags = dict[str, tuple[str, ...]]

DELEGATED_RULE = "urn:havn:delegated-right"


class AppPolicy:
    """A policy in force, compiled, with its twin for delegated rights."""

    def __init__(self, facts: PolicyFacts) -> None:
        self.org = facts.org
        self.app = facts.app
        self.version = facts.version
        self.digest = facts.digest
        self.compiled: CompiledPolicy = compile_xml(facts.xml, source=f"{facts.org}/{facts.app}")
        self._delegated: CompiledPolicy | None = None
        self._listed = by_party(facts.limit) if facts.limit is not None else None
        # Whether two instances in the same place can be told apart by the policy.
        self.names_instances = any(attribute.id in _INSTANCES for attribute in self.compiled.attributes)

    @property
    def delegated(self) -> CompiledPolicy:
        """This policy with one rule that permits: its target and obligations go with every delegated right."""
        if self._delegated is None:
            self._delegated = xacml.compile_policy(_with_one_permit(self.compiled.document))
        return self._delegated

    def decide_many(
        self, requests: Sequence[Request], rights: Sequence[Sequence[DelegatedRight]], now: datetime
    ) -> list[tuple[Result, DelegatedRight | None]]:
        """A result for each request, and the delegated right that permitted it if one did.

        `rights` are those of the request's subject for the request's party.
        """
        results = self.compiled.decide_many(requests)
        decided: list[tuple[Result, DelegatedRight | None]] = []
        for request, result, held in zip(requests, results, rights, strict=True):
            if held and result.decision is Decision.NOT_APPLICABLE:
                right = matching(request, held, now)
                if right is not None:
                    by_right = self.delegated.decide(request)
                    if by_right.decision is Decision.PERMIT:
                        decided.append((self._limited(request, by_right), right))
                        continue
            decided.append((self._limited(request, result), None))
        return decided

    def _limited(self, request: Request, result: Result) -> Result:
        """The result, or a Deny in place of a Permit that no access list allows."""
        if self._listed is None or result.decision is not Decision.PERMIT:
            return result
        actions = request.attributes.get(contract.ACTION, {}).get(contract.ACTION_ID, ())
        parties = request.attributes.get(contract.RESOURCE, {}).get(contract.PARTY_ID, ())
        if len(parties) == 1 and len(actions) == 1 and str(parties[0]) in self._listed:
            allowed = self._listed[str(parties[0])]
            if allowed is None or str(actions[0]) in allowed:
                return result
        status = xacml.Status(message="The party is on none of the access lists of the app.")
        return msgspec.structs.replace(
            result, decision=Decision.DENY, status=status, obligations=(), advice=(), rule=ACCESS_LISTS, wire=None
        )


def by_party(limit: AccessLimit) -> dict[str, frozenset[str] | None]:
    """The actions that some list allows each party, as requests write its id; None means all of them."""
    allowed: dict[str, frozenset[str] | None] = {}
    for one in limit.lists:
        for member in one.members:
            party = str(member)
            before = allowed.get(party, frozenset())
            allowed[party] = None if before is None or one.actions is None else before.union(one.actions)
    return allowed


def compile_xml(xml: bytes, *, source: str) -> CompiledPolicy:
    """Load and compile. Raises `xacml.PolicyError` with line and rule."""
    return xacml.compile_policy(xacml.load_policy(xml, source=source))


def matching(request: Request, rights: Iterable[DelegatedRight], now: datetime) -> DelegatedRight | None:
    """The first right that covers the request's action, resource and instance at this moment."""
    actions = request.attributes.get(contract.ACTION, {}).get(contract.ACTION_ID, ())
    if len(actions) != 1:
        return None
    resource = request.attributes.get(contract.RESOURCE, {})
    instances = {bare(value) for key in _INSTANCES for value in resource.get(key, ())}
    for right in rights:
        if right.action != actions[0] or (right.valid_to is not None and now >= right.valid_to):
            continue
        if right.instance_id is not None and bare(right.instance_id) not in instances:
            continue
        if right.resource and all(pair.value in resource.get(pair.id, ()) for pair in right.resource):
            return right
    return None


def bags(attributes: Iterable[tuple[str, str]]) -> Bags:
    """Attributes as the engine keeps them: a bag of strings by id."""
    found: Bags = {}
    for name, value in attributes:
        found[name] = (*found.get(name, ()), value)
    return found


def request(
    subject: Mapping[str, tuple[str, ...]], resource: Mapping[str, tuple[str, ...]], action: str, now: datetime
) -> Request:
    """A request ready to be decided; `subject` and `resource` are shared, not copied."""
    return Request(
        {
            contract.SUBJECT: subject,  # type: ignore[dict-item]  # never written to
            contract.RESOURCE: resource,  # type: ignore[dict-item]
            contract.ACTION: {contract.ACTION_ID: (action,)},
        },
        now=now,
    )


_INSTANCES = (contract.INSTANCE_ID, contract.RESOURCE_INSTANCE_ID)


def bare(instance: str) -> str:
    """An instance by its guid alone, which is the same in every form an instance id is written in."""
    return instance.rpartition("/")[2].rpartition(":")[2].lower()


def _with_one_permit(document: PolicyDocument) -> PolicyDocument:
    """The document's root with its children that decide replaced by one rule that permits."""
    root = document.root
    policy = Policy(
        id=root.id,
        version=root.version,
        algorithm=RULE_ALGORITHMS[_DENY_OVERRIDES],
        target=root.target,
        rules=(Rule(DELEGATED_RULE, Effect.PERMIT),),
        variables=root.variables if isinstance(root, Policy) else {},
        obligations=root.obligations,
        advice=root.advice,
    )
    return PolicyDocument(policy, f"{document.source} (delegated)", document.digest)


_DENY_OVERRIDES = "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"
