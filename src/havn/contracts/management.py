"""Wire types of API management: Apis and their plans, applications, subscriptions and keys, and who changed what.

An Api belongs to one app of one org, or to a platform API (org `platform`, app its name), and is reached at that app's
own address. Members that have no value are null; unknown ones are refused in what people write and ignored in answers.
Times are UTC, counts are requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

PLATFORM = "platform"
"""The org of platform APIs."""
OWN_ROUTES: Mapping[str, tuple[str, ...]] = {
    "authentication": (
        "/_assets", "/api/v1/access-token", "/api/v1/authentication", "/api/v1/health", "/api/v1/logout",
        "/api/v1/openid", "/api/v1/refresh", "/api/v1/revocations", "/api/v1/session", "/api/v1/upstream",
    ),
    "authorization": ("/api/v1/health",),
    "profile": ("/api/v1/health",),
    "register": ("/api/v1/health", "/api/v1/internal"),
    "storage": ("/api/v1/health",),
}  # fmt: skip
"""The platform APIs that enforce what is published of them, each with the routes that belong to no Api, whoever asks:
people sign in and parts of the platform find out who calls there, also when API management is away."""
KEY_HEADER = "X-Api-Key"
"""The request header that carries a managed key."""
ACTING_FOR, ACTING_ADDRESS, ACTING_ORG = "Havn-Acting-For", "Havn-Acting-Address", "Havn-Acting-Org"
"""Headers in which the control plane, and nobody else, says which operator asks, from where, and for which org."""
ALL_ORGS = "*"

Access: TypeAlias = Literal["key", "open"]
"""`key`: a managed key is needed. `open`: anybody, limited by address."""
ApiState: TypeAlias = Literal["draft", "published", "deprecated", "retired"]
"""`draft`: not in the catalogue and not enforced. `retired`: every request is answered 410."""
PlanState: TypeAlias = Literal["open", "closed"]
"""`closed`: those who have it keep it, nobody new gets it."""
Approval: TypeAlias = Literal["auto", "manual"]
Mode: TypeAlias = Literal["enforce", "observe"]
"""`observe`: what would be denied is counted and let through."""
StoreAway: TypeAlias = Literal["open", "closed"]
"""What happens to requests while the counters cannot be reached: let through, or answered 503."""
Period: TypeAlias = Literal["day", "week", "month"]
"""Calendar periods in Norwegian time (Europe/Oslo); a week begins on Monday."""
SubscriptionState: TypeAlias = Literal["pending", "active", "suspended", "rejected", "revoked", "expired"]
KeyState: TypeAlias = Literal["active", "revoked", "expired"]

LIVE: frozenset[SubscriptionState] = frozenset(("pending", "active", "suspended"))
"""States that can still lead to access."""

Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Version: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")]
Path: TypeAlias = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9._~/-]{0,199}$")]
"""A prefix of whole segments, below the app's own address (`/api/v1`); `/` is all of it."""
Method: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z]{3,10}$")]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Prose: TypeAlias = Annotated[str, Meta(max_length=4000)]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of answers."""


