"""Attribute identifiers that app policies are written with."""

from __future__ import annotations

from typing import Final

SUBJECT: Final = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
RESOURCE: Final = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
ACTION: Final = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
ACTION_ID: Final = "urn:oasis:names:tc:xacml:1.0:action:action-id"
ORG: Final = "urn:altinn:org"
APP: Final = "urn:altinn:app"
RESOURCE_ID: Final = "urn:altinn:resource"
TASK: Final = "urn:altinn:task"
END_EVENT: Final = "urn:altinn:end-event"
APP_RESOURCE: Final = "urn:altinn:appresource"
ROLE_CODE: Final = "urn:altinn:rolecode"
ACCESS_PACKAGE: Final = "urn:altinn:accesspackage"
PARTY_TYPE: Final = "urn:altinn:partytype"
USER_ID: Final = "urn:altinn:userid"
PARTY_ID: Final = "urn:altinn:partyid"
AUTH_LEVEL: Final = "urn:altinn:authlevel"
MINIMUM_LEVEL: Final = "urn:altinn:minimum-authenticationlevel"
MINIMUM_LEVEL_ORG: Final = "urn:altinn:minimum-authenticationlevel-org"
ROLE_ATTRIBUTES: Final = frozenset(
    {ROLE_CODE, "urn:altinn:role", "urn:altinn:external-role:ccr", "urn:altinn:external-role:cra"}
)

ACCESS_LISTS: Final = "urn:havn:access-lists"
"""What is named as the rule where access lists refused what the policy permits."""

SHORT: Final = {
    "role": ROLE_CODE,
    "package": ACCESS_PACKAGE,
    "org": ORG,
    "user": USER_ID,
    "party": PARTY_ID,
    "partytype": PARTY_TYPE,
}
"""Short names of subject attributes, as tables and cases write them: `role:dagl`."""


def shorten(attribute_id: str, value: str) -> str:
    """`role:dagl` for a role code; the whole id where there is no short name."""
    for short, whole in SHORT.items():
        if attribute_id == whole:
            return f"{short}:{value}"
    return f"{attribute_id}:{value}"


def lengthen(text: str) -> tuple[str, str]:
    """The attribute id and value behind `role:dagl`, `urn:…:value` or a bare role code."""
    head, _, value = text.partition(":")
    if head in SHORT and value:
        return SHORT[head], value
    if text.startswith("urn:"):
        whole, _, value = text.rpartition(":")
        return whole, value
    return ROLE_CODE, text
