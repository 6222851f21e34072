"""The fast path: policies whose rules cannot fail become indexed Python functions that return a ready answer.

Such a rule has no obligations of its own and only tests that have an answer for every request. Then every combining
algorithm comes down to an order of rules: the first that matches decides. Rules are divided by the attribute that
divides them best (nearly always the action), again while groups are large, and each group is compiled when a request
first comes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from havn.engines.xacml import algorithms, names
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

_SPELLINGS = 200
"""Values kept as they are spelled, for each attribute that a leaf compares without case."""


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
            table=table,
            others=others,
            many=many,
            entry=entry,
            otherwise=otherwise,
            category=compared.category,
            key=compared.key,
        )
        special = "    if x.special:\n        return entry(x)\n" if entry else ""
        # Most values come in lower case already, and then the first look finds them.
        look = "table.get(v) or table.get(v.lower())" if compared.fold else "table.get(v)"
        missing = "others(x)" if rest else "otherwise"
        if apart:
            body = "    return many(x.attributes.get(category, M).get(key, E), x)\n"
        elif compared.category == names.ACTION:
            # Every request has one action, so the plain subscripts seldom fail.
            body = (
                "    try:\n        (v,) = x.attributes[category][key]\n"
                "    except (KeyError, ValueError):\n"
                "        return many(x.attributes.get(category, M).get(key, E), x)\n"
                f"    decider = {look}\n"
                f"    return {missing} if decider is None else decider(x)\n"
            )
        else:
            body = (
                "    bag = x.attributes.get(category, M).get(key, E)\n"
                "    if len(bag) != 1:\n        return many(bag, x)\n"
                f"    v = bag[0]\n    decider = {look}\n"
                f"    return {missing} if decider is None else decider(x)\n"
            )
        return codegen.build(f"def decide(x):\n{special}{body}")["decide"]  # type: ignore[no-any-return]

    def leaf(self, candidates: list[Candidate], entry: Decider | None) -> Decider:
        """A decider that tests each candidate in turn, what they all share first."""
        shared = [c for c in candidates[0].tests if all(c in other.tests for other in candidates)] if candidates else []
        left = [[c for c in candidate.tests if c not in shared] for candidate in candidates]
        writer = _LeafWriter([shared, *left])
        if entry:
            writer.lines.append("    if x.special:\n        return entry(x)")
        writer.shared(shared)
        for candidate, tests in zip(candidates, left, strict=True):
            answer = writer.codegen.fresh("a")
            writer.codegen.namespace[answer] = candidate.answer
            if not tests:
                writer.lines.append(f"    return {answer}")
                break
            writer.fetch(tests)
            writer.lines.append(f"    if {writer.all(tests)}:\n        return {answer}")
        else:
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


class _Spellings(dict[str, int]):
    """Bits by value in any case; spellings that were met are kept, up to a bound, for registers write codes in one."""

    __slots__ = ("folded",)

    def __init__(self, folded: dict[str, int]) -> None:
        super().__init__(folded)
        self.folded = folded

    def __missing__(self, value: str) -> int:
        bits = self.folded.get(value.lower(), 0)
        if len(self) < _SPELLINGS and len(value) <= 32:
            self[value] = bits
        return bits


class _LeafWriter:
    """Writes the body of a leaf: each bag is fetched once, when first needed.

    Where rules compare an attribute without case (roles, above all), the values are looked up once, and each test has
    a bit in the number that comes of it.
    """

    def __init__(self, rules: list[list[Conjunct]]) -> None:
        self.codegen = Codegen()
        self.lines = ["    a = x.attributes"]
        self.categories: dict[str, str] = {}
        self.found: dict[Compared, str] = {}
        self.bits: dict[Compared, dict[frozenset[Any], int]] = {}
        for conjuncts_of_rule in rules:
            for test in _members(conjuncts_of_rule):
                if test.compared.fold:
                    bits = self.bits.setdefault(test.compared, {})
                    bits.setdefault(test.values, 1 << len(bits))

    def shared(self, tests: list[Conjunct]) -> None:
        """What every rule of the leaf asks for, first; a request without such an attribute needs no look at a rule."""
        if not tests:
            return
        plain = [t for c in tests if (t := only_member(c)) is not None and not t.compared.fold]
        if plain:
            self.lines.append("    try:")
            for test in plain:
                compared = test.compared
                category = self.categories.get(compared.category)
                if category is None:
                    category = self.categories[compared.category] = self.codegen.fresh("c")
                    self.lines.append(f"        {category} = a[{self.codegen.constant(compared.category)}]")
                name = self.codegen.fetched[compared.category, compared.key] = self.codegen.fresh("b")
                key = self.codegen.constant(compared.key)
                self.lines.append(f"        {name} = {category}[{key}]")
            self.lines.append("    except KeyError:\n        return otherwise")
        self.fetch(tests)
        self.lines.append(f"    if not ({self.all(tests)}):\n        return otherwise")

    def fetch(self, tests: list[Conjunct]) -> None:
        """Fetch the bags that membership tests look at."""
        for test in _members(tests):
            self.bag(test.compared)

    def bag(self, compared: Compared) -> str:
        """The local name of a bag, or of the bits found for its values."""
        place = (compared.category, compared.key)
        name = self.codegen.fetched.get(place)
        if name is None:
            name = self.codegen.fetched[place] = self.codegen.fresh("b")
            category = self.categories.get(compared.category)
            if category is None:
                category = f"a.get({self.codegen.constant(compared.category)}, M)"
            self.lines.append(f"    {name} = {category}.get({self.codegen.constant(compared.key)}, E)")
        if not compared.fold:
            return name
        found = self.found.get(compared)
        if found is None:
            found = self.found[compared] = self.codegen.fresh("n")
            known: dict[Any, int] = {}
            for values, bit in self.bits[compared].items():
                for value in values:
                    known[value] = known.get(value, 0) | bit
            table = self.codegen.constant(_Spellings(known))
            self.lines.append(f"    {found} = 0\n    for v in {name}:\n        {found} |= {table}[v]")
        return found

    def all(self, tests: list[Conjunct]) -> str:
        """Source for whether all tests hold."""
        return " and ".join(self.conjunct(c) for c in tests)

    def conjunct(self, conjunct: Conjunct) -> str:
        """Source for whether an alternative holds."""
        alternatives = [" and ".join(self.test(t) for t in alternative) for alternative in conjunct]
        return alternatives[0] if len(alternatives) == 1 else f"({' or '.join(f'({a})' for a in alternatives)})"

    def test(self, test: Any) -> str:
        """Source for one test."""
        if isinstance(test, Member):
            bag = self.bag(test.compared)
            if test.compared.fold:
                return f"{bag} & {self.bits[test.compared][test.values]}"
            if len(test.values) == 1:
                return f"{self.codegen.constant(next(iter(test.values)))} in {bag}"
            return f"not {self.codegen.constant(test.values)}.isdisjoint({bag})"
        code: Code = self.codegen.match(test) if isinstance(test, Match) else self.codegen.expression(test)
        assert not code.fails
        return code.source


def _members(tests: list[Conjunct]) -> Iterator[Member]:
    """The membership tests inside of tests."""
    for conjunct in tests:
        for alternative in conjunct:
            for test in alternative:
                if isinstance(test, Member):
                    yield test
