"""The fast path: policies whose rules cannot fail become indexed Python functions that return a ready answer.

Such a rule has no obligations of its own and only tests that have an answer for every request. Then every combining
algorithm comes down to an order of rules: the first that matches decides. Rules are divided by the attribute that
divides them best (nearly always the action), again while groups are large, and each group is compiled when a request
first comes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from havn.engines.xacml import algorithms
from havn.engines.xacml.codegen import Code, Codegen
from havn.engines.xacml.evaluation import folded
from havn.engines.xacml.model import Effect
from havn.engines.xacml.policy import (
    Apply,
    Designator,
    Expression,
    Literal,
    Match,
    Policy,
    Rule,
    Selector,
    VariableReference,
)
from havn.engines.xacml.targets import Compared, Conjunct, Member, best_attribute, conjuncts, only_member

Decider = Callable[[Any], Any]

_LEAF = 10
"""Rules that one function may test before it pays to divide them."""
_MERGE = 4
"""Rules without a test on the dividing attribute that are repeated in each group; more are kept apart."""


class Candidate:
    """A rule as the fast path sees it: tests that must all hold, and the answer when they do."""

    __slots__ = ("answer", "rank", "tests")

    def __init__(self, tests: list[Conjunct], answer: Any, rank: int) -> None:
        self.tests = tests
        self.answer = answer
        self.rank = rank

    def members(self) -> dict[Compared, Member]:
        """The membership tests on one attribute each."""
        found: dict[Compared, Member] = {}
        for conjunct in self.tests:
            test = only_member(conjunct)
            if test and test.compared not in found:
                found[test.compared] = test
        return found

    def given(self, compared: Compared) -> Candidate:
        """The same without the test that the index has answered."""
        done = self.members()[compared]
        return Candidate([c for c in self.tests if only_member(c) != done], self.answer, self.rank)


def is_plain(policy: Policy) -> bool:
    """Whether a policy is one for the fast path: no rule of it can fail or carries obligations."""
    if any(
        not isinstance(a.expression, Literal) for duty in policy.obligations + policy.advice for a in duty.assignments
    ):
        return False
    if not all(_sure(m) for any_of in policy.target for all_of in any_of for m in all_of):
        return False
    return all(
        not rule.obligations
        and not rule.advice
        and all(_sure(m) for any_of in rule.target for all_of in any_of for m in all_of)
        and (rule.condition is None or _sure_value(rule.condition))
        for rule in policy.rules
    )


def _sure(match: Match) -> bool:
    if match.function.context:
        return False
    # A literal pattern was compiled when the policy was loaded.
    fails = match.function.fails and not match.function.id.endswith("regexp-match")
    return not fails and isinstance(match.attribute, Designator) and not match.attribute.required


def _sure_value(e: Expression) -> bool:
    match e:
        case Literal():
            return True
        case Designator():
            return not e.required
        case Apply():
            literal_pattern = e.function.id.endswith("regexp-match") and isinstance(e.arguments[0], Literal)
            return (not e.function.fails or literal_pattern) and all(_sure_value(a) for a in e.arguments)
        case Selector() | VariableReference():
            return False
        case _:
            return False


def build(
    policy: Policy, answer: Callable[[Rule | None, Effect | None], Any], *, entry: Decider | None = None
) -> Decider:
    """The decider of a plain policy.

    `answer(rule, effect)` makes what is returned when a rule decides, when the algorithm's default does (no rule), and
    when nothing applies (neither). `entry` takes the requests with `special` set.
    """
    name = policy.algorithm.name
    first, default = {
        algorithms.DENY_OVERRIDES: (Effect.DENY, None),
        algorithms.PERMIT_OVERRIDES: (Effect.PERMIT, None),
        algorithms.DENY_UNLESS_PERMIT: (Effect.PERMIT, Effect.DENY),
        algorithms.PERMIT_UNLESS_DENY: (Effect.DENY, Effect.PERMIT),
        algorithms.FIRST_APPLICABLE: (None, None),
    }[name]
    ordered = sorted(policy.rules, key=lambda rule: rule.effect is not first) if first else policy.rules
    candidates: list[Candidate] = []
    for rank, rule in enumerate(ordered):
        tests = conjuncts(rule.target)
        if rule.condition is not None:
            tests.append(((rule.condition,),))
        candidates.append(Candidate(tests, answer(rule, rule.effect), rank))
    nothing = answer(None, None)
    otherwise = answer(None, default) if default else nothing
    builder = _Builder(otherwise, {id(c.answer): c.rank for c in candidates})
    if not policy.target:
        return builder.group(candidates, entry=entry)
    within = builder.group(candidates)
    codegen = Codegen()
    test = codegen.target(policy.target).source
    codegen.namespace.update(within=within, nothing=nothing, entry=entry)
    special = "    if x.special:\n        return entry(x)\n" if entry else ""
    return codegen.build(f"def decide(x):\n{special}    return within(x) if {test} else nothing\n")["decide"]  # type: ignore[no-any-return]


class _Builder:
    def __init__(self, otherwise: Any, ranks: dict[int, int]) -> None:
        self.otherwise = otherwise
        self.ranks = ranks
        self.ranks[id(otherwise)] = len(ranks) + 1

    def group(self, candidates: list[Candidate], *, entry: Decider | None = None) -> Decider:
        """A decider for candidates, in order of rank."""
        if len(candidates) > _LEAF:
            compared = best_attribute([c.members() for c in candidates])
            if compared is not None:
                return self.division(candidates, compared, entry)
        return self.leaf(candidates, entry)

    def division(self, candidates: list[Candidate], compared: Compared, entry: Decider | None) -> Decider:
        """A decider that looks up the group by the attribute's value."""
        groups: dict[Any, list[Candidate]] = {}
        rest: list[Candidate] = []
        for candidate in candidates:
            test = candidate.members().get(compared)
            if test is None:
                rest.append(candidate)
            else:
                reduced = candidate.given(compared)
                for value in test.values:
                    groups.setdefault(value, []).append(reduced)
        apart = len(rest) > _MERGE
        if rest and not apart:
            groups = {value: sorted([*found, *rest], key=lambda c: c.rank) for value, found in groups.items()}
        others: Decider = _Later(self, rest)
        table: dict[Any, Decider] = {}
        for value, found in groups.items():
            table[value] = _Later(self, found, table, value)
        ranks, otherwise = self.ranks, self.otherwise

        def many(bag: Any, x: Any) -> Any:
            """Several values: the answer of lowest rank among their groups."""
            best = others(x)
            for value in dict.fromkeys(folded(bag) if compared.fold else bag):
                decider = table.get(value)
                if decider is not None:
                    answer = decider(x)
                    if ranks[id(answer)] < ranks[id(best)]:
                        best = answer
            return best

        codegen = Codegen()
        codegen.namespace.update(
            table=table, others=others, many=many, entry=entry, otherwise=otherwise,
            category=compared.category, key=compared.key,
        )  # fmt: skip
        value = "bag[0].lower()" if compared.fold else "bag[0]"
        special = "    if x.special:\n        return entry(x)\n" if entry else ""
        missing = "others(x)" if rest else "otherwise"
        return codegen.build(  # type: ignore[no-any-return]
            f"def decide(x):\n{special}"
            "    bag = x.attributes.get(category, M).get(key, E)\n"
            f"    if {'False' if apart else 'len(bag) == 1'}:\n"
            f"        decider = table.get({value})\n"
            f"        return {missing} if decider is None else decider(x)\n"
            "    return many(bag, x)\n"
        )["decide"]

    def leaf(self, candidates: list[Candidate], entry: Decider | None) -> Decider:
        """A decider that tests each candidate in turn, what they all share first."""
        shared = [c for c in candidates[0].tests if all(c in other.tests for other in candidates)] if candidates else []
        writer = _LeafWriter()
        if entry:
            writer.lines.append("    if x.special:\n        return entry(x)")
        if shared and len(candidates) > 1:
            writer.fetch(shared)
            writer.lines.append(f"    if not ({writer.all(shared)}):\n        return otherwise")
        else:
            shared = []
        left = [[c for c in candidate.tests if c not in shared] for candidate in candidates]
        always = False
        for candidate, tests in zip(candidates, left, strict=True):
            answer = writer.codegen.fresh("a")
            writer.codegen.namespace[answer] = candidate.answer
            if not tests:
                writer.lines.append(f"    return {answer}")
                always = True
                break
            writer.fetch(tests)
            writer.lines.append(f"    if {writer.all(tests)}:\n        return {answer}")
        if not always:
            writer.lines.append("    return otherwise")
        writer.codegen.namespace.update(otherwise=self.otherwise, entry=entry)
        return writer.codegen.build("def decide(x):\n" + "\n".join(writer.lines) + "\n")["decide"]  # type: ignore[no-any-return]


