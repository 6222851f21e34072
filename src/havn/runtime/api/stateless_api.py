"""Forms without an instance over HTTP."""

from __future__ import annotations

import html
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from havn.kit.problem import Problem
from havn.kit.web import json_response, read_body
from havn.runtime import stateless
from havn.runtime.api.common import actor, base, context, flag, route
from havn.runtime.model.rows import without_row_ids
from havn.runtime.work import MAX_MODEL


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        route("/v1/data", get, scoped=True),
        route("/v1/data", post, ["POST"], antiforgery=True, scoped=True, reads=True),
        route("/v1/data/anonymous", get_anonymous, anonymous=True),
        route("/v1/data/anonymous", post_anonymous, ["POST"], anonymous=True),
        route("/set-query-params", set_query_parameters, anonymous=True),
    ]


async def get(request: Request) -> Response:
    """A new model for a party."""
    app, who = context(request), actor(request)
    type_ = stateless.form_type(app, request.query_params.get("dataType"))
    party = await stateless.party_of(app, who, request.headers.get("party"))
    await stateless.require_read(app, who, party)
    return _answer(request, await stateless.fresh(app, who, type_, party, _prefill(request)))


async def get_anonymous(request: Request) -> Response:
    """A new model for anybody, where the data type allows it."""
    app, who = context(request), actor(request)
    type_ = _anonymous_type(request)
    return _answer(request, await stateless.fresh(app, who, type_, None, _prefill(request)))


async def post(request: Request) -> Response:
    """The model as it is after the app's code has seen it."""
    app, who = context(request), actor(request)
    type_ = stateless.form_type(app, request.query_params.get("dataType"))
    party = await stateless.party_of(app, who, request.headers.get("party"))
    await stateless.require_read(app, who, party)
    return await _calculate(request, type_)


async def post_anonymous(request: Request) -> Response:
    """The same for anybody."""
    return await _calculate(request, _anonymous_type(request))


async def _calculate(request: Request, type_: Any) -> Response:
    app = context(request)
    sent = app.models.accept(type_.id, await read_body(request, MAX_MODEL), request.headers.get("content-type"))
    return _answer(request, await stateless.calculated(app, actor(request), type_, sent))


def _anonymous_type(request: Request) -> Any:
    type_ = stateless.form_type(context(request), request.query_params.get("dataType"))
    if not stateless.allows_anonymous(type_):
        raise Problem(401, "Sign in first.", code="not_signed_in", headers={"WWW-Authenticate": "Bearer"})
    return type_


def _answer(request: Request, model: dict[str, Any]) -> Response:
    return json_response(model if flag(request, "includeRowId") else without_row_ids(model))


def _prefill(request: Request) -> dict[str, Any] | None:
    given = request.query_params.get("prefill")
    if not given:
        return None
    try:
        return msgspec.json.decode(given.encode(), type=dict[str, str | int | float | bool | None])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise Problem(400, "The parameter prefill is a JSON object.", code="invalid_prefill") from None


async def set_query_parameters(request: Request) -> Response:
    """Keep the parameters that the app's prefill knows for this browser tab, and go to the app."""
    app = context(request)
    layout_set = app.folder.stateless
    config = app.folder.prefill(layout_set.data_type) if layout_set and layout_set.data_type else None
    known = config.query_parameters if config is not None else {}
    kept = {name: value for name, value in request.query_params.items() if name in known}
    if layout_set is None or not kept:
        raise Problem(400, "The app takes none of these parameters.", code="unknown_parameter")
    entry = [{"dataModelName": layout_set.data_type, "appId": app.folder.id, "prefillFields": kept}]
    # As data in an attribute, read by a script of ours: nothing from the address becomes script.
    stored = html.escape(msgspec.json.encode(entry).decode(), quote=True)
    target = html.escape(f"{base(request)}/", quote=True)
    nonce = request.scope["havn.nonce"]
    return HTMLResponse(
        f'<!doctype html><html lang="nb"><head><meta charset="utf-8"><title>…</title></head>'
        f'<body data-entry="{stored}" data-target="{target}"><script nonce="{nonce}">'
        "sessionStorage.setItem('queryParams', document.body.dataset.entry);"
        "location.replace(document.body.dataset.target);</script></body></html>",
        headers={"content-security-policy": f"default-src 'none'; script-src 'nonce-{nonce}'"},
    )
