"""What an expression may ask about the world around it. Everything was fetched before: a context does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Protocol

from havn.engines.expressions.errors import EvaluationError

INSTANCE_KEYS = frozenset(
    {"instanceId", "appId", "instanceOwnerPartyId", "instanceOwnerPartyType", "instanceOwnerName"}
)
"""What `instanceContext` knows."""


class Context(Protocol):
    """The place (component and row) and the data an expression is evaluated with.

    A method raises `EvaluationError` when it has no answer; None is an answer.
    """

    def data_model(self, path: str, data_type: str | None) -> Any:
        """The value at `path` in the model of `data_type` (None: the default), relative to the current rows."""

    def rows(self, path: str) -> Any:
        """The list at `path` of the default model, rows and all; anything else counts as no list."""

    def component(self, component_id: str) -> Any:
        """The value that the component is bound to; None while it is hidden."""

    def display_value(self, component_id: str) -> str | None:
        """That value as a person reads it; None while the component is hidden."""

    def text(self, key: str) -> str:
        """The text with this key, its variables filled in; the key itself when there is none."""

    def instance(self, key: str) -> str | None:
        """One of `INSTANCE_KEYS`."""

    def frontend_setting(self, key: str) -> Any:
        """A value of `FrontEndSettings` in the app's settings; None when it is not there."""

    def count_data_elements(self, data_type: str) -> int:
        """How many elements of that type the instance holds."""

    def language(self) -> str:
        """The current language, two letters."""

    def time_zone(self) -> tzinfo | None:
        """Where dates with a zone are shown; None shows them as they were written."""

    def option_label(self, options_id: str, value: str | None) -> str | None:
        """The label (a text key or text) of the option with that value; an error when the list is unknown."""

    def page_link(self, page: str, *, back: bool) -> str:
        """The address of a page; `back` when it shall offer the way back to here."""

    def component_link(self, component_id: str, *, back: bool) -> str:
        """The address of the page with that component, focused."""

    def external_api(self, api_id: str) -> Any:
        """What the external API answered."""

    def may(self, action: str) -> bool:
        """Whether the user may do `action` (`read`, `write`, or a task's own) now."""

    def gateway_action(self) -> str | None:
        """The action that moves the process on; None for a plain next."""


class BareContext:
    """A context that knows nothing; derive from it and answer what is known."""

    def data_model(self, path: str, data_type: str | None) -> Any:
        """No model."""
        raise _missing("dataModel")

    def rows(self, path: str) -> Any:
        """No model."""
        raise _missing("_experimentalSelectAndMap")

    def component(self, component_id: str) -> Any:
        """No components."""
        raise _missing("component")

    def display_value(self, component_id: str) -> str | None:
        """No components."""
        raise _missing("displayValue")

    def text(self, key: str) -> str:
        """No texts, so the key."""
        return key

    def instance(self, key: str) -> str | None:
        """No instance."""
        raise _missing("instanceContext")

    def frontend_setting(self, key: str) -> Any:
        """No settings."""
        return None

    def count_data_elements(self, data_type: str) -> int:
        """No instance."""
        raise _missing("countDataElements")

    def language(self) -> str:
        """Bokmål."""
        return "nb"

    def time_zone(self) -> tzinfo | None:
        """As written."""
        return None

    def option_label(self, options_id: str, value: str | None) -> str | None:
        """No options."""
        raise _missing("optionLabel")

    def page_link(self, page: str, *, back: bool) -> str:
        """No pages."""
        raise _missing("linkToPage")

    def component_link(self, component_id: str, *, back: bool) -> str:
        """No pages."""
        raise _missing("linkToComponent")

    def external_api(self, api_id: str) -> Any:
        """No APIs."""
        raise _missing("externalApi")

    def may(self, action: str) -> bool:
        """No rights are known."""
        raise _missing("authContext")

    def gateway_action(self) -> str | None:
        """Not at a gateway."""
        raise _missing("gatewayAction")


def _missing(function: str) -> EvaluationError:
    return EvaluationError(f"{function} cannot be used here")


NOWHERE: Context = BareContext()
"""For expressions that ask for nothing."""


class Arguments:
    """What a caller hands to one evaluation: `argv`, and the values that `value` names."""

    __slots__ = ("default_key", "positional", "values")

    def __init__(
        self, positional: tuple[Any, ...] = (), values: Mapping[str, Any] | None = None, default_key: str | None = None
    ) -> None:
        self.positional = positional
        self.values = values
        self.default_key = default_key

    def value(self, key: str | None) -> Any:
        """The value called `key`, or the default one."""
        if self.values is None:
            raise EvaluationError("value cannot be used here")
        if key is None:
            if self.default_key is None:
                raise EvaluationError("value needs the name of one here")
            key = self.default_key
        if key not in self.values:
            raise EvaluationError(f"there is no value called {key!r} here, only {', '.join(sorted(self.values))}")
        return self.values[key]


NO_ARGUMENTS = Arguments()
