"""Wire types of access lists: whether they let a party do something."""

from __future__ import annotations

from typing import Literal

import msgspec


class TypedValue(msgspec.Struct, frozen=True):
    """An attribute as a type and a value."""

    type: str
    value: str


class AccessListQuestion(msgspec.Struct, frozen=True):
    """Whether access lists let `subject`, a party, do `action` with `resource`."""

    subject: TypedValue
    resource: TypedValue
    action: TypedValue


class AccessListAnswer(msgspec.Struct, frozen=True):
    """The question and its answer; NotDetermined when the party or the resource is not known."""

    subject: TypedValue
    resource: TypedValue
    action: TypedValue
    result: Literal["NotDetermined", "NotAuthorized", "Authorized"]
