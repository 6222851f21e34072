"""Bringing what a form sent together with what the models hold now, field by field.

A field that was not changed here is left as it is, whoever else has changed it. One that was changed here is kept,
unless it was changed elsewhere too: then both values are shown, nothing is written, and it takes a new answer or a
press of a button to say that this one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from havn.runtime.layout import choices, display, likert
from havn.runtime.layout.nodes import Node, State
from havn.runtime.model import paths
from havn.runtime.model.shape import Shape
from havn.runtime.pages import field
from havn.runtime.pages.feedback import Feedback, field_name
from havn.runtime.pages.field import Invalid
from havn.runtime.pages.posted import Posted
from havn.runtime.pages.words import word


class Place(msgspec.Struct, frozen=True):
    """Where the value of a form field is kept."""

    node: Node
    binding: str
    data_type: str
    path: str
    stored: Any


def places(state: State, page: str) -> dict[str, Place]:
    """Every field that a page has, or would have if nothing were hidden, by its name."""
    found: dict[str, Place] = {}
    for top in state.on_page(state.layout.pages[page]):
        for node in top.walk(hidden=True):
            for name in field.bindings(node):
                binding = node.component.bindings[name]
                place = Place(node, name, binding.data_type, node.indexed(binding), node.value(name))
                found[field_name(node, name)] = place
            if node.type == "Likert":
                answer = node.component.bindings.get("answer")
                for line in likert.lines(node) if answer is not None else ():
                    stored = state.value(answer.data_type, line.path) if answer is not None else None
                    data_type = answer.data_type if answer is not None else ""
                    found[f"{node.id}.{line.row_id}"] = Place(node, "answer", data_type, line.path, stored)
    return found


class Change(msgspec.Struct, frozen=True):
    """An answer given on this page."""

    name: str
    value: Any
    sent: list[str]
    drawn: str
    """Digest of what the model held when the page was drawn."""
    told: bool
    """Whether the page has said that somebody else has changed the field too."""
    override: bool
    """Whether it counts even so."""


class Merge:
    """The changes of one post, sorted by data type."""

    def __init__(self, state: State, page: str, posted: Posted, shape: Callable[[str], Shape]) -> None:
        self.changes: dict[str, list[Change]] = {}
        self.invalid: dict[str, tuple[Invalid, list[str]]] = {}
        self.gone: list[str] = []
        self._page = page
        here = places(state, page)
        for name, seen in posted.fields.items():
            place = here.get(name)
            if place is None:
                if "_" in name and any(posted.values(name)) and field.digest(posted.values(name)[0]) != seen.drawn:
                    self.gone.append(name)
                continue
            if place.node.read_only:
                continue
            sent = posted.values(name)
            value = _read(place, sent, shape(place.data_type))
            if isinstance(value, Invalid):
                self.invalid[name] = (value, sent)
                continue
            mine = field.digest(value)
            # What was told of as a conflict counts when a button is pressed, or when it has been answered anew.
            told = bool(seen.told)
            override = told and (posted.explicit or mine != seen.told)
            if mine != seen.drawn or told:
                change = Change(name, value, sent, seen.drawn, told, override)
                self.changes.setdefault(place.data_type, []).append(change)

    def apply(self, state: State, data_type: str, model: dict[str, Any]) -> tuple[bool, dict[str, Change]]:
        """Put the changes of one data type into the newest model; whether it changed, and what stands against it."""
        here = places(state, self._page)
        changed, conflicts = False, {}
        for change in self.changes.get(data_type, ()):
            place = here.get(change.name)
            if place is None or field.same(place.stored, change.value):
                continue
            if not change.override and (change.told or field.digest(place.stored) != change.drawn):
                conflicts[change.name] = change
                continue
            paths.put(model, place.path, change.value)
            changed = True
        return changed, conflicts


def _read(place: Place, sent: list[str], shape: Shape) -> Any:
    if place.binding == "answer":
        return (sent[0] if sent else "") or None
    return field.read(place.node, place.binding, sent, shape)


def tell(feedback: Feedback, state: State, page: str, merge: Merge, conflicts: Mapping[str, Change]) -> None:
    """Say what could not be kept, and keep what was typed on the page."""
    language = state.surroundings.language
    for name, (invalid, sent) in merge.invalid.items():
        feedback.add(name, word(language, invalid.word))
        feedback.typed[name] = sent
    here = places(state, page)
    for name, change in conflicts.items():
        feedback.typed[name] = change.sent
        place = here.get(name)
        feedback.elsewhere[name] = _shown(place) if place is not None else ""
    if merge.gone:
        feedback.say(word(language, "row_gone"))


def _shown(place: Place) -> str:
    if place.binding == "simpleBinding":
        return display.text(place.node)
    return choices.as_text(place.stored)
