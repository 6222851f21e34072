"""The decision log: every decision, its subject as a keyed pseudonym, kept for a set time, read by the app's owner."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from havn.contracts.authorization import AttributePair, LogBatch, LoggedDecision
from havn.kit.background import background
from havn.kit.clock import Clock
from havn.platform.authorization.store.decisions import DecisionRow, DecisionStore

_log = structlog.get_logger("authorization")
_CLEAN_SECONDS = 60.0
_INSTANCE_PREFIX = "urn:altinn:instance-id:"


class Pseudonyms:
    """The same subject gets the same pseudonym; without the key nobody can tell whose it is."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_secrets(cls, pseudonym_key: str, access_key: str) -> Pseudonyms:
        """From the key made for this, or, where there is none, one derived from the component's own key."""
        if pseudonym_key:
            return cls(hashlib.sha256(pseudonym_key.encode()).digest())
        derive = HKDF(hashes.SHA256(), length=32, salt=None, info=b"havn authorization pseudonyms")
        return cls(derive.derive(access_key.encode()))

    def of(self, identity: str) -> str:
        """The pseudonym of `user:1337`, `party:50000` and the like; organisations' own codes stay readable."""
        if identity.startswith("org:") or identity == "none":
            return identity
        kind = identity.partition(":")[0]
        return f"{kind}~{hmac.digest(self._key, identity.encode(), hashlib.sha256).hex()[:24]}"


class DecisionLog:
    """Writes batches and drops what is too old."""

    def __init__(
        self,
        store: DecisionStore,
        pseudonyms: Pseudonyms,
        *,
        clock: Clock,
        permit_days: int,
        refusal_days: int,
    ) -> None:
        self._store = store
        self.pseudonyms = pseudonyms
        self._clock = clock
        self._permit_days = permit_days
        self._refusal_days = refusal_days

    async def write(self, batch: LogBatch, *, by: str) -> None:
        """Write a batch decided by `by` (`storage`, `ttd/permit`)."""
        facts: dict[bytes, list[AttributePair]] = {}
        rows = [self._row(decision, by, facts) for decision in batch.decisions]
        await self._store.add(rows, facts, today=self._clock().date(), dropped=batch.dropped, by=by)

    def _row(self, decision: LoggedDecision, by: str, facts: dict[bytes, list[AttributePair]]) -> DecisionRow:
        digest = None
        if decision.attributes is not None:
            digest = hashlib.sha256(msgspec.json.encode(decision.attributes)).digest()
            facts[digest] = decision.attributes
        party = decision.party_id
        return DecisionRow(
            at=decision.at,
            org=decision.org,
            app=decision.app,
            subject=self.pseudonyms.of(decision.subject),
            party=self.pseudonyms.of(f"party:{party}") if party is not None else None,
            instance=instance_guid(decision.instance_id),
            place=decision.task or decision.end_event,
            action=decision.action[:200],
            result=decision.decision,
            rule=decision.rule,
            policy_version=decision.policy_version,
            micros=min(decision.micros, 2**31 - 1),
            count=decision.count,
            trace_id=decision.trace_id,
            decided_by=by,
            facts=digest,
        )

    @asynccontextmanager
    async def cleaning(self) -> AsyncIterator[None]:
        """Drop what is too old in the background for as long as the block lasts."""
        async with background(self._clean(), name="decision-log-retention"):
            yield

    async def clean_once(self) -> int:
        """Drop one batch of what is too old; how many rows went."""
        return await self._store.clean(
            now=self._clock(), permit_days=self._permit_days, refusal_days=self._refusal_days
        )

    async def _clean(self) -> None:
        while True:
            try:
                more = await self.clean_once()
            except Exception as error:  # noqa: BLE001 - the next round tries again; the log's readers are not harmed
                _log.warning("decision_log_clean_failed", error=type(error).__name__)
                more = 0
            await asyncio.sleep(1 if more else _CLEAN_SECONDS)


class LocalSink:
    """Takes this process's own decisions."""

    def __init__(self, log: DecisionLog, by: str) -> None:
        self._log = log
        self._by = by

    async def log(self, batch: LogBatch) -> None:
        """Write a batch."""
        await self._log.write(batch, by=self._by)


def instance_guid(instance_id: str | None) -> str | None:
    """The guid of `{partyId}/{guid}` in any of its forms; None when there is none."""
    if instance_id is None:
        return None
    try:
        return str(UUID(instance_id.removeprefix(_INSTANCE_PREFIX).rpartition("/")[2]))
    except ValueError:
        return None
