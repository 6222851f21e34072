"""What is asked of the world around: the data model, components, texts, the instance, settings, links."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from havn.engines.expressions.context import INSTANCE_KEYS
from havn.engines.expressions.errors import EvaluationError
from havn.engines.expressions.functions.define import Frame, Function, function
from havn.engines.expressions.values import Number, number_text, plain_number, to_string

_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")


def _given(value: str | None, what: str) -> str:
    if value is None:
        raise EvaluationError(f"{what} is null")
    return value


def _literal_data_type(arguments: Sequence[Any]) -> tuple[int, str] | None:
    if len(arguments) > 1 and arguments[1] is not None and not isinstance(arguments[1], str):
        return 2, "the data type is written out, it cannot be an expression"
    return None


@function(
    "dataModel",
    "path:string dataType:string?",
    "The value at a path of the data model, relative to the current row; null for objects and lists.",
    returns="any",
    needs_frame=True,
    faults=_literal_data_type,
)
def _data_model(frame: Frame, path: str | None, data_type: str | None = None) -> Any:
    return leaf(frame.context.data_model(_given(path, "the path in the data model"), data_type))


def leaf(value: Any) -> Any:
    """The value if it is a text, number or boolean, else None."""
    if isinstance(value, str | bool):
        return value
    return plain_number(value)


@function(
    "component",
    "id:string",
    "The value a component is bound to (simpleBinding); null while it is hidden.",
    returns="any",
    needs_frame=True,
)
def _component(frame: Frame, component_id: str | None) -> Any:
    return leaf(frame.context.component(_given(component_id, "the component's id")))


@function(
    "displayValue",
    "id:string",
    "The value of a component as a person reads it; null while it is hidden.",
    returns="string",
    needs_frame=True,
    where="form",
)
def _display_value(frame: Frame, component_id: str | None) -> str | None:
    return frame.context.display_value(_given(component_id, "the component's id"))


@function("text", "key:string", "The text with that key, variables filled in; else the key.", returns="string",
          needs_frame=True)  # fmt: skip
def _text(frame: Frame, key: str | None) -> str | None:
    return None if key is None else frame.context.text(key)


@function("language", "", "The current language; nb when none is set.", returns="string", needs_frame=True)
def _language(frame: Frame) -> str:
    return frame.context.language() or "nb"


@function(
    "instanceContext",
    "key:string",
    "instanceId, appId, instanceOwnerPartyId, instanceOwnerPartyType or instanceOwnerName.",
    returns="string",
    needs_frame=True,
)
def _instance_context(frame: Frame, key: str | None) -> str | None:
    if key not in INSTANCE_KEYS:
        raise EvaluationError(f"an instance has no {key!r}, only {', '.join(sorted(INSTANCE_KEYS))}")
    return frame.context.instance(key) or None


@function("frontendSettings", "key:string", "A value of FrontEndSettings in appsettings.json.", returns="any",
          needs_frame=True)  # fmt: skip
def _frontend_settings(frame: Frame, key: str | None) -> Any:
    return frame.context.frontend_setting(_given(key, "the setting's key"))


@function("countDataElements", "dataType:string", "How many elements of a data type the instance has.",
          returns="number", needs_frame=True)  # fmt: skip
def _count_data_elements(frame: Frame, data_type: str | None) -> int:
    return frame.context.count_data_elements(_given(data_type, "the data type"))


@function(
    "argv", "index:number", "An argument given to the evaluation, such as the field in a validation.", returns="any",
    needs_frame=True,
)  # fmt: skip
def _argv(frame: Frame, index: Number | None) -> Any:
    given = frame.arguments.positional
    if not isinstance(index, int) or not 0 <= index < len(given):
        told = "null" if index is None else number_text(index)
        raise EvaluationError(f"there is no argument {told} here, there are {len(given)}")
    return given[index]


@function(
    "value", "key:string?", "The value at hand: an option's, a row's, the field's.", returns="any", needs_frame=True,
    where="form",
)  # fmt: skip
def _value(frame: Frame, key: str | None = None) -> Any:
    return frame.arguments.value(key)


def _literal_options(arguments: Sequence[Any]) -> tuple[int, str] | None:
    if not isinstance(arguments[0], str):
        return 1, "the options id is written out, it cannot be an expression"
    return None


@function(
    "optionLabel",
    "optionsId:string value:any",
    "The label of the option with that value; null when there is none.",
    returns="string",
    needs_frame=True,
    faults=_literal_options,
    where="form",
)
def _option_label(frame: Frame, options_id: str | None, value: Any) -> str | None:
    label = frame.context.option_label(_given(options_id, "the options id"), to_string(value))
    return None if label is None else frame.context.text(label)


@function(
    "linkToPage",
    "text:string page:string back:boolean?",
    "A link to a page, as HTML; with a way back when the third is true.",
    returns="string",
    needs_frame=True,
    where="form",
)
def _link_to_page(frame: Frame, text: str | None, page: str | None, back: bool | None = None) -> str | None:
    if text is None or page is None:
        return None
    return _anchor(frame.context.page_link(page, back=bool(back)), "LinkToPotentialPage", text)


@function(
    "linkToComponent",
    "text:string id:string back:boolean?",
    "A link to a component, as HTML; with a way back when the third is true.",
    returns="string",
    needs_frame=True,
    where="form",
)
def _link_to_component(
    frame: Frame, text: str | None, component_id: str | None, back: bool | None = None
) -> str | None:
    if text is None or component_id is None:
        return None
    return _anchor(frame.context.component_link(component_id, back=bool(back)), "LinkToPotentialNode", text)


def _anchor(address: str, kind: str, text: str) -> str:
    return f'<a href="{escape(address)}" data-link-type="{kind}">{escape(text, quote=False)}</a>'


@function(
    "externalApi",
    "id:string path:string",
    "A value in what an external API answered, as text; null for objects, lists and what is absent.",
    returns="string",
    needs_frame=True,
    where="form",
)
def _external_api(frame: Frame, api_id: str | None, path: str | None) -> str | None:
    answer = frame.context.external_api(_given(api_id, "the external API's id"))
    if not path:
        return None
    for match in _STEP.finditer(path):
        if match[1] is not None:
            answer = answer.get(match[1]) if isinstance(answer, dict) else None
        else:
            index = int(match[2])
            answer = answer[index] if isinstance(answer, list) and index < len(answer) else None
    found = leaf(answer)
    return None if found is None else to_string(found)


@function("authContext", "action:string", "Whether the user may do that action now.", returns="boolean",
          needs_frame=True, where="form")  # fmt: skip
def _auth_context(frame: Frame, action: str | None) -> bool:
    return frame.context.may(_given(action, "the action"))


@function("gatewayAction", "", "At a gateway: the action that moves the process on; null for a plain next.",
          returns="string", needs_frame=True, where="backend")  # fmt: skip
def _gateway_action(frame: Frame) -> str | None:
    return frame.context.gateway_action()


FUNCTIONS: tuple[Function, ...] = (
    _data_model,
    _component,
    _display_value,
    _text,
    _language,
    _instance_context,
    _frontend_settings,
    _count_data_elements,
    _argv,
    _value,
    _option_label,
    _link_to_page,
    _link_to_component,
    _external_api,
    _auth_context,
    _gateway_action,
)
