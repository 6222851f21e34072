"""Data elements: every statement names instance and element, so that one instance's caller never reaches another's.

A change of an element also counts the instance's version up: the instance's representation holds its elements.
"""

# ruff: noqa: S608 - the statements differ by column lists of ours; every value is an argument
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.storage import (
    DataElement,
    FileScanResult,
    InstanceEvent,
    KeyValueEntry,
    ReadStatus,
    Reference,
)
from havn.platform.storage.store import Queries
from havn.platform.storage.store.rows import ELEMENT, Stamp, to_element


class Content(msgspec.Struct, frozen=True):
    """What an upload brought; the blob is in place."""

    blob_path: str
    size: int
    content_hash: str
    content_type: str
    filename: str | None
    refs: list[str]
    references: list[Reference] | None
    file_scan_result: FileScanResult
    is_read: bool


async def insert(
    queries: Queries,
    instance: str,
    guid: str,
    data_type: str,
    content: Content,
    stamp: Stamp,
    *,
    locked: bool = False,
    read_status: ReadStatus,
    event: InstanceEvent,
    key: str | None = None,
    request: str | None = None,
    link: str,
) -> DataElement:
    """Write an element, its event and key, and move the instance; the blob is garbage no more."""
    row = await queries.fetchrow(
        f"""
        with e as (
            insert into data_element (instance_guid, guid, data_type, filename, content_type, blob_path, size,
                content_hash, locked, is_read, file_scan_result, refs, made_from, created, created_by, last_changed,
                last_changed_by)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $14, $15) returning *
        ), moved as (
            update instance set version = version + 1, last_changed = $14, last_changed_by = $15, read_status = $16
            where guid = $1
        ), kept as (
            delete from blob_garbage where path = $6
        ), keyed as (
            insert into idempotency (caller, key, request, instance_guid, element_guid, created)
            select $15, $17, $18, $1, $2, $14 where $17::text is not null
        ), written as (
            insert into instance_event (instance_guid, guid, created, event_type, document)
            values ($1, $19, $14, $20, $21)
        )
        select {ELEMENT} from e""",
        instance,
        guid,
        data_type,
        content.filename,
        content.content_type,
        content.blob_path,
        content.size,
        content.content_hash,
        locked,
        content.is_read,
        content.file_scan_result,
        content.refs,
        content.references,
        stamp.at,
        stamp.by,
        read_status,
        key,
        request,
        event.id,
        event.event_type,
        event,
    )
    return to_element(row, link)


async def replace_content(
    queries: Queries,
    instance: str,
    element: DataElement,
    content: Content,
    stamp: Stamp,
    *,
    read_status: ReadStatus,
    event: InstanceEvent,
    link: str,
) -> DataElement:
    """Point the element at its new blob; the old one becomes garbage."""
    row = await queries.fetchrow(
        f"""
        with e as (
            update data_element set version = version + 1, filename = $3, content_type = $4, blob_path = $5, size = $6,
                content_hash = $7, is_read = $8, file_scan_result = $9, refs = $10, made_from = $11,
                last_changed = $12, last_changed_by = $13
            where instance_guid = $1 and guid = $2 returning *
        ), moved as (
            update instance set version = version + 1, last_changed = $12, last_changed_by = $13, read_status = $14
            where guid = $1
        ), kept as (
            delete from blob_garbage where path = $5
        ), dropped as (
            insert into blob_garbage (path, after) values ($15, $12) on conflict do nothing
        ), written as (
            insert into instance_event (instance_guid, guid, created, event_type, document)
            values ($1, $16, $12, $17, $18)
        )
        select {ELEMENT} from e""",
        instance,
        element.id,
        content.filename,
        content.content_type,
        content.blob_path,
        content.size,
        content.content_hash,
        content.is_read,
        content.file_scan_result,
        content.refs,
        content.references,
        stamp.at,
        stamp.by,
        read_status,
        element.blob_storage_path,
        event.id,
        event.event_type,
        event,
    )
    return to_element(row, link)


class Metadata(msgspec.Struct, frozen=True):
    """The part of an element that may be replaced without its content."""

    locked: bool
    refs: list[str]
    references: list[Reference] | None
    tags: list[str]
    user_defined_metadata: list[KeyValueEntry] | None
    metadata: list[KeyValueEntry] | None
    hard_deleted: datetime | None