class _Later:
    """Stands for a group until a request comes to it, then puts the compiled one in its place."""

    __slots__ = ("builder", "candidates", "decider", "table", "value")

    def __init__(
        self,
        builder: _Builder,
        candidates: list[Candidate],
        table: dict[Any, Decider] | None = None,
        value: Any = None,
    ) -> None:
        self.builder = builder
        self.candidates = candidates
        self.table = table
        self.value = value
        self.decider: Decider | None = None

    def __call__(self, x: Any) -> Any:
        if self.decider is None:
            self.decider = self.builder.group(self.candidates)
            if self.table is not None:
                self.table[self.value] = self.decider
        return self.decider(x)


class _LeafWriter:
    """Writes the body of a leaf: categories and bags are fetched once, into local names, when first needed."""

    def __init__(self) -> None:
        self.codegen = Codegen()
        self.lines: list[str] = []
        self.categories: dict[str, str] = {}
        self.folded: dict[Compared, str] = {}

    def fetch(self, tests: list[Conjunct]) -> None:
        """Fetch the bags that membership tests look at."""
        for conjunct in tests:
            for alternative in conjunct:
                for test in alternative:
                    if isinstance(test, Member):
                        self.bag(test.compared)

    def bag(self, compared: Compared) -> str:
        place = (compared.category, compared.key)
        name = self.codegen.fetched.get(place)
        if name is None:
            category = self.categories.get(compared.category)
            if category is None:
                category = self.categories[compared.category] = self.codegen.fresh("c")
                if len(self.categories) == 1:
                    self.lines.append("    a = x.attributes")
                self.lines.append(f"    {category} = a.get({self.codegen.constant(compared.category)}, M)")
            name = self.codegen.fetched[place] = self.codegen.fresh("b")
            self.lines.append(f"    {name} = {category}.get({self.codegen.constant(compared.key)}, E)")
        if not compared.fold:
            return name
        lower = self.folded.get(compared)
        if lower is None:
            lower = self.folded[compared] = self.codegen.fresh("l")
            self.lines.append(f"    {lower} = ({name}[0].lower(),) if len({name}) == 1 else [*map(lower, {name})]")
            self.codegen.namespace["lower"] = str.lower
        return lower

    def all(self, tests: list[Conjunct]) -> str:
        return " and ".join(self.conjunct(c) for c in tests)

    def conjunct(self, conjunct: Conjunct) -> str:
        alternatives = [" and ".join(self.test(t) for t in alternative) for alternative in conjunct]
        return alternatives[0] if len(alternatives) == 1 else f"({' or '.join(f'({a})' for a in alternatives)})"

    def test(self, test: Any) -> str:
        if isinstance(test, Member):
            bag = self.bag(test.compared)
            if len(test.values) == 1:
                return f"{self.codegen.constant(next(iter(test.values)))} in {bag}"
            return f"not {self.codegen.constant(test.values)}.isdisjoint({bag})"
        code: Code = self.codegen.match(test) if isinstance(test, Match) else self.codegen.expression(test)
        assert not code.fails
        return code.source
