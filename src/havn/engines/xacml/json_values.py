"""The values of attributes in JSON: their data type where none is stated, and their Python form (profile 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from havn.engines.xacml import content, datatypes, limits, names
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import RequestError, syntax_error
from havn.engines.xacml.model import Bag


def typed(value: Any, data_type: str | None) -> tuple[str, Bag]:
    """Data type and values of an attribute; EvaluationError (syntax-error) when they do not fit."""
    given = value if isinstance(value, list) else [value] if value != () else []
    if len(given) > limits.DEFAULT.bag:
        raise RequestError(f"an attribute may have at most {limits.DEFAULT.bag} values", too_large=True)
    data_type = datatypes.SHORT_NAMES.get(data_type, data_type) if data_type else _inferred(given)
    convert = _CONVERSIONS.get(data_type)
    if convert is None:
        return data_type, tuple(_from_text(data_type, item) for item in given)
    return data_type, tuple(convert(item) for item in given)


def _inferred(values: list[Any]) -> str:
    """The data type of JSON values (JSON profile 3.3.1)."""
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return names.STRING
    if kinds == {bool}:
        return names.BOOLEAN
    if kinds == {int}:
        return names.INTEGER
    if kinds <= {int, float}:
        return names.DOUBLE
    if kinds == {dict}:
        return names.XPATH_EXPRESSION
    raise syntax_error("the values of an attribute must be of one type")


def _from_text(data_type: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise syntax_error(f"a value of data type {datatypes.short(data_type)} must be given as text")
    return datatypes.parse(data_type, value)


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else bool(_from_text(names.BOOLEAN, value))


def _integer(value: Any) -> int:
    if type(value) is int:
        if value.bit_length() > limits.INTEGER_BITS:
            raise syntax_error("too large an integer")
        return value
    return int(_from_text(names.INTEGER, value))


def _double(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise syntax_error("too large a double") from None
    return float(_from_text(names.DOUBLE, value))


class _Namespace(msgspec.Struct, rename="pascal"):
    namespace: str
    prefix: str | None = None


class _XPath(msgspec.Struct, rename="pascal"):
    x_path_category: str = msgspec.field(name="XPathCategory")
    x_path: str = msgspec.field(name="XPath")
    namespaces: list[_Namespace] = []


def _xpath(value: Any) -> XPathExpression:
    try:
        given = msgspec.convert(value, _XPath)
        namespaces = {n.prefix: n.namespace for n in given.namespaces if n.prefix}
        content.check(given.x_path.strip(), namespaces)
    except ValueError as error:  # msgspec's own errors are ValueErrors too
        raise syntax_error(f"not an xpathExpression: {error}") from error
    category = names.CATEGORY_SHORTHANDS.get(given.x_path_category, given.x_path_category)
    return XPathExpression(given.x_path.strip(), category, tuple(sorted(namespaces.items())))


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    names.BOOLEAN: _boolean,
    names.INTEGER: _integer,
    names.DOUBLE: _double,
    names.XPATH_EXPRESSION: _xpath,
}
