"""Who calls: the control plane for its operator, or whoever the bearer token names."""

from __future__ import annotations

from starlette.requests import Request

from havn.contracts.management import ACTING_ADDRESS, ACTING_FOR, ACTING_ORG, ALL_ORGS, PLATFORM
from havn.guard.middleware import principal, require_principal
from havn.guard.platform_token import HEADER, PlatformTokenVerifier, require_caller
from havn.guard.principal import ANONYMOUS, Principal
from havn.kit.problem import Problem
from havn.platform.management.actors import Actor

_DEPLOY = "deploy"


async def actor(request: Request, verifier: PlatformTokenVerifier) -> Actor:
    """Who acts. 401 when nobody is signed in, 403 for a component that has no business here."""
    if HEADER not in request.headers:
        caller = require_principal(request)
        return Actor(who=name_of(caller), address=address(request), principal=caller)
    await require_deploy(request, verifier)
    # The control plane knows its operator; nobody else may say whom they act for.
    name = _plain(request.headers.get(ACTING_FOR, "")) or _DEPLOY
    place = _plain(request.headers.get(ACTING_ADDRESS, "")) or address(request)
    # Without a name the control plane acts by itself, as it does with a deployment.
    org = request.headers.get(ACTING_ORG, "" if ACTING_FOR in request.headers else ALL_ORGS)
    return Actor(who=f"operator:{name}", address=place, principal=ANONYMOUS, operator=org)


async def require_deploy(request: Request, verifier: PlatformTokenVerifier) -> None:
    """403 unless the control plane calls."""
    caller = await require_caller(request, verifier, issuers={PLATFORM})
    if caller.app != _DEPLOY:
        raise Problem(403, "This component may not do this.", code="platform_token_refused")


def name_of(caller: Principal) -> str:
    """A caller as the history names them."""
    if caller.user_id is not None:
        return f"user:{caller.user_id}"
    return f"organisation:{caller.org_number}" if caller.org is None else f"org:{caller.org}"


def signed_in(request: Request) -> Actor | None:
    """The person on a page; None when nobody is signed in."""
    caller = principal(request)
    if not caller.authenticated:
        return None
    return Actor(who=name_of(caller), address=address(request), principal=caller)


def address(request: Request) -> str:
    """The caller's address: as the gateway in front of us says, which keeps out what callers claim themselves."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return (forwarded or (request.client.host if request.client else "unknown"))[:60]


def _plain(text: str) -> str:
    return "".join(sign for sign in text[:100] if sign.isprintable())
