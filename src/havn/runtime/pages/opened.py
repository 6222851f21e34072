"""A form opened for one request: the instance, where it stands, its models, and the layout of its task with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from havn.contracts.storage import DataElement, Instance
from havn.runtime import data, instances, process, validation, visible
from havn.runtime.issues import ValidationIssue
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import State
from havn.runtime.layout.surroundings import Surroundings
from havn.runtime.layout.tree import Layout
from havn.runtime.pages.site import Site
from havn.runtime.process import AppProcessState

Model = dict[str, Any]
Change = Callable[[Model], None]


class Opened:
    """One instance in its present task, for one request."""

    stored = True

    def __init__(self, site: Site, instance: Instance, state: AppProcessState, owner: str | None) -> None:
        self.site = site
        self.instance = instance
        self.process = state
        self.owner = owner
        self.task = state.current_task.element_id if state.current_task else None
        self.task_type = state.current_task.altinn_task_type if state.current_task else ""
        self.elements: dict[str, DataElement] = {}
        """Data type to the element whose model the form shows."""
        self.models: dict[str, Model] = {}
        self._states: dict[str, FormState] = {}

    @classmethod
    async def of(cls, site: Site, party_id: int, guid: str) -> Opened:
        """Open an instance. Problems: 403, 404."""
        instance = await instances.get(site.context, site.actor, party_id, guid)
        state = await process.state(site.context, site.actor, instance)
        return cls(site, instance, state, await site.party_name(party_id))

    async def read(self) -> None:
        """Read the models."""
        found = await data.load_task(self.site.context, self.site.actor, self.instance)
        self.elements = {data_type: form.element for data_type, form in found.items()}
        self.models = {data_type: form.model for data_type, form in found.items()}
        self._states.clear()

    async def edit(self, data_type: str, change: Change) -> list[ValidationIssue] | None:
        """Let `change` alter the newest model in place, and save it; perhaps more than once.

        Gives what is wrong now, or None when that has to be asked for.
        """
        result = await data.edit(self.site.context, self.site.actor, self.instance, self.elements[data_type], change)
        self.renew(result.models, result.instance)
        return flat(result.issues) if self._heard_all(result.issues) else None

    def _heard_all(self, issues: Mapping[str, object]) -> bool:
        """Whether every validator of the app's own that judges saves was among those that ran."""
        hooks = self.site.context.hooks
        own = list(hooks.of("validate_form"))
        own += [hook for hook in hooks.of("validate_task", self.task) if hook.incremental]
        return all(hook.name in issues for hook in own)

    async def judge(self, *, fully: bool) -> list[ValidationIssue]:
        """What is wrong with the form: what is told while filling in, or everything."""
        only = None if fully else True
        return await validation.validate(self.site.context, self.site.actor, self.instance, only_incremental=only)

    def file_address(self, element_id: str) -> str:
        """Where an attachment is fetched."""
        return f"{self.site.base}/instances/{self.instance.id}/data/{element_id}"

    def carried(self) -> dict[str, str]:
        """Hidden fields that the page brings back: none, since the instance is stored."""
        return {}

    def speak(self, language: str) -> None:
        """Go on in another language."""
        self.site.speak(language)
        self._states.clear()

    def renew(self, result_models: Mapping[str, Model], instance: Instance) -> None:
        """Take over what a change led to: element id to model, and the instance as it is now."""
        self.instance = instance
        types = {element.id: data_type for data_type, element in self.elements.items()}
        for element_id, model in result_models.items():
            if element_id in types:
                self.models[types[element_id]] = model
        for data_type, old in self.elements.items():
            self.elements[data_type] = instance.element(old.id or "") or old
        self._states.clear()

    def replace_element(self, element: DataElement) -> None:
        """Take over one element that has changed, or a new one."""
        others = [each for each in self.instance.data if each.id != element.id]
        self.instance = msgspec.structs.replace(self.instance, data=[*others, element])
        self._states.clear()

    @property
    def party_id(self) -> int | None:
        """Whom the form is filled in for; None where nobody is known."""
        return self.instance.party_id

    @property
    def path(self) -> str:
        """The instance's own pages, below the app's base."""
        return f"/instance/{self.instance.id}"

    def page_path(self, page: str, task: str | None = None) -> str:
        """The path of a page of the current task."""
        return f"{self.path}/{task or self.task}/{page}"

    @property
    def may_write(self) -> bool:
        """Whether the actor may change anything in this task."""
        return self.process.current_task is not None and self.process.current_task.write

    @property
    def actions(self) -> frozenset[str]:
        """What the actor may do in this task."""
        current = self.process.current_task
        return frozenset(name for name, allowed in current.actions.items() if allowed) if current else frozenset()

    def around(self, layout: Layout, *, read_only: bool) -> Surroundings:
        """The surroundings of a layout."""
        from havn.runtime.pages.dates import today

        base = self.site.base
        found = visible.surroundings(
            self.site.context,
            self.site.language,
            self.instance,
            actions=self.actions,
            owner_name=self.owner,
            default_data_type=layout.default_data_type,
        )
        return msgspec.structs.replace(
            found,
            read_only=read_only,
            today=today(self.site.context.clock()),
            page_address=lambda page: f"{base}{self.page_path(page)}",
        )

    async def state(self, layout: Layout, *, read_only: bool | None = None) -> FormState:
        """A layout with the models as they are now."""
        if layout.id not in self._states:
            locked = not self.may_write if read_only is None else read_only
            self._states[layout.id] = await visible.state(
                self.site.context,
                self.site.actor,
                layout,
                self.models,
                self.around(layout, read_only=locked),
                instance=self.instance,
            )
        return self._states[layout.id]

    async def earlier(self, layout: Layout) -> dict[str, State]:
        """The states of other tasks that summaries of this layout show."""
        tasks = {
            str(target["taskId"])
            for component in layout.components.values()
            if component.type == "Summary2"
            and isinstance(target := component.raw.get("target"), dict)
            and target.get("taskId")
        }
        found: dict[str, State] = {}
        for task in tasks - {self.task}:
            other = self.site.context.layouts.of_task(task)
            if other is not None:
                found[task] = await self.state(other, read_only=True)
        return found

    def data_types(self) -> dict[str, str]:
        """Element id to data type."""
        return {element.id or "": element.data_type or "" for element in self.instance.data}

    def facts(self) -> dict[str, str]:
        """What is said of an instance to those who look at it."""
        from havn.runtime.pages.dates import moment

        status = self.instance.status
        archived = status.archived if status is not None else None
        receiver = self.site.text("appReceiver") or self.site.owner
        facts = {
            "sent": moment(archived or self.instance.last_changed),
            "sender": self.owner or "",
            "receiver": receiver,
            "reference": self.instance.guid.rpartition("-")[2],
        }
        return {name: value for name, value in facts.items() if value}


def flat(issues: Mapping[str, Sequence[ValidationIssue]]) -> list[ValidationIssue]:
    """The issues of all sources."""
    return [issue for found in issues.values() for issue in found]
