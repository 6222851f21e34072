"""The dynamic expressions of Altinn Studio apps: compiled once, evaluated with a context. Pure: no input or output.

    expression = compile(["greaterThan", ["dataModel", "income"], 1000])     # CompileError with every fault
    expression.holds(context)                                                # EvaluationError when it has no value

Where the form's and the backend's dialect differ, what either knows is known here.
"""

from havn.engines.expressions.compiler import (
    MAX_CALLS,
    MAX_DEPTH,
    Expression,
    as_text,
    calls,
    compile,  # noqa: A004 - the field's word
    evaluate,
    faults,
    is_expression,
)
from havn.engines.expressions.context import INSTANCE_KEYS, NO_ARGUMENTS, NOWHERE, Arguments, BareContext, Context
from havn.engines.expressions.errors import CompileError, EvaluationError, ExpressionError, Fault
from havn.engines.expressions.functions import FUNCTIONS
from havn.engines.expressions.functions.define import Function

__all__ = [
    "FUNCTIONS",
    "INSTANCE_KEYS",
    "MAX_CALLS",
    "MAX_DEPTH",
    "NOWHERE",
    "NO_ARGUMENTS",
    "Arguments",
    "BareContext",
    "CompileError",
    "Context",
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "Fault",
    "Function",
    "as_text",
    "calls",
    "compile",
    "evaluate",
    "faults",
    "is_expression",
]
