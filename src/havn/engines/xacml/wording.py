"""Words for people: what attributes are called in sentences, and values that must not be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from havn.engines.xacml import names

_PERSON_NUMBER = re.compile(r"\b\d{11}\b")

_LABELS = {
    (names.ACCESS_SUBJECT, "urn:altinn:rolecode"): "role",
    (names.ACCESS_SUBJECT, "urn:altinn:role"): "role",
    (names.ACCESS_SUBJECT, "urn:altinn:external-role:ccr"): "role",
    (names.ACCESS_SUBJECT, "urn:altinn:external-role:cra"): "role",
    (names.ACCESS_SUBJECT, "urn:altinn:accesspackage"): "access package",
    (names.ACCESS_SUBJECT, "urn:altinn:org"): "service owner",
    (names.ACCESS_SUBJECT, "urn:altinn:userid"): "user id",
    (names.ACCESS_SUBJECT, "urn:altinn:partyid"): "party id",
    (names.ACCESS_SUBJECT, "urn:altinn:systemuser:uuid"): "system user",
    (names.RESOURCE, "urn:altinn:org"): "owner of the app",
    (names.RESOURCE, "urn:altinn:app"): "app",
    (names.RESOURCE, "urn:altinn:task"): "task",
    (names.RESOURCE, "urn:altinn:end-event"): "end event",
    (names.RESOURCE, "urn:altinn:resource"): "resource",
    (names.RESOURCE, "urn:altinn:appresource"): "part of the app",
    (names.ACTION, names.ACTION_ID): "action",
}

_VIA = {
    "urn:altinn:rolecode": "role",
    "urn:altinn:role": "role",
    "urn:altinn:external-role:ccr": "role",
    "urn:altinn:external-role:cra": "role",
    "urn:altinn:accesspackage": "package",
    "urn:altinn:org": "org",
    "urn:altinn:systemuser:uuid": "systemUser",
    "urn:altinn:userid": "delegation",
    "urn:altinn:partyid": "delegation",
    "urn:altinn:party:uuid": "delegation",
    "urn:altinn:person:uuid": "delegation",
    "urn:altinn:organization:uuid": "delegation",
}

_CATEGORIES = {uri: name[0].lower() + name[1:] for name, uri in names.CATEGORY_SHORTHANDS.items()} | {
    names.ACCESS_SUBJECT: "subject"
}


def label(category: str, attribute_id: str) -> str:
    """What an attribute is called: a word we know, or the last part of its identifier."""
    known = _LABELS.get((category, attribute_id))
    return known or re.split("[:/#]", attribute_id.rstrip("/"))[-1].replace("-", " ")


def via(attribute_id: str) -> str | None:
    """By what kind of subject attribute a rule was met: role, package, org, systemUser, delegation."""
    return _VIA.get(attribute_id)


def category_name(category: str) -> str:
    """A category's short name; its identifier when it has none."""
    return _CATEGORIES.get(category, category)


def masked(text: str) -> str:
    """A value with person numbers hidden."""
    return _PERSON_NUMBER.sub("***********", text)


def listed(values: Iterable[str], word: str = "or") -> str:
    """Values as a list in a sentence."""
    items = list(dict.fromkeys(values))
    if len(items) > 8:
        items = [*items[:7], f"{len(items) - 7} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
