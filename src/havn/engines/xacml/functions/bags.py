"""Bags and sets (core A.3.10, A.3.11), and the higher-order functions over them (A.3.12)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from havn.engines.xacml import names
from havn.engines.xacml.errors import EvaluationError, processing_error
from havn.engines.xacml.functions.comparison import EQUALITY, double_equal
from havn.engines.xacml.functions.registry import (
    BOOLEAN,
    F1,
    F2,
    F3,
    INTEGER,
    Function,
    Type,
    TypeMismatch,
    define,
)

Bag = tuple[Any, ...]


def functions() -> Iterator[Function]:
    """The functions of this module."""
    for data_type, equality in EQUALITY.items():
        space = F3 if equality.startswith(F3) else F1
        yield from _basic(space, data_type)
        yield from _sets(space, data_type)
    for data_type in (names.IP_ADDRESS, names.DNS_NAME):
        yield from _basic(F2, data_type)
    yield _higher(F3 + "any-of", any_of, _check_one_bag)
    yield _higher(F3 + "all-of", all_of, _check_one_bag)
    yield _higher(F3 + "any-of-any", any_of, _check_some_bags)
    yield _higher(F1 + "all-of-any", all_of_any, _check_two_bags)
    yield _higher(F1 + "any-of-all", any_of_all, _check_two_bags)
    yield _higher(F1 + "all-of-all", all_of, _check_two_bags)
    yield _higher(F3 + "map", map_bag, _check_map)


def _basic(space: str, data_type: str) -> Iterator[Function]:
    kind, bag = Type(data_type), Type(data_type, bag=True)
    yield define(f"{space}{kind}-one-and-only", (bag,), kind, one_and_only, fails=True)
    yield define(f"{space}{kind}-bag-size", (bag,), INTEGER, len)
    yield define(f"{space}{kind}-bag", (), bag, lambda *values: values, rest=kind)


def _sets(space: str, data_type: str) -> Iterator[Function]:
    kind, bag = Type(data_type), Type(data_type, bag=True)
    # NaN equals NaN here (see double_equal), in Python only when it is the same object.
    distinct = _distinct_doubles if data_type == names.DOUBLE else _distinct
    is_in = _double_is_in if data_type == names.DOUBLE else _is_in
    inline = None if data_type == names.DOUBLE else "({0} in {1})"
    yield define(f"{space}{kind}-is-in", (kind, bag), BOOLEAN, is_in, inline=inline)
    yield define(
        f"{space}{kind}-intersection",
        (bag, bag),
        bag,
        lambda a, b: tuple(filter(distinct(b).__contains__, distinct(a))),
    )
    yield define(
        f"{space}{kind}-at-least-one-member-of",
        (bag, bag),
        BOOLEAN,
        lambda a, b: any(map(distinct(b).__contains__, distinct(a))),
    )
    yield define(
        f"{space}{kind}-union", (bag, bag), bag, lambda *bags: tuple(distinct(tuple(itertools.chain(*bags)))), rest=bag
    )
    yield define(
        f"{space}{kind}-subset", (bag, bag), BOOLEAN, lambda a, b: all(map(distinct(b).__contains__, distinct(a)))
    )
    yield define(
        f"{space}{kind}-set-equals",
        (bag, bag),
        BOOLEAN,
        lambda a, b: distinct(a).keys() == distinct(b).keys(),
    )


def one_and_only(bag: Bag) -> Any:
    """The only value of a bag; processing-error when it has none or several."""
    if len(bag) != 1:
        raise processing_error(f"one value is needed, {len(bag)} were found")
    return bag[0]


def _is_in(value: Any, bag: Bag) -> bool:
    return value in bag


def _double_is_in(value: float, bag: Bag) -> bool:
    return any(double_equal(value, other) for other in bag)


def _distinct(bag: Bag) -> dict[Any, None]:
    return dict.fromkeys(bag)


def _distinct_doubles(bag: Bag) -> dict[Any, None]:
    return dict.fromkeys([value if value == value else math.nan for value in bag])  # noqa: PLR0124 - not of NaN


def _higher(
    function_id: str, call: Callable[..., Any], check: Callable[[str, Function, tuple[Type, ...]], Type]
) -> Function:
    name = function_id.rpartition(":")[2]

    def check_all(given: tuple[Type | Function, ...]) -> Type:
        if len(given) < 2 or not isinstance(given[0], Function) or any(isinstance(g, Function) for g in given[1:]):
            raise TypeMismatch(f"{name} takes a function, then values and bags")
        return check(name, given[0], given[1:])  # type: ignore[arg-type]

    forms: dict[object, str] = {
        _check_one_bag: "values, one a bag",
        _check_two_bags: "bag, bag",
        _check_map: "values, one a bag",
    }
    return Function(
        id=function_id,
        check=check_all,
        call=call,
        signature=f"(function, {forms.get(check, 'values and bags')}) → {'bag' if check is _check_map else 'boolean'}",
        fails=True,
        context=True,
    )


def _applied(name: str, function: Function, given: tuple[Type, ...]) -> Type:
    try:
        result = function.check(tuple(Type(t.data_type) for t in given))
    except TypeMismatch as error:
        raise TypeMismatch(f"{name} cannot apply its function: {error}") from error
    if result.bag:
        raise TypeMismatch(f"{name} needs a function that gives one value, {function.name} gives a {result}")
    return result


def _predicate(name: str, function: Function, given: tuple[Type, ...]) -> Type:
    if _applied(name, function, given) != BOOLEAN:
        raise TypeMismatch(f"{name} needs a function that gives a boolean, {function.name} does not")
    return BOOLEAN


def _check_one_bag(name: str, function: Function, given: tuple[Type, ...]) -> Type:
    if sum(t.bag for t in given) != 1:
        raise TypeMismatch(f"{name} takes exactly one bag")
    return _predicate(name, function, given)


def _check_some_bags(name: str, function: Function, given: tuple[Type, ...]) -> Type:
    return _predicate(name, function, given)


def _check_two_bags(name: str, function: Function, given: tuple[Type, ...]) -> Type:
    if len(given) != 2 or not all(t.bag for t in given):
        raise TypeMismatch(f"{name} takes two bags")
    return _predicate(name, function, given)


def _check_map(name: str, function: Function, given: tuple[Type, ...]) -> Type:
    if sum(t.bag for t in given) != 1:
        raise TypeMismatch(f"{name} takes exactly one bag")
    return Type(_applied(name, function, given).data_type, bag=True)


# The calls get the evaluation (for its budget), the function, and each argument as a tuple of the values to try.


def _rows(x: Any, function: Function, arguments: tuple[Bag, ...]) -> Iterator[Any]:
    """The function over all combinations, as thunks so that errors can be weighed."""
    for row in itertools.product(*arguments):
        x.step()
        yield partial(function.call, x, *row) if function.context else partial(function.call, *row)


def _some(thunks: Iterable[Callable[[], bool]]) -> bool:
    """Combined as by `or`: one truth decides, else an error is an error."""
    failure: EvaluationError | None = None
    for thunk in thunks:
        try:
            if thunk():
                return True
        except EvaluationError as error:
            failure = failure or error
    if failure:
        raise failure
    return False


def _every(thunks: Iterable[Callable[[], bool]]) -> bool:
    """Combined as by `and`."""
    return not _some(partial(_not, thunk) for thunk in thunks)


def _not(thunk: Callable[[], bool]) -> bool:
    return not thunk()


def any_of(x: Any, function: Function, *arguments: Bag) -> bool:
    """True for some combination."""
    return _some(_rows(x, function, arguments))


def all_of(x: Any, function: Function, *arguments: Bag) -> bool:
    """True for every combination."""
    return _every(_rows(x, function, arguments))


def all_of_any(x: Any, function: Function, first: Bag, second: Bag) -> bool:
    """Each of the first goes with some of the second."""
    return _every(partial(any_of, x, function, (a,), second) for a in first)


def any_of_all(x: Any, function: Function, first: Bag, second: Bag) -> bool:
    """Some of the first goes with every of the second."""
    return _some(partial(all_of, x, function, (a,), second) for a in first)


def map_bag(x: Any, function: Function, *arguments: Bag) -> Bag:
    """The function of each value of the one bag."""
    return tuple(thunk() for thunk in _rows(x, function, arguments))
