"""Who is calling: the claims of a verified token, decoded once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

PORTAL_SCOPE = "altinn:portal/enduser"


class Kind(enum.Enum):
    """What sort of caller a token stands for, in the order in which claims decide it."""

    NONE = "none"
    USER = "user"
    ORG = "org"
    SERVICE_OWNER = "serviceowner"
    SYSTEM_USER = "systemuser"


class ClaimsError(Exception):
    """A claim has a value that its meaning does not allow; the message names the claim, never its value."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, as its token says. `ANONYMOUS` when there is none.

    `kind` NONE with a token: a valid token that names no person, organisation or system, such as a tool's.
    `auth_level` is 0 to 4, 0 when the token does not say. `org` is a service owner's code, `org_number` nine digits.
    `audience_org` is the owner whose apps the token is for, None when it is for the platform. `at_least` is the
    version of access rights that the caller knows of: nothing older may decide about this request.
    """

    kind: Kind
    user_id: int | None = None
    party_id: int | None = None
    party_uuid: str | None = None
    org: str | None = None
    org_number: str | None = None
    auth_level: int = 0
    auth_method: str | None = None
    scopes: frozenset[str] = frozenset()
    audience_org: str | None = None
    sid: str | None = None
    system_user_id: str | None = None
    username: str | None = None
    claims: dict[str, Any] = msgspec.field(default_factory=dict)
    token: str | None = None
    at_least: int | None = None

    @property
    def authenticated(self) -> bool:
        """Whether a token was presented and verified."""
        return self.token is not None

    def performed_by(self) -> str:
        """The one identity to write as "created by": user id, else the organisation number, else the owner code."""
        if self.user_id is not None:
            return str(self.user_id)
        return self.org_number or self.org or ""

    def has_scope(self, *wanted: str) -> bool:
        """Whether any of `wanted` is among the token's scopes, compared as whole words."""
        return not self.scopes.isdisjoint(wanted)

    def __repr__(self) -> str:
        """Names the kind only: a token or an identity in a log or a trace is a leak."""
        return f"<Principal {self.kind.value}>"


ANONYMOUS = Principal(kind=Kind.NONE)


def from_claims(claims: Mapping[str, Any], *, token: str, audience_org: str | None = None) -> Principal:
    """Sort a verified token's claims: system user, service owner, organisation, person, in that order.

    Numbers may be written as text. Raises `ClaimsError` when one of them is not what it should be.
    """
    system_user, system_owner = _system_user(claims.get("authorization_details"))
    org = _text(claims, "urn:altinn:org")
    org_number = _text(claims, "urn:altinn:orgNumber") or _consumer(claims.get("consumer"))
    user_id = _number(claims, "urn:altinn:userid")
    if system_user:
        kind, org_number, user_id = Kind.SYSTEM_USER, system_owner or org_number, None
    elif org:
        kind = Kind.SERVICE_OWNER
    elif org_number:
        kind = Kind.ORG
    elif user_id is not None:
        kind = Kind.USER
    else:
        kind = Kind.NONE
    level = _number(claims, "urn:altinn:authlevel") or 0
    if not 0 <= level <= 4:
        raise ClaimsError("urn:altinn:authlevel is not between 0 and 4")
    return Principal(
        kind=kind,
        user_id=user_id,
        party_id=_number(claims, "urn:altinn:partyid"),
        party_uuid=_text(claims, "urn:altinn:party:uuid"),
        org=org,
        org_number=org_number,
        auth_level=level,
        auth_method=_text(claims, "urn:altinn:authenticatemethod"),
        scopes=_scopes(claims),
        audience_org=audience_org,
        sid=_text(claims, "sid") or _text(claims, "jti"),
        system_user_id=system_user,
        username=_text(claims, "urn:altinn:username"),
        claims=dict(claims),
        token=token,
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ClaimsError(f"{name} is not text")
    return value


def _number(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        raise ClaimsError(f"{name} is not a number")
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    raise ClaimsError(f"{name} is not a number")


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("scope", claims.get("urn:altinn:scope"))
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return frozenset(value)
    if value is None:
        return frozenset()
    raise ClaimsError("scope is not text")


def _consumer(value: Any) -> str | None:
    """The organisation number of Maskinporten's `consumer` claim, `{"authority": …, "ID": "0192:{nine digits}"}`."""
    if isinstance(value, dict) and isinstance(text := value.get("ID"), str):
        return text.partition(":")[2] or None
    return None


def _system_user(details: Any) -> tuple[str | None, str | None]:
    """The first system user id of `authorization_details` (an array, or one object) and its owner's number."""
    for detail in details if isinstance(details, list) else [details]:
        if isinstance(detail, dict) and detail.get("type") == "urn:altinn:systemuser":
            ids = detail.get("systemuser_id")
            first = ids[0] if isinstance(ids, list) and ids else ids
            if not isinstance(first, str) or not first:
                raise ClaimsError("authorization_details names no system user")
            return first, _consumer(detail.get("systemuser_org"))
    return None, None
