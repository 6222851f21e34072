"""The app's own files, as the frontend asks for them: metadata, layouts, texts, models, footer. Open to everybody."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from havn.appfolder.ids import is_file_id
from havn.kit.problem import Problem
from havn.kit.web import json_response
from havn.runtime import texts
from havn.runtime.api.common import context, flag, instance_of, route

NUGET_VERSION = "8.9.0.225"
"""The version of Altinn's own runtime whose behaviour this is: the frontend switches on what it finds there."""
_LANGUAGE = re.compile(r"[A-Za-z]{2}")


def routes() -> list[BaseRoute]:
    """The routes."""

    def opened(path: str, handler: Any) -> BaseRoute:
        return route(path, handler, anonymous=True)

    return [
        opened("/api/v1/applicationmetadata", metadata),
        opened("/api/layoutsets", layout_sets),
        opened("/api/v1/applicationsettings", frontend_settings),
        opened("/api/v1/applicationlanguages", languages),
        opened("/api/v1/texts/{language}", text),
        opened("/api/v1/footer", footer),
        opened("/api/v1/redirect", redirect),
        opened("/api/layouts", no_layouts),
        opened("/api/layoutsettings", root_settings),
        opened("/api/layouts/{set_id}", layouts),
        opened("/api/layoutsettings/{set_id}", layout_settings),
        opened("/api/ruleconfiguration/{set_id}", rule_configuration),
        opened("/api/rulehandler/{set_id}", rule_handler),
        opened("/api/jsonschema/{type_id}", json_schema),
        opened("/api/xsdschema/{type_id}", xsd_schema),
        opened("/api/validationconfig/{type_id}", validation_config),
        opened("/api/v1/meta/authorizationpolicy", policy),
        opened("/api/v1/meta/process", process),
        route("/instances/{party_id:int}/{guid:uuid}/layouts/{set_id}", instance_layouts, scoped=True),
    ]


async def metadata(request: Request) -> Response:
    """`applicationmetadata.json` with what only a running app knows. 409 when the address names another app."""
    app = context(request)
    declared = f"{app.settings.org}/{app.settings.app}"
    if flag(request, "checkOrgApp", default=True) and app.folder.id != declared:
        raise Problem(409, f"This app is {app.folder.id}, not {declared}.", code="wrong_app")
    return json_response(
        {
            **app.folder.metadata_raw,
            "dataTypes": [
                *app.folder.metadata_raw.get("dataTypes", []),
                *_added_types(app.folder.metadata_raw, app.folder.data_types),
            ],
            "altinnNugetVersion": NUGET_VERSION,
            "features": {
                "footer": True,
                "processActions": True,
                "jsonObjectInDataResponse": app.folder.settings.json_object_in_data_response,
                "addInstanceIdentifierToLayoutRequests": False,
            },
            "externalApiIds": [hook.keys[0] for hook in app.hooks.of("external_api")],
        }
    )


def _added_types(raw: Any, types: Any) -> list[Any]:
    """Types every app has, written down or not."""
    written = {each.get("id") for each in raw.get("dataTypes", []) if isinstance(each, dict)}
    return [type_ for type_ in types.values() if type_.id not in written]


async def layout_sets(request: Request) -> Response:
    """`layout-sets.json`; made up from the folders for the newer shape."""
    folder = context(request).folder
    found = [
        {
            "id": each.id,
            "dataType": each.data_type,
            "tasks": list(each.tasks),
            **({"type": each.kind} if each.kind else {}),
        }
        for each in folder.layout_sets.values()
    ]
    shared = _json_file(request, "ui/layout-sets.json")
    ui_settings = shared.get("uiSettings", {}) if isinstance(shared, dict) else {}
    return json_response({"sets": found, "uiSettings": ui_settings})


async def frontend_settings(request: Request) -> Response:
    """`FrontEndSettings`, keys in camelCase."""
    app = context(request)
    found = {key[:1].lower() + key[1:]: value for key, value in app.folder.settings.front_end.items()}
    provider = app.app_setting("AppOidcProvider")
    return json_response(found | {"appOidcProvider": provider})


async def languages(request: Request) -> Response:
    """The languages the app has texts in; 404 when it has none."""
    found = texts.languages(context(request).folder)
    if not found:
        raise Problem(404, "The app has no texts.", code="no_texts")
    return json_response([{"language": language} for language in found])


