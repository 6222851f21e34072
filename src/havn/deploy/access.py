"""Who may use the control plane: embedded, whoever can read the token file, which is its owner alone."""

from __future__ import annotations

import hmac
from typing import Protocol

import msgspec
from starlette.requests import Request

from havn.kit.problem import Problem


class Operator(msgspec.Struct, frozen=True):
    """Somebody who acts on the control plane, as the audit log names them, and from where."""

    name: str
    address: str


class Access(Protocol):
    """Decides who calls."""

    async def operator(self, request: Request) -> Operator:
        """Who it is. Raises a 401 `Problem`."""
        ...


class TokenFileAccess:
    """One token, kept in a file that only its owner can read; `owner` is that person's name on this machine."""

    def __init__(self, token: str, owner: str) -> None:
        self._token = token.encode()
        self._owner = owner

    async def operator(self, request: Request) -> Operator:
        """See `Access.operator`."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise Problem(
                401,
                "A token is needed: the file `token` in the state folder holds it.",
                code="token_needed",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Operator(self._owner, request.headers.get("x-forwarded-for") or _peer(request))


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else ""
