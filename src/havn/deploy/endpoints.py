"""The table of the control plane's routes: each says which role it takes, for which org, and what it reads and answers.

Nothing is served that is not in the table, and no handler runs before its row has been checked. The OpenAPI document
is made of the same rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.deploy.access import ALL_ORGS, Access, Operator, Role
from havn.deploy.store import Target
from havn.kit.problem import Problem
from havn.kit.web import read_json

T = TypeVar("T")
BASE = "/api/v1"
_BODY_LIMIT = 10_000

Handler = Callable[[Request], Awaitable[Response]]
OrgOf = Callable[[Request], Awaitable[str | None]]
"""The org that a request is about; None when any will do, and the handler shows only what the caller may see."""


async def in_path(request: Request) -> str | None:
    """The org is the path's `{org}`."""
    return str(request.path_params["org"])


async def in_body(request: Request) -> str | None:
    """The org is the member `org` of the body."""
    return str(request.state.body.org)


async def any_org(request: Request) -> str | None:
    """Whoever holds the role anywhere; the handler leaves out what the caller may not see (`Operator.orgs`)."""
    return None


async def all_orgs(request: Request) -> str | None:
    """Only who holds the role for all orgs."""
    return ALL_ORGS


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One route. The first line of the handler's docstring is its summary."""

    method: str
    path: str
    """Below `/api/v1`; parameters as Starlette writes them."""
    handler: Handler
    role: Role | None
    """None: open to everybody, for what must be asked before one has a token."""
    org: OrgOf = in_path
    body: Any = None
    """Type of the body; decoded before the handler runs, which reads it with `body`."""
    body_limit: int = _BODY_LIMIT
    answer: Any = None
    """Type of the answer's JSON; None when it has none."""
    lines: bool = False
    """The answer is a stream of `answer`, an object a line."""
    status: int = 200
    query: Mapping[str, str] = {}
    """Query parameters, each with what it means."""
    signed_in: bool = False
    """With role None: whoever has a token, whatever their roles."""


def routes(endpoints: Sequence[Endpoint], access: Access) -> list[Route]:
    """The table as routes that check before they call."""
    return [
        Route(f"{BASE}{each.path}", _checked(each, access), methods=[each.method], name=f"{each.method} {each.path}")
        for each in endpoints
    ]


def caller(request: Request) -> Operator:
    """Who calls, in a handler that is not open to everybody."""
    found: Operator = request.state.operator
    return found


def body(request: Request, type_: type[T]) -> T:
    """The decoded body; `type_` is what the row says."""
    found = request.state.body
    assert isinstance(found, type_)
    return found


def _checked(endpoint: Endpoint, access: Access) -> Handler:
    async def run(request: Request) -> Response:
        operator = None
        if endpoint.role is not None or endpoint.signed_in:
            operator = await access.operator(request)
            request.state.operator = operator
        if endpoint.role is not None and endpoint.org is not in_body:
            await _authorize(endpoint, operator, request)
        if endpoint.body is not None:
            request.state.body = await read_json(request, endpoint.body, limit=endpoint.body_limit)
        if endpoint.role is not None and endpoint.org is in_body:
            await _authorize(endpoint, operator, request)
        return await endpoint.handler(request)

    return run


async def _authorize(endpoint: Endpoint, operator: Operator | None, request: Request) -> None:
    assert operator is not None
    assert endpoint.role is not None
    org = await endpoint.org(request)
    if org is not None:
        operator.require(endpoint.role, org)
        return
    if operator.orgs(endpoint.role) == frozenset():
        raise Problem(
            403,
            f"{operator.name} lacks the role {endpoint.role} for any org: ask an administrator, who gives it with "
            "`havn access grant`.",
            code="role_needed",
            role=endpoint.role,
        )


def not_deployed(target: Target) -> Problem:
    """What is answered about an app that does not run there."""
    return Problem(
        404,
        f"{target.org}/{target.app} is not deployed in {target.environment}: `havn ps` lists what is.",
        code="not_deployed",
    )