async def text(request: Request) -> Response:
    """The texts in a language, or in bokmål."""
    wanted = request.path_params["language"]
    if not _LANGUAGE.fullmatch(wanted):
        raise Problem(400, "A language is two letters.", code="invalid_language")
    found = texts.resource(context(request).folder, wanted.lower())
    if found is None:
        raise Problem(404, "The app has no texts.", code="no_texts")
    return json_response(found)


async def footer(request: Request) -> Response:
    """`footer.json`, or 204."""
    found = _json_file(request, "ui/footer.json")
    return Response(status_code=204) if found is None else json_response(found)


async def redirect(request: Request) -> Response:
    """A return address that the caller brought along, when it leads to a host of this environment."""
    encoded = request.query_params.get("url", "")
    try:
        address = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=False).decode()
        parts = urlsplit(address)
        host = parts.hostname or ""
    except (binascii.Error, ValueError):
        raise Problem(400, "The address cannot be read.", code="invalid_url") from None
    domain = context(request).settings.domain.partition(":")[0]
    strange = "\\" in address or any(ord(sign) < 33 for sign in address)
    if parts.scheme not in ("https", "http") or strange or not (host == domain or host.endswith(f".{domain}")):
        raise Problem(400, "The address leads elsewhere.", code="invalid_url")
    return json_response(address)


async def no_layouts(request: Request) -> Response:
    """Older frontends asked so for the only layout set there was."""
    raise Problem(404, "Ask for the layouts of a layout set.", code="unknown_layout_set")


async def root_settings(request: Request) -> Response:
    """`ui/Settings.json`."""
    found = _json_file(request, "ui/Settings.json")
    if found is None:
        raise Problem(404, "The app has no settings for all layout sets.", code="unknown_layout_set")
    return json_response(found)


async def layouts(request: Request) -> Response:
    """Page name to layout file."""
    found = _set(request)
    return json_response({name: {"data": page.raw} for name, page in found.pages.items()})


async def instance_layouts(request: Request) -> Response:
    """The same, for somebody who may read the instance."""
    await instance_of(request)
    return await layouts(request)


async def layout_settings(request: Request) -> Response:
    """The set's `Settings.json`."""
    return json_response(_set(request).raw_settings)


async def rule_configuration(request: Request) -> Response:
    """The set's `RuleConfiguration.json`, or 204."""
    found = _set(request).rule_configuration
    return Response(status_code=204) if found is None else json_response(found)


async def rule_handler(request: Request) -> Response:
    """The set's `RuleHandler.js`, or 204."""
    found = _set(request)
    if not found.has_rule_handler:
        return Response(status_code=204)
    script = context(request).folder.root / "ui" / found.id / "RuleHandler.js"
    return Response(script.read_bytes(), media_type="text/javascript")


async def json_schema(request: Request) -> Response:
    """A model's JSON Schema."""
    found = context(request).folder.schema(request.path_params["type_id"])
    if found is None:
        raise Problem(404, "There is no such model.", code="unknown_model")
    return json_response(msgspec.Raw(found))


async def xsd_schema(request: Request) -> Response:
    """A model's XML Schema."""
    type_id = request.path_params["type_id"]
    folder = context(request).folder
    if type_id not in folder.data_types or not is_file_id(type_id):
        raise Problem(404, "There is no such model.", code="unknown_model")
    file = folder.root / "models" / f"{type_id}.xsd"
    if not file.is_file():
        raise Problem(404, "The model has no XML Schema.", code="unknown_model")
    return Response(file.read_bytes(), media_type="application/xml")


async def validation_config(request: Request) -> Response:
    """A model's validation rules, or null."""
    type_id = request.path_params["type_id"]
    known = type_id in context(request).folder.data_types and is_file_id(type_id)
    return json_response(_json_file(request, f"models/{type_id}.validation.json") if known else None)


async def policy(request: Request) -> Response:
    """The app's policy."""
    return Response(context(request).folder.policy_xml, media_type="text/xml")


async def process(request: Request) -> Response:
    """The app's process."""
    return Response(context(request).folder.process_xml, media_type="text/xml")


def _set(request: Request) -> Any:
    found = context(request).folder.layout_sets.get(request.path_params["set_id"])
    if found is None:
        raise Problem(404, "There is no such layout set.", code="unknown_layout_set")
    return found


def _json_file(request: Request, path: str) -> Any:
    """A JSON file of the app, comments and all, as plain JSON; None when it is not there."""
    from havn.appfolder.files import Files

    app = context(request)
    files = Files(app.folder.root, as_=app.folder.app_id)
    document = files.json(path)
    return None if document is None else document.value
