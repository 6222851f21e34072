"""Targets in a form that can be indexed: conjunctions of tests whether an attribute has one of some values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from havn.engines.xacml import names
from havn.engines.xacml.codegen import EQUALITIES, is_current
from havn.engines.xacml.functions.comparison import STRING_EQUAL_IGNORE_CASE
from havn.engines.xacml.model import AttributeKey
from havn.engines.xacml.policy import AnyOf, Designator, Expression, Match, Target


class Compared(NamedTuple):
    """An attribute and how it is compared: with `fold`, in lower case."""

    category: str
    key: AttributeKey
    fold: bool


class Member(NamedTuple):
    """The test that an attribute has one of these values; with `required`, its absence is an error."""

    compared: Compared
    values: frozenset[Any]
    required: bool = False


Test = Member | Match | Expression
Conjunct = tuple[tuple[Test, ...], ...]
"""Alternatives, each of which is tests that must all hold."""


def member(match: Match) -> Member | None:
    """A match as a membership test, where its function is an equality and its attribute a plain one."""
    d = match.attribute
    if not isinstance(d, Designator) or is_current(d):
        return None
    if match.function.id in EQUALITIES:
        return Member(Compared(d.category, d.key, fold=False), frozenset([match.literal.value]), d.required)
    if match.function.id == STRING_EQUAL_IGNORE_CASE:
        return Member(Compared(d.category, d.key, fold=True), frozenset([match.literal.value.lower()]), d.required)
    return None


def conjuncts(target: Target) -> list[Conjunct]:
    """A target as a conjunction: what all alternatives of an AnyOf share is taken out, equal comparisons are joined."""
    found: dict[Conjunct, None] = {}
    for any_of in target:
        for conjunct in _of_any(any_of):
            found[conjunct] = None
    return list(found)


def _of_any(any_of: AnyOf) -> Iterator[Conjunct]:
    alternatives: list[list[Test]] = [[member(m) or m for m in all_of] for all_of in any_of]
    shared = [test for test in alternatives[0] if all(test in other for other in alternatives[1:])]
    for test in dict.fromkeys(shared):
        yield ((test,),)
    rest = [tuple(test for test in alternative if test not in shared) for alternative in alternatives]
    if all(rest):
        yield _joined(rest)


def _joined(alternatives: Iterable[tuple[Test, ...]]) -> Conjunct:
    """Alternatives that are one membership test each, on the same attribute, as one test."""
    members: dict[tuple[Compared, bool], set[Any]] = {}
    others: dict[tuple[Test, ...], None] = {}
    for alternative in alternatives:
        first = alternative[0]
        if len(alternative) == 1 and isinstance(first, Member):
            members.setdefault((first.compared, first.required), set()).update(first.values)
        else:
            others[alternative] = None
    joined = [(Member(compared, frozenset(values), required),) for (compared, required), values in members.items()]
    return (*joined, *others)


def only_member(conjunct: Conjunct) -> Member | None:
    """The membership test that a conjunct is, if it is nothing else."""
    first = conjunct[0][0]
    return first if len(conjunct) == 1 and len(conjunct[0]) == 1 and isinstance(first, Member) else None


def necessary(target: Target) -> dict[Compared, Member]:
    """For attributes that every way to match compares: the values of which one must be there.

    When the attribute is present with other values only, the target does not match, whatever else fails: within an
    AllOf and between AnyOf a falsehood beats an error (core section 7.7).
    """
    found: dict[Compared, Member] = {}
    for any_of in target:
        values: dict[Compared, set[Any]] = {}
        counts: dict[Compared, int] = {}
        required: set[Compared] = set()
        for all_of in any_of:
            here: dict[Compared, Member] = {}
            for match in all_of:
                test = member(match)
                if test:
                    here.setdefault(test.compared, test)
            for compared, test in here.items():
                values.setdefault(compared, set()).update(test.values)
                counts[compared] = counts.get(compared, 0) + 1
                if test.required:
                    required.add(compared)
        for compared, count in counts.items():
            known = found.get(compared)
            if count == len(any_of) and (known is None or len(values[compared]) < len(known.values)):
                must = compared in required or (known is not None and known.required)
                found[compared] = Member(compared, frozenset(values[compared]), must)
            elif known is not None and compared in required:
                found[compared] = known._replace(required=True)
    return found


def best_attribute(rules: list[dict[Compared, Member]]) -> Compared | None:
    """The attribute that divides rules into the smallest groups; None when none divides them well."""
    sizes: dict[Compared, list[int]] = {}
    values: dict[Compared, set[Any]] = {}
    for tests in rules:
        for compared, test in tests.items():
            sizes.setdefault(compared, [0, 0])
            sizes[compared][0] += 1
            sizes[compared][1] += len(test.values)
            values.setdefault(compared, set()).update(test.values)
    best: tuple[float, Compared] | None = None
    for compared, (covered, entries) in sizes.items():
        if len(values[compared]) < 2:
            continue
        group = entries / len(values[compared]) + (len(rules) - covered)
        if compared.category == names.ACCESS_SUBJECT:
            group = 4 * group + 4  # subjects have many roles, each of which means one more group to look at
        if group < 0.7 * len(rules) and (best is None or group < best[0]):
            best = (group, compared)
    return best[1] if best else None


def legacy(target: Target) -> Target:
    """The target as the first Altinn engine took it: by category, every AllOf of every AnyOf an alternative.

    Only for reading old policies side by side: it lets through more than the policy says.
    """
    parts: list[AnyOf] = []
    for category in (names.RESOURCE, names.ACTION, names.ACCESS_SUBJECT):
        alternatives = tuple(
            part
            for any_of in target
            for all_of in any_of
            if (part := tuple(m for m in all_of if m.attribute.category == category))
        )
        if alternatives:
            parts.append(alternatives)
    return tuple(parts)
