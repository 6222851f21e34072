"""Everything one app process works with, made once at start (and again, whole, when `havn dev` reloads).

A request takes the context from `request.app.state.context` once and keeps it, so that a reload under way never gives
it half of the old configuration and half of the new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from havn.kit.clock import Clock

if TYPE_CHECKING:
    from havn.appfolder import AppFolder
    from havn.clients.authentication import AuthenticationClient
    from havn.clients.authorization import AuthorizationClient
    from havn.clients.profile import ProfileClient
    from havn.clients.register import RegisterClient
    from havn.clients.storage import StorageClient
    from havn.guard.pep import Enforcer
    from havn.guard.platform_token import PlatformTokenSigner
    from havn.guard.principal import Principal
    from havn.runtime.actor import Actor
    from havn.runtime.hooks import Hooks
    from havn.runtime.http import Http
    from havn.runtime.layout_sets import Layouts
    from havn.runtime.models import Models
    from havn.runtime.secrets import Secrets
    from havn.runtime.settings import RuntimeSettings


class Clients(msgspec.Struct, frozen=True):
    """A client per platform API that an app asks."""

    storage: StorageClient
    register: RegisterClient
    profile: ProfileClient
    authentication: AuthenticationClient
    authorization: AuthorizationClient


class AppContext(msgspec.Struct, frozen=True):
    """The configuration, the code and the connections of the app this process runs."""

    settings: RuntimeSettings
    folder: AppFolder
    models: Models
    layouts: Layouts
    hooks: Hooks
    clients: Clients
    enforcer: Enforcer
    signer: PlatformTokenSigner
    http: Http
    """The way out for service code."""
    secrets: Secrets
    """The app's own secrets, for service code."""
    clock: Clock

    @property
    def enforce_task(self) -> bool:
        """Whether data may be written only in the task its type belongs to (`EnforceDataTypeTaskId`)."""
        return self.folder.settings.enforce_data_type_task_id

    def app_flag(self, name: str, *, default: bool) -> bool:
        """A switch of `AppSettings`; unlike in the folder's own defaults, one that is not mentioned is `default`."""
        value = self.app_setting(name)
        if isinstance(value, str):
            return value.lower() == "true"
        return default if value is None else bool(value)

    def app_setting(self, name: str) -> Any:
        """A value of `AppSettings`, its name in any case; None when it is not there."""
        for section, values in self.folder.settings.raw.items():
            if section.lower() == "appsettings" and isinstance(values, Mapping):
                return next((value for key, value in values.items() if key.lower() == name.lower()), None)
        return None

    def actor(self, principal: Principal, language: str = "nb") -> Actor:
        """`principal` as the one on whose behalf platform APIs are asked."""
        from havn.clients.credentials import Credentials
        from havn.runtime.actor import Actor

        credentials = Credentials(principal.token, self.signer.token(), at_least=principal.at_least)
        return Actor(principal, language, credentials)
