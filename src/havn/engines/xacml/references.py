"""Policies that refer to others: finding what is meant, refusing cycles, gaps and chains without end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from havn.engines.xacml import limits, versions
from havn.engines.xacml.errors import PolicyError
from havn.engines.xacml.policy import Policy, PolicyDocument, PolicySet, Reference

Resolver = Callable[[Reference], PolicyDocument | None]
"""Finds the policy that a reference means; None when there is none."""


def repository(documents: Iterable[PolicyDocument]) -> Resolver:
    """A resolver over a fixed collection; of several versions that match, the latest is meant."""
    known: dict[tuple[str, bool], list[PolicyDocument]] = {}
    for document in documents:
        known.setdefault((document.root.id, isinstance(document.root, PolicySet)), []).append(document)

    def resolve(reference: Reference) -> PolicyDocument | None:
        matching = [
            document
            for document in known.get((reference.id, reference.is_set), [])
            if versions.accepts(
                document.root.version, exact=reference.version, earliest=reference.earliest, latest=reference.latest
            )
        ]
        return max(matching, key=lambda document: versions.order(document.root.version), default=None)

    return resolve


def resolve_all(
    document: PolicyDocument, resolver: Resolver | None, bounds: limits.Limits = limits.DEFAULT
) -> tuple[Policy | PolicySet, dict[Reference, Policy | PolicySet]]:
    """The root and what every reference below it means; PolicyError for a cycle, a gap, or too many rules."""
    walk = _Walk(resolver, bounds)
    walk.size(document.root, document.source, (document.root.id,), 0)
    return document.root, walk.found


class _Size(NamedTuple):
    """What a policy comes to with all it refers to, counted as often as it is evaluated."""

    height: int
    policies: int
    rules: int


class _Walk:
    """Follows references, each policy once however often it is referred to."""

    def __init__(self, resolver: Resolver | None, bounds: limits.Limits) -> None:
        self.resolver = resolver
        self.bounds = bounds
        self.found: dict[Reference, Policy | PolicySet] = {}
        self.sizes: dict[int, _Size] = {}

    def size(self, node: Policy | PolicySet, source: str, above: tuple[str, ...], depth: int) -> _Size:
        """The size of a node; PolicyError when it is too large, refers to itself, or to nothing."""
        if isinstance(node, Policy):
            return _Size(0, 1, len(node.rules))
        known = self.sizes.get(id(node))
        if known is not None:
            return known
        height, policies, rules = 0, 1, 0
        for child in node.children:
            if isinstance(child, Reference):
                target = self.target(child, node, source, above, depth)
                inner = self.size(target.root, target.source, (*above, target.root.id), depth + 1)
                height = max(height, inner.height + 1)
            else:
                inner = self.size(child, source, (*above, child.id) if isinstance(child, PolicySet) else above, depth)
                height = max(height, inner.height)
            policies += inner.policies
            rules += inner.rules
        if height > self.bounds.reference_depth:
            message = f"references go deeper than {self.bounds.reference_depth}"
            raise PolicyError(message, source=source, line=node.line, policy=node.id)
        for what, count, most in (("rules", rules, self.bounds.rules), ("policies", policies, self.bounds.policies)):
            if count > most:
                message = f"with all it refers to, a policy may have at most {most} {what}"
                raise PolicyError(message, source=source, line=node.line, policy=node.id)
        size = self.sizes[id(node)] = _Size(height, policies, rules)
        return size

    def target(
        self, child: Reference, node: PolicySet, source: str, above: tuple[str, ...], depth: int
    ) -> PolicyDocument:
        if depth >= self.bounds.reference_depth:
            message = f"references go deeper than {self.bounds.reference_depth}"
            raise PolicyError(message, source=source, line=child.line, policy=node.id)
        target = self.resolver(child) if self.resolver else None
        if target is None or isinstance(target.root, PolicySet) is not child.is_set:
            raise PolicyError(f"there is no {child}", source=source, line=child.line, policy=node.id)
        if child.is_set and target.root.id in above:
            raise PolicyError(f"{child} refers to itself", source=source, line=child.line, policy=node.id)
        self.found[child] = target.root
        return target
