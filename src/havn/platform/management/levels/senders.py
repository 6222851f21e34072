"""Who may send counts, and of whom: the platform's own ingress of all, one in an owner's cluster of that owner.

An owner's cluster is never given a key of the platform's: what can be taken there is a secret that is good for nothing
but that owner's own counts.
"""

from __future__ import annotations

import hashlib
import secrets

from havn.contracts.levels import NewSender
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.management.levels.store.agreements import Author
from havn.platform.management.levels.store.senders import SenderStore

_PREFIX = "havnrec_"


class Senders:
    """Makes senders and knows them by their secrets."""

    def __init__(self, store: SenderStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def make(self, org: str, name: str, author: Author) -> NewSender:
        """A sender with a new secret, which is shown this once; the one before is no longer good."""
        token = _PREFIX + secrets.token_urlsafe(32)
        await self._store.put(org, name, _digest(token), author, self._clock())
        return NewSender(name=name, token=token)

    async def org_of(self, token: str) -> str:
        """The owner whose sender has this secret. 401 when there is none."""
        org = await self._store.org_of(_digest(token), self._clock()) if token.startswith(_PREFIX) else None
        if org is None:
            raise Problem(401, "This sender is not known.", code="unknown_sender")
        return org


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
