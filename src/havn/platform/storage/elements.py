"""Data elements: added, replaced, read, marked, removed, and what each of these does to the instance's read status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from starlette.requests import Request

from havn.contracts.storage import DataElement, DataType, FileScanResult, ReadStatus, Reference
from havn.guard.principal import Principal
from havn.kit.blobs import BlobContent, BlobNotFoundError
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage import happenings, uploads
from havn.platform.storage.access import Access, is_owner, not_found
from havn.platform.storage.bodies import aware
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.changes import Call, Changes
from havn.platform.storage.contents import Contents
from havn.platform.storage.ids import new_guid
from havn.platform.storage.instances import require_same_request
from havn.platform.storage.store import Connection, UniqueViolation, elements, events, instances
from havn.platform.storage.store.elements import Content, Metadata
from havn.platform.storage.store.rows import Stamp, Stored
from havn.platform.storage.uploads import Received


class Links(msgspec.Struct, frozen=True):
    """What an upload says it belongs to."""

    refs: list[str]
    task: str | None

    @classmethod
    def of(cls, refs: Sequence[str], task: str | None) -> Links:
        """400 unless every one of `refs` is a guid."""
        try:
            return cls([str(UUID(each)) for each in refs], task or None)
        except ValueError:
            raise Problem(400, "refs must be guids of data elements.", code="invalid_refs") from None

    @property
    def references(self) -> list[Reference] | None:
        """The task as a reference."""
        if self.task is None:
            return None
        return [Reference(value=self.task, relation="GeneratedFrom", value_type="Task")]


class Elements:
    """What can be done to data elements."""

    def __init__(
        self, changes: Changes, access: Access, catalogue: Catalogue, contents: Contents, clock: Clock, limit: int
    ) -> None:
        self._changes = changes
        self._access = access
        self._catalogue = catalogue
        self._contents = contents
        self._clock = clock
        self._limit = limit

    async def add(
        self, call: Call, request: Request, guid: str, type_id: str | None, links: Links, key: str | None
    ) -> DataElement:
        """Add an element with the request's content, once for each `key` of the caller."""
        if not type_id:
            raise Problem(400, "dataType must be given.", code="data_type_missing")
        data_type: DataType | None = None

        async def allow(stored: Stored) -> None:
            nonlocal data_type
            data_type = (await self._catalogue.require_of(stored)).data_type(type_id)
            await self._access.act(call.principal, stored, "write", sync=True)
            if data_type is None:
                raise Problem(
                    400, f"Requested element type {type_id} is not a data type of the app.", code="unknown_data_type"
                )
            await self._access.write_type(call.principal, stored, data_type)

        seen = await self._changes.find(guid)
        await allow(seen)
        self._changes.heed(seen.lock_hash, call)
        by, request_text = call.principal.performed_by(), f"element {guid} {type_id}"
        if key is not None and (found := await self._replayed(by, key, request_text)):
            return found
        upload = await uploads.receive(request, self._limit, plus_is_space=True)
        element_id = new_guid(self._clock())
        received = await self._contents.receive(
            upload, seen, element_id, empty=Problem(400, "The content is empty.", code="no_content")
        )

        async def act(connection: Connection, stored: Stored) -> DataElement:
            assert data_type is not None
            now = self._clock()
            by_owner = is_owner(call.principal, stored.org)
            return await elements.insert(
                connection,
                guid,
                element_id,
                type_id,
                _content(received, links, data_type, is_read=not by_owner),
                Stamp(now, by),
                read_status=_after_new(stored, unread=by_owner),
                event=happenings.made("Created", _id(stored), call.principal, now, data_id=element_id),
                key=key,
                request=request_text,
                link=_link(stored),
            )

        try:
            return await self._changes.run(guid, call, allow, act, seen=seen)
        except (Problem, UniqueViolation) as error:
            await self._give_up(received, error)
            if isinstance(error, UniqueViolation) and key is not None:
                # The same call has run at the same time.
                found = await self._replayed(by, key, request_text)
                if found is not None:
                    return found
            raise

    async def replace(self, call: Call, request: Request, guid: str, element_id: str, links: Links) -> DataElement:
        """Replace an element's content. 409 when locked; 422 without content, and the old one stays."""
        data_type: DataType | None = None

        async def allow(stored: Stored) -> None:
            nonlocal data_type
            await self._access.act(call.principal, stored, "write", sync=True)
            element = _element(call.principal, stored, element_id)
            data_type = (await self._catalogue.require_of(stored)).data_type(element.data_type or "")
            await self._access.write_type(call.principal, stored, data_type)

        seen = await self._changes.find(guid)
        await allow(seen)
        self._changes.heed(seen.lock_hash, call)
        _check_replaceable(_element(call.principal, seen, element_id), call)
        upload = await uploads.receive(request, self._limit)
        received = await self._contents.receive(
            upload, seen, element_id, empty=Problem(422, "The content is empty.", code="no_content")
        )
        old: str | None = None

        async def act(connection: Connection, stored: Stored) -> DataElement:
            nonlocal old
            element = _element(call.principal, stored, element_id)
            _check_replaceable(element, call)
            old = element.blob_storage_path
            now = self._clock()
            by_owner = is_owner(call.principal, stored.org)
            is_read = element.is_read and not by_owner
            return await elements.replace_content(
                connection,
                guid,
                element,
                _content(received, links, data_type, is_read=is_read),
                Stamp(now, call.principal.performed_by()),
                read_status=_after_update(stored, element_id, unread=by_owner),
                event=happenings.made("Saved", _id(stored), call.principal, now, data_id=element_id),
                link=_link(stored),
            )

        try:
            element = await self._changes.run(guid, call, allow, act, seen=seen, match=False)
        except Problem as problem:
            await self._give_up(received, problem)
            raise
        if old is not None:
            await self._contents.drop(old)
        return element

    async def open(self, principal: Principal, guid: str, element_id: str) -> tuple[DataElement, BlobContent]:
        """An element and its content; the first reader who is not the owner makes it read."""
        for _ in range(5):
            stored = await self._changes.find(guid)
            await self._access.act(principal, stored, "read")
            element = _element(principal, stored, element_id)
            application = await self._catalogue.of(stored)
            data_type = application.data_type(element.data_type or "") if application else None
            await self._access.read_type(principal, stored, data_type)
            if not element.is_read and not is_owner(principal, stored.org):
                version = await elements.set_read(self._changes.database, guid, element_id, element.version or 0)
                if version is None:
                    continue  # changed since we looked: what is answered must be one version, content and number
                element = msgspec.structs.replace(element, is_read=True, version=version)
            try:
                return element, await self._contents.open(element.blob_storage_path)
            except BlobNotFoundError:
                continue  # replaced between the two reads: the row names another blob by now
        raise not_found("content")

    async def put_metadata(self, call: Call, guid: str, element_id: str, wanted: DataElement) -> DataElement:
        """Replace what of an element can be replaced without its content; what `wanted` leaves out is emptied."""
        if (wanted.id or "").lower() != element_id or (wanted.instance_guid or "").lower() != guid:
            raise Problem(400, "id and instanceGuid must be those of the address.", code="wrong_ids")
        deleted = wanted.delete_status
        links = Links.of(wanted.refs, None)

        async def act(connection: Connection, stored: Stored) -> DataElement:
            element = _element(call.principal, stored, element_id)
            if call.if_match is not None:
                call.if_match.check(element.version)
            now = self._clock()
            gone: datetime | None = None
            if deleted is not None and deleted.is_hard_deleted:
                gone = aware(deleted.hard_deleted) or now
            metadata = Metadata(
                locked=wanted.locked,
                refs=links.refs,
                references=wanted.references,
                tags=wanted.tags,
                user_defined_metadata=wanted.user_defined_metadata,
                metadata=wanted.metadata,
                hard_deleted=gone,
            )
            stamp = Stamp(now, call.principal.performed_by())
            return await elements.replace_metadata(connection, guid, element_id, metadata, stamp, _link(stored))

        return await self._changes.run(guid, call, self._may_write(call, element_id), act, match=False)

    async def delete(self, call: Call, guid: str, element_id: str, *, delay: bool) -> DataElement:
        """Remove an element, locked or not; `delay` only marks it, and only in types that end with the process."""
        old: str | None = None
        may_write = self._may_write(call, element_id)
        data_type: DataType | None = None

        async def allow(stored: Stored) -> None:
            nonlocal data_type
            await may_write(stored)
            application = await self._catalogue.of(stored)
            element = _element(call.principal, stored, element_id)
            data_type = application.data_type(element.data_type or "") if application else None

        async def act(connection: Connection, stored: Stored) -> DataElement:
            nonlocal old
            element = _element(call.principal, stored, element_id)
            if call.if_match is not None:
                call.if_match.check(element.version)
            now = self._clock()
            stamp = Stamp(now, call.principal.performed_by())
            status = _after_delete(stored)
            if delay:
                if not (data_type and data_type.app_logic and data_type.app_logic.auto_delete_on_process_end):
                    raise Problem(
                        400, "Only elements that are deleted as the process ends can be deleted later.", code="no_delay"
                    )
                if element.delete_status is not None:
                    return element
                marked = await elements.mark_deleted(connection, guid, element_id, stamp, status, _link(stored))
            else:
                await elements.remove(connection, guid, [element_id], stamp, status)
                old = element.blob_storage_path
                marked = element
            event = happenings.made("Deleted", _id(stored), call.principal, now, data_id=element_id)
            await events.insert(connection, guid, [event])
            return marked

        element = await self._changes.run(guid, call, allow, act, match=False)
        if old is not None:
            await self._contents.drop(old)
        return element

    async def set_locked(self, call: Call, guid: str, element_id: str, *, locked: bool) -> tuple[DataElement, bool]:
        """Lock or unlock; also whether that changed anything."""

        async def allow(stored: Stored) -> None:
            if locked:
                await self._access.process(call.principal, stored)
            else:
                await self._access.act(call.principal, stored, "write", "unlock", "reject")
            _element(call.principal, stored, element_id)

        async def act(connection: Connection, stored: Stored) -> tuple[DataElement, bool]:
            element = _element(call.principal, stored, element_id)
            if element.locked == locked:
                return element, False
            return await elements.set_locked(connection, guid, element_id, locked, _link(stored)), True

        return await self._changes.run(guid, call, allow, act, match=False)

    async def set_scan_result(self, guid: str, element_id: str, result: FileScanResult) -> None:
        """A scanner's verdict; 404 when there is no such element."""
        if await elements.set_scan_result(self._changes.database, guid, element_id, result, "") is None:
            raise not_found("data element")

    async def exists(self, guid: str, element_id: str) -> bool:
        """Whether the instance has the element."""
        return await elements.exists(self._changes.database, guid, element_id)

    def _may_write(self, call: Call, element_id: str) -> Callable[[Stored], Awaitable[None]]:
        async def allow(stored: Stored) -> None:
            await self._access.act(call.principal, stored, "write", sync=True)
            element = _element(call.principal, stored, element_id)
            application = await self._catalogue.of(stored)
            data_type = application.data_type(element.data_type or "") if application else None
            await self._access.write_type(call.principal, stored, data_type)

        return allow

    async def _give_up(self, received: Received, error: Exception) -> None:
        """Remove a blob that no row refers to.

        Not when the database went away: the row may have been committed without our hearing of it. If it was not, the
        blob is still on the garbage list.
        """
        if not (isinstance(error, Problem) and error.status >= 500):
            await self._contents.drop(received.blob_path)

    async def _replayed(self, by: str, key: str, request: str) -> DataElement | None:
        found = await instances.replayed(self._changes.database, by, key)
        if found is None:
            return None
        require_same_request(found[0], request)
        element = (await self._changes.find(found[1])).instance.element(found[2] or "")
        if element is None:
            raise not_found("data element")
        return element


