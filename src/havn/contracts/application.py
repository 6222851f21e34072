"""Application metadata, as an app folder carries it and storage keeps it: data types, texts, settings of one app.

Member names are those of Altinn Studio's `applicationmetadata.json`. Members that have no value are left out when
written; unknown ones are ignored when read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


def always(value: Any) -> Any:
    """A default that is written even so: `omit_defaults` leaves out only plain defaults, not those of a factory."""
    return msgspec.field(default_factory=lambda: list(value) if isinstance(value, list) else value)


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of storage's wire types: camelCase names, members without a value left out."""


class ShadowFields(Wire, frozen=True, kw_only=True):
    """Members of a model whose names begin with `prefix` are removed at the end, or saved apart."""

    prefix: str | None = None
    save_to_data_type: str | None = None


class AppLogic(Wire, frozen=True, kw_only=True):
    """What makes a data type form data rather than a file."""

    auto_create: bool | None = None
    class_ref: str | None = None
    schema_ref: str | None = None
    allow_anonymous_on_stateless: bool = always(False)
    auto_delete_on_process_end: bool = always(False)
    disallow_user_create: bool = always(False)
    disallow_user_delete: bool = always(False)
    shadow_fields: ShadowFields | None = None


class DataType(Wire, frozen=True, kw_only=True):
    """One kind of data element that instances of an app may hold. `maxSize` is in MB (MiB), 0 counts mean no bound."""

    id: str
    description: dict[str, str] | None = None
    allowed_content_types: list[str] | None = None
    allowed_contributers: list[str] | None = None
    allowed_contributors: list[str] | None = None
    action_required_to_read: str | None = None
    action_required_to_write: str | None = None
    app_logic: AppLogic | None = None
    task_id: str | None = None
    max_size: int | None = None
    max_count: int = always(0)
    min_count: int = always(0)
    grouping: str | None = None
    enable_pdf_creation: bool = always(True)
    enable_file_scan: bool = always(False)
    validation_error_on_pending_file_scan: bool = always(False)
    enabled_file_analysers: list[str] = always([])
    enabled_file_validators: list[str] = always([])
    allowed_keys_for_user_defined_metadata: list[str] | None = None

    @property
    def contributors(self) -> list[str]:
        """Who alone may write elements of this type, under either spelling; empty for everybody."""
        return self.allowed_contributors or self.allowed_contributers or []


class DataField(Wire, frozen=True, kw_only=True):
    """A value picked out of a data type's model, shown or searched under `id`."""

    id: str
    path: str
    data_type_id: str | None = None


class PartyTypesAllowed(Wire, frozen=True, kw_only=True):
    """Kinds of party that may own an instance; none set means all."""

    bankruptcy_estate: bool = always(False)
    organisation: bool = always(False)
    person: bool = always(False)
    sub_unit: bool = always(False)


class EFormidling(Wire, frozen=True, kw_only=True):
    """Sending the instance on by eFormidling when `sendAfterTaskId` ends."""

    service_id: str | None = None
    dpf_shipment_type: str | None = None
    receiver: str | None = None
    send_after_task_id: str | None = None
    process: str | None = None
    standard: str | None = None
    type_version: str | None = None
    type: str | None = None
    security_level: int | None = None
    data_types: list[str] | None = None


class OnEntry(Wire, frozen=True, kw_only=True):
    """What a user meets first: `new-instance`, `select-instance`, or a layout set's id."""

    show: str | None = None


class HideSettings(Wire, frozen=True, kw_only=True):
    """When instances are kept out of the message box."""

    hide_always: bool = always(False)
    hide_on_task: list[str] | None = None


class SyncAdapterSettings(Wire, frozen=True, kw_only=True):
    """What is not to be mirrored to other inboxes."""

    disable_sync: bool = always(False)
    enable_user_supplied_dialog_id: bool = always(False)
    disable_create: bool = always(False)
    disable_delete: bool = always(False)
    disable_add_activities: bool = always(False)
    disable_add_transmissions: bool = always(False)
    disable_sync_due_at: bool = always(False)
    disable_sync_status: bool = always(False)
    disable_mark_completed_when_confirmed: bool = always(False)
    disable_sync_content_title: bool = always(False)
    disable_sync_content_summary: bool = always(False)
    disable_sync_content_additional_information: bool = always(False)
    disable_sync_content_extended_status: bool = always(False)
    disable_sync_attachments: bool = always(False)
    disable_sync_api_actions: bool = always(False)
    disable_sync_gui_actions: bool = always(False)


