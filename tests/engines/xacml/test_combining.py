"""Combining algorithms: every sequence of up to three values, held against the tables of the standard."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from havn.engines.xacml.algorithms import POLICY_ALGORITHMS, RULE_ALGORITHMS
from havn.engines.xacml.combining import DENY, IND_D, IND_DP, IND_P, PERMIT, Node, Outcome, combine
from havn.engines.xacml.errors import processing_error

Values = tuple[int | None, ...]
ALL: list[int | None] = [None, PERMIT, DENY, IND_P, IND_D, IND_DP]
SEQUENCES = [s for n in range(4) for s in itertools.product(ALL, repeat=n)]

MIRROR = {PERMIT: DENY, DENY: PERMIT, IND_P: IND_D, IND_D: IND_P, IND_DP: IND_DP, None: None}


def deny_overrides(values: Values) -> int | None:
    """Core table 6 (C.2)."""
    if DENY in values:
        return DENY
    if IND_DP in values:
        return IND_DP
    if IND_D in values:
        return IND_DP if IND_P in values or PERMIT in values else IND_D
    if PERMIT in values:
        return PERMIT
    return IND_P if IND_P in values else None


def deny_unless_permit(values: Values) -> int | None:
    return PERMIT if PERMIT in values else DENY


def first_applicable(values: Values) -> int | None:
    return next((v for v in values if v is not None), None)


def legacy_policy_deny_overrides(values: Values) -> int | None:
    if DENY in values or any(v in {IND_P, IND_D, IND_DP} for v in values):
        return DENY
    return PERMIT if PERMIT in values else None


def mirrored(expected: Callable[[Values], int | None]) -> Callable[[Values], int | None]:
    return lambda values: MIRROR[expected(tuple(MIRROR[v] for v in values))]


def run(algorithm_id: str, values: Values, *, rules: bool) -> int | None:
    known = RULE_ALGORITHMS if rules else POLICY_ALGORITHMS
    nodes = [
        Node(lambda _, v=v: None if v is None else Outcome(v, error=processing_error("x") if v > DENY else None))
        for v in values
    ]
    outcome = combine(known[algorithm_id], rules=rules)(nodes, None)  # type: ignore[arg-type]
    return outcome.value if outcome else None


X = "urn:oasis:names:tc:xacml:"
CASES: list[tuple[str, Callable[[Values], int | None]]] = [
    (f"{X}3.0:{{}}-combining-algorithm:{ordered}deny-overrides", deny_overrides) for ordered in ("", "ordered-")
]
CASES += [(f"{X}3.0:{{}}-combining-algorithm:{o}permit-overrides", mirrored(deny_overrides)) for o in ("", "ordered-")]
CASES += [
    (f"{X}3.0:{{}}-combining-algorithm:deny-unless-permit", deny_unless_permit),
    (f"{X}3.0:{{}}-combining-algorithm:permit-unless-deny", mirrored(deny_unless_permit)),
    (f"{X}1.0:{{}}-combining-algorithm:first-applicable", first_applicable),
]


@pytest.mark.parametrize("kind", ["rule", "policy"])
@pytest.mark.parametrize(("algorithm", "expected"), CASES)
def test_every_sequence_combines_as_the_standard_says(
    algorithm: str, expected: Callable[[Values], int | None], kind: str
) -> None:
    for values in SEQUENCES:
        assert run(algorithm.format(kind), values, rules=kind == "rule") == expected(values), values


@pytest.mark.parametrize(
    ("name", "expected"),
    [("deny-overrides", legacy_policy_deny_overrides), ("ordered-deny-overrides", legacy_policy_deny_overrides)],
)
def test_legacy_deny_overrides_of_policies_takes_errors_for_deny(name: str, expected: Any) -> None:
    version = "1.1" if name.startswith("ordered") else "1.0"
    for values in SEQUENCES:
        assert run(f"{X}{version}:policy-combining-algorithm:{name}", values, rules=False) == expected(values), values


def test_legacy_permit_overrides_of_policies_lets_a_deny_beat_errors() -> None:
    algorithm = f"{X}1.0:policy-combining-algorithm:permit-overrides"
    assert run(algorithm, (IND_P, DENY), rules=False) == DENY
    assert run(algorithm, (IND_D, None), rules=False) == IND_DP
    assert run(algorithm, (DENY, PERMIT), rules=False) == PERMIT
    assert run(algorithm, (None,), rules=False) is None


def test_legacy_deny_overrides_of_rules_lets_only_errors_of_deny_rules_beat_a_permit() -> None:
    algorithm = f"{X}1.0:rule-combining-algorithm:deny-overrides"
    assert run(algorithm, (IND_P, PERMIT), rules=True) == PERMIT
    assert run(algorithm, (IND_D, PERMIT), rules=True) == IND_DP
    assert run(algorithm, (IND_D,), rules=True) == IND_D
    assert run(algorithm, (IND_P,), rules=True) == IND_P
    assert run(algorithm, (PERMIT, DENY), rules=True) == DENY


def test_legacy_permit_overrides_of_rules_is_the_mirror() -> None:
    algorithm = f"{X}1.1:rule-combining-algorithm:ordered-permit-overrides"
    assert run(algorithm, (IND_D, DENY), rules=True) == DENY
    assert run(algorithm, (IND_P, DENY), rules=True) == IND_DP


def test_only_one_applicable_looks_at_targets_alone() -> None:
    combined = combine(POLICY_ALGORITHMS[f"{X}1.0:policy-combining-algorithm:only-one-applicable"], rules=False)

    def fail(_: Any) -> bool:
        raise processing_error("x")

    yes = Node(lambda _: Outcome(PERMIT), lambda _: True)
    no = Node(lambda _: Outcome(DENY), lambda _: False)
    nothing = Node(lambda _: None, lambda _: True)
    broken = Node(lambda _: Outcome(DENY), fail)
    x: Any = None

    def value(nodes: list[Node]) -> int | None:
        outcome = combined(nodes, x)
        return outcome.value if outcome else None

    assert value([no, yes]) == PERMIT
    assert value([no, no]) is None
    assert value([yes, nothing]) == IND_DP
    assert value([nothing, no]) is None
    assert value([no, broken]) == IND_DP


def test_on_permit_apply_second_chooses_by_the_first() -> None:
    algorithm = f"{X}3.0:policy-combining-algorithm:on-permit-apply-second"
    assert run(algorithm, (PERMIT, DENY), rules=False) == DENY
    assert run(algorithm, (PERMIT, None), rules=False) is None
    assert run(algorithm, (DENY, PERMIT), rules=False) is None
    assert run(algorithm, (None, PERMIT, DENY), rules=False) == DENY
    assert run(algorithm, (IND_P, PERMIT), rules=False) == IND_DP
    assert run(algorithm, (PERMIT,), rules=False) == IND_DP


def test_every_algorithm_has_an_implementation() -> None:
    for known, rules in ((RULE_ALGORITHMS, True), (POLICY_ALGORITHMS, False)):
        for algorithm in known.values():
            assert callable(combine(algorithm, rules=rules))
