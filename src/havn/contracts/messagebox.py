"""Wire types of the Storage API for message boxes. Members of the answers that have no value are null."""

from __future__ import annotations

from datetime import datetime

import msgspec

from havn.contracts.application import Wire, always
from havn.contracts.storage import PlatformUser, ReadStatus, Substatus


class MessageBoxQuery(Wire, frozen=True, kw_only=True):
    """Which instances a person's message box shows."""

    instance_owner_party_id_list: list[int] = always([])
    app_id: str | None = None
    include_active: bool = always(False)
    include_archived: bool = always(False)
    include_deleted: bool = always(False)
    from_last_changed: datetime | None = None
    to_last_changed: datetime | None = None
    from_created: datetime | None = None
    to_created: datetime | None = None
    search_string: str | None = None
    archive_reference: str | None = None
    filter_migrated: bool | None = None
    language: str | None = None


class MessageBoxInstance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of a message box. `id` is the guid alone; `deleteStatus` is 1 when soft deleted."""

    id: str
    instance_owner_id: str
    org: str
    app_name: str
    title: str
    process_current_task: str
    created_date_time: datetime
    last_changed_by: str
    due_date_time: datetime | None
    delete_status: int
    read_status: ReadStatus
    substatus: Substatus | None
    allow_delete: bool
    allow_new_copy: bool
    authorized_for_write: bool
    authorized_for_sign: bool
    archived_date_time: datetime | None
    deleted_date_time: datetime | None
    presentation_text: str | None
    data_values: dict[str, str] | None


class MessageBoxEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of an instance's history in a message box."""

    id: str
    created_date_time: datetime | None
    event_type: str | None
    user: PlatformUser | None
    related_user: PlatformUser | None
    additional_info: str | None
