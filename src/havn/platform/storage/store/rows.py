"""From rows to the contract's types and back: the column lists and the only places that know their order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.storage import (
    CompleteConfirmation,
    DataElement,
    DeleteStatus,
    FileScanResult,
    Instance,
    InstanceOwner,
    InstanceStatus,
    KeyValueEntry,
    ProcessState,
    Reference,
    ResourceLinks,
    Substatus,
)

INSTANCE = """
i.guid, i.org, i.app, i.party_id, i.owner, i.version, i.due_before, i.visible_after, i.process,
i.is_archived, i.archived, i.is_soft_deleted, i.soft_deleted, i.is_hard_deleted, i.hard_deleted, i.read_status,
i.substatus, i.confirmations, i.presentation_texts, i.data_values, i.created, i.created_by, i.last_changed,
i.last_changed_by"""

ELEMENT = "row_to_json(e)::text"
"""A row of data_element, called e. As JSON it is decoded in one go, which costs less than twenty columns one by one."""

ELEMENTS = """(
    select json_agg(e order by e.created, e.guid)::text from data_element e where e.instance_guid = i.guid)"""
"""The elements of instance i, oldest first; null when it has none."""

_owner = msgspec.json.Decoder(InstanceOwner)
_process = msgspec.json.Decoder(ProcessState)
_substatus = msgspec.json.Decoder(Substatus)
_confirmations = msgspec.json.Decoder(list[CompleteConfirmation])
_texts = msgspec.json.Decoder(dict[str, str])


class _ElementRow(msgspec.Struct):
    """The columns of data_element."""

    instance_guid: str
    guid: str
    version: int
    data_type: str
    filename: str | None
    content_type: str
    blob_path: str
    size: int
    content_hash: str
    locked: bool
    is_read: bool
    file_scan_result: FileScanResult
    is_hard_deleted: bool
    hard_deleted: datetime | None
    refs: list[str]
    tags: list[str]
    user_defined_metadata: list[KeyValueEntry] | None
    metadata: list[KeyValueEntry] | None
    made_from: list[Reference] | None
    created: datetime
    created_by: str
    last_changed: datetime
    last_changed_by: str


_element = msgspec.json.Decoder(_ElementRow)
_elements = msgspec.json.Decoder(list[_ElementRow])


class Stored(msgspec.Struct, frozen=True):
    """An instance as it lies in the database, with what a decision about it needs."""

    instance: Instance
    guid: str
    org: str
    app: str
    party: int
    version: int
    application_version: int | None
    """Of the application's metadata now in force; None when the application is unknown."""
    lock_hash: bytes | None
    """SHA-256 of the secret that holds the instance's lock; None when nobody holds it."""

    @property
    def app_id(self) -> str:
        """`{org}/{app}`."""
        return f"{self.org}/{self.app}"

    @property
    def last_changed(self) -> datetime:
        """When the instance was last changed."""
        assert self.instance.last_changed is not None
        return self.instance.last_changed

    @property
    def task(self) -> str | None:
        """The current task's id."""
        process = self.instance.process
        return process.current_task.element_id if process and process.current_task else None

    @property
    def end_event(self) -> str | None:
        """The end event's id, once the process has ended and no task is current."""
        process = self.instance.process
        return process.end_event if process and not self.task else None

    @property
    def status(self) -> InstanceStatus:
        """Archived, deleted, read."""
        assert self.instance.status is not None
        return self.instance.status


class Outline(msgspec.Struct, frozen=True):
    """Of an instance only what a decision about it needs, and its place in the order; members as those of `Stored`."""

    guid: str
    org: str
    app: str
    party: int
    last_changed: datetime
    application_version: int | None
    task: str | None
    end_event: str | None

    @property
    def app_id(self) -> str:
        """`{org}/{app}`."""
        return f"{self.org}/{self.app}"


def to_stored(row: Any, links: str) -> Stored:
    """A row of `INSTANCE`, elements (or null), application version, lock hash."""
    instance = to_instance(row, links)
    return Stored(instance, str(row[0]), row[1], row[2], row[3], row[5], row[25], row[26])


def to_instance(row: Any, links: str) -> Instance:
    """A row of `INSTANCE` followed by elements (or null); `links` is the public address of the API."""
    (
        guid, org, app, party, owner, version, due, visible, process, is_archived, archived, is_soft, soft, is_hard,
        hard, read_status, substatus, confirmations, texts, values, created, created_by, changed, changed_by,
        elements, *_,
    ) = row  # fmt: skip
    instance_id = f"{party}/{guid}"
    link = f"{links}/instances/{instance_id}"
    return Instance(
        id=instance_id,
        instance_owner=_owner.decode(owner),
        app_id=f"{org}/{app}",
        org=org,
        self_links=ResourceLinks(platform=link),
        due_before=due,
        visible_after=visible,
        process=None if process is None else _process.decode(process),
        status=InstanceStatus(
            is_archived=is_archived,
            archived=archived,
            is_soft_deleted=is_soft,
            soft_deleted=soft,
            is_hard_deleted=is_hard,
            hard_deleted=hard,
            read_status=read_status,
            substatus=None if substatus is None else _substatus.decode(substatus),
        ),
        complete_confirmations=None if confirmations is None else _confirmations.decode(confirmations),
        data=[] if elements is None else [_to_element(each, link) for each in _elements.decode(elements)],
        presentation_texts=None if texts is None else _texts.decode(texts),
        data_values=None if values is None else _texts.decode(values),
        created=created,
        created_by=created_by,
        last_changed=changed,
        last_changed_by=changed_by,
        version=version,
    )


def to_element(row: Any, link: str) -> DataElement:
    """A row of `ELEMENT`; `link` is the public address of its instance."""
    return _to_element(_element.decode(row[0]), link)


def _to_element(row: _ElementRow, link: str) -> DataElement:
    return DataElement(
        id=row.guid,
        instance_guid=row.instance_guid,
        data_type=row.data_type,
        filename=row.filename,
        content_type=row.content_type,
        blob_storage_path=row.blob_path,
        self_links=ResourceLinks(platform=f"{link}/data/{row.guid}"),
        size=row.size,
        content_hash=row.content_hash,
        locked=row.locked,
        refs=row.refs,
        is_read=row.is_read,
        tags=row.tags,
        user_defined_metadata=row.user_defined_metadata,
        metadata=row.metadata,
        delete_status=DeleteStatus(is_hard_deleted=True, hard_deleted=row.hard_deleted)
        if row.is_hard_deleted
        else None,
        file_scan_result=row.file_scan_result,
        references=row.made_from,
        created=row.created,
        created_by=row.created_by,
        last_changed=row.last_changed,
        last_changed_by=row.last_changed_by,
        version=row.version,
    )


class Stamp(msgspec.Struct, frozen=True):
    """Who changed something, and when."""

    at: datetime
    by: str
