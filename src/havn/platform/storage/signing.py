"""Signature documents: the hashes of data elements at one moment, kept as a locked element of the instance."""

from __future__ import annotations

from uuid import UUID

import msgspec

from havn.contracts.signing import SignDocument, SignedDataElement, Signee, SignRequest
from havn.contracts.storage import DataElement
from havn.kit.blobs import BlobNotFoundError
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage import happenings
from havn.platform.storage.access import Access, not_found
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.changes import Call, Changes
from havn.platform.storage.contents import Contents, single
from havn.platform.storage.elements import Links
from havn.platform.storage.ids import new_guid
from havn.platform.storage.store import Connection, elements
from havn.platform.storage.store.elements import Content
from havn.platform.storage.store.rows import Stamp, Stored
from havn.platform.storage.uploads import Upload

_MAX_DOCUMENT = 4 * 1024 * 1024


class Signing:
    """Signs."""

    def __init__(
        self, changes: Changes, access: Access, catalogue: Catalogue, contents: Contents, clock: Clock
    ) -> None:
        self._changes = changes
        self._access = access
        self._catalogue = catalogue
        self._contents = contents
        self._clock = clock

    async def sign(self, call: Call, guid: str, request: SignRequest) -> str:
        """Store a signature document and remove earlier ones of the same signee; gives the new element's id.

        Problems: 400 no signee; 404 instance, application, element or content; 405 a document type that the app does
        not have or that belongs to another task.
        """
        signee = request.signee
        if signee is None or not (signee.user_id or signee.system_user_id):
            raise Problem(400, "The signee must have a user id or a system user id.", code="signee_missing")
        type_id = request.signature_document_data_type

        async def allow(stored: Stored) -> None:
            await self._access.act(call.principal, stored, "sign")

        seen = await self._changes.find(guid)
        await allow(seen)
        self._changes.heed(seen.lock_hash, call)
        application = await self._catalogue.require_of(seen)
        data_type = application.data_type(type_id)
        if data_type is None or (data_type.task_id and data_type.task_id != seen.task):
            raise Problem(405, f"{type_id} cannot be signed with in this task.", code="wrong_signature_type")
        signed = [
            await self._hashed(seen, each.data_element_id, signed=each.signed)
            for each in request.data_element_signatures
        ]
        now = self._clock()
        element_id = new_guid(now)
        document = SignDocument(
            id=element_id,
            instance_guid=guid,
            signed_time=now,
            signee_info=signee,
            data_element_signatures=[hashed for _, hashed in signed],
        )
        text = msgspec.json.format(msgspec.json.encode(document), indent=2)
        upload = Upload(single(text), "application/json", f"{type_id}.json", _MAX_DOCUMENT)
        received = await self._contents.receive(upload, seen, element_id, empty=not_found("content"))
        links = Links([], request.generated_from_task)
        earlier: list[str] = []

        async def act(connection: Connection, stored: Stored) -> None:
            for element, _ in signed:
                now_stored = stored.instance.element(element.id or "")
                if now_stored is None or now_stored.blob_storage_path != element.blob_storage_path:
                    raise Problem(409, "What was to be signed has just been changed.", code="changed_while_signing")
            stamp = Stamp(now, call.principal.performed_by())
            replaced = [
                each
                for each in stored.instance.data
                if each.data_type == type_id and await self._signee(each) == signee
            ]
            status = stored.status.read_status
            if replaced:
                await elements.remove(connection, guid, [each.id or "" for each in replaced], stamp, status)
                earlier.extend(each.blob_storage_path or "" for each in replaced)
            assert stored.instance.id is not None
            await elements.insert(
                connection,
                guid,
                element_id,
                type_id,
                Content(
                    blob_path=received.blob_path,
                    size=received.size,
                    content_hash=received.content_hash,
                    content_type=received.content_type,
                    filename=received.filename,
                    refs=links.refs,
                    references=links.references,
                    file_scan_result="NotApplicable",
                    is_read=True,
                ),
                stamp,
                locked=True,
                read_status=status,
                event=happenings.made("Signed", stored.instance.id, call.principal, now, data_id=element_id),
                link="",
            )

        try:
            await self._changes.run(guid, call, allow, act, seen=seen)
        except Problem as problem:
            if problem.status < 500:
                await self._contents.drop(received.blob_path)
            raise
        await self._contents.drop(*earlier)
        return element_id

    async def _hashed(self, stored: Stored, element_id: str, *, signed: bool) -> tuple[DataElement, SignedDataElement]:
        """The hash of what really lies in the blob store, which must be what came in."""
        try:
            element = stored.instance.element(str(UUID(element_id)))
        except ValueError:
            element = None
        if element is None or element.delete_status is not None:
            raise not_found("data element")
        digest = await self._contents.digest(element.blob_storage_path)
        if digest != element.content_hash:
            raise Problem(500, "The content of an element is not what was stored.", code="content_damaged")
        return element, SignedDataElement(data_element_id=element_id, sha256_hash=digest, signed=signed)

    async def _signee(self, element: DataElement) -> Signee | None:
        """Who signed an earlier document; None when it cannot be read."""
        try:
            content = await self._contents.open(element.blob_storage_path)
            text = b"".join([chunk async for chunk in content.chunks])
            return msgspec.json.decode(text, type=SignDocument).signee_info
        except (BlobNotFoundError, msgspec.MsgspecError):
            return None
