"""Reading and checking an app folder: the files that make a service app, in the Altinn Studio format.

`AppFolder.read` decodes everything once into frozen types; `check` reports every problem with file, line and hint.
Both shapes are read: `ui/layout-sets.json` with a folder per set (version 8), and `ui/<taskId>/` (version 9).
"""

from havn.appfolder.deployment import HelmValues
from havn.appfolder.findings import AppFolderError, Finding, Severity
from havn.appfolder.folder import AppFolder
from havn.appfolder.ids import AppId
from havn.appfolder.layouts import Component, Footer, FooterItem, LayoutSet, Page, PageGroup, UiSettings
from havn.appfolder.options import OptionItem
from havn.appfolder.rules import Calculation, ModelRules, Prefill, ValidationRule
from havn.appfolder.settings import AppSettings

__all__ = [
    "AppFolder",
    "AppFolderError",
    "AppId",
    "AppSettings",
    "Calculation",
    "Component",
    "Finding",
    "Footer",
    "FooterItem",
    "HelmValues",
    "LayoutSet",
    "ModelRules",
    "OptionItem",
    "Page",
    "PageGroup",
    "Prefill",
    "Severity",
    "UiSettings",
    "ValidationRule",
    "check",
]


def __getattr__(name: str) -> object:
    # The checks are only for tools: an app at work never loads them.
    if name == "check":
        from havn.appfolder.checks import check

        return check
    raise AttributeError(name)
