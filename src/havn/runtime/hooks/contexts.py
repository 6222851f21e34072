"""What service code is given: the first argument of every hook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from havn.contracts.storage import DataElement, Instance
from havn.guard.principal import Principal
from havn.runtime.http import Http
from havn.runtime.secrets import Secrets

T = TypeVar("T")
NO_WAY_OUT = Http(None)
NO_SECRETS = Secrets(None)


class Data(Protocol):
    """The instance's data, read and changed; everything changed is saved once, when the hook has returned.

    A model may be asked for as a type made by `havn models`, or as plain `dict`. Changing the object you get is enough.
    """

    @property
    def elements(self) -> Sequence[DataElement]:
        """All data elements of the instance, those just added included."""

    async def model(self, data_type: str, as_: type[T]) -> T:
        """The model of the first element of `data_type`. Raises LookupError when there is none."""

    async def models(self, data_type: str, as_: type[T]) -> Mapping[str, T]:
        """The models of every element of `data_type`, by element id."""

    async def clean_model(self, data_type: str, as_: type[T]) -> T:
        """As `model`, a copy without what is hidden in the current task's layout."""

    async def content(self, element_id: str) -> bytes:
        """The bytes of an attachment, at most 50 MiB."""

    def add_form(self, data_type: str, model: Any) -> None:
        """Add a form element."""

    def add_file(self, data_type: str, filename: str, content_type: str, content: bytes) -> None:
        """Add an attachment."""

    def update_file(self, element_id: str, content: bytes) -> None:
        """Replace the bytes of an attachment."""

    def remove(self, element_id: str) -> None:
        """Delete an element."""


class Context(msgspec.Struct, kw_only=True):
    """Common to all hooks."""

    org: str
    app: str
    environment: str
    language: str
    """Two letters: what the user reads."""
    principal: Principal
    """Who is asking; never write its token anywhere."""
    now: datetime
    """The moment of the request, UTC."""
    settings: Mapping[str, Any] = {}
    """The app's `appsettings`, merged for this environment."""
    folder: PurePath
    """The app folder, for reading files the app brings along."""
    http: Http = NO_WAY_OUT
    """Requests to other systems, through the API proxy (see `havn.runtime.http`); for hooks that are `async`."""
    secrets: Secrets = NO_SECRETS

    def secret(self, name: str) -> str:
        """The value of the secret that `havn secret set` stored. Raises `LookupError` when there is none."""
        return self.secrets.get(name)


class InstanceContext(Context, kw_only=True):
    """A hook that concerns one instance. `task` is None before the process has started and after it has ended."""

    instance: Instance
    task: str | None
    data: Data


class ReadContext(Context, kw_only=True):
    """Data is being read. No instance in a stateless app."""

    instance: Instance | None = None
    element_id: str | None = None


class WriteContext(Context, kw_only=True):
    """One model is being saved. No instance in a stateless app."""

    instance: Instance | None = None
    element_id: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One element that was created, updated or deleted in this request."""

    kind: Literal["created", "updated", "deleted"]
    data_type: str
    element: DataElement | None
    """None for an element that is still to be created."""
    previous: dict[str, Any] | None = None
    current: dict[str, Any] | None = None
    filename: str | None = None


class ChangesContext(InstanceContext, kw_only=True):
    """After every changed model has been through its own write hooks."""

    changes: Sequence[Change]


class CreateContext(Context, kw_only=True):
    """A new model is being made; `prefill` holds the request's own values."""

    instance: Instance
    prefill: Mapping[str, Any]


class InstantiationContext(Context, kw_only=True):
    """Somebody wants an instance; nothing has been made yet."""

    party_id: int
    party_type: str
    """`person`, `organisation`, `selfIdentified`."""
    due_before: str | None = None
    visible_after: str | None = None


class TaskContext(InstanceContext, kw_only=True):
    """A task is being entered or left; `task` is that task. Must be safe to run again."""

    prefill: Mapping[str, Any] = {}


class ActionContext(InstanceContext, kw_only=True):
    """The user pressed a button with a server action."""

    action: str
    button_id: str | None = None
    metadata: Mapping[str, Any] = {}
    on_behalf_of: str | None = None


class AuthorizeContext(Context, kw_only=True):
    """The policy has said yes to an action; the app may still say no."""

    instance: Instance
    task: str | None
    action: str


class Flow(msgspec.Struct, frozen=True):
    """One way out of a gateway."""

    id: str
    target: str
    condition: Any = None


class GatewayContext(InstanceContext, kw_only=True):
    """The process stands at a gateway; `action` is what the user chose, if anything."""

    gateway: str
    flows: Sequence[Flow]
    action: str | None


class OptionsContext(Context, kw_only=True):
    """Options, rows or external data are asked for."""

    query: Mapping[str, str]
    instance: Instance | None = None


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on its way in; `path` is a temporary file, read it as you like."""

    data_type: str
    filename: str
    content_type: str
    size: int
    path: PurePath
    analyses: Mapping[str, Any] = {}
    """Analyser id to `FileAnalysis`."""
