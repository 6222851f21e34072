"""An app's layouts evaluated with an instance's data: the state that pages draw, validators judge, receipts print.

`state` puts models and surroundings to a layout's tree; `evaluate` does it for the current task of what a request works
on.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from havn.contracts.storage import DataElement, Instance
from havn.kit.problem import Problem
from havn.runtime import options, texts
from havn.runtime.layout import choices
from havn.runtime.layout.form import FormState
from havn.runtime.layout.reach import Missing, Reach, missing
from havn.runtime.layout.surroundings import Choice, Element, Surroundings
from havn.runtime.layout.tree import Layout
from havn.runtime.model import paths
from havn.runtime.work import Loaded, Model, Work, current_task

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


class Evaluated:
    """A state with what validators and clean-up ask of it."""

    def __init__(self, state: FormState) -> None:
        self.state = state
        self._reach: Reach | None = None

    @property
    def reach(self) -> Reach:
        """What is shown and what is hidden."""
        if self._reach is None:
            self._reach = Reach(self.state)
        return self._reach

    def shows(self, data_type: str, path: str) -> bool:
        """Whether a shown component is bound to the path."""
        return self.reach.shows(data_type, path)

    def hides(self, data_type: str, path: str) -> bool:
        """Whether only hidden components are bound to the path, or to something above it."""
        return bool(path) and self.reach.hides(data_type, path)

    def missing(self) -> list[Missing]:
        """Required bindings that hold nothing."""
        return list(missing(self.state))

    def without_hidden(self, entry: Loaded) -> Model:
        """A copy of a model without what is hidden."""
        model = copy.deepcopy(entry.model)
        if self.state.models.get(entry.type.id) is entry.model:
            for data_type, path in self.reach.removable():
                if data_type == entry.type.id:
                    paths.put(model, path, None)
        return model


def surroundings(
    context: AppContext,
    language: str,
    instance: Instance | None,
    *,
    elements: Sequence[DataElement] | None = None,
    actions: frozenset[str] = frozenset(),
    owner_name: str | None = None,
    default_data_type: str = "",
) -> Surroundings:
    """What expressions and texts may ask. `instance` is None in a stateless form."""
    facts = None if instance is None else instance_facts(instance, owner_name)
    settings = context.folder.settings.front_end

    def find_text(key: str, rows: Sequence[int], models: Mapping[str, Mapping[str, Any]]) -> str | None:
        return texts.find(
            context.folder,
            language,
            key,
            texts.TextSources(
                models=models,
                default_data_type=default_data_type,
                instance={name: value for name, value in (facts or {}).items() if value is not None},
                settings={name: value if isinstance(value, str) else str(value) for name, value in settings.items()},
                rows=rows,
            ),
        )

    found = instance.data if elements is None and instance is not None else elements or ()
    return Surroundings(
        language=language,
        find_text=find_text,
        instance=facts,
        settings=settings,
        elements=[_element(element) for element in found],
        actions=actions,
    )


def instance_facts(instance: Instance, owner_name: str | None = None) -> dict[str, str | None]:
    """What `instanceContext` knows."""
    owner = instance.instance_owner
    kind = "unknown"
    if owner is not None:
        if owner.person_number:
            kind = "person"
        elif owner.organisation_number:
            kind = "org"
        elif owner.username or owner.external_identifier:
            kind = "selfIdentified"
    return {
        "instanceId": instance.id,
        "appId": instance.app_id,
        "instanceOwnerPartyId": owner.party_id if owner else None,
        "instanceOwnerPartyType": kind,
        "instanceOwnerName": owner_name,
    }


async def state(
    context: AppContext,
    actor: Actor,
    layout: Layout,
    models: Mapping[str, Model],
    around: Surroundings,
    *,
    instance: Instance | None = None,
    fetch_choices: bool = True,
) -> FormState:
    """A layout with models and surroundings; with its options fetched, unless told otherwise."""
    found = FormState(layout, models, around)
    if not fetch_choices:
        return found
    wanted = choices.wanted(found.walk(hidden=True))
    if not wanted:
        return found

    async def fetch(one: choices.Wanted) -> Sequence[Choice]:
        try:
            given = await options.find(
                context, actor, one.id, dict(one.query), instance=instance if one.secure else None
            )
        except Problem as problem:
            # A list that is missing leaves its component without choices; the page still opens.
            if problem.status == 404:
                return ()
            raise
        return [Choice(item.value, item.label, item.description, item.help_text) for item in given.options]

    lists = await asyncio.gather(*(fetch(one) for one in wanted))
    known = {one.key: items for one, items in zip(wanted, lists, strict=True)}
    return FormState(layout, models, msgspec.structs.replace(around, choices=known))


async def evaluate(work: Work, task: str | None = None) -> Evaluated | None:
    """The layout of a task (default: the current) with the models as they are now in `work`; None without a layout.

    Of several elements of one type the first counts.
    """
    layout = work.context.layouts.of_task(task or current_task(work.instance))
    if layout is None:
        return None
    models = await first_models(work)
    around = surroundings(work.context, work.actor.language, work.instance, default_data_type=layout.default_data_type)
    found = await state(
        work.context,
        work.actor,
        layout,
        models,
        around,
        instance=work.instance,
        fetch_choices=_asks_for_labels(layout),
    )
    return Evaluated(found)


async def first_models(work: Work) -> dict[str, Model]:
    """Data type to the model of its first element."""
    found: dict[str, Model] = {}
    for entry in await work.forms():
        found.setdefault(entry.type.id, entry.model)
    return found


def _element(element: DataElement) -> Element:
    return Element(
        id=element.id or "",
        data_type=element.data_type or "",
        filename=element.filename,
        size=element.size,
        content_type=element.content_type or "",
        tags=element.tags,
        scan=element.file_scan_result,
        locked=element.locked,
    )


def _asks_for_labels(layout: Layout) -> bool:
    """Whether an expression asks how a choice is shown; only then are options fetched to judge a form."""
    return any(_mentions(component.raw) for component in layout.components.values())


def _mentions(raw: Any) -> bool:
    if isinstance(raw, dict):
        return any(_mentions(value) for value in raw.values())
    if isinstance(raw, list):
        return (bool(raw) and raw[0] in ("optionLabel", "displayValue")) or any(_mentions(value) for value in raw)
    return False
