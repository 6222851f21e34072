"""Lists and objects: made, summed, counted, and queried with JMESPath."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.functions.define import Frame, Function, function
from havn.engines.expressions.functions.numbers import add, quotient
from havn.engines.expressions.functions.text import MAX_TEXT
from havn.engines.expressions.values import Number, shown, to_number

MAX_QUERY = 1000


@function("list", "item:any*", "A list of the values.", returns="list")
def _list(*items: Any) -> list[Any]:
    return list(items)


def _object_faults(arguments: Sequence[Any]) -> tuple[int, str] | None:
    if len(arguments) % 2:
        return 0, "object takes pairs of key and value"
    keys = [key for key in arguments[::2] if isinstance(key, str)]
    if twice := {key for key in keys if keys.count(key) > 1}:
        return 0, f"object has the key {min(twice)!r} twice"
    return None


@function("object", "part:any*", "An object of key, value, key, value …", returns="any", faults=_object_faults)
def _object(*parts: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if not isinstance(key, str) or key in made:
            raise EvaluationError(f"the keys of an object are different texts, not {shown(key)}")
        made[key] = value
    return made


@function("count", "list:list", "How many items; 0 for null.", returns="number")
def _count(items: Sequence[Any] | None) -> int:
    return len(items or ())


@function("sum", "list:list", "The sum of the items; null items count as 0.", returns="number")
def _sum(items: Sequence[Any] | None) -> Number:
    total: Number = 0
    for item in items or ():
        total = add(total, to_number(item))
    return total


@function(
    "average",
    "list:list empty:number?",
    "The average of the items; the second argument, or null, for an empty list.",
    returns="number",
)
def _average(items: Sequence[Any] | None, empty: Number | None = None) -> Number | None:
    return quotient(_sum.run(items), len(items)) if items else empty


@function(
    "jmespath",
    "data:any query:any",
    "What a JMESPath query finds in data. Either may come first: the query is the text.",
    returns="any",
)
def _jmespath(data: Any, query: Any) -> Any:
    if isinstance(data, str) and not isinstance(query, str):
        data, query = query, data
    if not isinstance(query, str) or len(query) > MAX_QUERY:
        raise EvaluationError(f"jmespath takes a query of at most {MAX_QUERY} characters, not {shown(query)}")
    import jmespath  # imported when first used: few apps query, all apps start

    try:
        return _compiled(query).search(data)
    except (jmespath.exceptions.JMESPathError, RecursionError, TypeError, ValueError) as error:
        raise EvaluationError(f"the query {shown(query)} cannot be answered: {str(error)[:200]}") from None


@lru_cache(maxsize=128)
def _compiled(query: str) -> Any:
    import jmespath

    return jmespath.compile(query)


@function(
    "_experimentalSelectAndMap",
    "path:string property:string before:string? after:string? afterLast:boolean?",
    "One property of every row of a list, each with text around it, joined by spaces.",
    returns="string",
    needs_frame=True,
    where="form",
)
def _select_and_map(
    frame: Frame,
    path: str | None,
    name: str | None,
    before: str | None = None,
    after: str | None = None,
    after_last: bool | None = True,
) -> str:
    if path is None or name is None:
        raise EvaluationError("_experimentalSelectAndMap needs a path and a property")
    rows = frame.context.rows(path)
    if not isinstance(rows, list):
        return ""
    written = []
    for index, row in enumerate(rows):
        value = row.get(name) if isinstance(row, dict) else None
        text = "" if value is None else value if isinstance(value, str) else shown(value)
        closing = "" if index == len(rows) - 1 and not after_last else after or ""
        written.append(f"{before or ''}{text}{closing}")
    joined = " ".join(written)
    if len(joined) > MAX_TEXT:
        raise EvaluationError(f"the text is longer than {MAX_TEXT} characters")
    return joined


FUNCTIONS: tuple[Function, ...] = (_list, _object, _count, _sum, _average, _jmespath, _select_and_map)
