"""One evaluation of one request: what compiled code reads from and counts against."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from havn.engines.xacml import content, datatypes, limits, names, patterns, temporal
from havn.engines.xacml.errors import EvaluationError, MissingAttribute, processing_error, syntax_error
from havn.engines.xacml.functions.comparison import check_n_of
from havn.engines.xacml.functions.registry import Function
from havn.engines.xacml.model import Bag, PolicyIdentifier, Request
from havn.engines.xacml.policy import Selector
from havn.engines.xacml.request_xml import read_attributes

CURRENT = {
    (names.CURRENT_TIME, names.TIME): "time",
    (names.CURRENT_DATE, names.DATE): "date",
    (names.CURRENT_DATETIME, names.DATE_TIME): "dateTime",
}
"""The environment attributes that the context handler supplies (core section 10.2.5)."""


class Evaluation:
    """The state of one decision: variables computed so far, work done, policies that applied."""

    __slots__ = ("attributes", "now", "policies", "request", "root", "steps", "variables")

    def __init__(self, request: Request, root: Callable[[Request, Evaluation], bool] | None) -> None:
        self.request = request
        self.attributes = request.attributes
        self.now = request.now
        self.variables: dict[Any, Any] = {}
        self.policies: list[PolicyIdentifier] | None = [] if request.return_policy_ids else None
        self.steps = 0
        # Decides a changed request for access-permitted; None inside of such a call, which may not nest.
        self.root = root

    def step(self) -> None:
        """Count one function application; processing-error when there were too many."""
        self.steps += 1
        if self.steps > limits.STEPS:
            raise processing_error("the decision takes too many steps")

    def access_permitted(self, category: str, attributes: str) -> bool:
        """What the function access-permitted asks."""
        if self.root is None:
            raise processing_error("access-permitted inside access-permitted")
        self.steps += 1000
        self.step()
        bags, document = read_attributes(category, attributes)
        changed = Request(
            {**self.request.attributes, category: bags},
            content={**(self.request.content or {}), category: document} if document else self.request.content,
            now=self.request.now,
        )
        return self.root(changed, self)


def need(bag: Bag, missing: MissingAttribute) -> Bag:
    """The bag of an attribute that must be present."""
    if not bag:
        raise EvaluationError(names.MISSING_ATTRIBUTE, f"the request lacks {missing.id}", (missing,))
    return bag


def current(x: Any, kind: str) -> Bag:
    """The current time, date or dateTime in UTC; empty when no instant was given."""
    now: dt.datetime | None = x.now
    if now is None:
        return ()
    moment = temporal.from_datetime(now)
    if kind == "time":
        return (temporal.Time(moment.local % temporal.DAY, 0),)
    if kind == "date":
        return (temporal.Date(moment.local - moment.local % temporal.DAY, 0),)
    return (moment,)


def select(x: Evaluation, selector: Selector) -> Bag:
    """The bag of an attribute selector."""
    document = (x.request.content or {}).get(selector.category)
    found = _selected(x, selector, document) if document else []
    if not found and selector.required:
        missing = MissingAttribute(selector.category, selector.path, selector.data_type)
        raise EvaluationError(names.MISSING_ATTRIBUTE, f"the content lacks {selector.path}", (missing,))
    return tuple(datatypes.parse(selector.data_type, node.value) for node in found)


def _selected(x: Evaluation, selector: Selector, document: content.Content) -> list[content.Node]:
    start: Any = None
    if selector.context_selector is not None:
        bag = x.request.bag(selector.category, selector.context_selector, names.XPATH_EXPRESSION)
        if len(bag) != 1:
            raise syntax_error(f"{selector.context_selector} must have one xpathExpression value")
        starts = content.nodes(document, bag[0].path, bag[0].namespaces)
        if len(starts) != 1 or starts[0].key[1] != "element":
            raise syntax_error(f"{selector.context_selector} must select one element")
        start = starts[0].element
    return content.nodes(document, selector.path, selector.namespaces, start)


def variable(x: Evaluation, key: object, compute: Callable[[Evaluation], Any]) -> Any:
    """A variable's value, computed at most once; an error is remembered like a value."""
    known = x.variables.get(key)
    if known is None:
        try:
            known = (compute(x), None)
        except EvaluationError as error:
            known = (None, error)
        x.variables[key] = known
    if known[1] is not None:
        raise known[1]
    return known[0]


def some(tests: Iterable[Callable[[], bool]]) -> bool:
    """Three-valued or: one truth decides, else an error is an error."""
    failure: EvaluationError | None = None
    for test in tests:
        try:
            if test():
                return True
        except EvaluationError as error:
            failure = _joined(failure, error)
    if failure is not None:
        raise failure
    return False


def every(tests: Iterable[Callable[[], bool]]) -> bool:
    """Three-valued and: one falsehood decides, else an error is an error."""
    failure: EvaluationError | None = None
    for test in tests:
        try:
            if not test():
                return False
        except EvaluationError as error:
            failure = _joined(failure, error)
    if failure is not None:
        raise failure
    return True


def _joined(first: EvaluationError | None, second: EvaluationError) -> EvaluationError:
    if first is None:
        return second
    if first.missing and second.missing:
        return EvaluationError(first.code, first.message, tuple(dict.fromkeys(first.missing + second.missing)))
    return first


def n_of(wanted: int, tests: tuple[Callable[[], bool], ...]) -> bool:
    """At least so many true, evaluated until that is settled; an error counts only when it might settle it."""
    check_n_of(wanted, len(tests))
    failures: list[EvaluationError] = []
    for index, test in enumerate(tests):
        if wanted <= 0 or wanted > len(tests) - index + len(failures):
            break
        try:
            wanted -= test()
        except EvaluationError as error:
            failures.append(error)
    if wanted <= 0:
        return True
    if failures and wanted <= len(failures):
        raise failures[0]
    return False


def some_value(x: Any, function: Function, literal: Any, bag: Bag) -> bool:
    """A Match whose function may fail: true for some value, else an error is an error."""
    if function.context:
        return some(partial(function.call, x, literal, value) for value in bag)
    return some(partial(function.call, literal, value) for value in bag)


def folded(bag: Bag) -> Bag | list[str]:
    """The bag in lower case, as string-equal-ignore-case compares."""
    return (bag[0].lower(),) if len(bag) == 1 else [*map(str.lower, bag)]


def matcher(pattern: str) -> Callable[[Any], bool]:
    """A test for a regular expression that was checked when the policy was loaded."""
    search = patterns.compile_pattern(pattern).search
    return lambda value: search(value if isinstance(value, str) else str(value)) is not None
