"""What a caller says about the state it expects: entity tags (RFC 9110, section 13) and the token of a lock."""

from __future__ import annotations

import base64
import hashlib
import re
from uuid import UUID

import msgspec
from starlette.requests import Request

from havn.contracts.storage import LOCK_TOKEN_HEADER
from havn.kit.problem import Problem

_TAGS = re.compile(r'(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*')
_STRONG = re.compile(r'(?<!W/)"(\d{1,18})"')


class Versions(msgspec.Struct, frozen=True):
    """The versions that `If-Match` names; None for `*`, any version."""

    named: frozenset[int] | None

    def check(self, version: int | None) -> None:
        """412 unless `version` is one of them."""
        if self.named is not None and version not in self.named:
            raise Problem(412, "It has been changed since you read it.", code="changed_since", currentVersion=version)


def if_match(request: Request) -> Versions | None:
    """The `If-Match` header; a weak tag never matches, as the standard says. 400 when it is not a list of tags."""
    value = request.headers.get("if-match")
    if value is None:
        return None
    if value.strip() == "*":
        return Versions(None)
    if not _TAGS.fullmatch(value.strip()):
        raise Problem(400, "If-Match must be * or a list of entity tags.", code="invalid_if_match")
    return Versions(frozenset(int(tag) for tag in _STRONG.findall(value)))


def etag(version: int | None) -> dict[str, str]:
    """The `ETag` header of a version."""
    return {"etag": f'"{version}"'}


class LockToken(msgspec.Struct, frozen=True):
    """The secret that its holder shows, and the lock it belongs to."""

    id: str
    secret: str

    @property
    def digest(self) -> bytes:
        """What is kept of the secret."""
        return hashlib.sha256(self.secret.encode()).digest()

    def encode(self) -> str:
        """As it travels: base64url of JSON."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def lock_token(request: Request) -> LockToken | None:
    """The lock token header; 400 when it cannot be read."""
    value = request.headers.get(LOCK_TOKEN_HEADER)
    if value is None:
        return None
    try:
        padded = value + "=" * (-len(value) % 4)
        token = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=LockToken)
        UUID(token.id)
    except (ValueError, msgspec.MsgspecError):
        raise Problem(400, "The lock token cannot be read.", code="invalid_lock_token") from None
    return token
