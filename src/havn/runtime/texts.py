"""Text resources with variables, in the language asked for, with bokmål behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from havn.appfolder import AppFolder


class TextSources(msgspec.Struct, frozen=True):
    """Where the variables of a text take their values from."""

    models: Mapping[str, Mapping[str, Any]] = {}
    """Data type id to model."""
    default_data_type: str | None = None
    """The data type that `dataModel.default` means."""
    instance: Mapping[str, str] = {}
    """`instanceId`, `appId`, `instanceOwnerPartyId`, `instanceOwnerPartyType`, `instanceOwnerName`."""
    parameters: Mapping[str, str] = {}
    """`customTextParameters`, from a validation issue."""
    rows: Sequence[int] = ()
    """The row's index at each list level, from the outside in, for keys with `[{0}]`."""


NO_SOURCES = TextSources()


def resolve(folder: AppFolder, language: str, key: str, sources: TextSources = NO_SOURCES) -> str:
    """The text for `key` (Markdown or HTML, as the app wrote it); the key itself when there is none."""
    raise NotImplementedError


def find(folder: AppFolder, language: str, key: str, sources: TextSources = NO_SOURCES) -> str | None:
    """As `resolve`, but None when there is no such text."""
    raise NotImplementedError


def app_name(folder: AppFolder, language: str) -> str:
    """The app's name: text `appName`, else `ServiceName`, else the metadata's title, else its id."""
    raise NotImplementedError


def languages(folder: AppFolder) -> list[str]:
    """The languages the app has texts in, sorted with nb first."""
    raise NotImplementedError
