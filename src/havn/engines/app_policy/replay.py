"""Deciding requests that were made before under two policies and comparing the answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.engines.app_policy import names
from havn.engines.xacml import CompiledPolicy, Decision, Request, Result

_CATEGORIES = {
    "s": names.SUBJECT,
    "r": names.RESOURCE,
    "e": "urn:oasis:names:tc:xacml:3.0:attribute-category:environment",
}


class Recorded(msgspec.Struct, frozen=True):
    """A request as recorded: ids led by their category's letter (`s:`, `r:`, `e:`), and how often it came.

    `listed` False: its party is on none of the app's access lists, so that a Permit becomes a Deny.
    """

    action: str
    attributes: tuple[tuple[str, str], ...]
    times: int = 1
    listed: bool = True

    def request(self, now: datetime) -> Request:
        """The request, to be decided at `now`."""
        bags: dict[str, dict[object, tuple[str, ...]]] = {names.ACTION: {names.ACTION_ID: (self.action,)}}
        for name, value in self.attributes:
            letter, _, attribute = name.partition(":")
            keys = bags.setdefault(_CATEGORIES.get(letter, letter), {})
            keys[attribute] = (*keys.get(attribute, ()), value)
        return Request(bags, now=now)  # type: ignore[arg-type]  # keys are plain ids, which are attribute keys


class Outcome(msgspec.Struct, frozen=True):
    """One request under both policies; `rule` is what decides under the new one."""

    recorded: Recorded
    was: str
    becomes: str
    rule: str | None


def compare(old: CompiledPolicy, new: CompiledPolicy, recorded: Sequence[Recorded], *, now: datetime) -> list[Outcome]:
    """Each request decided under `old` and under `new`, in order."""
    requests = [entry.request(now) for entry in recorded]
    outcomes: list[Outcome] = []
    for entry, before, after in zip(recorded, old.decide_many(requests), new.decide_many(requests), strict=True):
        was, _ = _limited(entry, before)
        outcomes.append(Outcome(entry, was, *_limited(entry, after)))
    return outcomes


def _limited(entry: Recorded, result: Result) -> tuple[str, str | None]:
    """The decision and its rule after access lists."""
    if result.decision is Decision.PERMIT and not entry.listed:
        return Decision.DENY.value, names.ACCESS_LISTS
    return result.decision.value, result.rule
