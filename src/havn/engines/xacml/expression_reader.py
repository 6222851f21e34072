"""Reads targets and expressions and gives each its type, so that a policy with a type error is never loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lxml import etree

from havn.engines.xacml import content, datatypes, names, patterns, safe_xml
from havn.engines.xacml.datatypes import XPathExpression
from havn.engines.xacml.errors import EvaluationError, PolicyError
from havn.engines.xacml.functions import FUNCTIONS, comparison, text
from havn.engines.xacml.functions.registry import BOOLEAN, Function, Type, TypeMismatch
from havn.engines.xacml.policy import (
    AllOf,
    AnyOf,
    Apply,
    Designator,
    Expression,
    FunctionReference,
    Literal,
    Match,
    Selector,
    Target,
    VariableReference,
)
from havn.engines.xacml.safe_xml import NS

_VARIABLE_DEPTH = 32


class Place:
    """Where the reader is, for the sake of error messages; and parts that occur again and again, kept once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.policy: str | None = None
        self.rule: str | None = None
        self.designators: dict[Designator, Designator] = {}
        self.texts: dict[tuple[str, str], Literal] = {}

    @contextmanager
    def inside(self, *, policy: str | None = None, rule: str | None = None) -> Iterator[None]:
        """Within a policy or a rule."""
        before = self.policy, self.rule
        self.policy, self.rule = policy or self.policy, rule
        yield
        self.policy, self.rule = before

    def error(self, element: etree._Element, message: str) -> PolicyError:
        """The error to raise for a fault at this element."""
        return PolicyError(message, source=self.source, line=line_of(element), policy=self.policy, rule=self.rule)


def line_of(element: etree._Element) -> int | None:
    """The line that an element begins on."""
    line: int | None = element.sourceline  # type: ignore[assignment]
    return line


def children(element: etree._Element) -> Iterator[etree._Element]:
    """The child elements."""
    return iter(element)


def attribute(place: Place, element: etree._Element, name: str) -> str:
    """An attribute that must be there."""
    value = element.get(name)
    if value is None:
        raise place.error(element, f"{str(element.tag).removeprefix(NS)} lacks the attribute {name}")
    return value.strip()


def only_attributes(place: Place, element: etree._Element, *known: str) -> None:
    """Refuse attributes that the schema does not know; those of other namespaces are left alone."""
    for name in element.attrib:
        if name not in known and not str(name).startswith("{"):
            raise place.error(element, f"{str(element.tag).removeprefix(NS)} has an unknown attribute {name!s}")


