"""From rows to the contract's types and back: the column lists and the only places that know their order."""

# ruff: noqa: S608 - the statements differ by column lists of ours; every value is an argument
from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from havn.contracts.storage import (
    CompleteConfirmation,
    DataElement,
    DeleteStatus,
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

ELEMENT = """
e.instance_guid, e.guid, e.version, e.data_type, e.filename, e.content_type, e.blob_path, e.size, e.content_hash,
e.locked, e.is_read, e.file_scan_result, e.is_hard_deleted, e.hard_deleted, e.refs, e.tags, e.user_defined_metadata,
e.metadata, e.made_from, e.created, e.created_by, e.last_changed, e.last_changed_by"""

ELEMENTS = f"array(select row({ELEMENT}) from data_element e where e.instance_guid = i.guid order by e.created, e.guid)"
"""The elements of instance `i`, oldest first."""

_owner = msgspec.json.Decoder(InstanceOwner)
_process = msgspec.json.Decoder(ProcessState)
_substatus = msgspec.json.Decoder(Substatus)
_confirmations = msgspec.json.Decoder(list[CompleteConfirmation])
_texts = msgspec.json.Decoder(dict[str, str])
_entries = msgspec.json.Decoder(list[KeyValueEntry])
_references = msgspec.json.Decoder(list[Reference])


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
        data=[to_element(each, link) for each in elements or ()],
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
    (
        instance, guid, version, data_type, filename, content_type, path, size, content_hash, locked, is_read, scan,
        is_hard, hard, refs, tags, user_metadata, metadata, made_from, created, created_by, changed, changed_by,
    ) = row  # fmt: skip
    return DataElement(
        id=str(guid),
        instance_guid=str(instance),
        data_type=data_type,
        filename=filename,
        content_type=content_type,
        blob_storage_path=path,
        self_links=ResourceLinks(platform=f"{link}/data/{guid}"),
        size=size,
        content_hash=content_hash,
        locked=locked,
        refs=refs,
        is_read=is_read,
        tags=tags,
        user_defined_metadata=None if user_metadata is None else _entries.decode(user_metadata),
        metadata=None if metadata is None else _entries.decode(metadata),
        delete_status=DeleteStatus(is_hard_deleted=True, hard_deleted=hard) if is_hard else None,
        file_scan_result=scan,
        references=None if made_from is None else _references.decode(made_from),
        created=created,
        created_by=created_by,
        last_changed=changed,
        last_changed_by=changed_by,
        version=version,
    )


class Stamp(msgspec.Struct, frozen=True):
    """Who changed something, and when."""

    at: datetime
    by: str
