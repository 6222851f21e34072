"""Client of the Storage API for instances and their data; `applications` and `messagebox` are beside it.

An instance is named by its id, `{partyId}/{guid}`. Every method raises the `Problem` that storage answered with:
401, 403, 404, 409 (locked), 412 (`if_match` is no longer the version), 413, 422, 503.

A call that may have been carried out although no answer came can be repeated safely: creations with the same
`idempotency_key` make one thing; changes with `if_match` happen once, and repeated are 412: then read the newer state.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.clients.calls import Calls, flag
from havn.clients.credentials import Credentials
from havn.clients.instance_query import query_params
from havn.contracts.signing import SignRequest
from havn.contracts.storage import (
    IDEMPOTENCY_HEADER,
    LOCK_TOKEN_HEADER,
    OWNER_IDENTIFIER_HEADER,
    AuthInfo,
    DataElement,
    DataElementList,
    DataValues,
    FileScanResult,
    FileScanStatus,
    Instance,
    InstanceEvent,
    InstanceEventList,
    InstanceLockRequest,
    InstanceLockResponse,
    InstanceQuery,
    PresentationTexts,
    ProcessHistoryList,
    ProcessState,
    ProcessStateUpdate,
    QueryResponse,
    ReadStatus,
    Substatus,
)
from havn.kit.http import HttpClient, TransportError
from havn.kit.problem import Problem


class Download(msgspec.Struct, frozen=True):
    """The content of a data element, arriving."""

    content_type: str
    content_disposition: str | None
    size: int | None
    """Bytes, when storage says so beforehand."""
    version: int | None
    chunks: AsyncIterator[bytes]


class StorageClient(Calls):
    """Calls storage through `http`, whose base address is the platform's."""

    def __init__(self, http: HttpClient) -> None:
        super().__init__(http, "/storage/api/v1", of="Storage")

    # --- Instances ---------------------------------------------------------------------------------------------------

    async def create_instance(
        self, app_id: str, instance: Instance, credentials: Credentials, *, idempotency_key: str | None = None
    ) -> Instance:
        """Make an instance of `app_id` (`{org}/{app}`) for the owner named in `instance`."""
        return await self._send(
            "POST",
            "/instances",
            credentials,
            Instance,
            instance,
            params={"appId": app_id},
            headers=_idempotent(idempotency_key),
        )

    async def instance(self, instance_id: str, credentials: Credentials) -> Instance:
        """One instance with its data elements; by id or by guid alone."""
        return await self._send("GET", f"/instances/{instance_id}", credentials, Instance)

    async def query(self, query: InstanceQuery, credentials: Credentials) -> QueryResponse:
        """A page of the instances that match and that the caller may read."""
        headers = {} if query.owner_identifier is None else {OWNER_IDENTIFIER_HEADER: query.owner_identifier}
        return await self._send(
            "GET", "/instances", credentials, QueryResponse, params=query_params(query), headers=headers
        )

    async def delete_instance(self, instance_id: str, credentials: Credentials, *, hard: bool = False) -> Instance:
        """Mark as deleted, for good when `hard`."""
        return await self._send(
            "DELETE", f"/instances/{instance_id}", credentials, Instance, params={"hard": flag(hard)}
        )

    async def complete(self, instance_id: str, credentials: Credentials) -> Instance:
        """Confirm, for the caller's org, that it has fetched the instance."""
        return await self._send("POST", f"/instances/{instance_id}/complete", credentials, Instance)

    async def set_read_status(self, instance_id: str, status: ReadStatus, credentials: Credentials) -> Instance:
        """Mark as read or unread."""
        return await self._send(
            "PUT", f"/instances/{instance_id}/readstatus", credentials, Instance, params={"status": status}
        )

    async def set_substatus(self, instance_id: str, substatus: Substatus, credentials: Credentials) -> Instance:
        """Replace the substatus; the owning org only."""
        return await self._send("PUT", f"/instances/{instance_id}/substatus", credentials, Instance, substatus)

    async def set_presentation_texts(
        self, instance_id: str, texts: Mapping[str, str | None], credentials: Credentials
    ) -> Instance:
        """Merge in; None or empty removes a key."""
        body = PresentationTexts(texts=dict(texts))
        return await self._send("PUT", f"/instances/{instance_id}/presentationtexts", credentials, Instance, body)

    async def set_data_values(
        self, instance_id: str, values: Mapping[str, str | None], credentials: Credentials
    ) -> Instance:
        """Merge in; None or empty removes a key."""
        body = DataValues(values=dict(values))
        return await self._send("PUT", f"/instances/{instance_id}/datavalues", credentials, Instance, body)

    # --- Process -----------------------------------------------------------------------------------------------------

    async def put_process(
        self, instance_id: str, state: ProcessState, credentials: Credentials, *, if_match: int | None = None
    ) -> Instance:
        """Replace the process state."""
        return await self._send(
            "PUT", f"/instances/{instance_id}/process", credentials, Instance, state, headers=_match(if_match)
        )

    async def move_process(
        self,
        instance_id: str,
        update: ProcessStateUpdate,
        credentials: Credentials,
        *,
        if_match: int | None = None,
        delete_generated_elements: bool = True,
    ) -> Instance:
        """Replace the process state and write its events, both or neither.

        Unless told otherwise, elements generated from the task being entered are removed in the same transaction.
        """
        return await self._send(
            "PUT",
            f"/instances/{instance_id}/process/instanceandevents",
            credentials,
            Instance,
            update,
            params={"deleteGeneratedElements": flag(delete_generated_elements)},
            headers=_match(if_match),
        )

    async def process_history(self, instance_id: str, credentials: Credentials) -> ProcessHistoryList:
        """The steps taken so far."""
        return await self._send("GET", f"/instances/{instance_id}/process/history", credentials, ProcessHistoryList)

    async def auth_info(self, instance_id: str, credentials: Credentials) -> AuthInfo:
        """What the decision point needs; platform components only."""
        return await self._send("GET", f"/instances/{instance_id}/process/authinfo", credentials, AuthInfo)

    # --- Data elements -----------------------------------------------------------------------------------------------

    async def add_data(
        self,
        instance_id: str,
        data_type: str,
        content: bytes | AsyncIterable[bytes],
        credentials: Credentials,
        *,
        content_type: str,
        filename: str | None = None,
        refs: Sequence[str] = (),
        generated_from_task: str | None = None,
        idempotency_key: str | None = None,
    ) -> DataElement:
        """Add an element; `content` may be streamed."""
        params: dict[str, Any] = {"dataType": data_type, **_references(refs, generated_from_task)}
        headers = {**_content(content_type, filename), **_idempotent(idempotency_key)}
        response = await self._http.request(
            "POST",
            f"{self._base}/instances/{instance_id}/data",
            params=params,
            headers={**credentials.headers(), **headers},
            content=content,
        )
        return answers.read(response, DataElement, of=self._of)

    async def replace_data(
        self,
        instance_id: str,
        element_id: str,
        content: bytes | AsyncIterable[bytes],
        credentials: Credentials,
        *,
        content_type: str,
        filename: str | None = None,
        refs: Sequence[str] = (),
        generated_from_task: str | None = None,
        if_match: int | None = None,
    ) -> DataElement:
        """Replace an element's content, content type, file name and references (those not given are removed)."""
        response = await self._http.request(
            "PUT",
            f"{self._base}/instances/{instance_id}/data/{element_id}",
            params=_references(refs, generated_from_task),
            headers={**credentials.headers(), **_content(content_type, filename), **_match(if_match)},
            content=content,
        )
        return answers.read(response, DataElement, of=self._of)

    async def read_data(self, instance_id: str, element_id: str, credentials: Credentials) -> bytes:
        """An element's whole content in memory: for form data."""
        response = await self._request("GET", f"/instances/{instance_id}/data/{element_id}", credentials)
        if not response.is_success:
            raise answers.failure(response, of=self._of)
        return bytes(response.content)

    @asynccontextmanager
    async def open_data(self, instance_id: str, element_id: str, credentials: Credentials) -> AsyncIterator[Download]:
        """An element's content piece by piece: `async with client.open_data(…) as download`."""
        path = f"{self._base}/instances/{instance_id}/data/{element_id}"
        try:
            async with self._http.stream("GET", path, headers=credentials.headers()) as response:
                if not response.is_success:
                    await response.aread()
                    raise answers.failure(response, of=self._of)
                length = response.headers.get("content-length")
                tag = response.headers.get("etag", "").strip('"')
                yield Download(
                    content_type=response.headers.get("content-type", "application/octet-stream"),
                    content_disposition=response.headers.get("content-disposition"),
                    size=int(length) if length and length.isdigit() else None,
                    version=int(tag) if tag.isdigit() else None,
                    chunks=response.aiter_bytes(),
                )
        except TransportError as error:
            raise Problem(
                503, "Storage cannot be reached just now.", code="upstream_unavailable", headers={"Retry-After": "2"}
            ) from error

    async def delete_data(
        self,
        instance_id: str,
        element_id: str,
        credentials: Credentials,
        *,
        delay: bool = False,
        if_match: int | None = None,
    ) -> DataElement:
        """Remove an element now, or mark it for removal (`delay`)."""
        return await self._send(
            "DELETE",
            f"/instances/{instance_id}/data/{element_id}",
            credentials,
            DataElement,
            params={"delay": flag(delay)},
            headers=_match(if_match),
        )

    async def data_elements(self, instance_id: str, credentials: Credentials) -> list[DataElement]:
        """The elements' metadata, oldest first."""
        found = await self._send("GET", f"/instances/{instance_id}/dataelements", credentials, DataElementList)
        return found.data_elements

    async def put_data_element(
        self, instance_id: str, element: DataElement, credentials: Credentials, *, if_match: int | None = None
    ) -> DataElement:
        """Replace locked, refs, references, tags, both kinds of metadata and delete status by those of `element`."""
        return await self._send(
            "PUT",
            f"/instances/{instance_id}/dataelements/{element.id}",
            credentials,
            DataElement,
            element,
            headers=_match(if_match),
        )

    async def lock_data(self, instance_id: str, element_id: str, credentials: Credentials) -> DataElement:
        """Keep an element's content from being replaced."""
        return await self._send("PUT", f"/instances/{instance_id}/data/{element_id}/lock", credentials, DataElement)

    async def unlock_data(self, instance_id: str, element_id: str, credentials: Credentials) -> DataElement:
        """Let an element's content be replaced again."""
        return await self._send("DELETE", f"/instances/{instance_id}/data/{element_id}/lock", credentials, DataElement)

    async def set_file_scan_status(
        self, instance_id: str, element_id: str, result: FileScanResult, credentials: Credentials
    ) -> None:
        """A scanner's verdict; platform components only."""
        body = FileScanStatus(file_scan_result=result)
        await self._done("PUT", f"/instances/{instance_id}/dataelements/{element_id}/filescanstatus", credentials, body)

    async def data_element_exists(self, instance_id: str, element_id: str, credentials: Credentials) -> bool:
        """Whether the instance has this element; platform components only."""
        return await self._send("GET", f"/instances/{instance_id}/dataelementexists/{element_id}", credentials, bool)

    # --- Signing, locks, events --------------------------------------------------------------------------------------

    async def sign(self, instance_id: str, request: SignRequest, credentials: Credentials) -> None:
        """Store a signature document over elements; an earlier one by the same signee is replaced."""
        await self._done("POST", f"/instances/{instance_id}/sign", credentials, request)

    async def lock_instance(self, instance_id: str, ttl_seconds: int, credentials: Credentials) -> str:
        """Take the instance's lock; gives the secret that holds it. 409 while another holds it."""
        body = InstanceLockRequest(ttl_seconds=ttl_seconds)
        found = await self._send("POST", f"/instances/{instance_id}/lock", credentials, InstanceLockResponse, body)
        return found.lock_token

    async def extend_lock(self, instance_id: str, lock_token: str, ttl_seconds: int, credentials: Credentials) -> None:
        """Hold the lock for `ttl_seconds` from now; 0 releases it."""
        body = InstanceLockRequest(ttl_seconds=ttl_seconds)
        headers = {LOCK_TOKEN_HEADER: lock_token}
        await self._done("PATCH", f"/instances/{instance_id}/lock", credentials, body, headers=headers)

    async def add_event(self, instance_id: str, event: InstanceEvent, credentials: Credentials) -> InstanceEvent:
        """Write an event."""
        return await self._send("POST", f"/instances/{instance_id}/events", credentials, InstanceEvent, event)

    async def events(
        self, instance_id: str, credentials: Credentials, *, types: Sequence[str] = ()
    ) -> list[InstanceEvent]:
        """The instance's events, oldest first; of `types` only, when given."""
        found = await self._send(
            "GET",
            f"/instances/{instance_id}/events",
            credentials,
            InstanceEventList,
            params={"eventTypes": list(types)} if types else None,
        )
        return found.instance_events

    async def event(self, instance_id: str, event_id: str, credentials: Credentials) -> InstanceEvent:
        """One event."""
        return await self._send("GET", f"/instances/{instance_id}/events/{event_id}", credentials, InstanceEvent)


def _match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"if-match": f'"{version}"'}


def _idempotent(key: str | None) -> dict[str, str]:
    return {} if key is None else {IDEMPOTENCY_HEADER: key}


def _references(refs: Sequence[str], generated_from_task: str | None) -> dict[str, Any]:
    params: dict[str, Any] = {"refs": list(refs)} if refs else {}
    if generated_from_task is not None:
        params["generatedFromTask"] = generated_from_task
    return params


def _content(content_type: str, filename: str | None) -> dict[str, str]:
    headers = {"content-type": content_type}
    if filename is not None:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    return headers
