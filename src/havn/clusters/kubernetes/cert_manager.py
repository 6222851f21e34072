"""cert-manager in a cluster, where the charts' values hand certificates to it: what of its objects we use and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.kubernetes.objects import Condition, Metadata
from havn.clusters.port import ClusterError

VERSION = "cert-manager.io/v1"
GROUP = "cert-manager.io"
RESOURCE = "certificates"
NEEDED_BESIDE: Mapping[tuple[str, str], tuple[str, ...]] = {
    (GROUP, RESOURCE): ("get", "list", "create", "patch", "update", "delete"),
    (GROUP, "certificaterequests"): ("list",),
}
"""What we must be allowed beside everything else where the charts' values name an issuer."""
_ACME = "acme.cert-manager.io/v1"
_MADE_FOR = "cert-manager.io/certificate-name"


class Certificate(msgspec.Struct, frozen=True, rename="camel"):
    """A certificate that cert-manager makes and renews."""

    class Spec(msgspec.Struct, frozen=True, rename="camel"):
        """What it is asked to be."""

        secret_name: str

    class Status(msgspec.Struct, frozen=True, rename="camel"):
        """How it is."""

        conditions: list[Condition] = []

    metadata: Metadata
    spec: Spec
    status: Status = Status()

    @property
    def ready(self) -> bool:
        """Whether it has been made as asked, and has not ended."""
        found = _ready(self.status.conditions)
        return found is not None and found.status == "True"


class _Request(msgspec.Struct, frozen=True):
    """What cert-manager asks of an issuer; there the reason stands when none comes back."""

    class Status(msgspec.Struct, frozen=True):
        conditions: list[Condition] = []

    metadata: Metadata
    status: Status = Status()


class _Challenge(msgspec.Struct, frozen=True):
    """What an ACME authority (RFC 8555) wants to see before it believes that a name is ours."""

    class Status(msgspec.Struct, frozen=True):
        state: str = ""
        reason: str = ""

    metadata: Metadata
    status: Status = Status()


def used(*values: Mapping[str, Any]) -> bool:
    """Whether any of the charts' values name an issuer."""
    for each in values:
        for name, value in each.items():
            if isinstance(value, Mapping) and (used(value) or (name == "certManager" and value.get("issuer"))):
                return True
    return False


async def require(kube: Kube) -> None:
    """Raises `ClusterError` when the cluster lacks cert-manager's custom resources."""
    try:
        await kube.read(f"/apis/{VERSION}", dict[str, Any])
    except Absent:
        raise ClusterError(
            "The values name an issuer, and the cluster has no cert-manager: install it, or name none."
        ) from None


async def certificates(kube: Kube) -> list[Certificate]:
    """Those of the namespace; none where there is no cert-manager. Raises `ClusterError`."""
    try:
        return await kube.list(VERSION, RESOURCE, Certificate)
    except Absent:
        return []


async def trouble(kube: Kube, certificate: Certificate) -> str:
    """Why a certificate is not ready, in cert-manager's words. Raises `ClusterError`."""
    requests = [
        each
        for each in await kube.list(VERSION, "certificaterequests", _Request)
        if each.metadata.annotations.get(_MADE_FOR) == certificate.metadata.name
    ]
    requests.sort(key=lambda each: str(each.metadata.creation_timestamp))
    # What the issuer said last says more than that a certificate is being made.
    said = [_ready(each.status.conditions) for each in reversed(requests)] + [_ready(certificate.status.conditions)]
    message = next((each.message for each in said if each is not None and each.message), "It has not begun")
    waiting = await _waits_for(kube, requests[-1].metadata.name) if requests else ""
    return (waiting or message)[:600]


async def _waits_for(kube: Kube, request: str) -> str:
    """What an ACME authority waits for before it signs a request; empty when for nothing, or nobody can tell.

    The request itself says only that its order is pending. Challenges are named after it, with two numbers.
    """
    try:
        challenges = await kube.list(_ACME, "challenges", _Challenge)
    except ClusterError:
        # It helps where it may be read, and is needed for nothing.
        return ""
    ours = re.compile(re.escape(request) + r"-\d+-\d+")
    waiting = (each for each in challenges if ours.fullmatch(each.metadata.name) and each.status.state != "valid")
    return next((each.status.reason for each in waiting if each.status.reason), "")


async def lacking(kube: Kube, name: str) -> str:
    """In a sentence why there is no certificate of this name yet; empty when there is, or nobody can tell."""
    try:
        found = await kube.find(VERSION, RESOURCE, name, Certificate)
        if found is None or found.ready:
            return ""
        return f"cert-manager has not made its certificate: {(await trouble(kube, found)).rstrip('.')}."
    except ClusterError:
        return ""


def _ready(conditions: list[Condition]) -> Condition | None:
    return next((each for each in conditions if each.type == "Ready"), None)