def _element(principal: Principal, stored: Stored, element_id: str) -> DataElement:
    """The element of this very instance; 404 otherwise, and for a hard-deleted one unless to the owner."""
    element = stored.instance.element(element_id)
    if element is None or (element.delete_status is not None and not is_owner(principal, stored.org)):
        raise not_found("data element")
    return element


def _check_replaceable(element: DataElement, call: Call) -> None:
    if call.if_match is not None:
        call.if_match.check(element.version)
    if element.locked:
        raise Problem(409, "The data element is locked and cannot be changed.", code="element_locked")


def _content(received: Received, links: Links, data_type: DataType | None, *, is_read: bool) -> Content:
    return Content(
        blob_path=received.blob_path,
        size=received.size,
        content_hash=received.content_hash,
        content_type=received.content_type,
        filename=received.filename,
        refs=links.refs,
        references=links.references,
        file_scan_result="Pending" if data_type is not None and data_type.enable_file_scan else "NotApplicable",
        is_read=is_read,
    )


def _after_new(stored: Stored, *, unread: bool) -> ReadStatus:
    status = stored.status.read_status
    return "UpdatedSinceLastReview" if unread and status == "Read" else status


def _after_update(stored: Stored, element_id: str, *, unread: bool) -> ReadStatus:
    """Unread once no element is read any more."""
    status = stored.status.read_status
    others_read = any(each.is_read and each.id != element_id for each in stored.instance.data)
    return "Unread" if unread and status == "Read" and not others_read else status


def _after_delete(stored: Stored) -> ReadStatus:
    """Unread when no element is read, the one being deleted included."""
    status = stored.status.read_status
    return "Unread" if status == "Read" and not any(each.is_read for each in stored.instance.data) else status


def _id(stored: Stored) -> str:
    assert stored.instance.id is not None
    return stored.instance.id


def _link(stored: Stored) -> str:
    links = stored.instance.self_links
    assert links is not None
    assert links.platform is not None
    return links.platform
