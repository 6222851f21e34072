"""Orgs, environments and clusters as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.deploy import ApprovalRule, EnvironmentType
from havn.contracts.estate import ClusterStatus, DnsRecord, Scheme
from havn.deploy.sealing import Sealed


class EnvironmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An environment."""

    name: str
    type: EnvironmentType
    scheme: Scheme
    domain: str
    platform_url: str
    approval: ApprovalRule
    settings: Mapping[str, str]
    app_values: Mapping[str, Any]
    registry: str
    deploy_key: Sealed | None
    version: int
    changed: datetime

    @property
    def authorities(self) -> str:
        """What pods believe beside the authority of their cluster, PEM: whoever signed the platform's certificate."""
        platform = self.app_values.get("platform")
        return str(platform.get("authorities", "")) if isinstance(platform, Mapping) else ""

    @property
    def platform(self) -> str:
        """Where the control plane reaches the platform."""
        return self.platform_url or f"{self.scheme}://platform.{self.domain}"


class ClusterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster."""

    org: str
    environment: str
    server: str
    namespace: str
    credentials: Sealed
    ingress: str
    front: bool
    app_values: Mapping[str, Any]
    base_values: Mapping[str, Any]
    status: ClusterStatus
    reason: str | None
    version: int
    added: datetime
    added_by: str
    apps: int = 0


def host(org: str, domain: str) -> str:
    """The host of an org's apps, without port."""
    return f"{org}.apps.{domain.partition(':')[0]}"


def dns_records(org: str, domain: str, ingress: str) -> list[DnsRecord]:
    """The records that lead the org's host to the ingress; none while its address is unknown."""
    if not ingress:
        return []
    kind = "AAAA" if ":" in ingress else "A" if ingress.replace(".", "").isdigit() else "CNAME"
    return [DnsRecord(name=f"{host(org, domain)}.", type=kind, value=ingress if kind != "CNAME" else f"{ingress}.")]


def environment_place(name: str) -> str:
    """What the environment's sealed key belongs to."""
    return f"environment {name}"


def cluster_place(org: str, environment: str) -> str:
    """What the cluster's sealed credentials belong to."""
    return f"cluster of {org} in {environment}"


def key_place(environment: str, org: str, app: str, rollout: int) -> str:
    """What an app's sealed access key belongs to."""
    return f"access key {environment}/{org}/{app}/{rollout}"


def job_key(org: str, environment: str) -> str:
    """The key of the job that sets a cluster up: in the group of the cluster's apps, and the name of none."""
    return f"{environment}/{org}/-bootstrap"
