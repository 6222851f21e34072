"""Wire types of promotion from one environment to the next, and of approvals by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from havn.contracts.deploy import Wire

ApprovalStatus = Literal["waiting", "approved", "rejected", "expired"]


class PromoteRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST promotions: put what runs in `source` into `target`, the same bytes."""

    org: str
    app: str
    source: str
    target: str
    replicas: int | None = None
    """How many; what it was before in `target` when absent, else one."""
    mapping: Mapping[str, str] = {}
    """Open instances in a task that is gone are moved to another: old task to new."""
    strand: bool = False
    """Whether open instances that the release has no place for may be left where they are."""


class DecisionRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """Body of POST approvals/{number}/approve and …/reject."""

    comment: str | None = None


class Approval(Wire, frozen=True):
    """A deployment that begins once somebody else approves."""

    id: int
    environment: str
    org: str
    app: str
    release: str
    base: str | None
    replicas: int
    mapping: dict[str, str]
    strand: bool
    promoted_from: str | None
    requested_by: str
    requested: datetime
    expires: datetime
    status: ApprovalStatus
    decided_by: str | None
    decided: datetime | None
    comment: str | None
    deployment: int | None
    """The deployment that approving it began."""
