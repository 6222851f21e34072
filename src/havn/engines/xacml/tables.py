"""Policies as tables: who may do what where, and what changes between two versions."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from havn.engines.xacml import names
from havn.engines.xacml.domain import Domain, Named, Row, domain
from havn.engines.xacml.engine import CompiledPolicy
from havn.engines.xacml.model import Decision, Request, Result

_LEVEL = "urn:altinn:minimum-authenticationlevel"
_NOWHERE = "outside any task"


class TableRow(msgspec.Struct, frozen=True, rename="camel"):
    """What one kind of subject may do in one place. `place` leaves out what all places share."""

    subject: str
    place: str
    permitted: list[str]
    denied: list[str]
    undecided: list[str]


class PolicyTable(msgspec.Struct, frozen=True, rename="camel"):
    """Subjects by places by actions; `everywhere` is what all places share, `notes` what the table leaves out."""

    everywhere: str
    actions: list[str]
    rows: list[TableRow]
    notes: list[str]


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """One combination whose answer changes; obligations count, so a level may stand beside a decision."""

    subject: str
    place: str
    action: str
    was: str
    becomes: str


class PolicyDiff(msgspec.Struct, frozen=True, rename="camel"):
    """What changes between two versions, over every combination that either of them names."""

    compared: int
    gained: list[Change]
    lost: list[Change]
    other: list[Change]
    notes: list[str]

    @property
    def same(self) -> bool:
        """Whether nothing changes."""
        return not (self.gained or self.lost or self.other)


def table(policy: CompiledPolicy, *, tasks: Iterable[str] = (), end_events: Iterable[str] = ()) -> PolicyTable:
    """Who may do what where; ValueError when the policy names too many combinations."""
    world = domain([policy], tasks=tasks, end_events=end_events)
    shared = _shared(world)
    found: dict[tuple[str, str], TableRow] = {}
    asked = list(world.requests())
    for (subject, place, action, _, _), result in zip(asked, _decide(policy, asked), strict=True):
        key = (_text(subject, ()) or "anyone", _text(place, shared) or _NOWHERE)
        row = found.setdefault(key, TableRow(*key, [], [], []))
        cell = {Decision.PERMIT: row.permitted, Decision.DENY: row.denied, Decision.INDETERMINATE: row.undecided}
        listed = cell.get(result.decision)
        name = _action(action)
        if listed is not None and name not in listed:
            listed.append(name)
    return PolicyTable(
        everywhere=", ".join(n.text for n in shared),
        actions=[_action(action) for action in world.actions],
        rows=list(found.values()),
        notes=world.notes,
    )


def diff(
    before: CompiledPolicy, after: CompiledPolicy, *, tasks: Iterable[str] = (), end_events: Iterable[str] = ()
) -> PolicyDiff:
    """What changes from one version to another; ValueError when they name too many combinations."""
    world = domain([before, after], tasks=tasks, end_events=end_events)
    shared = _shared(world)
    asked = list(world.requests())
    gained: list[Change] = []
    lost: list[Change] = []
    other: list[Change] = []
    pairs = zip(asked, _decide(before, asked), _decide(after, asked), strict=True)
    for (subject, place, action, surroundings, _), was, becomes in pairs:
        if _answer(was) == _answer(becomes):
            continue
        where = ", ".join(filter(None, (_text(place, shared) or _NOWHERE, _text(surroundings, ()))))
        change = Change(_text(subject, ()) or "anyone", where, _action(action), _answer(was), _answer(becomes))
        if was.permitted == becomes.permitted:
            other.append(change)
        else:
            (gained if becomes.permitted else lost).append(change)
    return PolicyDiff(len(asked), gained, lost, other, world.notes)


def _decide(policy: CompiledPolicy, asked: list[tuple[Row, Row, Row, Row, Request]]) -> list[Result]:
    return policy.decide_many([request for *_, request in asked])


def _shared(world: Domain) -> Row:
    """What every place has in common: the owner and the app, in an app's policy."""
    first = world.places[0]
    return tuple(n for n in first if all(n in place for place in world.places))


def _text(row: Row, leave_out: Iterable[Named]) -> str:
    return ", ".join(n.text for n in row if n not in leave_out)


def _action(row: Row) -> str:
    return ", ".join(str(n.value) if n.id == names.ACTION_ID else n.text for n in row) or "any action"


def _answer(result: Result) -> str:
    """A result as text: decision, levels, other obligations."""
    duties: list[str] = []
    for obligation in result.obligations:
        levels = {a.category: a.text for a in obligation.assignments}
        if _LEVEL in levels:
            duties.append(f"level {levels[_LEVEL]}")
        elif f"{_LEVEL}-org" in levels:
            duties.append(f"service owner level {levels[f'{_LEVEL}-org']}")
        else:
            held = ", ".join(f"{a.id}={a.text}" for a in obligation.assignments)
            duties.append(f"{obligation.id}({held})")
    return result.decision.value + (f" ({', '.join(sorted(duties))})" if duties else "")
