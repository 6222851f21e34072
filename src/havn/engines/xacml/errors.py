"""What can go wrong: a policy that is refused, a request that cannot be read, an evaluation that cannot be finished."""

from __future__ import annotations

import msgspec

from havn.engines.xacml import names


class PolicyError(ValueError):
    """A policy is refused when it is loaded: malformed, mistyped, unsafe or over a limit.

    `source` is the name the caller gave the text, `line` counts from 1 (None when the text is not XML at all or the
    fault has no place), `policy` and `rule` are the identifiers around the fault.
    """

    def __init__(
        self, message: str, *, source: str, line: int | None = None, policy: str | None = None, rule: str | None = None
    ) -> None:
        place = source if line is None else f"{source}:{line}"
        inside = f" (rule {rule})" if rule else f" (policy {policy})" if policy else ""
        super().__init__(f"{place}: {message}{inside}")
        self.message = message
        self.source = source
        self.line = line
        self.policy = policy
        self.rule = rule


class RequestError(ValueError):
    """A request cannot be read as XML or JSON of its profile, or is over a limit (`too_large`)."""

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


class MissingAttribute(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attribute that a policy must have and the request lacks (core section 5.58)."""

    category: str
    id: str
    data_type: str
    issuer: str | None = None


class EvaluationError(Exception):
    """An expression has no value: becomes Indeterminate with this status, never leaves the engine."""

    def __init__(self, code: str, message: str, missing: tuple[MissingAttribute, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.missing = missing


def processing_error(message: str) -> EvaluationError:
    """The error of a function that has no value for its arguments."""
    return EvaluationError(names.PROCESSING_ERROR, message)


def syntax_error(message: str) -> EvaluationError:
    """The error of a value that is not in its data type's lexical space."""
    return EvaluationError(names.SYNTAX_ERROR, message)
