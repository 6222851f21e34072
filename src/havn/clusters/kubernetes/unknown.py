"""The page of `charts/cluster` for addresses without an app: its names, and how a route leads to it."""

from __future__ import annotations

from typing import Any

from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.objects import Service

PAGE = "havn-unknown"
"""Name of its Deployment, Service and ServersTransport."""
COMPONENT = "unknown-address"


async def backend(kube: Kube) -> dict[str, Any]:
    """Where a route to the page leads, over TLS where its Service says that it speaks that. Raises `ClusterError`."""
    service = await kube.find("v1", "services", PAGE, Service)
    return leads(secure=service is not None and service.spec.ports[0].app_protocol == "https")


def leads(*, secure: bool) -> dict[str, Any]:
    """One of the `services` of a route of Traefik's, as the chart has it."""
    if secure:
        return {"name": PAGE, "port": 443, "scheme": "https", "serversTransport": PAGE}
    return {"name": PAGE, "port": 80}
