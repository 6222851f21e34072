"""What may be agreed and declared, and who is told the secret of an alert."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from havn.contracts.levels import BOUNDS_MS, Agreement, AgreementTerms, Maintenance, NewMaintenance
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management.levels.store.agreements import AgreementStore, Author

_LONGEST = timedelta(days=31)
_FARTHEST = timedelta(days=366)


class Agreements:
    """Agreements and maintenance. `key` is what the secrets of alerts are derived from, and is nowhere kept."""

    def __init__(self, store: AgreementStore, clock: Clock, *, key: bytes, way_out: bool) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._way_out = way_out

    async def put(self, org: str, name: str, terms: AgreementTerms, author: Author) -> Agreement:
        """Make or change an agreement; the answer alone has the secret of its alert. 400 for what cannot be agreed."""
        await self._check(org, terms)
        made, salt = await self._store.put(org, name, terms, secrets.token_bytes(16), author, self._clock())
        if salt is None:
            return made
        return msgspec.structs.replace(made, alert_secret=self.secret(made.id, salt))

    def secret(self, agreement: str, salt: bytes) -> str:
        """What signs the messages of an agreement's alert."""
        return hmac.digest(self._key, salt + agreement.encode(), hashlib.sha256).hex()

    async def declare(self, org: str, wanted: NewMaintenance, author: Author) -> Maintenance:
        """Declare maintenance. What begins in the past is noted, but takes nothing out of the figures."""
        starts, ends = _whole_minute(wanted.starts), _whole_minute(wanted.ends)
        if starts >= ends:
            raise _wrong("Maintenance must end after it begins.")
        if ends - starts > _LONGEST:
            raise _wrong("Maintenance may last 31 days at most.")
        if starts > self._clock() + _FARTHEST:
            raise _wrong("Maintenance may be declared a year ahead at most.")
        return await self._store.declare(org, wanted.app, starts, ends, wanted.reason, author, self._clock())

    async def cancel(self, org: str, id_: str, author: Author) -> Maintenance:
        """End maintenance now; what had passed of it stays out of the figures. 404 when there is none."""
        try:
            found = await self._store.cancel(org, uuid.UUID(id_), author, self._clock())
        except ValueError:
            found = None
        if found is None:
            raise Problem(404, "There is no such maintenance.", code="unknown_maintenance")
        return found

    async def _check(self, org: str, terms: AgreementTerms) -> None:
        targets = terms.targets
        if (targets.latency_ms is None) != (targets.latency_share is None):
            raise _wrong("A latency target has both latencyMs and latencyShare.")
        if targets.latency_ms is not None and targets.latency_ms not in BOUNDS_MS:
            raise _wrong(f"latencyMs must be one of {', '.join(map(str, BOUNDS_MS))}.")
        if terms.api is not None and terms.plan is not None:
            raise _wrong("An agreement is for an Api or for a plan, not for both.")
        if terms.alert_url is not None:
            if not self._way_out:
                raise Problem(
                    409, "No way out is set up here (HAVN_EGRESS_URL), so no alert can be sent.", code="no_egress"
                )
            try:
                parts = urlsplit(terms.alert_url)
                _ = parts.port
            except ValueError:
                raise _wrong("alertUrl is not an address.") from None
            if not parts.hostname:
                raise _wrong("alertUrl is not an address.")
        api = terms.api
        if terms.plan is not None:
            api = await self._store.api_of(terms.plan)
            if api is None:
                raise _wrong("There is no such plan.")
        if api is not None and await self._store.app_of(api) != (org, terms.app):
            raise _wrong("There is no such Api of this app.")


def _whole_minute(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise _wrong("Give times with their zone, such as 2026-03-01T22:00:00+01:00.")
    if moment.second or moment.microsecond:
        raise _wrong("Maintenance begins and ends at whole minutes.")
    return moment


def _wrong(detail: str) -> Problem:
    return Problem(400, detail, code="invalid_agreement")
