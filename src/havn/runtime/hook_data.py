"""The data of an instance as hooks see it: a request's `Work`, through the app's own types."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from havn.contracts.storage import DataElement
from havn.runtime import access, service_code, visible
from havn.runtime.hooks import Hook, InstanceContext
from havn.runtime.hooks.calling import call, merge, typed
from havn.runtime.model.rows import without_nulls
from havn.runtime.work import Model, NewElement, Work, current_task

T = TypeVar("T")


class HookData:
    """The `Data` that hooks are given: a `Work` seen through the app's own types."""

    def __init__(self, work: Work, *, read_only: bool = False) -> None:
        self._work = work
        self._read_only = read_only
        self._given: list[tuple[Model, Any, Any]] = []

    @property
    def elements(self) -> Sequence[DataElement]:
        """All data elements, those to be removed left out."""
        return [element for element in self._work.instance.data if element.id not in self._work.removed]

    async def model(self, data_type: str, as_: type[T]) -> T:
        """The model of the first element of the type."""
        found = self._work.form_elements(data_type)
        if not found:
            raise LookupError(f"the instance has no data of type {data_type}")
        return self._give((await self._work.form(found[0])).model, as_)

    async def models(self, data_type: str, as_: type[T]) -> Mapping[str, T]:
        """The models of all elements of the type."""
        return {
            entry.element.id or "": self._give(entry.model, as_)
            for entry in await self._work.forms(self._work.form_elements(data_type))
        }

    async def clean_model(self, data_type: str, as_: type[T]) -> T:
        """A copy without what is hidden in the current task."""
        found = self._work.form_elements(data_type)
        if not found:
            raise LookupError(f"the instance has no data of type {data_type}")
        entry = await self._work.form(found[0])
        evaluated = await visible.evaluate(self._work)
        model = copy.deepcopy(entry.model) if evaluated is None else evaluated.without_hidden(entry)
        value: Any = typed(model, as_)
        return value  # type: ignore[no-any-return]

    async def content(self, element_id: str) -> bytes:
        """The bytes of an attachment."""
        return await self._work.content(element_id)

    def add_form(self, data_type: str, model: Any) -> None:
        """Add a form element."""
        self._changing()
        plain = without_nulls(msgspec.to_builtins(model))
        self._work.add(NewElement(access.data_type(self._work.context, data_type), model=plain))

    def add_file(self, data_type: str, filename: str, content_type: str, content: bytes) -> None:
        """Add an attachment."""
        self._changing()
        type_ = access.data_type(self._work.context, data_type)
        self._work.add(NewElement(type_, content=content, filename=filename, content_type=content_type))

    def update_file(self, element_id: str, content: bytes) -> None:
        """Replace an attachment's bytes."""
        self._changing()
        if self._work.instance.element(element_id) is None:
            raise LookupError("the instance has no such element")
        self._work.replaced[element_id] = content

    def remove(self, element_id: str) -> None:
        """Delete an element."""
        self._changing()
        self._work.remove(element_id)

    def put_back(self) -> None:
        """Carry changes of typed models over to the plain ones; called when the hook has returned."""
        given, self._given = self._given, []
        if self._read_only:
            return
        for model, before, value in given:
            merge(model, before, msgspec.to_builtins(value))

    def _give(self, model: Model, as_: type[T]) -> T:
        source = copy.deepcopy(model) if self._read_only else model
        value: Any = typed(source, as_)
        if isinstance(value, msgspec.Struct):
            self._given.append((model, msgspec.to_builtins(value), value))
        return value  # type: ignore[no-any-return]

    def _changing(self) -> None:
        if self._read_only:
            raise RuntimeError("a validator reads; it may not change data")


def of_instance(work: Work, *, task: str | None = None, read_only: bool = False) -> dict[str, Any]:
    """The members of an `InstanceContext`."""
    return {
        **service_code.common(work.context, work.actor),
        "instance": work.instance,
        "task": task if task is not None else current_task(work.instance),
        "data": HookData(work, read_only=read_only),
    }


async def run(hook: Hook, context: Any, *models: Any) -> Any:
    """Call a hook and carry over what it changed through `context.data`."""
    result = await call(hook, context, *models)
    if isinstance(context, InstanceContext) and isinstance(context.data, HookData):
        context.data.put_back()
    return result
