"""Requests and results: what goes into a decision and what comes out of it."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from havn.engines.xacml import datatypes, names
from havn.engines.xacml.content import Content
from havn.engines.xacml.errors import MissingAttribute


class Decision(enum.Enum):
    """The four decisions of core section 7.18; the value is the word of the wire."""

    PERMIT = "Permit"
    DENY = "Deny"
    NOT_APPLICABLE = "NotApplicable"
    INDETERMINATE = "Indeterminate"


class Effect(enum.Enum):
    """The effect of a rule; also when an obligation is to be fulfilled."""

    PERMIT = "Permit"
    DENY = "Deny"


Bag = tuple[Any, ...]
"""The values of one attribute, in the Python form of their data type (see `datatypes`)."""

AttributeKey = str | tuple[str, str] | tuple[str, str, str]
"""How a category's bags are found: the id alone for a string of any issuer, else (id, data type[, issuer])."""


def attribute_key(attribute_id: str, data_type: str = names.STRING, issuer: str | None = None) -> AttributeKey:
    """The key under which an attribute's values are kept in `Request.attributes`.

    A plain id stands for a string: nearly every attribute is one, and a lone string is the fastest key there is.
    """
    if issuer is not None:
        return (attribute_id, data_type, issuer)
    return attribute_id if data_type == names.STRING else (attribute_id, data_type)


