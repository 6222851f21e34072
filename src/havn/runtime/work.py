"""What one request reads and changes in the data of an instance, saved once, when every hook has had its say.

Each model is saved with the version it was read at: when another writer was first, storage answers 412, nothing of
this request is kept, and the caller may do the whole thing again on the newer model.
"""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from havn.contracts.application import DataType
from havn.contracts.storage import DataElement, Instance
from havn.kit.problem import Problem
from havn.runtime import access
from havn.runtime.hooks import Change
from havn.runtime.model import fields, rows
from havn.runtime.model.patch import equal

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

Model = dict[str, Any]
JSON = "application/json"
MAX_MODEL = 10 * 1024 * 1024
MAX_CONTENT = 50 * 1024 * 1024


def new_id() -> str:
    """An id for a row or an idempotency key."""
    return str(uuid.uuid4())


class Loaded:
    """One form element that was read: `model` may be changed freely, `original` is what storage holds."""

    __slots__ = ("element", "model", "original", "type", "version")

    def __init__(self, element: DataElement, type_: DataType, version: int | None, original: Model) -> None:
        self.element = element
        self.type = type_
        self.version = version
        self.original = original
        self.model = copy.deepcopy(original)

    @property
    def changed(self) -> bool:
        """Whether the model differs from what storage holds."""
        return not equal(self.original, self.model)


class NewElement(msgspec.Struct):
    """An element to be made: a form (`model`) or a file (`content`)."""

    type: DataType
    model: Model | None = None
    content: bytes = b""
    filename: str | None = None
    content_type: str = JSON
    generated_from_task: str | None = None
    key: str = msgspec.field(default_factory=new_id)


