"""Putting a policy's table, a difference and a replay into few rows: what is the same for several stands once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from havn.engines.app_policy import names
from havn.engines.app_policy.reading import levels
from havn.engines.xacml import PolicyDocument
from havn.engines.xacml.tables import Change, TableRow

_OWN = frozenset({names.ORG, names.APP, names.RESOURCE_ID})
# Newer names of what is also there as a role code.
_SAME_ROLES = frozenset(names.ROLE_ATTRIBUTES - {names.ROLE_CODE})
_LABELS = {
    names.ORG: "service owner", names.ROLE_CODE: "role", names.ACCESS_PACKAGE: "package", names.AUTH_LEVEL: "level",
}  # fmt: skip
_FEW = 3


def grid(rows: Sequence[TableRow], *, tasks: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The places in the order of the process, and a row for each set of subjects who may do the same everywhere.

    The first cell names the subjects; subjects who may do nothing anywhere are left out.
    """
    places = _ordered((row.place for row in rows), tasks)
    cells = {(row.subject, row.place): _cell(row) for row in rows}
    alike: dict[tuple[str, ...], list[str]] = {}
    for subject in dict.fromkeys(row.subject for row in rows):
        texts = tuple(cells.get((subject, place), "") for place in places)
        if any(texts):
            alike.setdefault(texts, []).append(subject)
    return places, [["\n".join(subjects), *texts] for texts, subjects in alike.items()]


def changes(found: Sequence[Change], *, tasks: Sequence[str]) -> list[list[str]]:
    """Rows of who, where, action, was, becomes; subjects, places and actions that change alike stand together."""
    places = _ordered((change.place for change in found), tasks)
    by_place: dict[tuple[str, str, str, str], set[str]] = {}
    for change in found:
        by_place.setdefault((change.subject, change.action, change.was, change.becomes), set()).add(change.place)
    by_action: dict[tuple[str, tuple[str, ...], str, str], list[str]] = {}
    for (subject, action, was, becomes), where in by_place.items():
        ordered = tuple(place for place in places if place in where)
        by_action.setdefault((subject, ordered, was, becomes), []).append(action)
    together: dict[tuple[tuple[str, ...], tuple[str, ...], str, str], list[str]] = {}
    for (subject, ordered, was, becomes), actions in by_action.items():
        together.setdefault((ordered, tuple(actions), was, becomes), []).append(subject)
    return [
        ["\n".join(subjects), "\n".join(ordered), "\n".join(actions), was, becomes]
        for (ordered, actions, was, becomes), subjects in together.items()
    ]


def levels_needed(document: PolicyDocument) -> list[str]:
    """What the policy says of how strongly one must be signed in."""
    stated = levels(document)
    users, owners = stated.get(names.MINIMUM_LEVEL), stated.get(names.MINIMUM_LEVEL_ORG)
    if not users:
        return []
    sentence = f"Needs sign-in at level {_listed(users)}"
    # Enforcement lets the owner's level only ever ease the users'.
    if owners and max(owners) < min(users):
        return [f"{sentence}; level {_listed(owners)} suffices for the service owner."]
    return [f"{sentence}."]


def told(attributes: Iterable[tuple[str, str]]) -> str:
    """A recorded request's attributes, ids led by their category's letter, for people: `role dagl at task Task_1`."""
    who: dict[str, list[str]] = {}
    where: list[str] = []
    for name, value in attributes:
        letter, _, id_ = name.partition(":")
        if letter == "s" and id_ not in _SAME_ROLES:
            who.setdefault(id_, []).append(value)
        elif id_ in (names.TASK, names.END_EVENT):
            where.append(f"{'task' if id_ == names.TASK else 'end event'} {value}")
        elif letter != "s" and id_ not in _OWN:
            where.append(f"{id_} {value}")
    order = [names.ORG, names.ROLE_CODE, names.ACCESS_PACKAGE]
    parts = [_held(id_, who.pop(id_)) for id_ in order if id_ in who] + [_held(id_, who[id_]) for id_ in who]
    return f"{', '.join(parts) or 'anyone'} at {', '.join(where) or 'no task'}"


def _held(id_: str, values: Sequence[str]) -> str:
    label = _LABELS.get(id_, id_)
    return f"{label} {' and '.join(values)}" if len(values) <= _FEW else f"{len(values)} {label}s"


def _cell(row: TableRow) -> str:
    """What may be done, and marked what is denied or undecided."""
    return "\n".join((*row.permitted, *(f"not {a}" for a in row.denied), *(f"{a}?" for a in row.undecided)))


def _ordered(places: Iterable[str], tasks: Sequence[str]) -> list[str]:
    """Outside any task first, then the tasks in the process's order, then the rest."""
    rank = {f"task {task}": number for number, task in enumerate(dict.fromkeys(tasks), 1)}

    def place_in_order(place: str) -> tuple[int, str]:
        if place.startswith("outside"):
            return 0, place
        return rank.get(place, len(rank) + (1 if place.startswith("task ") else 2)), place

    return sorted(dict.fromkeys(places), key=place_in_order)


def _listed(numbers: Sequence[int]) -> str:
    return " or ".join(str(number) for number in sorted(set(numbers)))
