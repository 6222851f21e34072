"""`appsettings.json` with the file of the environment merged over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Json = Any


class AppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that change what an app does. Names in the files are those of the reference, any case."""

    remove_hidden_data: bool = False
    required_validation: bool = False
    expression_validation: bool = False
    xsd_validation: bool = False
    enforce_data_type_task_id: bool = False
    disable_csrf_check: bool = False
    register_events: bool = False
    host_name: str | None = None
    external_app_base_url: str | None = None
    soft_validation_prefix: str = "*WARNING*"
    fixed_validation_prefix: str = "*FIXED*"
    info_validation_prefix: str = "*INFO*"
    success_validation_prefix: str = "*SUCCESS*"
    front_end: Mapping[str, Json] = {}
    """`FrontEndSettings`: what `frontendSettings` and texts of `applicationSettings` see."""
    json_object_in_data_response: bool = False
    pdf_display_footer: bool = False
    raw: Mapping[str, Json] = {}
    """Everything, merged."""


_FILES = {"development": "Development", "staging": "Staging", "production": "Production"}


def kind_of(environment: str) -> str:
    """`development`, `staging` or `production`: which file and which `@env` entries belong to an environment."""
    name = environment.lower()
    if name in ("production", "prod"):
        return "production"
    if name in ("staging", "test") or name.startswith(("tt", "yt", "at")):
        return "staging"
    return "development"


def file_for(environment: str) -> str:
    """The name of the environment's own settings file."""
    return f"appsettings.{_FILES[kind_of(environment)]}.json"


def merge(base: Mapping[str, Json], over: Mapping[str, Json]) -> dict[str, Json]:
    """`base` with `over` on top: objects member by member (names in any case), everything else replaced."""
    merged = dict(base)
    names = {name.lower(): name for name in merged}
    for name, value in over.items():
        own = names.get(name.lower(), name)
        below = merged.get(own)
        merged[own] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def read(raw: Mapping[str, Json]) -> AppSettings:
    """The settings out of the merged files."""
    app, general = _section(raw, "AppSettings"), _section(raw, "GeneralSettings")
    features = _section(raw, "FeatureManagement")
    pdf = _section(raw, "PdfGeneratorSettings")
    defaults = AppSettings()
    return AppSettings(
        remove_hidden_data=_flag(app, "RemoveHiddenData"),
        required_validation=_flag(app, "RequiredValidation"),
        expression_validation=_flag(app, "ExpressionValidation"),
        xsd_validation=_flag(app, "XsdValidation"),
        enforce_data_type_task_id=_flag(app, "EnforceDataTypeTaskId"),
        disable_csrf_check=_flag(app, "DisableCsrfCheck"),
        register_events=_flag(app, "RegisterEventsWithEventsComponent"),
        host_name=_text(general, "HostName"),
        external_app_base_url=_text(general, "ExternalAppBaseUrl"),
        soft_validation_prefix=_text(general, "SoftValidationPrefix") or defaults.soft_validation_prefix,
        fixed_validation_prefix=_text(general, "FixedValidationPrefix") or defaults.fixed_validation_prefix,
        info_validation_prefix=_text(general, "InfoValidationPrefix") or defaults.info_validation_prefix,
        success_validation_prefix=_text(general, "SuccessValidationPrefix") or defaults.success_validation_prefix,
        front_end=_section(raw, "FrontEndSettings", fold=False),
        json_object_in_data_response=_flag(features, "JsonObjectInDataResponse"),
        pdf_display_footer=_flag(pdf, "DisplayFooter"),
        raw=raw,
    )


def _section(raw: Mapping[str, Json], name: str, *, fold: bool = True) -> Mapping[str, Json]:
    for key, value in raw.items():
        if key.lower() == name.lower() and isinstance(value, Mapping):
            return {inner.lower(): given for inner, given in value.items()} if fold else value
    return {}


def _flag(section: Mapping[str, Json], name: str) -> bool:
    value = section.get(name.lower())
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _text(section: Mapping[str, Json], name: str) -> str | None:
    value = section.get(name.lower())
    return value if isinstance(value, str) and value else None
