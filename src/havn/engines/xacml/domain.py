"""The finite world that a policy speaks of: the subjects, places and actions that its targets name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from havn.engines.xacml import datatypes, names, wording
from havn.engines.xacml.codegen import EQUALITIES
from havn.engines.xacml.engine import CompiledPolicy, parts_of
from havn.engines.xacml.functions.comparison import STRING_EQUAL_IGNORE_CASE
from havn.engines.xacml.model import Attribute, Request
from havn.engines.xacml.policy import Designator, Match, Policy, PolicySet, Target

_COMBINATIONS = 500
_ROWS = 50_000

_ORG, _APP, _TASK, _END = "urn:altinn:org", "urn:altinn:app", "urn:altinn:task", "urn:altinn:end-event"


class Named(NamedTuple):
    """One attribute value that a policy names."""

    category: str
    id: str
    data_type: str
    value: Any

    @property
    def text(self) -> str:
        """For people: what and which."""
        return f"{wording.label(self.category, self.id)} {datatypes.write(self.data_type, self.value)}"


Row = tuple[Named, ...]


class Domain(NamedTuple):
    """What can be asked in terms of one or more policies; `notes` say what the enumeration leaves out."""

    subjects: list[Row]
    places: list[Row]
    actions: list[Row]
    surroundings: list[Row]
    notes: list[str]

    def requests(self) -> Iterator[tuple[Row, Row, Row, Row, Request]]:
        """Every combination with its request; ValueError when there are too many."""
        size = len(self.subjects) * len(self.places) * len(self.actions) * len(self.surroundings)
        if size > _ROWS:
            raise ValueError(f"the policies name {size} combinations; at most {_ROWS} can be tabulated")
        for rows in itertools.product(self.subjects, self.places, self.actions, self.surroundings):
            yield (*rows, request_of(itertools.chain(*rows)))


def request_of(named: Iterable[Named]) -> Request:
    """A request that has these values."""
    return Request.of(
        Attribute(category=n.category, id=n.id, values=(n.value,), data_type=n.data_type) for n in dict.fromkeys(named)
    )


def domain(policies: Sequence[CompiledPolicy], *, tasks: Iterable[str] = (), end_events: Iterable[str] = ()) -> Domain:
    """The world of policies taken together, and of tasks and end events that they may leave unnamed."""
    rows: dict[str, dict[Row, None]] = {}
    notes: dict[str, None] = {}
    for policy in policies:
        for part in parts_of(policy.root, policy.references):
            for target in _targets(part, notes):
                for category in {m.attribute.category for any_of in target for all_of in any_of for m in all_of}:
                    for row in _rows(target, category, notes):
                        rows.setdefault(category, {})[row] = None
    places = list(rows.pop(names.RESOURCE, {}))
    subjects = list(rows.pop(names.ACCESS_SUBJECT, {}))
    actions = list(rows.pop(names.ACTION, {}))
    others = [[(), *found] for found in rows.values()]
    surroundings = [tuple(itertools.chain(*combination)) for combination in itertools.product(*others)]
    return Domain(
        subjects=sorted([*dict.fromkeys(subjects)], key=_order) or [()],
        places=_places(places, tasks, end_events),
        actions=sorted(dict.fromkeys(actions), key=_order) or [()],
        surroundings=surroundings[:_COMBINATIONS],
        notes=list(notes),
    )


def _order(row: Row) -> tuple[str, ...]:
    return tuple(n.text for n in row)


def _places(rows: list[Row], tasks: Iterable[str], end_events: Iterable[str]) -> list[Row]:
    """Places with a task or an end event also where a rule names the app alone, for it covers them all."""
    found: dict[Row, None] = dict.fromkeys(rows)
    bases = [row for row in rows if not any(n.id in {_TASK, _END} for n in row)]
    bases += [tuple(n for n in row if n.id not in {_TASK, _END}) for row in rows]
    stages = [n for row in rows for n in row if n.id in {_TASK, _END}]
    stages += [Named(names.RESOURCE, _TASK, names.STRING, task) for task in tasks]
    stages += [Named(names.RESOURCE, _END, names.STRING, end) for end in end_events]
    for base in dict.fromkeys(bases):
        found[base] = None
        if base and all(n.id in {_ORG, _APP} for n in base):
            for stage in dict.fromkeys(stages):
                found[tuple(sorted((*base, stage), key=lambda n: (n.id, n.text)))] = None
    return sorted(found, key=_order) or [()]


def _targets(part: Policy | PolicySet, notes: dict[str, None]) -> Iterator[Target]:
    yield part.target
    if isinstance(part, Policy):
        for rule in part.rules:
            if rule.condition is not None:
                notes[f"rule {rule.id} has a condition, whose attributes are not varied"] = None
            # What the policy's own target asks for must be there for the rule to count.
            yield part.target + rule.target


def _rows(target: Target, category: str, notes: dict[str, None]) -> Iterator[Row]:
    """Every way in which the category's part of a target can be met."""
    alternatives: list[list[Row]] = []
    for any_of in target:
        found = [
            tuple(n for m in all_of if m.attribute.category == category and (n := _named(m, notes)) is not None)
            for all_of in any_of
        ]
        if any(found):
            alternatives.append(found)
    for count, combination in enumerate(itertools.product(*alternatives)):
        if count >= _COMBINATIONS:
            notes[f"a target has more than {_COMBINATIONS} combinations; the rest is left out"] = None
            return
        yield tuple(sorted(dict.fromkeys(itertools.chain(*combination)), key=lambda n: (n.id, n.text)))


def _named(match: Match, notes: dict[str, None]) -> Named | None:
    attribute = match.attribute
    if not isinstance(attribute, Designator):
        notes["content that an XPath selects is not varied"] = None
        return None
    if match.function.id not in EQUALITIES and match.function.id != STRING_EQUAL_IGNORE_CASE:
        notes[f"{match.function.name} of {wording.label(attribute.category, attribute.id)} is not varied"] = None
        return None
    return Named(attribute.category, attribute.id, attribute.data_type, match.literal.value)
