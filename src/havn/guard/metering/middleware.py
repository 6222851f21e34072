"""API management in the path of every request: whose key, what the plan covers, rates and quotas, then on.

The order is fixed: authenticate, subscription, scope of the plan, excluded requests, limits. Stands inside
`Authentication`, so that it knows an app's own browser users, who are not API consumers and are not counted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from havn.contracts.management import OWN_ROUTES
from havn.contracts.metering import SUBSCRIPTION_HEADER
from havn.guard.metering import answers
from havn.guard.metering.consumers import Consumer, LimitSet
from havn.guard.metering.meter import Meter
from havn.guard.metering.table import Entry, Header, Table
from havn.guard.middleware import from_cookie
from havn.guard.platform_token import HEADER as PLATFORM_TOKEN
from havn.guard.platform_token import PlatformTokenVerifier
from havn.kit.problem import Problem

_KEY_HEADERS = frozenset((b"x-api-key", b"ocp-apim-subscription-key"))
_PLATFORM_TOKEN = PLATFORM_TOKEN.lower().encode()
_SUBSCRIPTION = SUBSCRIPTION_HEADER.lower().encode()
# What some gateways tell the backend about the caller. Nobody but us may say it here, and we say it elsewhere.
_IDENTITY = frozenset(
    (
        b"remote-user", b"x-authenticated-scope", b"x-authenticated-userid", b"x-consumer-custom-id", b"x-consumer-id",
        b"x-consumer-username", b"x-credential-identifier", b"x-forwarded-email", b"x-forwarded-user",
        b"x-remote-user", b"x-user-id", b"x-anonymous-consumer", _SUBSCRIPTION,
    )
)  # fmt: skip
_TAKEN_AWAY = _KEY_HEADERS | _IDENTITY
_QUERY_NAMES = frozenset((b"subscription-key", b"ocp-apim-subscription-key", b"x-api-key", b"api-key", b"apikey"))
SUBSCRIPTION = "havn.subscription"
"""Where a handler finds the id of the subscription on the scope."""


class Metering:
    """ASGI middleware over a `Meter`.

    `components` and `trusted`: platform tokens of these issuers (None: of any) are the platform's own traffic, which is
    not counted. Paths of Apis lie below `prefix` (without: the request's root path); `unmanaged` ones, and what lies
    below them, belong to none.
    """

    def __init__(
        self,
        app: ASGIApp,
        meter: Meter,
        *,
        components: PlatformTokenVerifier | None = None,
        trusted: Collection[str] | None = None,
        prefix: str = "",
        unmanaged: Collection[str] = ("/health",),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self._meter = meter
        self._components = components
        self._trusted = trusted
        self._prefix = prefix
        self._unmanaged = frozenset(unmanaged)
        self._below_unmanaged = tuple(f"{path}/" for path in unmanaged)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        table = self._meter.following.table
        if scope["type"] != "http" or (table is not None and table.empty):
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(self._prefix or scope.get("root_path", "")) or "/"
        entry = None
        if path not in self._unmanaged and not path.startswith(self._below_unmanaged):
            try:
                if table is None:
                    table = await self._first_table(scope)
                entry = None if table is None else table.find(path)
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        if entry is None:
            await self.app(scope, receive, send)
            return
        await self._managed(entry, path, scope, receive, send)

    async def _first_table(self, scope: Scope) -> Table | None:
        """The table when it is not known yet: what is not for API consumers does not wait for it."""
        if from_cookie(Request(scope)) or await self._platforms_own(scope):
            return None
        return await self._meter.following.known()

    async def _managed(self, entry: Entry, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        announced = entry.headers
        try:
            consumer = self._remembered(entry, scope) or await self._consumer(entry, scope)
            if consumer is None:
                await self.app(scope, receive, send)
                return
            announced = _with_subscription(announced, consumer)
            self._admit(consumer, entry, scope["method"], path)
        except Problem as problem:
            await problem.response()(scope, receive, _adding(send, announced))
            return
        scope["headers"] = [header for header in scope["headers"] if header[0] not in _TAKEN_AWAY]
        scope[SUBSCRIPTION] = None if consumer.grant is None else consumer.grant.subscription
        found = consumer.limits(scope["method"], path)
        if found is None:
            self._meter.count(consumer)
            await self.app(scope, receive, _adding(send, announced))
        else:
            await self._limited(consumer, found, announced, scope, receive, send)

    async def _limited(
        self, consumer: Consumer, found: LimitSet, announced: list[Header], scope: Scope, receive: Receive, send: Send
    ) -> None:
        meter, legacy = self._meter, consumer.plan.legacy_headers
        portions = meter.portions
        refusal = None if portions.try_now(found.limits) else await portions.acquire(found.limits)
        if refusal is not None:
            let_through = consumer.observes or (refusal.away and consumer.plan.store_away == "open")
            if not refusal.away:
                portions.refused(refusal.limits, observed=let_through)
            if not let_through:
                meter.count_rejected(consumer)
                problem, headers = answers.refused(found, refusal, portions.monotonic(), legacy=legacy)
                await problem.response()(scope, receive, _adding(send, announced + headers))
                return
            meter.count(consumer, observed=not refusal.away)
            await self.app(scope, receive, _adding(send, announced))
            return
        meter.count(consumer)
        headers = announced + answers.limit_headers(found, portions.monotonic(), legacy=legacy)
        if not found.slotted:
            await self.app(scope, receive, _adding(send, headers))
            return
        try:
            await self.app(scope, receive, _adding(send, headers))
        finally:
            portions.give_back(found.limits)

    def _remembered(self, entry: Entry, scope: Scope) -> Consumer | None:
        """Whoever sends nothing but a key that is known: nearly every request."""
        key = None
        for name, value in scope["headers"]:
            if name in _KEY_HEADERS:
                if key is not None:
                    return None
                key = value
        if key is None or scope["query_string"] or entry.retired:
            return None
        known = self._meter.consumers.remembered(hashlib.sha256(key).digest())
        return None if known is None else known.consumer

    async def _consumer(self, entry: Entry, scope: Scope) -> Consumer | None:
        """Who calls; None for whoever is not an API consumer. A `Problem` for who may not."""
        key = None
        for name, value in scope["headers"]:
            if name in _KEY_HEADERS:
                if key is not None and key != value:
                    raise answers.keys_differ()
                key = value
        if (query := scope["query_string"]) and _key_in(query):
            raise answers.key_in_query()
        if key is None:
            if from_cookie(Request(scope)) or await self._platforms_own(scope):
                return None
            if entry.retired:
                raise answers.retired(entry)
            if entry.needs_key or entry.anonymous is None:
                raise answers.key_needed()
            return self._meter.consumers.address(entry.id, entry.anonymous, client_address(scope))
        if entry.retired:
            raise answers.retired(entry)
        known = await self._meter.consumers.find(key)
        consumer = known.consumer
        if consumer is None:
            raise answers.other_api() if known.known else answers.key_unknown()
        return consumer

    def _admit(self, consumer: Consumer, entry: Entry, method: str, path: str) -> None:
        """Raise the `Problem` of a key that is known and does not open this."""
        grant = consumer.grant
        if grant is not None:
            if grant.key_state != "active":
                raise answers.key_ended(grant.key_state)
            if grant.state != "active":
                raise answers.not_active(grant.state)
            if consumer.until is not None and self._clock() >= consumer.until:
                # It ended by itself; which of the two it was, the next question tells.
                raise answers.key_ended("expired")
            if grant.api != entry.id:
                raise answers.other_api()
        if not consumer.covers(method, path):
            raise answers.not_covered(consumer)

    async def _platforms_own(self, scope: Scope) -> bool:
        """Whether a component or an app of a trusted issuer calls, as its platform token proves."""
        if self._components is None:
            return False
        token = next((value for name, value in scope["headers"] if name == _PLATFORM_TOKEN), None)
        if token is None:
            return False
        try:
            caller = await self._components.verify(token.decode("latin-1"))
        except Problem as problem:
            if problem.status == 401:
                return False
            raise
        return self._trusted is None or caller.org in self._trusted


def metered(component: str, meter: Meter | None, components: PlatformTokenVerifier) -> list[Middleware]:
    """The middleware of the platform API `component`, whose Apis lie below `/{component}`; none without a meter.

    Every app works with the platform on its users' behalf, so an app of any org is let through uncounted. Whoever
    verifies a token, or signs in, is let through at `OWN_ROUTES` before anybody asks API management, which itself does
    both: there is no circle.
    """
    if meter is None:
        return []
    unmanaged = OWN_ROUTES[component]
    return [Middleware(Metering, meter=meter, components=components, prefix=f"/{component}", unmanaged=unmanaged)]


def client_address(scope: Scope) -> str:
    """The address the gateway saw: it strips `X-Forwarded-For` from outside and writes its own, last."""
    forwarded = b""
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            forwarded = value
    if forwarded:
        return str(forwarded.rpartition(b",")[2].strip().decode("latin-1"))
    client = scope.get("client")
    return client[0] if client else ""


def _with_subscription(headers: list[Header], consumer: Consumer) -> list[Header]:
    return [*headers, (_SUBSCRIPTION, consumer.subscription)] if consumer.subscription else headers


def _key_in(query: bytes) -> bool:
    if b"havn_" not in query and b"key=" not in query.lower():
        return False
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name.lower() in _QUERY_NAMES or value.startswith(b"havn_"):
            return True
    return False


def _adding(send: Send, headers: list[Header]) -> Send:
    """`send` with more response headers; nobody behind us speaks for a subscription."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                header for header in message.get("headers", ()) if header[0] != _SUBSCRIPTION
            ] + headers
        await send(message)

    return with_headers
