"""The standard functions of XACML 3.0 (core appendix A.3), by identifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from havn.engines.xacml.functions import arithmetic, bags, comparison, text, xpath
from havn.engines.xacml.functions.registry import Function

FUNCTIONS: Final[Mapping[str, Function]] = {
    function.id: function for module in (comparison, arithmetic, text, bags, xpath) for function in module.functions()
}
"""Every function the engine knows: 249 mandatory, 4 optional."""
