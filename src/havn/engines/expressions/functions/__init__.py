"""Every function of the expression language, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from havn.engines.expressions.functions import collections, compare, dates, logic, lookups, numbers, text
from havn.engines.expressions.functions.define import Function

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for module in (logic, compare, numbers, text, dates, collections, lookups)
    for function in module.FUNCTIONS
}