async def replace_metadata(
    queries: Queries, instance: str, guid: str, metadata: Metadata, stamp: Stamp, link: str
) -> DataElement:
    """Replace all of it, and move the instance's time of change."""
    row = await queries.fetchrow(
        f"""
        with e as (
            update data_element set version = version + 1, locked = $3, refs = $4, made_from = $5, tags = $6,
                user_defined_metadata = $7, metadata = $8, is_hard_deleted = $9::timestamptz is not null,
                hard_deleted = $9, last_changed = $10, last_changed_by = $11
            where instance_guid = $1 and guid = $2 returning *
        ), moved as (
            update instance set version = version + 1, last_changed = $10, last_changed_by = $11 where guid = $1
        )
        select {ELEMENT} from e""",
        instance,
        guid,
        metadata.locked,
        metadata.refs,
        metadata.references,
        metadata.tags,
        metadata.user_defined_metadata,
        metadata.metadata,
        metadata.hard_deleted,
        stamp.at,
        stamp.by,
    )
    return to_element(row, link)


async def mark_deleted(
    queries: Queries, instance: str, guid: str, stamp: Stamp, read_status: ReadStatus, link: str
) -> DataElement:
    """Mark for removal later."""
    row = await queries.fetchrow(
        f"""
        with e as (
            update data_element set version = version + 1, is_hard_deleted = true, hard_deleted = $3, last_changed = $3,
                last_changed_by = $4
            where instance_guid = $1 and guid = $2 returning *
        ), moved as (
            update instance set version = version + 1, last_changed = $3, last_changed_by = $4, read_status = $5
            where guid = $1
        )
        select {ELEMENT} from e""",
        instance,
        guid,
        stamp.at,
        stamp.by,
        read_status,
    )
    return to_element(row, link)


async def remove(queries: Queries, instance: str, guids: Sequence[str], stamp: Stamp, read_status: ReadStatus) -> None:
    """Remove rows; their blobs become garbage."""
    await queries.execute(
        """
        with gone as (
            delete from data_element where instance_guid = $1 and guid = any($2::uuid[]) returning blob_path
        ), dropped as (
            insert into blob_garbage (path, after) select blob_path, $3 from gone on conflict do nothing
        )
        update instance set version = version + 1, last_changed = $3, last_changed_by = $4, read_status = $5
        where guid = $1""",
        instance,
        list(guids),
        stamp.at,
        stamp.by,
        read_status,
    )


async def set_locked(queries: Queries, instance: str, guid: str, locked: bool, link: str) -> DataElement:
    """Lock or unlock an element that is there; no time of change moves."""
    element = await _set(queries, instance, guid, "locked", locked, link)
    assert element is not None
    return element


async def set_scan_result(
    queries: Queries, instance: str, guid: str, result: FileScanResult, link: str
) -> DataElement | None:
    """A scanner's verdict; None when there is no such element."""
    return await _set(queries, instance, guid, "file_scan_result", result, link)


async def set_read(queries: Queries, instance: str, guid: str, seen_version: int) -> int | None:
    """Somebody else than the owning org reads it; returns the new version, or None when it is no longer as seen.

    The instance's row is locked first, as every change does: the other order would be a deadlock.
    """
    version: int | None = await queries.fetchval(
        """
        with held as (
            select from instance where guid = $1 for update
        ), seen as (
            update data_element set version = version + 1, is_read = true
            where exists (select from held) and instance_guid = $1 and guid = $2 and version = $3
            returning version
        ), moved as (
            update instance set version = version + 1 where guid = $1 and exists (select from seen)
        )
        select version from seen""",
        instance,
        guid,
        seen_version,
    )
    return version


async def exists(queries: Queries, instance: str, guid: str) -> bool:
    """Whether the instance has the element."""
    return bool(
        await queries.fetchval(
            "select exists (select from data_element where instance_guid = $1 and guid = $2)", instance, guid
        )
    )


async def _set(queries: Queries, instance: str, guid: str, column: str, value: object, link: str) -> DataElement | None:
    row = await queries.fetchrow(
        f"""
        with e as (
            update data_element set version = version + 1, {column} = $3
            where instance_guid = $1 and guid = $2 returning *
        ), moved as (
            update instance set version = version + 1 where guid = $1 and exists (select from e)
        )
        select {ELEMENT} from e""",
        instance,
        guid,
        value,
    )
    return None if row is None else to_element(row, link)