class MessageBoxConfig(Wire, frozen=True, kw_only=True):
    """How instances appear in a message box."""

    hide_settings: HideSettings | None = None
    sync_adapter_settings: SyncAdapterSettings | None = None


class CopyInstanceSettings(Wire, frozen=True, kw_only=True):
    """Whether an archived instance may be copied into a new one, and without what."""

    enabled: bool = always(False)
    excluded_data_types: list[str] | None = None
    excluded_data_fields: list[str] | None = None
    include_attachments: bool = always(False)


class ApiScopes(Wire, frozen=True, kw_only=True):
    """Scopes one kind of caller needs to read and to write."""

    read: str | None = None
    write: str | None = None
    error_message_text_resource_key: str | None = None


class ApiScopesConfiguration(Wire, frozen=True, kw_only=True):
    """Scopes that callers of the app's API need beside the policy."""

    users: ApiScopes | None = None
    service_owners: ApiScopes | None = None
    error_message_text_resource_key: str | None = None


class Keyword(Wire, frozen=True, kw_only=True):
    """A search word in one language."""

    word: str | None = None
    language: str | None = None


class AppAccess(Wire, frozen=True, kw_only=True):
    """How the right to use the app is described where it is delegated."""

    right_description: dict[str, str] | None = None
    delegable: bool = always(False)
    visible: bool = always(False)


class ContactPoint(Wire, frozen=True, kw_only=True):
    """Where to ask about the app."""

    category: str | None = None
    email: str | None = None
    telephone: str | None = None
    contact_page: str | None = None


class Application(Wire, frozen=True, kw_only=True):
    """The metadata of one app; `id` is `{org}/{app}`."""

    id: str | None = None
    version_id: str | None = None
    org: str | None = None
    title: dict[str, str] | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    process_id: str | None = None
    data_types: list[DataType] = always([])
    party_types_allowed: PartyTypesAllowed | None = None
    auto_delete_on_process_end: bool = always(False)
    prevent_instance_deletion_for_days: int | None = None
    presentation_fields: list[DataField] | None = None
    data_fields: list[DataField] | None = None
    e_formidling: EFormidling | None = None
    on_entry: OnEntry | None = None
    message_box_config: MessageBoxConfig | None = None
    copy_instance_settings: CopyInstanceSettings | None = None
    api_scopes: ApiScopesConfiguration | None = None
    storage_account_number: int | None = None
    disallow_user_instantiation: bool = always(False)
    homepage: str | None = None
    keywords: list[Keyword] | None = None
    description: dict[str, str] | None = None
    access: AppAccess | None = None
    contact_points: list[ContactPoint] | None = None
    created: datetime | None = None
    created_by: str | None = None
    last_changed: datetime | None = None
    last_changed_by: str | None = None

    def data_type(self, type_id: str) -> DataType | None:
        """The data type with this id."""
        return next((each for each in self.data_types if each.id == type_id), None)


class ApplicationList(Wire, frozen=True, kw_only=True):
    """Several applications."""

    applications: list[Application] = always([])


class TextVariable(Wire, frozen=True, kw_only=True):
    """A value put into a text at `{n}`, n being its place in the list."""

    key: str
    data_source: str
    default_value: str | None = None


class TextResourceElement(Wire, frozen=True, kw_only=True):
    """One text by its key."""

    id: str
    value: str = always("")
    variables: list[TextVariable] | None = None


class TextResource(Wire, frozen=True, kw_only=True):
    """The texts of one app in one language; `id` is `{org}-{app}-{language}`."""

    id: str | None = None
    org: str | None = None
    language: str
    resources: list[TextResourceElement] = always([])
