"""The values of `charts/app` for a workload: what the cluster gives, with what the workload asks on top. No secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from havn.clusters.port import Workload


class Image(msgspec.Struct, frozen=True):
    """An app's image where the cluster's nodes find it."""

    repository: str
    """Registry and repository, without tag."""
    digest: str
    base: str | None = None
    """Digest of the base image in it."""


# The chart has values of its own for these; every other setting is an environment variable.
_NAMED = {
    "HAVN_DOMAIN": ("domain",),
    "HAVN_SCHEME": ("scheme",),
    "HAVN_ENVIRONMENT": ("environment",),
    "HAVN_ENVIRONMENT_TYPE": ("environmentType",),
    "HAVN_PLATFORM_URL": ("platform", "url"),
    "HAVN_EGRESS_URL": ("egress", "url"),
}


def values(site: Mapping[str, Any], org: str, workload: Workload, image: Image, secret: str) -> dict[str, Any]:
    """All values for `helm upgrade`. `site` is the cluster's own, `secret` the name of a Secret or empty.

    What the app's folder asks for goes before the cluster's own.
    """
    made = merged(site, workload.chart)
    for name, value in workload.settings.items():
        *parents, last = _NAMED.get(name, ("environmentVariables", name))
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    made |= {"org": org, "app": workload.app, "release": workload.release, "replicas": workload.replicas}
    made["image"] = {**made.get("image", {}), "repository": image.repository, "digest": image.digest}
    if secret:
        made["existingSecret"] = secret
        if workload.secret_variables:
            made["secretsAsEnvironment"] = [
                {"name": name, "key": key} for name, key in sorted(workload.secret_variables.items())
            ]
    scaling = made.setdefault("autoscaling", {})
    if workload.replicas == 0:
        scaling["enabled"] = False
    elif workload.scaling is not None:
        wanted = workload.scaling
        scaling["enabled"] = True
        # Fewer than the least were asked for when somebody has changed the number alone since.
        scaling["minReplicas"] = workload.replicas
        scaling["maxReplicas"] = max(workload.replicas, wanted.maximum)
        scaling["targetCPUUtilizationPercentage"] = wanted.cpu
        behavior = scaling.setdefault("behavior", {})
        for way, seconds in (("scaleUp", wanted.up_seconds), ("scaleDown", wanted.down_seconds)):
            behavior[way] = {**behavior.get(way, {}), "stabilizationWindowSeconds": seconds}
    elif scaling.setdefault("enabled", False):
        # The least that the app's own folder asks for holds until an operator sets bounds.
        asked = workload.chart.get("autoscaling", {}).get("minReplicas", 0)
        scaling["minReplicas"] = least = max(workload.replicas, asked)
        scaling["maxReplicas"] = max(least, scaling.get("maxReplicas", least))
    return made


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Helm values laid over each other: of two mappings the members, of anything else the later one."""
    made: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            before = made.get(name)
            # Mappings are copied, so that whoever changes the outcome leaves the layers as they are.
            made[name] = (
                merged(before if isinstance(before, Mapping) else {}, value) if isinstance(value, Mapping) else value
            )
    return made
