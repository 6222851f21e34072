"""Whether one rule applies wherever another does, told from the tests of their targets."""

from __future__ import annotations

from collections.abc import Iterator

from havn.engines.xacml.policy import Rule
from havn.engines.xacml.targets import Compared, Conjunct, Member, Test, best_attribute, only_member

_COMPARISONS = 200_000
"""Pairs of rules that are compared before lint gives up on comparing."""


class Covering:
    """Finds rules that cover another, looking only at those that can: they name one of its values, or none."""

    def __init__(self, rules: list[tuple[Rule, list[Conjunct]]]) -> None:
        self.rules = rules
        self.left = _COMPARISONS
        self.attribute = best_attribute([only_members(tests) for _, tests in rules])
        self.rest: list[int] = []
        self.by_value: dict[str, list[int]] = {}
        for index, (_, tests) in enumerate(rules):
            test = only_members(tests).get(self.attribute) if self.attribute else None
            if test is None:
                self.rest.append(index)
                continue
            for value in test.values:
                self.by_value.setdefault(str(value).lower(), []).append(index)

    @property
    def exhausted(self) -> bool:
        """Whether comparing was given up."""
        return self.left <= 0

    def of(self, tests: list[Conjunct]) -> Iterator[Rule]:
        """The rules whose tests hold wherever these do, in their order."""
        indexes = list(self.rest)
        for test in (t for c in tests if (t := only_member(c)) is not None):
            if self.attribute and test.compared[:2] == self.attribute[:2]:
                value = min(map(str, test.values)).lower()
                indexes = sorted({*indexes, *self.by_value.get(value, ())})
                break
        for index in indexes:
            self.left -= 1
            if self.left <= 0:
                return
            rule, wider = self.rules[index]
            if covers(wider, tests):
                yield rule


def only_members(tests: list[Conjunct]) -> dict[Compared, Member]:
    """The tests on one attribute each."""
    return {t.compared: t for c in tests if (t := only_member(c)) is not None}


def covers(wider: list[Conjunct], narrower: list[Conjunct]) -> bool:
    """Whether the first tests hold wherever the second do."""
    return all(any(_implies(have, want) for have in narrower) for want in wider)


def _implies(have: Conjunct, want: Conjunct) -> bool:
    return all(
        any(all(any(_test_implies(h, w) for h in alternative) for w in wanted) for wanted in want)
        for alternative in have
    )


def _test_implies(have: Test, want: Test) -> bool:
    if isinstance(have, Member) and isinstance(want, Member):
        if have.compared.category != want.compared.category or have.compared.key != want.compared.key:
            return False
        if want.compared.fold:
            values = have.values if have.compared.fold else {str(value).lower() for value in have.values}
            return values <= want.values
        return not have.compared.fold and have.values <= want.values
    return have == want
