"""The data models of one app: for each type its shape, its schema rules, and how its content is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from havn.kit.problem import Problem
from havn.runtime.model import shape as shapes
from havn.runtime.model import xml
from havn.runtime.model.schema import SchemaRules
from havn.runtime.model.shape import Shape, ShapeError

if TYPE_CHECKING:
    from havn.appfolder import AppFolder

Model = dict[str, Any]
_ANYTHING = b"{}"
_JSON_TYPES = ("application/json", "text/json")
_XML_TYPES = ("application/xml", "text/xml")


class Models:
    """Made with the app folder; schemas are compiled when first used."""

    def __init__(self, folder: AppFolder) -> None:
        self._folder = folder
        self._shapes: dict[str, Shape] = {}
        self._rules: dict[str, SchemaRules] = {}

    def shape(self, type_id: str) -> Shape:
        """The shape of a type's model; anything goes where the app has no schema."""
        if type_id not in self._shapes:
            self._shapes[type_id] = shapes.read(self._folder.schema(type_id) or _ANYTHING)
        return self._shapes[type_id]

    def rules(self, type_id: str) -> SchemaRules | None:
        """The schema's rules; None where the app has no schema."""
        if type_id not in self._rules:
            schema = self._folder.schema(type_id)
            if schema is None:
                return None
            self._rules[type_id] = SchemaRules(schema)
        return self._rules[type_id]

    def decode(self, type_id: str, content: bytes, content_type: str) -> Model:
        """Stored content as a model. Raises `ValueError` when it is none."""
        try:
            if _media(content_type) in _XML_TYPES:
                return xml.read(content, self.shape(type_id))
            return msgspec.json.decode(content, type=Model) if content else {}
        except (msgspec.MsgspecError, ShapeError) as error:
            raise ValueError(str(error)) from error

    def accept(self, type_id: str, content: bytes, content_type: str | None) -> Model:
        """A model that a caller sent, checked against the shape.

        Problems: 415 neither JSON nor XML; 400 not well-formed; 422 an unknown member or a value of the wrong type.
        """
        media = _media(content_type)
        if media not in (*_JSON_TYPES, *_XML_TYPES):
            raise Problem(
                415, "Form data is sent as application/json or application/xml.", code="unsupported_media_type"
            )
        try:
            if media in _XML_TYPES:
                return xml.read(content, self.shape(type_id))
            model = msgspec.json.decode(content, type=Model) if content else {}
        except xml.XmlError as error:
            raise Problem(400, f"The body cannot be read: {error}.", code="invalid_xml") from None
        except ShapeError as error:
            raise _misshapen(error) from None
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise Problem(400, "The body is not a JSON object.", code="invalid_json") from None
        self.check(type_id, model)
        return model

    def check(self, type_id: str, model: Mapping[str, Any]) -> None:
        """422 when `model` has an unknown member or a value of the wrong type."""
        try:
            shapes.check(self.shape(type_id), model)
        except ShapeError as error:
            raise _misshapen(error) from None


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _misshapen(error: ShapeError) -> Problem:
    return Problem(
        422,
        f"The data does not fit the model: {error}.",
        title="Patch operation did not deserialize",
        code="model_mismatch",
        field=error.path or None,
    )
