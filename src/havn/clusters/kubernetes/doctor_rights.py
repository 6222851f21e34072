"""Whether our credentials may do what a deployment does, and not much more."""

from __future__ import annotations

import asyncio

import msgspec

from havn.clusters.kubernetes.bootstrap import lacking_rights, may
from havn.clusters.kubernetes.kube import Kube
from havn.contracts.estate import Finding

# Whoever can do one of these in every namespace can do anything, or read everybody's secrets.
_TOO_MUCH = (
    ("*", "*", "*"),
    ("", "secrets", "list"),
    ("", "nodes", "delete"),
    ("", "pods/exec", "create"),
    ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
)
_ADVICE = "Use the service account and role of docs/how-to/add-a-cluster.md."


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    verbs: list[str] = []
    api_groups: list[str] = []
    resources: list[str] = []


class _Rules(msgspec.Struct, frozen=True, rename="camel"):
    class Status(msgspec.Struct, frozen=True, rename="camel"):
        resource_rules: list[_Rule] = []
        incomplete: bool = False

    status: Status = Status()


async def check(kube: Kube, *, manager: bool = False) -> list[Finding]:
    """What is lacking, and what is too wide (SelfSubjectAccessReview, SelfSubjectRulesReview).

    With `manager`, what cert-manager takes must be allowed too.
    """
    lacking = await lacking_rights(kube, manager=manager)
    if lacking:
        return [
            Finding(
                check="permissions", result="fail",
                message=f"These credentials may not {', '.join(lacking[:8])} in {kube.namespace}.", next=_ADVICE,
            )
        ]  # fmt: skip
    wide = await asyncio.gather(*(may(kube, *each) for each in _TOO_MUCH))
    beyond = [f"{verb} {resource}" for (_, resource, verb), allowed in zip(_TOO_MUCH, wide, strict=True) if allowed]
    if "* *" in beyond:
        beyond = ["everything"]
    if beyond:
        return [
            Finding(
                check="permissions", result="warning",
                message=f"These credentials may {', '.join(beyond)} in every namespace, which is more than is needed.",
                next=_ADVICE,
            )
        ]  # fmt: skip
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": kube.namespace},
    }  # fmt: skip
    rules = (await kube.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, _Rules)).status
    stars = [rule for rule in rules.resource_rules if "*" in rule.resources and "*" in rule.verbs]
    if stars:
        return [
            Finding(
                check="permissions", result="warning",
                message=f"These credentials may do everything in {kube.namespace}.", next=_ADVICE,
            )
        ]  # fmt: skip
    return [Finding(check="permissions", result="ok", message="These credentials may do what is needed, and no more.")]
