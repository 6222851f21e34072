"""A policy as truth: every subject, place and action it names, and the decision for each. Tables and diffs.

Decisions come from the compiled policy, so conditions, Deny rules and algorithms count as they do when it is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from havn.engines.app_policy import names
from havn.engines.app_policy.reading import Pair, rules
from havn.engines.xacml import CompiledPolicy, Decision, Request, compile_policy
from havn.engines.xacml.policy import PolicyDocument

MAX_ROWS = 200_000
_LEVEL = "4"


class Subject(msgspec.Struct, frozen=True, order=True):
    """Who: one combination of attributes that some rule names, or nobody in particular."""

    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return " & ".join(names.shorten(*pair) for pair in self.pairs) or "(anyone)"


class Place(msgspec.Struct, frozen=True, order=True):
    """Where: a task, an end event, a sub-resource, or before anything has begun."""

    attribute: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        if self.attribute is None:
            return "-"
        return f"end:{self.value}" if self.attribute == names.END_EVENT else str(self.value)


class Domain(msgspec.Struct, frozen=True):
    """The finite world a policy speaks of."""

    subjects: tuple[Subject, ...]
    places: tuple[Place, ...]
    actions: tuple[str, ...]
    org: str | None = None
    app: str | None = None

    @property
    def size(self) -> int:
        """How many rows its table has."""
        return len(self.subjects) * len(self.places) * len(self.actions)


class Row(msgspec.Struct, frozen=True):
    """One decision of a table; `level` is the minimum authentication level that comes with a Permit."""

    subject: Subject
    place: Place
    action: str
    decision: Decision
    level: int | None = None
    rule: str | None = None


class Difference(msgspec.Struct, frozen=True):
    """A row that two policies decide differently."""

    subject: Subject
    place: Place
    action: str
    was: str
    becomes: str

    @property
    def gained(self) -> bool:
        """Whether a right is given that was not there."""
        return self.becomes.startswith("Permit") and not self.was.startswith("Permit")


def domain(documents: Iterable[PolicyDocument], *, tasks: Iterable[str] = (), end_events: Iterable[str] = ()) -> Domain:
    """Everything that any of the policies names, and what is known of the process."""
    subjects: dict[Subject, None] = {Subject(()): None}
    places: dict[Place, None] = {Place(): None}
    for task in tasks:
        places[Place(names.TASK, task)] = None
    for event in end_events:
        places[Place(names.END_EVENT, event)] = None
    actions: dict[str, None] = {}
    org = app = None
    folded: dict[tuple[str, str], str] = {}
    for document in documents:
        for view in rules(document):
            for grant in view.grants:
                subjects[Subject(tuple(_value(pair, folded) for pair in grant.subject))] = None
                if grant.action is not None:
                    actions[_value(grant.action, folded)[1]] = None
                for pair in grant.resource:
                    if pair.id in (names.TASK, names.END_EVENT, names.APP_RESOURCE):
                        places[Place(pair.id, pair.value)] = None
                    elif pair.id == names.ORG:
                        org = org or pair.value
                    elif pair.id == names.APP:
                        app = app or pair.value
                    elif pair.id == names.RESOURCE_ID and len(parts := pair.value.split("_", 2)) == 3:
                        org, app = org or parts[1], app or parts[2]
    return Domain(tuple(subjects), tuple(places), tuple(actions), org, app)


def _value(pair: Pair, folded: dict[tuple[str, str], str]) -> tuple[str, str]:
    """The pair, in the spelling first met where case does not matter: `DAGL` and `dagl` are one row."""
    return (pair.id, folded.setdefault((pair.id, pair.value.lower()), pair.value) if pair.folded else pair.value)


def decide(compiled: CompiledPolicy, world: Domain, *, now: datetime) -> list[Row]:
    """The table of a policy over a domain. Raises ValueError when it has more than 200,000 rows."""
    if world.size > MAX_ROWS:
        raise ValueError(f"the table would have {world.size} rows, more than {MAX_ROWS}")
    keys = [(s, p, a) for s in world.subjects for p in world.places for a in world.actions]
    results = compiled.decide_many([request(world, *key, now=now) for key in keys])
    rows = []
    for key, result in zip(keys, results, strict=True):
        levels = [
            int(assignment.text)
            for obligation in result.obligations
            for assignment in obligation.assignments
            if assignment.category == names.MINIMUM_LEVEL and assignment.text.isdigit()
        ]
        rows.append(Row(*key, result.decision, max(levels, default=None), result.rule))
    return rows


def request(world: Domain, subject: Subject, place: Place, action: str, *, now: datetime) -> Request:
    """The request of one row."""
    who: dict[str, tuple[str, ...]] = {}
    for name, value in subject.pairs:
        who[name] = (*who.get(name, ()), value)
    who.setdefault(names.AUTH_LEVEL, (_LEVEL,))
    where: dict[str, tuple[str, ...]] = {}
    if world.org is not None:
        where[names.ORG] = (world.org,)
    if world.app is not None:
        where[names.APP] = (world.app,)
    if world.org is not None and world.app is not None:
        where[names.RESOURCE_ID] = (f"app_{world.org}_{world.app}",)
    if place.attribute is not None and place.value is not None:
        where[place.attribute] = (place.value,)
    return Request(
        {names.SUBJECT: who, names.RESOURCE: where, names.ACTION: {names.ACTION_ID: (action,)}},  # type: ignore[dict-item]
        now=now,
    )


def diff(
    old: PolicyDocument,
    new: PolicyDocument,
    *,
    now: datetime,
    tasks: Sequence[str] = (),
    end_events: Sequence[str] = (),
) -> list[Difference]:
    """Every row that the two decide differently, over what either of them names."""
    world = domain([old, new], tasks=tasks, end_events=end_events)
    before = decide(compile_policy(old), world, now=now)
    after = decide(compile_policy(new), world, now=now)
    return [
        Difference(was.subject, was.place, was.action, _outcome(was), _outcome(becomes))
        for was, becomes in zip(before, after, strict=True)
        if _outcome(was) != _outcome(becomes)
    ]


def _outcome(row: Row) -> str:
    return row.decision.value if row.level is None else f"{row.decision.value} (level {row.level})"
