"""Who may ask the register what: apps and components by platform token, administrators by scope, people by level."""

from __future__ import annotations

from starlette.requests import Request

from havn.guard.middleware import principal
from havn.guard.platform_token import Caller, PlatformTokenVerifier, require_caller
from havn.guard.principal import Kind, Principal
from havn.kit.problem import Problem

ADMIN_SCOPE = "altinn:register/partylookup.admin"
COMPONENTS = frozenset({"platform"})


async def require_known_caller(request: Request, verifier: PlatformTokenVerifier) -> Caller:
    """An app or component with a platform token, or a token with the administrator's scope."""
    user = principal(request)
    if user.has_scope(ADMIN_SCOPE) and "PlatformAccessToken" not in request.headers:
        return Caller(user.org or "", "")
    return await require_caller(request, verifier)


async def require_component(request: Request, verifier: PlatformTokenVerifier) -> Caller:
    """A platform component."""
    return await require_caller(request, verifier, issuers=COMPONENTS)


def require_level_two(user: Principal) -> Principal:
    """A person signed in at level 2 or higher; 403 otherwise."""
    if user.kind is not Kind.USER or user.party_uuid is None:
        raise Problem(403, "Only a signed-in person may look up persons.", code="not_a_person")
    if user.auth_level < 2:
        raise Problem(
            403,
            "Sign in at a higher level to look up persons.",
            code="level_too_low",
            RequiredAuthenticationLevel="2",
        )
    return user
