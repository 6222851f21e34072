"""`Access` by a session's or a machine's token, with the roles that its holder has now."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from typing import Final, Literal

from starlette.requests import Request

from havn.deploy.access import EVERYTHING, Operator, Role, bearer, caller_address
from havn.deploy.logins.store import Holder, LoginStore
from havn.kit.clock import Clock
from havn.kit.problem import Problem

SESSION: Final = "havn_s_"
CI: Final = "havn_ci_"
_MAX = 100


def new_token(kind: Literal["havn_s_", "havn_ci_"]) -> tuple[str, bytes]:
    """A fresh token, whose first letters say what it is, and what is kept of it."""
    token = kind + secrets.token_urlsafe(32)
    return token, digest(token)


def digest(token: str) -> bytes:
    """What is kept of a token. It is random and long, so that a fast hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class StoredAccess:
    """See `Access`. `administrators` are subjects that administer everything, so that somebody can give roles."""

    def __init__(self, store: LoginStore, clock: Clock, administrators: Collection[str] = ()) -> None:
        self._store = store
        self._clock = clock
        self._administrators = frozenset(administrators)

    async def operator(self, request: Request) -> Operator:
        """See `Access.operator`."""
        token = bearer(request)
        holder = await self._holder(token)
        if holder is None:
            raise Problem(
                401,
                "The token is not valid or has ended: sign in with `havn login`, or set HAVN_TOKEN to another."
                if token
                else "Nobody is signed in: use `havn login`, or set HAVN_TOKEN.",
                code="token_needed",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"' if token else "Bearer"},
            )
        grants: dict[str, frozenset[Role]] = {}
        if holder.subject in self._administrators:
            grants.update(EVERYTHING)
        for grant in await self._store.grants(holder.subject):
            grants[grant.org] = grants.get(grant.org, frozenset()) | {grant.role}
        return Operator(holder.name, caller_address(request), grants, holder.subject, holder.maker)

    async def _holder(self, token: str) -> Holder | None:
        if not 0 < len(token) <= _MAX:
            return None
        if token.startswith(SESSION):
            return await self._store.session(digest(token), self._clock())
        if token.startswith(CI):
            return await self._store.token(digest(token), self._clock())
        return None