class Work:
    """Reads lazily, remembers, and saves everything changed. Not shared between requests."""

    def __init__(self, context: AppContext, actor: Actor, instance: Instance) -> None:
        self.context = context
        self.actor = actor
        self.instance = instance
        self.loaded: dict[str, Loaded] = {}
        self.added: list[NewElement] = []
        self.replaced: dict[str, bytes] = {}
        self.removed: list[str] = []
        self._reading = asyncio.Lock()

    # --- Reading -----------------------------------------------------------------------------------------------------

    async def form(self, element: DataElement) -> Loaded:
        """The form element, read once. 409 when it is not form data."""
        assert element.id is not None
        async with self._reading:
            if element.id not in self.loaded:
                self.loaded[element.id] = await self._read(element)
        return self.loaded[element.id]

    async def forms(self, elements: Iterable[DataElement] | None = None) -> list[Loaded]:
        """All form elements (or those given), those removed in this request left out."""
        wanted = self.form_elements() if elements is None else list(elements)
        return [await self.form(element) for element in wanted]

    def form_elements(self, data_type: str | None = None) -> list[DataElement]:
        """The instance's form elements, of one type or all."""
        return [
            element
            for element in self.instance.data
            if element.id not in self.removed
            and (data_type is None or element.data_type == data_type)
            and (type_ := self.context.folder.data_types.get(element.data_type or "")) is not None
            and access.is_form(type_)
        ]

    async def content(self, element_id: str) -> bytes:
        """The bytes of any element, at most 50 MiB."""
        if element_id in self.replaced:
            return self.replaced[element_id]
        return (await self._download(element_id, MAX_CONTENT))[0]

    async def _read(self, element: DataElement) -> Loaded:
        type_ = access.data_type(self.context, element.data_type)
        if not access.is_form(type_):
            raise Problem(409, "This element is a file, not form data.", code="not_form_data")
        content, version = await self._download(element.id or "", MAX_MODEL)
        try:
            model = self.context.models.decode(type_.id, content, element.content_type or JSON)
        except ValueError as error:
            raise Problem(500, "The stored form data cannot be read.", code="stored_data_unreadable") from error
        return Loaded(element, type_, version if version is not None else element.version, model)

    async def _download(self, element_id: str, limit: int) -> tuple[bytes, int | None]:
        storage, chunks, size = self.context.clients.storage, [], 0
        async with storage.open_data(self.instance.id or "", element_id, self.actor.credentials) as download:
            async for chunk in download.chunks:
                size += len(chunk)
                if size > limit:
                    raise Problem(413, "The element is too large to be read whole.", code="too_large")
                chunks.append(chunk)
        return b"".join(chunks), download.version

    # --- Changing ----------------------------------------------------------------------------------------------------

    def add(self, element: NewElement) -> None:
        """Make a new element when saving."""
        self.added.append(element)

    def remove(self, element_id: str) -> None:
        """Delete an element when saving."""
        if self.instance.element(element_id) is None:
            raise Problem(404, "The instance has no such element.", code="unknown_element")
        if element_id not in self.removed:
            self.removed.append(element_id)

    def changes(self) -> list[Change]:
        """Everything that saving will do, with models before and after."""
        found = [
            Change(
                kind="updated",
                data_type=entry.type.id,
                element=entry.element,
                previous=entry.original,
                current=entry.model,
            )
            for entry in self.loaded.values()
            if entry.changed and entry.element.id not in self.removed
        ]
        for element_id in self.replaced:
            element = self.instance.element(element_id)
            assert element is not None
            found.append(
                Change(kind="updated", data_type=element.data_type or "", element=element, filename=element.filename)
            )
        found += [
            Change(
                kind="created",
                data_type=new.type.id,
                element=None,
                current=new.model,
                filename=new.filename,
            )
            for new in self.added
        ]
        for element_id in self.removed:
            element = self.instance.element(element_id)
            gone = self.loaded.get(element_id)
            found.append(
                Change(
                    kind="deleted",
                    data_type=(element.data_type if element else None) or "",
                    element=element,
                    previous=gone.original if gone else None,
                )
            )
        return found

    # --- Saving ------------------------------------------------------------------------------------------------------

    async def save(self) -> Instance:
        """Write everything changed, then the texts and values that instances are listed and searched by.

        412 when another wrote one of the elements first.
        """
        storage, instance_id, credentials = self.context.clients.storage, self.instance.id or "", self.actor.credentials
        changed = [e for e in self.loaded.values() if e.changed and e.element.id not in self.removed]
        if changed:
            saved = await asyncio.gather(*(self._save(entry) for entry in changed))
            self._update(saved)
        for element_id, content in self.replaced.items():
            element = self.instance.element(element_id)
            assert element is not None
            self._update(
                [
                    await storage.replace_data(
                        instance_id,
                        element_id,
                        content,
                        credentials,
                        content_type=element.content_type or "application/octet-stream",
                        filename=element.filename,
                        if_match=element.version,
                    )
                ]
            )
        written = {entry.element.id: entry for entry in changed}
        for new in self.added:
            element = await self._create(new)
            self.instance = msgspec.structs.replace(self.instance, data=[*self.instance.data, element])
            if new.model is not None:
                assert element.id is not None
                self.loaded[element.id] = written[element.id] = Loaded(element, new.type, element.version, new.model)
        for element_id in self.removed:
            await storage.delete_data(instance_id, element_id, credentials)
            self.loaded.pop(element_id, None)
        if self.removed:
            self.instance = msgspec.structs.replace(
                self.instance, data=[e for e in self.instance.data if e.id not in self.removed]
            )
        self.added, self.replaced, self.removed = [], {}, []
        # Presentation texts and data values are taken from the first element of their type.
        firsts = {
            kind: found[0].id for kind in {e.type.id for e in written.values()} if (found := self.form_elements(kind))
        }
        await self._save_fields(
            {entry.type.id: entry.model for id_, entry in written.items() if firsts.get(entry.type.id) == id_}
        )
        return self.instance

    async def _save(self, entry: Loaded) -> DataElement:
        assert entry.element.id is not None
        # References are replaced along with the content, so those there are must be said again.
        from_task = next(
            (r.value for r in entry.element.references or () if r.value_type == "Task" and r.value is not None), None
        )
        element = await self.context.clients.storage.replace_data(
            self.instance.id or "",
            entry.element.id,
            msgspec.json.encode(entry.model),
            self.actor.credentials,
            content_type=JSON,
            filename=entry.element.filename,
            refs=entry.element.refs,
            generated_from_task=from_task,
            if_match=entry.version,
        )
        entry.element, entry.version, entry.original = element, element.version, copy.deepcopy(entry.model)
        return element

    async def _create(self, new: NewElement) -> DataElement:
        content = new.content if new.model is None else msgspec.json.encode(new.model)
        return await self.context.clients.storage.add_data(
            self.instance.id or "",
            new.type.id,
            content,
            self.actor.credentials,
            content_type=new.content_type,
            filename=new.filename,
            generated_from_task=new.generated_from_task,
            idempotency_key=new.key,
        )

    def replace_element(self, element: DataElement) -> None:
        """Take note of an element's newer metadata."""
        self._update([element])
        entry = self.loaded.get(element.id or "")
        if entry is not None:
            entry.element, entry.version = element, element.version

    def _update(self, elements: Sequence[DataElement]) -> None:
        newer = {element.id: element for element in elements}
        self.instance = msgspec.structs.replace(
            self.instance, data=[newer.get(element.id, element) for element in self.instance.data]
        )

    async def _save_fields(self, models: Mapping[str, Model]) -> None:
        if not models:
            return
        metadata, storage = self.context.folder.metadata, self.context.clients.storage
        instance_id, credentials = self.instance.id or "", self.actor.credentials
        texts = _changed(metadata.presentation_fields or (), models, self.instance.presentation_texts or {})
        values = _changed(metadata.data_fields or (), models, self.instance.data_values or {})
        if texts:
            stored = await storage.set_presentation_texts(instance_id, texts, credentials)
            self.instance = msgspec.structs.replace(self.instance, presentation_texts=stored.presentation_texts)
        if values:
            stored = await storage.set_data_values(instance_id, values, credentials)
            self.instance = msgspec.structs.replace(self.instance, data_values=stored.data_values)


def _changed(lines: Iterable[Any], models: Mapping[str, Model], current: Mapping[str, str]) -> dict[str, str | None]:
    return dict(fields.changed_values((line for line in lines if line.data_type_id), models, current))


def current_task(instance: Instance) -> str | None:
    """The id of the task the instance stands in."""
    process = instance.process
    return process.current_task.element_id if process and process.current_task else None


def add_row_ids(model: Model) -> bool:
    """Give every row of `model` its id; true when one was missing."""
    return rows.add_row_ids(model, new_id)


async def again_when_outrun(attempt: Callable[[], Any], *, times: int = 5) -> Any:
    """Run `attempt` again, from the reading on, while another writer was first (412); 409 after `times`."""
    for _ in range(times):
        try:
            return await attempt()
        except Problem as problem:
            if problem.status != 412:
                raise
    raise Problem(409, "Others are changing this just now. Try again.", code="busy", headers={"Retry-After": "1"})
