"""Wire types between the management API and the processes that enforce it: what is managed, whose key, portions.

Whoever receives requests follows the stream of changes, asks once for each key, and takes small portions of every limit
over HTTP; no counter store is reached from an app's cluster.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from havn.contracts.management import Api, KeyState, Plan, SubscriptionState

BASE = "/management/api/v1"
SUBSCRIPTION_HEADER = "X-Havn-Subscription"
"""Response header between the enforcing process and the gateway, which records it and takes it away."""
ANONYMOUS_PLAN = "anonymous"
"""The plan of an open Api whose limits callers without a key have, each address by itself."""
VALID_SECONDS = 3.0
"""How long a portion of a rate may be spent after it was asked for."""
SLOT_SECONDS = 15.0
"""How long requests under way stay counted when their process is gone."""

Units: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Holder: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
Subject: TypeAlias = Annotated[str, Meta(pattern=r"^[sao]:[0-9A-Za-z:./-]{1,200}$")]
"""Whose limit: `s:` and a subscription, `a:` with an Api, `/` and an address, `o:` with a plan, `/` and an organisation
number."""
LimitName: TypeAlias = Annotated[str, Meta(pattern=r"^(rate|quota|concurrency|organisation)(:[a-z][a-z0-9-]{0,39})?$")]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ManagedApi(_Wire, frozen=True, kw_only=True):
    """An Api whose requests are checked, and what callers without a key may do when it is open."""

    api: Api
    anonymous: Plan | None = None


class Managed(_Wire, frozen=True, kw_only=True):
    """All that an app's process checks, as of change number `version`."""

    version: int
    apis: tuple[ManagedApi, ...] = ()


class Stamp(_Wire, frozen=True, kw_only=True):
    """A line of the stream: the number of the last change. It comes twice a second while none can be missed."""

    version: int


class KeyQuestion(_Wire, frozen=True, kw_only=True):
    """Body of POST enforcement/keys."""

    key: Annotated[str, Meta(max_length=200)]

    def __repr__(self) -> str:
        """Without the secret."""
        return "<KeyQuestion>"


class Grant(_Wire, frozen=True, kw_only=True):
    """What a known key opens."""

    prefix: str
    key_state: KeyState
    subscription: str
    state: SubscriptionState
    api: str
    plan: Plan
    owner: str
    """The consumer's organisation number."""
    until: datetime | None = None
    """When the key or the subscription ends by itself."""


class KeyAnswer(_Wire, frozen=True, kw_only=True):
    """`known` without a grant: the key is somebody's, for an Api of another app."""

    known: bool
    grant: Grant | None = None


class Ask(_Wire, frozen=True, kw_only=True):
    """The state of one limit with one holder, and what it would have.

    It keeps `keeps` unspent units and gives `returned` back. `need` units are for requests that wait, `want` more would
    spare the next ones the waiting. `used` and `rejected` count since the last settlement; `observed` are those let
    through although the limit was reached, while the plan only observes. `first` is the period of a quota.
    """

    subject: Subject
    limit: LimitName
    keeps: Units = 0
    returned: Units = 0
    need: Units = 0
    want: Units = 0
    used: Units = 0
    rejected: Units = 0
    observed: Units = 0
    first: date | None = None


class Passed(_Wire, frozen=True, kw_only=True):
    """Requests of one subscription since the last settlement, for its usage."""

    subject: Subject
    prefix: str | None = None
    """The key that was used."""
    allowed: Units = 0
    rejected: Units = 0
    observed: Units = 0


class Settlement(_Wire, frozen=True, kw_only=True):
    """Body of POST leases; a limit is asked for once."""

    holder: Holder
    """The same for as long as a process lives, and of no other."""
    asks: Annotated[tuple[Ask, ...], Meta(max_length=2000)] = ()
    passed: Annotated[tuple[Passed, ...], Meta(max_length=2000)] = ()


Fault: TypeAlias = Literal["unknown", "away"]
"""`unknown`: no such limit, or none of the caller's. `away`: the counters cannot be reached."""


class Lease(_Wire, frozen=True, kw_only=True):
    """The answer to one `Ask`, in the order asked."""

    granted: int = 0
    remaining: int = 0
    """What is left after it, before anything held elsewhere comes back."""
    more_in: float = 0.0
    """Seconds until there is one more, when none remain; for a quota, until its period ends."""
    valid_for: float = 0.0
    """Seconds from the question in which it may be spent."""
    first: date | None = None
    """The period of a quota, which `used` then names."""
    fault: Fault | None = None


class Settled(_Wire, frozen=True, kw_only=True):
    """Answer of POST leases."""

    leases: tuple[Lease, ...] = ()
