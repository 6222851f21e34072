"""What every route does first: who asks, in which language, with which right to post, about which instance."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts.storage import Instance
from havn.guard.antiforgery import Antiforgery
from havn.guard.middleware import principal, require_principal
from havn.kit.problem import Problem
from havn.runtime import access
from havn.runtime.actor import Actor
from havn.runtime.context import AppContext

Handler = Callable[[Request], Awaitable[Response]]
INSTANCE = "/instances/{party_id:int}/{guid:uuid}"
_LANGUAGE = re.compile(r"[a-z]{2}")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def context(request: Request) -> AppContext:
    """The app, as it was when the request came in."""
    found = request.scope.get("havn.context")
    if found is None:
        found = request.scope["havn.context"] = request.app.state.context
    assert isinstance(found, AppContext)
    return found


def actor(request: Request) -> Actor:
    """The caller, with the language asked for (`language`), or bokmål."""
    return context(request).actor(principal(request), language(request))


def language(request: Request) -> str:
    """The query's `language` when it is two letters, else nb."""
    wanted = request.query_params.get("language", "").lower()
    return wanted if _LANGUAGE.fullmatch(wanted) else "nb"


def route(
    path: str,
    handler: Handler,
    methods: Sequence[str] = ("GET",),
    *,
    anonymous: bool = False,
    antiforgery: bool = False,
    scoped: bool = False,
    reads: bool | None = None,
) -> Route:
    """A route that demands a signed-in caller, unless `anonymous`.

    `antiforgery`: a caller known by cookie must prove that the page was ours. `scoped`: the app's `apiScopes` hold;
    `reads` says which of the two scopes, where the method does not.
    """

    async def endpoint(request: Request) -> Response:
        if not anonymous:
            require_principal(request)
        if antiforgery and not context(request).app_flag("DisableCsrfCheck", default=False):
            await antiforgery_of(request).check(request)
        if scoped:
            reading = request.method in _READS if reads is None else reads
            access.require_scope(context(request), actor(request), reads=reading, path=request.url.path)
        return await handler(request)

    return Route(path, endpoint, methods=list(methods), name=handler.__name__)


def antiforgery_of(request: Request) -> Antiforgery:
    """The app's token pairs."""
    found = request.app.state.antiforgery
    assert isinstance(found, Antiforgery)
    return found


async def instance_of(request: Request) -> Instance:
    """The instance in the path, as storage lets the caller see it; 404 when it is another app's."""
    party_id, guid = request.path_params["party_id"], request.path_params["guid"]
    return await load_instance(context(request), actor(request), f"{party_id}/{guid}")


async def load_instance(app: AppContext, who: Actor, instance_id: str) -> Instance:
    """As `instance_of`, by id."""
    found = await app.clients.storage.instance(instance_id, who.credentials)
    if found.app_id != app.folder.id or found.id != instance_id:
        raise Problem(404, "There is no such instance.", code="unknown_instance")
    return found


def base(request: Request) -> str:
    """The public address of the app in the form the request came in, without a slash at the end."""
    settings = context(request).settings
    return f"{settings.scheme}://{settings.app_host}{request.scope.get('root_path', '')}"


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A query parameter that is true or false; 400 for anything else."""
    value = request.query_params.get(name)
    if value is None or value == "":
        return default
    if value.lower() in ("true", "1"):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise Problem(400, f"The parameter {name} is true or false.", code="invalid_parameter")


def names(request: Request, name: str) -> list[str]:
    """A query parameter that is a list with commas."""
    return [part.strip() for part in request.query_params.get(name, "").split(",") if part.strip()]


@cache
def _members(type_: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """The members of a type as (name here, name in JSON): worked out once, since it resolves every annotation."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(type_))


def with_nulls(value: Any) -> Any:
    """Contract types as JSON with every member there, null where it has no value."""
    if isinstance(value, msgspec.Struct):
        return {encoded: with_nulls(getattr(value, name)) for name, encoded in _members(type(value))}
    if isinstance(value, list | tuple):
        return [with_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: with_nulls(item) for key, item in value.items()}
    return value