class ExpressionReader:
    """Reads the expressions of one policy, whose variables are `definitions`."""

    def __init__(self, place: Place, xpath_version: str | None, definitions: dict[str, etree._Element]) -> None:
        self.place = place
        self.xpath_version = xpath_version
        self.definitions = definitions
        self.variables: dict[str, Expression] = {}
        self.reading: list[str] = []

    def all_variables(self) -> dict[str, Expression]:
        """Every variable, those that nothing refers to included."""
        for identifier, element in self.definitions.items():
            self._variable(identifier, element)
        return {identifier: self.variables[identifier] for identifier in self.definitions}

    def target(self, element: etree._Element | None) -> Target:
        """A target; empty when there is none."""
        if element is None:
            return ()
        return tuple(self._any_of(child) for child in self._named(element, "AnyOf"))

    def _any_of(self, element: etree._Element) -> AnyOf:
        found = tuple(self._all_of(child) for child in self._named(element, "AllOf"))
        if not found:
            raise self.place.error(element, "AnyOf must hold an AllOf")
        return found

    def _all_of(self, element: etree._Element) -> AllOf:
        found = tuple(self._match(child) for child in self._named(element, "Match"))
        if not found:
            raise self.place.error(element, "AllOf must hold a Match")
        return found

    def _named(self, element: etree._Element, name: str) -> Iterator[etree._Element]:
        for child in children(element):
            if child.tag != NS + name:
                raise self.place.error(
                    child, f"{str(element.tag).removeprefix(NS)} may not hold {str(child.tag).removeprefix(NS)}"
                )
            yield child

    def _match(self, element: etree._Element) -> Match:
        only_attributes(self.place, element, "MatchId")
        function = self._function(element, attribute(self.place, element, "MatchId"))
        held = list(children(element))
        if len(held) != 2 or held[0].tag != NS + "AttributeValue":
            raise self.place.error(element, "Match must hold an AttributeValue and an attribute")
        literal = self._literal(held[0])
        compared = self._expression(held[1])
        if not isinstance(compared, Designator | Selector):
            raise self.place.error(held[1], "the second part of Match must be an AttributeDesignator or -Selector")
        try:
            result = function.check((literal.type, Type(compared.data_type)))
        except TypeMismatch as error:
            raise self.place.error(element, str(error)) from error
        if result != BOOLEAN:
            raise self.place.error(element, f"a Match needs a function that gives a boolean, not {function.name}")
        self.check_constants(element, function, (literal,))
        return Match(function, literal, compared)

    def only_expression(self, element: etree._Element) -> Expression:
        """The one expression that an element holds."""
        held = list(children(element))
        if len(held) != 1:
            raise self.place.error(element, f"{str(element.tag).removeprefix(NS)} must hold one expression")
        found = self._expression(held[0])
        if isinstance(found, FunctionReference):
            raise self.place.error(held[0], "a Function may only be an argument of a higher-order function")
        return found

    def _expression(self, element: etree._Element) -> Expression:
        match str(element.tag).removeprefix(NS):
            case "AttributeValue":
                return self._literal(element)
            case "AttributeDesignator":
                return self._designator(element)
            case "AttributeSelector":
                return self._selector(element)
            case "Apply":
                return self._apply(element)
            case "Function":
                only_attributes(self.place, element, "FunctionId")
                return FunctionReference(self._function(element, attribute(self.place, element, "FunctionId")))
            case "VariableReference":
                return self._variable_reference(element)
            case name:
                raise self.place.error(element, f"unknown expression {name}")

    def _literal(self, element: etree._Element) -> Literal:
        data_type = self._data_type(element)
        if len(element):
            raise self.place.error(element, "an AttributeValue of this data type may not hold elements")
        value_text = safe_xml.text_of(element)
        if data_type == names.XPATH_EXPRESSION:
            return Literal(Type(data_type), self._xpath_literal(element, value_text))
        try:
            value = datatypes.parse(data_type, value_text)
            if isinstance(value, str):
                return self.place.texts.setdefault((data_type, value), Literal(Type(data_type), value))
            return Literal(Type(data_type), value)
        except EvaluationError as error:
            raise self.place.error(element, error.message) from error

    def _xpath_literal(self, element: etree._Element, path: str) -> XPathExpression:
        namespaces = self.xpath(element, path.strip())
        return XPathExpression(path.strip(), attribute(self.place, element, "XPathCategory"), namespaces)

    def xpath(self, element: etree._Element, path: str) -> tuple[tuple[str, str], ...]:
        """Check an XPath where it stands; its namespaces."""
        if self.xpath_version not in {None, names.XPATH_1_0}:
            raise self.place.error(element, f"XPath version {self.xpath_version} is not supported, only 1.0")
        namespaces = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
        try:
            content.check(path, namespaces)
        except ValueError as error:
            raise self.place.error(element, str(error)) from error
        used = {prefix: uri for prefix, uri in namespaces.items() if f"{prefix}:" in path}
        return tuple(sorted(used.items()))

    def _designator(self, element: etree._Element) -> Designator:
        only_attributes(self.place, element, "Category", "AttributeId", "DataType", "MustBePresent", "Issuer")
        # Interned: a server holds thousands of policies that name the same few attributes.
        found = Designator(
            category=sys.intern(attribute(self.place, element, "Category")),
            id=sys.intern(attribute(self.place, element, "AttributeId")),
            data_type=self._data_type(element),
            required=self._required(element),
            issuer=element.get("Issuer"),
        )
        return self.place.designators.setdefault(found, found)

    def _selector(self, element: etree._Element) -> Selector:
        only_attributes(self.place, element, "Category", "Path", "DataType", "MustBePresent", "ContextSelectorId")
        data_type = self._data_type(element)
        if data_type == names.XPATH_EXPRESSION:
            raise self.place.error(element, "an AttributeSelector cannot give xpathExpression values")
        path = attribute(self.place, element, "Path")
        return Selector(
            category=attribute(self.place, element, "Category"),
            path=path,
            data_type=data_type,
            required=self._required(element),
            namespaces=self.xpath(element, path),
            context_selector=element.get("ContextSelectorId"),
        )

    def _required(self, element: etree._Element) -> bool:
        value = attribute(self.place, element, "MustBePresent")
        if value not in {"true", "false", "1", "0"}:
            raise self.place.error(element, f"MustBePresent must be true or false, not {value!r}")
        return value in {"true", "1"}

    def _data_type(self, element: etree._Element) -> str:
        data_type = attribute(self.place, element, "DataType")
        known = datatypes.DATA_TYPES.get(data_type)
        if known is None:
            raise self.place.error(element, f"unknown data type {data_type}")
        return known.id

    def _function(self, element: etree._Element, function_id: str) -> Function:
        function = FUNCTIONS.get(function_id)
        if function is None:
            raise self.place.error(element, f"unknown function {function_id}")
        return function

    def _apply(self, element: etree._Element) -> Apply:
        only_attributes(self.place, element, "FunctionId")
        function = self._function(element, attribute(self.place, element, "FunctionId"))
        arguments = tuple(self._expression(child) for child in children(element) if child.tag != NS + "Description")
        try:
            kind = function.check(tuple(a.function if isinstance(a, FunctionReference) else a.type for a in arguments))
        except TypeMismatch as error:
            raise self.place.error(element, str(error)) from error
        self.check_constants(element, function, arguments)
        return Apply(function, arguments, kind)

    def check_constants(self, element: etree._Element, function: Function, arguments: tuple[Expression, ...]) -> None:
        """Refuse literal arguments with which a function can never have a value."""
        first = arguments[0] if arguments else None
        if isinstance(first, FunctionReference):
            function, arguments = first.function, arguments[1:]
            first = arguments[0]
        if function.id in text.REGEXP_MATCHES and isinstance(first, Literal):
            try:
                patterns.compile_pattern(first.value)
            except patterns.PatternError as error:
                raise self.place.error(element, f"regular expression refused: {error}") from error
        if function.id in text.SUBSTRINGS and len(arguments) == 3:
            begin, end = (a.value if isinstance(a, Literal) else 0 for a in arguments[1:])
            given = isinstance(arguments[1], Literal) and isinstance(arguments[2], Literal)
            if begin < 0 or end < -1 or (given and end != -1 and begin > end):
                raise self.place.error(element, f"substring from {begin} to {end}")
        if function.lazy == "n-of" and isinstance(first, Literal):
            try:
                comparison.check_n_of(first.value, len(arguments) - 1)
            except EvaluationError as error:
                raise self.place.error(element, error.message) from error

    def _variable_reference(self, element: etree._Element) -> VariableReference:
        only_attributes(self.place, element, "VariableId")
        identifier = attribute(self.place, element, "VariableId")
        definition = self.definitions.get(identifier)
        if definition is None:
            raise self.place.error(element, f"undefined variable {identifier}")
        found = self._variable(identifier, definition)
        assert not isinstance(found, FunctionReference)
        return VariableReference(identifier, found.type)

    def _variable(self, identifier: str, element: etree._Element) -> Expression:
        found = self.variables.get(identifier)
        if found is not None:
            return found
        if identifier in self.reading:
            raise self.place.error(element, f"the variable {identifier} refers to itself")
        if len(self.reading) >= _VARIABLE_DEPTH:
            raise self.place.error(element, f"variables refer to each other deeper than {_VARIABLE_DEPTH}")
        self.reading.append(identifier)
        found = self.variables[identifier] = self.only_expression(element)
        self.reading.pop()
        return found