class Attribute(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attribute of a request: values of one data type in their Python form."""

    category: str
    id: str
    values: Bag
    data_type: str = names.STRING
    issuer: str | None = None
    include_in_result: bool = False
    lexical: tuple[str, ...] | None = None
    """The values as they were written, kept where they are to be returned so."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The values in a lexical form of their data type."""
        return self.lexical or tuple(datatypes.write(self.data_type, value) for value in self.values)


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a result is what it is; `missing` only with the code missing-attribute."""

    code: str = names.OK
    message: str | None = None
    missing: tuple[MissingAttribute, ...] = ()


OK = Status()


class Assignment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value handed to the enforcement point with an obligation or advice."""

    id: str
    value: Any
    data_type: str
    category: str | None = None
    issuer: str | None = None

    @property
    def text(self) -> str:
        """The value in the lexical form of its data type."""
        return datatypes.write(self.data_type, self.value)


class Obligation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something the enforcement point must do, or with advice may do."""

    id: str
    assignments: tuple[Assignment, ...] = ()


class PolicyIdentifier(msgspec.Struct, frozen=True):
    """A policy or policy set that took part in the decision."""

    id: str
    version: str
    is_set: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer to one request.

    `extended` tells the three Indeterminate values apart ("D", "P" or "DP"); the wire shows them as one.
    `policy` and `rule` name what decided, for the decision log; None when nothing applied.
    """

    decision: Decision
    status: Status = OK
    obligations: tuple[Obligation, ...] = ()
    advice: tuple[Obligation, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    policies: tuple[PolicyIdentifier, ...] = ()
    extended: str | None = None
    policy: str | None = None
    rule: str | None = None
    wire: dict[str, bytes] | None = None
    """Encoded forms kept with a result that many requests share; not part of the answer."""

    @property
    def permitted(self) -> bool:
        """Whether the decision is Permit; its obligations must still be fulfilled."""
        return self.decision is Decision.PERMIT


class Request:
    """One request with its attributes decoded, ready to be decided. Treat it as immutable.

    `attributes` maps category to key (see `attribute_key`) to bag. `content` holds each category's XML document.
    `now` fills in current-time, -date and -dateTime where the request has none; None leaves them missing.
    `error` marks a request that must be answered Indeterminate without evaluation.
    """

    __slots__ = ("attributes", "content", "echo", "error", "now", "return_policy_ids", "special")

    def __init__(
        self,
        attributes: dict[str, dict[AttributeKey, Bag]],
        *,
        content: Mapping[str, Content] | None = None,
        echo: tuple[Attribute, ...] = (),
        now: dt.datetime | None = None,
        return_policy_ids: bool = False,
        error: Status | None = None,
    ) -> None:
        self.attributes = attributes
        self.content = content
        self.echo = echo
        self.now = now
        self.return_policy_ids = return_policy_ids
        self.error = error
        # One test on the fast path for everything that an ordinary request has not.
        self.special = True if echo or return_policy_ids else error is not None

    @classmethod
    def of(
        cls,
        attributes: Iterable[Attribute],
        *,
        content: Mapping[str, Content] | None = None,
        now: dt.datetime | None = None,
        return_policy_ids: bool = False,
    ) -> Request:
        """A request from attributes; those with the same category, id and data type make one bag."""
        given = tuple(attributes)
        bags: dict[str, dict[AttributeKey, Bag]] = {}
        add_attributes(bags, given)
        return cls(
            bags,
            content=content,
            echo=tuple(a for a in given if a.include_in_result),
            now=now,
            return_policy_ids=return_policy_ids,
        )

    def bag(self, category: str, attribute_id: str, data_type: str = names.STRING, issuer: str | None = None) -> Bag:
        """The values of one attribute; empty when the request has none."""
        return self.attributes.get(category, {}).get(attribute_key(attribute_id, data_type, issuer), ())

    def extended(self, attributes: Iterable[Attribute], *, now: dt.datetime | None = None) -> Request:
        """This request with more attributes (and another instant), as a context handler makes it.

        Values are added to bags that exist. The categories that are not touched are shared with this request.
        """
        given = tuple(attributes)
        touched = {a.category for a in given}
        bags = {category: dict(keys) if category in touched else keys for category, keys in self.attributes.items()}
        add_attributes(bags, given)
        return Request(
            bags,
            content=self.content,
            echo=self.echo + tuple(a for a in given if a.include_in_result),
            now=now or self.now,
            return_policy_ids=self.return_policy_ids,
            error=self.error,
        )

    def without(self, category: str, *attribute_ids: str) -> Request:
        """This request less the attributes with these ids, of any data type and issuer."""
        bags = dict(self.attributes)
        bags[category] = {
            key: bag
            for key, bag in bags.get(category, {}).items()
            if (key if isinstance(key, str) else key[0]) not in attribute_ids
        }
        return Request(
            bags,
            content=self.content,
            echo=tuple(a for a in self.echo if not (a.category == category and a.id in attribute_ids)),
            now=self.now,
            return_policy_ids=self.return_policy_ids,
            error=self.error,
        )

    def bare(self) -> Request:
        """The same attributes, with nothing to return."""
        return Request(self.attributes, content=self.content, now=self.now)

    def listed(self) -> Iterator[Attribute]:
        """Every attribute, one for each bag; issuers are left out, since a bag of any issuer holds their values."""
        for category, keys in self.attributes.items():
            for key, bag in keys.items():
                if isinstance(key, str):
                    yield Attribute(category=category, id=key, values=bag)
                elif len(key) == 2:
                    yield Attribute(category=category, id=key[0], values=bag, data_type=key[1])


def add_attributes(bags: dict[str, dict[AttributeKey, Bag]], attributes: Iterable[Attribute]) -> None:
    """Put attributes into bags; one with an issuer is found both by that issuer and by none."""
    for a in attributes:
        keys = bags.setdefault(a.category, {})
        key = a.id if a.data_type == names.STRING else (a.id, a.data_type)
        keys[key] = keys.get(key, ()) + a.values
        if a.issuer is not None:
            by_issuer = (a.id, a.data_type, a.issuer)
            keys[by_issuer] = keys.get(by_issuer, ()) + a.values


class DecisionRequest(msgspec.Struct, frozen=True):
    """What one call asks: one or more requests (multiple decision profile), answered in this order."""

    requests: tuple[Request, ...]
    combined: bool = False
    """CombinedDecision: one result for all."""
