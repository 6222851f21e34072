"""Policies that refer to others: finding what is meant, refusing cycles, gaps and chains without end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    found: dict[Reference, Policy | PolicySet] = {}
    rules = 0

    def visit(node: Policy | PolicySet, source: str, above: tuple[str, ...], depth: int) -> None:
        nonlocal rules
        if isinstance(node, Policy):
            rules += len(node.rules)
            if rules > bounds.rules:
                raise PolicyError(
                    f"with all it refers to, a policy may have at most {bounds.rules} rules", source=source
                )
            return
        for child in node.children:
            if not isinstance(child, Reference):
                inner = (*above, child.id) if isinstance(child, PolicySet) else above
                visit(child, source, inner, depth)
                continue
            if depth >= bounds.reference_depth:
                message = f"references go deeper than {bounds.reference_depth}"
                raise PolicyError(message, source=source, line=child.line, policy=node.id)
            target = resolver(child) if resolver else None
            if target is None:
                raise PolicyError(f"there is no {child}", source=source, line=child.line, policy=node.id)
            if child.is_set and target.root.id in above:
                raise PolicyError(f"{child} refers to itself", source=source, line=child.line, policy=node.id)
            found[child] = target.root
            visit(target.root, target.source, (*above, target.root.id), depth + 1)

    visit(document.root, document.source, (document.root.id,), 0)
    return document.root, found
