"""Wire types of service levels: batches of counts from an ingress, agreements, planned maintenance, reports, alerts.

Part of API management (`/management/api/v1/levels`). Times are UTC; months and days are those of Europe/Oslo. Shares
are per cent, rounded to four decimals, and null where nothing was asked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Code: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Mark: TypeAlias = Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9:._-]{0,79})?$")]
Histogram: TypeAlias = Annotated[tuple[Number, ...], Meta(min_length=26, max_length=26)]
"""Good requests by time: the buckets of `BOUNDS_MS` and one for what took longer."""

MAX_COUNTS = 5000
BOUNDS_MS = (
    5, 10, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500,
    10_000, 15_000, 30_000, 60_000,
)  # fmt: skip
"""Inclusive upper bounds in milliseconds. A latency target is one of them."""


class MinuteCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What one ingress counted for one app, version and subscription in one minute (of UTC, counted from 1970)."""

    org: Code
    app: Code
    version: Mark = ""
    subscription: Mark = ""
    minute: Annotated[int, Meta(ge=15_000_000, le=200_000_000)]
    good: Number = 0
    bad: Number = 0
    excluded: Number = 0
    refused: Number = 0
    probes: Number = 0
    probes_bad: Number = 0
    total: Histogram
    backend: Histogram
    gateway: Histogram


class Batch(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an ingress counted since its batch before. `id` never comes twice with other counts: a repeat is ignored."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{7,127}$")]
    source: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    counts: Annotated[tuple[MinuteCount, ...], Meta(max_length=MAX_COUNTS)]


class Accepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer to a batch: whether it was new."""

    new: bool


class RecordSender(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sender of an owner's cluster."""

    name: str
    created: datetime
    last_used: datetime | None = None


class RecordSenders(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of an org."""

    senders: tuple[RecordSender, ...]


class NewSender(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sender in the only answer that shows its secret."""

    name: str
    token: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<NewSender {self.name}>"


SENDER_HEADER = "X-Havn-Sender"
"""The request header that carries a sender's secret."""


class Targets(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is agreed for each calendar month.

    `availability` in per cent; `latency_share` per cent of the good requests within `latency_ms` of the app's own time.
    """

    availability: Annotated[float, Meta(ge=0, le=100)]
    latency_ms: int | None = None
    latency_share: Annotated[float, Meta(ge=0, le=100)] | None = None


class AgreementTerms(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A service level agreement as its owner writes it: for one app, or for one Api or one plan of it."""

    app: Code
    api: Annotated[str, Meta(max_length=200)] | None = None
    plan: Annotated[str, Meta(max_length=250)] | None = None
    targets: Targets
    window: Literal["month"] = "month"
    alert_url: Annotated[str, Meta(pattern=r"^https?://[^\s\"<>@]{1,400}$")] | None = None
    """Where to tell that the budget burns fast."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A service level agreement. Its id, `{org}.{name}`, is what a plan's `sla` names."""

    id: str
    org: str
    name: str
    app: str
    api: str | None = None
    plan: str | None = None
    targets: Targets
    window: str = "month"
    alert_url: str | None = None
    changed: datetime
    alert_secret: str | None = None
    """Signs the messages to `alert_url`; only in the answer to PUT."""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<Agreement {self.id}>"


class Agreements(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of an org."""

    agreements: tuple[Agreement, ...]


class NewMaintenance(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Planned maintenance of an app (null: of all the org's apps), in whole minutes."""

    app: Code | None = None
    starts: datetime
    ends: datetime
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Planned maintenance. `in_advance`: declared before it began, so its requests are not in the figures."""

    id: str
    org: str
    app: str | None
    starts: datetime
    ends: datetime
    reason: str
    declared: datetime
    in_advance: bool
    cancelled: datetime | None = None


class MaintenanceList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of an org, newest first."""

    maintenance: tuple[Maintenance, ...]


class CountSums(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests: `valid` is good and bad; the others are counted apart."""

    valid: int
    good: int
    bad: int
    excluded: int
    refused: int
    probes: int
    probes_bad: int


class Measured(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Figures of some cells together. `query` is the address that gives exactly these again."""

    org: str
    app: str | None = None
    version: str | None = None
    subscription: str | None = None
    api: str | None = None
    plan: str | None = None
    counts: CountSums
    planned: CountSums
    """Requests during maintenance that was declared in advance; in none of the figures."""
    availability: float | None
    backend_share: float | None
    gateway_share: float | None
    total_share: float | None
    budget_left: float | None
    bad_left: float | None
    kept: bool | None
    query: str


class FiguresAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer of GET figures: one row for each value of what was asked to be told apart."""

    month: str
    starts: datetime
    ends: datetime
    latency_ms: int | None
    figures: tuple[Measured, ...]


class BurnRates(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How fast the budget is used now: 1 uses it up exactly in a month. Null: nothing was asked."""

    hour: float | None
    six_hours: float | None
    three_days: float | None


class ReportEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One agreement in a report: as a whole, by version and by subscription."""

    agreement: Agreement
    whole: Measured
    versions: tuple[Measured, ...]
    subscriptions: tuple[Measured, ...]
    burn: BurnRates


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A month of an org: its agreements, all its apps, and its maintenance."""

    org: str
    month: str
    made: datetime
    complete: bool
    """Whether the month is over."""
    entries: tuple[ReportEntry, ...]
    apps: tuple[Measured, ...]
    maintenance: tuple[Maintenance, ...]


class FastBurn(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The message of an alert. `state` is `burning`, or `over` when it has stopped."""

    id: str
    agreement: str
    org: str
    app: str
    state: Literal["burning", "over"]
    at: datetime
    burn: BurnRates
    availability_target: float
