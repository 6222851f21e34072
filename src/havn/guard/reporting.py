"""Taking decisions made in this process to the decision log, without making anybody wait.

A decision is put in a bounded buffer; a background task sends it on in batches. When the buffer is full the decision
stands all the same, and the log is told how many it misses.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, LogBatch, LoggedDecision
from havn.engines.xacml import Decision, Request
from havn.guard.pep import Resource
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.principal import Principal
from havn.kit import trace
from havn.kit.background import background
from havn.kit.problem import Problem

_log = structlog.get_logger("guard")
BUFFER = 20_000
BATCH = 1_000
INTERVAL_SECONDS = 0.5

# Of a subject only what stands for many people is kept, of a resource all but what names one case.
_SUBJECT_KEPT = frozenset(
    {
        contract.ORG,
        contract.ROLE_CODE,
        contract.ACCESS_PACKAGE,
        contract.PARTY_TYPE,
        contract.AUTH_LEVEL,
        contract.SCOPE,
        "urn:altinn:role",
        "urn:altinn:external-role:ccr",
        "urn:altinn:external-role:cra",
        "urn:altinn:access-list",
        "urn:digitaltdodsbo:rolecode",
    }
)
_RESOURCE_DROPPED = frozenset(
    {
        contract.PARTY_ID,
        contract.PARTY_UUID,
        contract.PERSON_UUID,
        contract.ORGANISATION_UUID,
        contract.PERSON_NUMBER,
        contract.ORG_NUMBER,
        contract.ORG_NUMBER_OLD,
        contract.INSTANCE_ID,
        contract.RESOURCE_INSTANCE_ID,
        "urn:altinn:event-id",
        "urn:altinn:eventsource",
    }
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as made; put into words only when it is sent."""

    at: datetime
    subject: str
    resource: Resource
    action: str
    request: Request
    decision: Decision
    rule: str | None
    policy_version: int | None
    micros: int
    count: int
    trace_id: str | None = None


class Sink(Protocol):
    """Where batches go."""

    async def log(self, batch: LogBatch) -> None:
        """Take a batch; a `Problem` means that it was not taken."""


class DecisionReporter:
    """Buffers decisions and sends them to `sink`; `running()` must be open while serving."""

    def __init__(self, sink: Sink, *, buffer: int = BUFFER, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._sink = sink
        self._limit = buffer
        self._interval = interval_seconds
        self._waiting: deque[Entry] = deque()
        self._dropped = 0

    def record(self, entry: Entry) -> None:
        """Remember a decision until it is sent; never waits."""
        if len(self._waiting) >= self._limit:
            self._dropped += entry.count
            return
        if entry.trace_id is None and (current := trace.trace_id()) is not None:
            entry = msgspec.structs.replace(entry, trace_id=current)
        self._waiting.append(entry)

    async def flush(self) -> None:
        """Send everything that waits. What the sink does not take stays; raises its `Problem`."""
        while self._waiting or self._dropped:
            part = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            dropped, self._dropped = self._dropped, 0
            try:
                await self._sink.log(LogBatch([logged(entry) for entry in part], dropped))
            except (Problem, asyncio.CancelledError):
                self._dropped += dropped
                room = max(0, self._limit - len(self._waiting))
                self._dropped += sum(entry.count for entry in part[room:])
                self._waiting.extendleft(reversed(part[:room]))
                raise
            except Exception as error:  # noqa: BLE001 - a batch that can never be taken must not stop the others
                _log.error("decision_log_batch_lost", error=type(error).__name__, decisions=len(part))
                self._dropped += dropped + sum(entry.count for entry in part)
                return

    @asynccontextmanager
    async def running(self) -> AsyncIterator[DecisionReporter]:
        """Send in the background for as long as the block lasts, and what is left at its end."""
        try:
            async with background(self._send(), name="decision-log"):
                yield self
        finally:
            with suppress(Problem, TimeoutError):
                await asyncio.wait_for(self.flush(), 2)

    async def _send(self) -> None:
        away = False
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.flush()
                away = False
            except Problem as problem:
                if not away:
                    _log.warning("decision_log_unavailable", status=problem.status, waiting=len(self._waiting))
                away = True


class ClientSink:
    """Sends batches to the authorization API with this part's own platform token."""

    def __init__(self, client: AuthorizationClient, signer: PlatformTokenSigner) -> None:
        self._client = client
        self._signer = signer

    async def log(self, batch: LogBatch) -> None:
        """Send one batch."""
        await self._client.log(batch, Credentials(platform_token=self._signer.token()))


def subject_reference(principal: Principal) -> str:
    """Who decided about, as one text to make a pseudonym of."""
    if principal.system_user_id is not None:
        return f"systemuser:{principal.system_user_id}"
    if principal.user_id is not None:
        return f"user:{principal.user_id}"
    if principal.org is not None:
        return f"org:{principal.org}"
    if principal.org_number is not None:
        return f"organisation:{principal.org_number}"
    if principal.party_id is not None:
        return f"party:{principal.party_id}"
    return "none"


def logged(entry: Entry) -> LoggedDecision:
    """The entry as the log's wire type."""
    return LoggedDecision(
        at=entry.at,
        subject=entry.subject,
        org=entry.resource.org,
        app=entry.resource.app,
        action=entry.action,
        decision=entry.decision.value,
        party_id=entry.resource.party_id,
        instance_id=entry.resource.instance_id,
        task=entry.resource.task,
        end_event=entry.resource.end_event,
        rule=entry.rule,
        policy_version=entry.policy_version,
        micros=entry.micros,
        count=entry.count,
        trace_id=entry.trace_id,
        attributes=kept_attributes(entry.request),
    )


def kept_attributes(request: Request) -> list[AttributePair]:
    """What a decision rested on beside identities, sorted, each id led by its category's letter: `s:urn:…`."""
    pairs = {
        (f"{letter}:{key}", str(value))
        for category, letter in _CATEGORIES
        for key, bag in request.attributes.get(category, {}).items()
        if isinstance(key, str) and (key in _SUBJECT_KEPT if letter == "s" else key not in _RESOURCE_DROPPED)
        for value in bag
    }
    return [AttributePair(name, value) for name, value in sorted(pairs)]


_CATEGORIES = ((contract.SUBJECT, "s"), (contract.RESOURCE, "r"), (contract.ENVIRONMENT, "e"))
