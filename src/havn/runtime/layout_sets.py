"""The layout sets of an app as trees, made when first asked for and kept as long as the app folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from havn.runtime.layout.tree import Group, Layout

if TYPE_CHECKING:
    from havn.appfolder import AppFolder, LayoutSet


class Layouts:
    """The trees of an app's layout sets."""

    def __init__(self, folder: AppFolder) -> None:
        self._folder = folder
        self._trees: dict[str, Layout] = {}

    def of_set(self, set_id: str) -> Layout | None:
        """The tree of a layout set."""
        found = self._folder.layout_sets.get(set_id)
        if found is None:
            return None
        if set_id not in self._trees:
            self._trees[set_id] = _tree(found)
        return self._trees[set_id]

    def of_task(self, task: str | None) -> Layout | None:
        """The tree of the set that a task is filled in with."""
        found = self._folder.layout_set_for_task(task) if task else None
        return None if found is None else self.of_set(found.id)


def _tree(layout_set: LayoutSet) -> Layout:
    return Layout(
        layout_set.id,
        default_data_type=layout_set.data_type or "",
        pages={name: page.raw for name, page in layout_set.pages.items()},
        order=layout_set.order,
        groups=[Group(group.name, group.order) for group in layout_set.groups],
        settings=layout_set.raw_settings,
    )