class Written(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of what people write: a misspelt member is an error."""


class Title(Written, frozen=True, kw_only=True):
    """A name in the three languages; those left out are shown in bokmål."""

    nb: Words
    nn: Annotated[str, Meta(max_length=200)] = ""
    en: Annotated[str, Meta(max_length=200)] = ""

    def say(self, language: str) -> str:
        """The name in `language` (nb, nn or en)."""
        return {"nn": self.nn, "en": self.en}.get(language, "") or self.nb


class Text(Written, frozen=True, kw_only=True):
    """Plain text in the three languages; those left out are shown in bokmål."""

    nb: Prose = ""
    nn: Prose = ""
    en: Prose = ""

    def say(self, language: str) -> str:
        """The text in `language` (nb, nn or en)."""
        return {"nn": self.nn, "en": self.en}.get(language, "") or self.nb


class Match(Written, frozen=True, kw_only=True):
    """Which requests: by method and path prefix of whole segments; an empty list is all."""

    methods: tuple[Method, ...] = ()
    paths: tuple[Path, ...] = ()


class Rate(Match, frozen=True, kw_only=True):
    """`requests` in `seconds` in the long run, and as many at once, for the requests it matches (GCRA)."""

    name: Name
    requests: Count
    seconds: Annotated[int, Meta(ge=1, le=3600)]


class Quota(Match, frozen=True, kw_only=True):
    """At most `requests` in a calendar period, for the requests it matches."""

    name: Name
    requests: Count
    per: Period


class PlanTerms(Written, frozen=True, kw_only=True):
    """What a plan gives, as its owner writes it. Every limit that matches a request counts."""

    name: Name
    title: Title
    description: Text = Text()
    rates: Annotated[tuple[Rate, ...], Meta(max_length=20)] = ()
    quotas: Annotated[tuple[Quota, ...], Meta(max_length=20)] = ()
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Requests under way at once, of one subscription."""
    organisation_concurrency: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Requests under way at once, of all subscriptions that one organisation has to the plan."""
    covers: Annotated[tuple[Match, ...], Meta(max_length=50)] = ()
    """The part of the Api that the plan opens; empty: all of it."""
    excludes: Annotated[tuple[Match, ...], Meta(max_length=50)] = ()
    """Requests that no limit counts."""
    approval: Approval = "manual"
    mode: Mode = "enforce"
    store_away: StoreAway = "open"
    legacy_headers: bool = False
    """Send the older `X-RateLimit-*` headers too."""
    sla: Annotated[str, Meta(max_length=100)] | None = None
    """The service level that the plan promises, by id."""
    days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    """How long a subscription lasts from its approval; without: until somebody ends it."""

    def __post_init__(self) -> None:
        """Each limit has a name of its own: answers name them."""
        _distinct([each.name for each in self.rates] + [each.name for each in self.quotas], "two limits are called {}")


class Plan(PlanTerms, frozen=True, kw_only=True):
    """A plan of an Api. Its id is `{api}:{name}`."""

    id: str
    api: str
    state: PlanState = "open"


class ApiTerms(Written, frozen=True, kw_only=True):
    """An Api as its owner writes it."""

    name: Name
    version: Version = "v1"
    title: Title
    description: Text = Text()
    paths: Annotated[tuple[Path, ...], Meta(min_length=1, max_length=50)] = ("/instances",)
    access: Access = "key"
    state: ApiState = "published"
    deprecated: Moment | None = None
    """Since, or from, when it should no longer be taken into use (RFC 9745)."""
    sunset: Moment | None = None
    """When it is expected to stop answering (RFC 8594)."""
    successor: str | None = None
    """The Api that takes over: its id, or only its version when it differs in nothing else."""
    documentation: Annotated[str, Meta(pattern=r"^https?://[^\s\"<>]{1,400}$")] | None = None
    """Where more is written about it."""
    contact: Annotated[str, Meta(max_length=200)] | None = None

    def __post_init__(self) -> None:
        """Its life goes one way: published, deprecated, ended."""
        if self.state == "deprecated" and self.deprecated is None:
            raise ValueError("an Api in state deprecated says since when (deprecated)")
        if self.sunset is not None and self.deprecated is not None and self.sunset < self.deprecated:
            raise ValueError("sunset is before deprecated")


class Api(ApiTerms, frozen=True, kw_only=True):
    """An Api of an app. Its id is `{org}.{app}.{name}.{version}`."""

    id: str
    org: str
    app: str


class ApiDeclaration(ApiTerms, frozen=True, kw_only=True):
    """An Api with its plans, as `deployment/api.yaml` and the CLI write them."""

    plans: Annotated[tuple[PlanTerms, ...], Meta(max_length=20)] = ()

    def __post_init__(self) -> None:
        """As for an Api; and each plan has a name of its own."""
        ApiTerms.__post_init__(self)
        _distinct([plan.name for plan in self.plans], "two plans are called {}")


class Declarations(Written, frozen=True, kw_only=True):
    """All Apis that one app offers; what is not in the list any more is retired or, when unused, removed."""

    version: Literal[1] = 1
    apis: Annotated[tuple[ApiDeclaration, ...], Meta(max_length=20)] = ()

    def __post_init__(self) -> None:
        """Name and version tell Apis apart; a request belongs to one of them, by its path."""
        _distinct([f"{api.name} {api.version}" for api in self.apis], "two Apis are {}")
        _distinct(claimed_paths(self.apis), "two Apis claim the path {}")


class Deprecation(Written, frozen=True, kw_only=True):
    """Body of POST apis/{id}/deprecate. Without `deprecated`: from now."""

    deprecated: Moment | None = None
    sunset: Moment | None = None
    successor: str | None = None


class Application(Wire, frozen=True, kw_only=True):
    """A consumer's system, which asks for plans and calls with keys."""

    id: str
    name: str
    owner: str
    """Organisation number."""
    owner_name: str = ""
    contact: str = ""
    created: datetime | None = None


class NewApplication(Written, frozen=True, kw_only=True):
    """Body of POST applications."""

    name: Words
    owner: Annotated[str, Meta(pattern=r"^[0-9]{9}$")]
    contact: Annotated[str, Meta(max_length=200)] = ""


class Subscription(Wire, frozen=True, kw_only=True):
    """An application's access to a plan. `state` is `expired` from the moment `expires` has passed."""

    id: str
    application: str
    plan: str
    api: str
    state: SubscriptionState
    created: datetime
    expires: datetime | None = None
    reason: str = ""
    """Why it is in this state, as the owner wrote."""
    purpose: str = ""
    """What the consumer wants it for."""
    application_name: str = ""
    owner: str = ""
    """The consumer's organisation number."""
    owner_name: str = ""
    last_used: datetime | None = None


class NewSubscription(Written, frozen=True, kw_only=True):
    """Body of POST subscriptions: ask for a plan."""

    application: str
    plan: str
    purpose: Annotated[str, Meta(max_length=1000)] = ""


SubscriptionAct: TypeAlias = Literal["approve", "reject", "suspend", "resume", "revoke"]


class SubscriptionChange(Written, frozen=True, kw_only=True):
    """Body of POST subscriptions/{id}/{act}; `reason` is wanted for reject, suspend and revoke."""

    reason: Annotated[str, Meta(max_length=1000)] = ""
    expires: Moment | None = None
    """With approve: when access ends."""


class KeyRequest(Written, frozen=True, kw_only=True):
    """Body of POST subscriptions/{id}/keys, and of rotate."""

    expires: Moment | None = None


class Key(Wire, frozen=True, kw_only=True):
    """What may be shown of a key: never its secret."""

    prefix: str
    subscription: str
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None
    state: KeyState


class NewKey(Key, frozen=True, kw_only=True):
    """A key in the only answer that shows it."""

    key: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<NewKey {self.prefix}>"


class HistoryEntry(Wire, frozen=True, kw_only=True):
    """One change: who did what to which object, when and from where, and how it was before and after."""

    id: int
    at: datetime
    who: str
    address: str
    action: str
    object: str
    """`api`, `plan`, `application`, `subscription` or `key`, and its id: `subscription/0190…`."""
    before: Any = None
    after: Any = None


class CatalogueApi(Wire, frozen=True, kw_only=True):
    """An Api as the catalogue shows it."""

    api: Api
    org_name: Title
    plans: tuple[Plan, ...] = ()
    url: str = ""
    """The address that its paths lie below."""
    openapi: str = ""
    """Where its OpenAPI document is."""


class Catalogue(Wire, frozen=True, kw_only=True):
    """Answer of GET catalogue."""

    apis: tuple[CatalogueApi, ...]


class Usage(Wire, frozen=True, kw_only=True):
    """Requests of one subscription on one day (Norwegian time)."""

    subscription: str
    day: str
    allowed: int = 0
    rejected: int = 0
    observed: int = 0
    """Let through although over a limit, by a plan that only observes."""


class QuotaStanding(Wire, frozen=True, kw_only=True):
    """How much of a quota a subscription has used in the period that goes on."""

    name: str
    per: Period
    requests: int
    used: int
    """What enforcement has told so far, some seconds behind."""
    until: datetime
    """When the next period begins."""


class Consumer(Wire, frozen=True, kw_only=True):
    """Who uses an Api: one subscription, and when it was last used."""

    subscription: str
    state: SubscriptionState
    plan: str
    application_name: str
    owner: str
    owner_name: str = ""
    contact: str = ""
    last_used: datetime | None = None
    requests: int = 0
    """In the last 30 days."""


def claimed_paths(apis: Iterable[ApiTerms]) -> list[str]:
    """The paths of those that answer, each as often as it is claimed by different Apis."""
    answering = [api for api in apis if api.state in ("published", "deprecated")]
    return [path for api in answering for path in sorted({path.rstrip("/") or "/" for path in api.paths})]


def is_own_route(api: str, path: str) -> bool:
    """Whether `path`, below the address of the platform API `api`, is one of its `OWN_ROUTES` or below one."""
    return any(path == route or path.startswith(f"{route}/") for route in OWN_ROUTES.get(api, ()))


def _distinct(names: list[str], complaint: str) -> None:
    again = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if again is not None:
        raise ValueError(complaint.format(again))


def api_id(org: str, app: str, name: str, version: str) -> str:
    """The id of an Api."""
    return f"{org}.{app}.{name}.{version}"


def plan_id(api: str, name: str) -> str:
    """The id of a plan."""
    return f"{api}:{name}"
