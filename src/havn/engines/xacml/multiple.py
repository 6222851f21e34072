"""The multiple decision profile 1.0: one call that asks for many decisions."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence

from havn.engines.xacml import content, limits, names
from havn.engines.xacml.content import Content
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import EvaluationError, RequestError
from havn.engines.xacml.model import Attribute, AttributeKey, Bag, DecisionRequest, Request, Status

_SELECTOR: AttributeKey = (names.MULTIPLE_CONTENT_SELECTOR, names.XPATH_EXPRESSION)


class CategoryPart:
    """One category of a call: bags ready to be shared by the requests made of it, and what is to be echoed."""

    __slots__ = ("bags", "category", "content", "echo", "error", "id", "plain")

    def __init__(
        self,
        category: str,
        bags: dict[AttributeKey, Bag],
        xml_id: str | None = None,
        echo: tuple[Attribute, ...] = (),
        document: Content | None = None,
        error: EvaluationError | None = None,
    ) -> None:
        self.category = category
        self.id = xml_id
        self.bags = bags
        self.echo = echo
        self.content = document
        self.error = error
        self.plain = document is None and error is None and _SELECTOR not in bags


def expand(
    parts: Sequence[CategoryPart],
    references: Sequence[Sequence[str]] = (),
    *,
    bounds: limits.Limits = limits.DEFAULT,
    now: dt.datetime | None = None,
    return_policy_ids: bool = False,
    combined: bool = False,
) -> DecisionRequest:
    """The requests of a call: one for each reference, or for each combination of repeated categories.

    RequestError (`too_large`) when there are too many. A reference that cannot be followed makes a request that is
    answered Indeterminate with syntax-error; the others are not touched.
    """
    maker = _Maker(now, return_policy_ids)
    requests: list[Request] = []
    if references:
        _bound(len(references), bounds)
        by_id: dict[str, CategoryPart | None] = {}
        for part in parts:
            if part.id is not None:
                by_id[part.id] = None if part.id in by_id else part  # None: several have the id
        for reference in references:
            chosen = [found for name in reference if (found := by_id.get(name)) is not None]
            if len(chosen) != len(reference) or not chosen:
                wrong = next((name for name in reference if by_id.get(name) is None), None)
                message = "an empty reference" if wrong is None else f"no single category has the id {wrong!r}"
                requests.append(maker.failed(message))
                continue
            single = maker.single(chosen)
            if single is not None:
                requests.append(single)
            else:
                requests.extend(maker.requests(chosen, bounds))
                _bound(len(requests), bounds)
    else:
        requests.extend(maker.requests(parts, bounds))
    if not requests:
        raise RequestError("a content selector selects nothing, so there is nothing to decide")
    return DecisionRequest(requests=tuple(requests), combined=combined)


def _bound(count: int, bounds: limits.Limits) -> None:
    if count > bounds.sub_requests:
        raise RequestError(f"a call may ask for at most {bounds.sub_requests} decisions", too_large=True)


class _Maker:
    def __init__(self, now: dt.datetime | None, return_policy_ids: bool) -> None:
        self.now = now
        self.return_policy_ids = return_policy_ids

    def failed(self, message: str) -> Request:
        return Request({}, error=Status(names.SYNTAX_ERROR, message))

    def single(self, parts: Sequence[CategoryPart]) -> Request | None:
        """The request of parts that make only one, as most references do; None when they may make more."""
        attributes: dict[str, dict[AttributeKey, Bag]] = {}
        echo: tuple[Attribute, ...] = ()
        for part in parts:
            if not part.plain or part.category in attributes:
                return None
            attributes[part.category] = part.bags
            if part.echo:
                echo += part.echo
        return Request(attributes, echo=echo, now=self.now, return_policy_ids=self.return_policy_ids)

    def requests(self, parts: Sequence[CategoryPart], bounds: limits.Limits) -> list[Request]:
        by_category: dict[str, list[CategoryPart]] = {}
        for part in parts:
            by_category.setdefault(part.category, []).append(part)
        choices = [
            [selected for part in repeated for selected in _by_content(part)] for repeated in by_category.values()
        ]
        count = 1
        for choice in choices:
            count *= len(choice)
        _bound(count, bounds)
        combinations = itertools.product(*choices)
        return [self.single(combination) or self.request(combination) for combination in combinations]

    def request(self, parts: Sequence[CategoryPart]) -> Request:
        error = next((part.error for part in parts if part.error is not None), None)
        documents = {part.category: part.content for part in parts if part.content is not None}
        return Request(
            {part.category: part.bags for part in parts},
            content=documents or None,
            echo=tuple(attribute for part in parts for attribute in part.echo),
            now=self.now,
            return_policy_ids=self.return_policy_ids,
            error=Status(error.code, error.message) if error is not None else None,
        )


def _by_content(part: CategoryPart) -> Iterator[CategoryPart]:
    """One part for each node that a multiple content selector selects (profile section 2.2.3)."""
    selectors = part.bags.get(_SELECTOR)
    if not selectors:
        yield part
        return
    expression: XPathExpression = selectors[0]
    try:
        if len(selectors) != 1 or expression.category != part.category or part.content is None:
            raise RequestError("a multiple content selector must be one expression over its own category's content")
        found = content.nodes(part.content, expression.path, expression.namespaces)
    except (EvaluationError, RequestError) as error:
        failure = EvaluationError(names.SYNTAX_ERROR, str(error))
        yield CategoryPart(part.category, part.bags, echo=part.echo, error=failure)
        return
    rest = {key: bag for key, bag in part.bags.items() if key != _SELECTOR}
    for node in found:
        if node.key[1] != "element":
            failure = EvaluationError(names.SYNTAX_ERROR, "a multiple content selector must select elements")
            yield CategoryPart(part.category, part.bags, echo=part.echo, error=failure)
            return
        single = XPathExpression(part.content.tree.getpath(node.element), part.category, expression.namespaces)
        if "*" in single.path:
            # getpath writes names in a namespace as *[n]: exact all the same, since the position is counted.
            single = XPathExpression(single.path, part.category)
        attribute = Attribute(
            category=part.category,
            id=names.CONTENT_SELECTOR,
            values=(single,),
            data_type=names.XPATH_EXPRESSION,
            include_in_result=True,
        )
        echo = tuple(a for a in part.echo if a.id != names.MULTIPLE_CONTENT_SELECTOR)
        yield CategoryPart(
            part.category,
            {**rest, (names.CONTENT_SELECTOR, names.XPATH_EXPRESSION): (single,)},
            echo=(*echo, attribute),
            document=part.content,
            error=part.error,
        )
