"""Who may use the control plane, and for what: roles held for one org or for all, by whoever a token stands for."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from typing import Literal, Protocol

import msgspec
from starlette.requests import Request

from havn.kit.problem import Problem

Role = Literal["look", "deploy", "approve", "administer"]
ROLES: tuple[Role, ...] = ("look", "deploy", "approve", "administer")
ALL_ORGS = "*"

_IMPLIED: Mapping[Role, frozenset[Role]] = {
    "look": frozenset(("look",)),
    "deploy": frozenset(("look", "deploy")),
    "approve": frozenset(("look", "approve")),
    "administer": frozenset(ROLES),
}


class Operator(msgspec.Struct, frozen=True):
    """Somebody who acts on the control plane, as the audit log names them, from where, and what they may do."""

    name: str
    address: str
    grants: Mapping[str, frozenset[Role]] = {}
    """Roles by org; `*` stands for every org."""
    subject: str = ""
    """Who it is beyond doubt, by a name that never changes."""
    maker: str = ""
    """Of a machine's token: the subject of the person who made it."""

    @property
    def person(self) -> str:
        """Who answers for what is done: two operators are the same person when this is equal.

        Whoever makes a token has it in hand, so a machine counts as the person who made its token.
        """
        return self.maker or self.subject

    def may(self, role: Role, org: str) -> bool:
        """Whether the role is held for the org, or for all; `*` asks for all."""
        held = self.grants.get(ALL_ORGS, frozenset()) | self.grants.get(org, frozenset())
        return any(role in _IMPLIED[each] for each in held)

    def orgs(self, role: Role) -> Collection[str] | None:
        """The orgs for which the role is held; None when for all."""
        if self.may(role, ALL_ORGS):
            return None
        return frozenset(org for org in self.grants if self.may(role, org))

    def require(self, role: Role, org: str) -> None:
        """Raise the 403 `Problem` unless the role is held for the org."""
        if not self.may(role, org):
            of = "all orgs" if org == ALL_ORGS else org
            raise Problem(
                403,
                f"{self.name} lacks the role {role} for {of}: ask an administrator, who gives it with "
                "`havn access grant`.",
                code="role_needed",
                role=role,
                org=org,
            )


EVERYTHING: Mapping[str, frozenset[Role]] = {ALL_ORGS: frozenset(("administer",))}


class Access(Protocol):
    """Decides who calls."""

    async def operator(self, request: Request) -> Operator:
        """Who it is. Raises a 401 `Problem`."""
        ...


class TokenFileAccess:
    """One token for everything, kept in a file that only its owner can read; `owner` is that person's name here.

    Another token is shown to `others`, when there are any.
    """

    def __init__(self, token: str, owner: str, others: Access | None = None) -> None:
        self._token = token.encode()
        self._owner = owner
        self.others = others

    async def operator(self, request: Request) -> Operator:
        """See `Access.operator`."""
        given = bearer(request)
        if hmac.compare_digest(given.encode(), self._token):
            return Operator(self._owner, caller_address(request), EVERYTHING, f"local:{self._owner}")
        if self.others is not None and given:
            return await self.others.operator(request)
        raise Problem(
            401,
            "A token is needed: the file `token` in the state folder holds it.",
            code="token_needed",
            headers={"WWW-Authenticate": "Bearer"},
        )


def bearer(request: Request) -> str:
    """The request's bearer token (RFC 6750), empty when it has none."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else ""


def caller_address(request: Request) -> str:
    """From where the request comes, as the nearest ingress says."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded[:60] or (request.client.host if request.client is not None else "")
