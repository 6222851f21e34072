"""The nodes of a layout: each component with its models, in each row: hidden, required, read-only, holding what.

Everything is worked out when first asked for and kept, since one state serves one request: a change of a model needs a
new state. An expression that has no value counts as its property's default, and is logged once per component, as the
reference frontend does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import structlog

from havn.engines.expressions import EvaluationError, ExpressionError
from havn.runtime.layout.compiled import compiled
from havn.runtime.layout.surroundings import Model, Row, Surroundings
from havn.runtime.layout.tree import Binding, Component, Layout, Page
from havn.runtime.model import paths
from havn.runtime.model.rows import ROW_ID

_log = structlog.get_logger("layout")


class State:
    """The nodes of a layout: a component, once per row of the lists that it stands in."""

    def __init__(self, layout: Layout, models: Mapping[str, Model], surroundings: Surroundings | None = None) -> None:
        self.layout = layout
        self.models = models
        self.surroundings = surroundings or Surroundings()
        self._nodes: dict[tuple[str, tuple[int, ...]], Node] = {}
        self._hidden_pages: dict[str, bool] = {}
        self._complained: set[tuple[str, str]] = set()

    # Pages -----------------------------------------------------------------------------------------------------------

    def pages(self) -> list[Page]:
        """The pages to show, in order: hidden ones drop out."""
        names = [name for name in self.layout.order if name in self.layout.pages]
        return [self.layout.pages[name] for name in names if not self.page_hidden(name)]

    def page_hidden(self, name: str) -> bool:
        """Whether the page is hidden by its expression, or not in the order."""
        if name not in self._hidden_pages:
            page = self.layout.pages.get(name)
            if page is None or name not in self.layout.order:
                return True
            # While it is being worked out it counts as shown: an expression may ask for a component of the same page.
            self._hidden_pages[name] = False
            context = NodeContext(self, None, name)
            self._hidden_pages[name] = bool(self.evaluate(page.hidden, context, False, f"page {name}", "hidden"))
        return self._hidden_pages[name]

    def on_page(self, page: Page) -> list[Node]:
        """The nodes that stand on the page itself, hidden ones too."""
        return [self.node(component, ()) for component in page.components]

    def walk(self, *, hidden: bool = False) -> Iterator[Node]:
        """Every node of every page, outer ones first; those that are hidden only on request."""
        for name in self.layout.order:
            page = self.layout.pages.get(name)
            if page is None or (self.page_hidden(name) and not hidden):
                continue
            for node in self.on_page(page):
                yield from node.walk(hidden=hidden)

    # Nodes -----------------------------------------------------------------------------------------------------------

    def node(self, component: Component, rows: tuple[int, ...]) -> Node:
        """The node of `component` in those rows (one index per list that it stands in)."""
        key = (component.id, rows)
        if key not in self._nodes:
            self._nodes[key] = Node(self, component, rows)
        return self._nodes[key]

    def find(self, component_id: str, rows: tuple[int, ...] = (), seen_from: Component | None = None) -> Node | None:
        """The node of a component as seen from a row: lists that both stand in are in the same rows.

        None when there is no such component, or when it stands in rows of a list that the place does not.
        """
        component = self.layout.components.get(component_id)
        if component is None:
            return None
        mine = seen_from.lists if seen_from is not None else ()
        if seen_from is not None and seen_from.list_binding is not None and len(rows) > len(mine):
            mine = (*mine, seen_from)
        indices: list[int] = []
        for place, group in enumerate(component.lists):
            if place >= len(rows) or place >= len(mine) or mine[place].list_binding != group.list_binding:
                return None
            indices.append(rows[place])
        return self.node(component, tuple(indices))

    # What only a whole form knows; see `form.FormState` --------------------------------------------------------------

    def display(self, node: Node) -> str:
        """What the node holds, as a person reads it."""
        raise EvaluationError("displayValue cannot be used here")

    def option_label(self, options_id: str, value: str | None, rows: Sequence[int]) -> str | None:
        """The label of an option."""
        raise EvaluationError("optionLabel cannot be used here")

    # Values ----------------------------------------------------------------------------------------------------------

    def value(self, data_type: str, path: str) -> Any:
        """What the model holds at a path with indices."""
        try:
            return paths.get(self.models.get(data_type), path)
        except paths.PathError:
            return None

    def text(self, key: str, rows: Sequence[int] = ()) -> str:
        """The text with this key; the key itself when there is none."""
        found = self.surroundings.find_text(key, rows, self.models)
        return key if found is None else found

    def evaluate(self, raw: Any, context: NodeContext, default: Any, where: str, what: str) -> Any:
        """The value of a property that may be an expression; `default` when it is absent or has no value."""
        if raw is None:
            return default
        if not isinstance(raw, list):
            return raw
        try:
            value = compiled(raw).evaluate(context)
        except ExpressionError as error:
            if (where, what) not in self._complained:
                self._complained.add((where, what))
                _log.warning("expression_failed", component=where, property=what, reason=str(error))
            return default
        return default if value is None else value


class Node:
    """A component in one place: the page, or one row of each list that it stands in."""

    def __init__(self, state: State, component: Component, rows: tuple[int, ...]) -> None:
        self.state = state
        self.component = component
        self.rows = rows
        self._hidden: bool | None = None
        self._row_list: list[Row] | None = None

    @property
    def type(self) -> str:
        """The component's type."""
        return self.component.type

    @property
    def raw(self) -> Mapping[str, Any]:
        """The component as the layout file has it."""
        return self.component.raw

    @property
    def row_ids(self) -> tuple[str, ...]:
        """The ids of the rows that it stands in, from the outside in."""
        ids: list[str] = []
        for depth, group in enumerate(self.component.lists):
            rows = self.state.node(group, self.rows[:depth]).row_list
            index = self.rows[depth]
            ids.append(rows[index].id if index < len(rows) else str(index))
        return tuple(ids)

    @property
    def id(self) -> str:
        """A name that is the same as long as the component and its row exist: for HTML ids and form fields."""
        return "_".join((self.component.id, *self.row_ids))

    # Properties ------------------------------------------------------------------------------------------------------

    @property
    def context(self) -> NodeContext:
        """Where this node's expressions are evaluated."""
        return NodeContext(self.state, self, self.component.page)

    def prop(self, name: str, default: Any = None) -> Any:
        """A property that may be an expression."""
        return self.evaluate(self.raw.get(name), name, default)

    def evaluate(self, raw: Any, what: str, default: Any = None) -> Any:
        """An expression evaluated here."""
        if not isinstance(raw, list):
            return default if raw is None else raw
        return self.state.evaluate(raw, self.context, default, self.component.id, what)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A property that is true or false."""
        return is_true(self.prop(name, default))

    @property
    def hidden(self) -> bool:
        """Whether it, or something that it stands in, is hidden: page, container, row."""
        if self._hidden is None:
            # An expression may come back here through another component: that round counts as shown.
            self._hidden = False
            self._hidden = self._inherits_hidden() or self.flag("hidden")
        return self._hidden

    def _inherits_hidden(self) -> bool:
        parent = self.parent
        if parent is None:
            return self.state.page_hidden(self.component.page)
        if parent.hidden:
            return True
        if len(self.rows) > len(parent.rows):
            index = self.rows[-1]
            rows = parent.row_list
            return index < len(rows) and rows[index].hidden
        return False

    @property
    def required(self) -> bool:
        """Whether it must be filled in."""
        return self.flag("required")

    @property
    def read_only(self) -> bool:
        """Whether it may not be changed: by its own property, because its model is locked, or nothing may be."""
        if self.state.surroundings.read_only or self.flag("readOnly"):
            return True
        locked = {element.data_type for element in self.state.surroundings.elements if element.locked}
        return any(binding.data_type in locked for binding in self.component.bindings.values())

    def text_key(self, name: str) -> str | None:
        """The text binding `name`, evaluated; None when the component has none, or an empty one."""
        key = self.evaluate(self.component.texts.get(name), f"textResourceBindings.{name}")
        return str(key) if key not in (None, "") else None

    def text(self, name: str) -> str | None:
        """The text that binding `name` names, in the current language."""
        key = self.text_key(name)
        return None if key is None else self.lookup(key)

    def lookup(self, key: str) -> str:
        """A text with this key, its variables read from this node's rows."""
        return self.state.text(key, self.rows)

    # Places ----------------------------------------------------------------------------------------------------------

    @property
    def parent(self) -> Node | None:
        """What it stands in: None on the page itself."""
        parent = self.component.parent
        if parent is None:
            return None
        return self.state.node(parent, self.rows[: len(parent.lists)])

    @property
    def row_list(self) -> list[Row]:
        """The rows of a list of rows, hidden ones too; none for other components."""
        if self._row_list is None:
            binding = self.component.list_binding
            value = self.value("group", binding) if binding is not None else None
            found = value if isinstance(value, list) else []
            self._row_list = [Row(index, _row_id(item, index)) for index, item in enumerate(found)]
            if self.raw.get("hiddenRow") is not None:
                self._row_list = [
                    Row(row.index, row.id, is_true(self._in_row(row.index, "hiddenRow"))) for row in self._row_list
                ]
        return self._row_list

    def _in_row(self, index: int, name: str) -> Any:
        context = NodeContext(self.state, self, self.component.page, row=index)
        return self.state.evaluate(self.raw.get(name), context, False, self.component.id, name)

    def in_row(self, index: int, raw: Any, what: str, default: Any = None) -> Any:
        """An expression of this list evaluated for one of its rows."""
        context = NodeContext(self.state, self, self.component.page, row=index)
        return self.state.evaluate(raw, context, default, self.component.id, what)

    def children(self, row: int | None = None) -> list[Node]:
        """The nodes inside it; `row` says in which row, for a list of rows."""
        rows = self.rows if row is None else (*self.rows, row)
        return [self.state.node(child, rows) for child in self.component.children]

    def outer(self) -> list[Node]:
        """What a list of rows draws once, before and after its rows."""
        return [self.state.node(child, self.rows) for child in self.component.outer]

    def child(self, component_id: str, row: int | None = None) -> Node | None:
        """The child with that id."""
        for node in self.children(row):
            if node.component.id == component_id:
                return node
        return None

    def walk(self, *, hidden: bool = False) -> Iterator[Node]:
        """This node and those below it."""
        if self.hidden and not hidden:
            return
        yield self
        if self.component.list_binding is None:
            for child in self.children():
                yield from child.walk(hidden=hidden)
        else:
            for node in self.outer():
                yield from node.walk(hidden=hidden)
            for row in self.row_list:
                if not row.hidden or hidden:
                    for child in self.children(row.index):
                        yield from child.walk(hidden=hidden)

    # Values ----------------------------------------------------------------------------------------------------------

    def path(self, name: str = "simpleBinding", binding: Binding | None = None) -> str | None:
        """Where binding `name` points, with the indices of this node's rows; None when there is no such binding."""
        binding = binding or self.component.bindings.get(name)
        return None if binding is None else self.indexed(binding)

    def indexed(self, binding: Binding) -> str:
        """`binding` with the indices of this node's rows put in."""
        return with_rows(binding, self.component.lists, self.rows)

    def value(self, name: str = "simpleBinding", binding: Binding | None = None) -> Any:
        """What the model holds for binding `name`."""
        binding = binding or self.component.bindings.get(name)
        return None if binding is None else self.state.value(binding.data_type, self.indexed(binding))

    def __repr__(self) -> str:
        return f"Node({self.component.id!r}, {self.rows})"


class NodeContext:
    """Answers expressions as seen from one node (None: the page), or from one row of the list that the node is."""

    def __init__(self, state: State, node: Node | None, page: str, row: int | None = None) -> None:
        self._state = state
        self._node = node
        self._page = page
        self._rows = () if node is None else node.rows if row is None else (*node.rows, row)
        self._lists: tuple[Component, ...] = ()
        if node is not None:
            self._lists = node.component.lists if row is None else (*node.component.lists, node.component)

    def data_model(self, path: str, data_type: str | None) -> Any:
        """The value at `path`; indices of the rows we stand in are put in where the path has none."""
        name = data_type or self._default_data_type
        if name not in self._state.models:
            raise EvaluationError(f"there is no data model {name!r} here")
        return self._state.value(name, with_rows(Binding(name, path), self._lists, self._rows))

    def rows(self, path: str) -> Any:
        """The list at `path` of the default model."""
        return self.data_model(path, None)

    def component(self, component_id: str) -> Any:
        """What the component is bound to; None when hidden."""
        found = self._find(component_id)
        if found.hidden:
            return None
        binding = found.component.bindings.get("simpleBinding")
        if binding is None:
            raise EvaluationError(f"the component {component_id!r} has no simpleBinding")
        if binding.data_type not in self._state.models:
            raise EvaluationError(f"there is no data model {binding.data_type!r} here")
        return found.value()

    def display_value(self, component_id: str) -> str | None:
        """The same, as a person reads it."""
        found = self._find(component_id)
        return None if found.hidden else self._state.display(found)

    def text(self, key: str) -> str:
        """The text with that key, variables read from our rows."""
        return self._state.text(key, self._rows)

    def instance(self, key: str) -> str | None:
        """A fact about the instance; None where there is none, as in a stateless form."""
        facts = self._state.surroundings.instance
        return None if facts is None else facts.get(key)

    def frontend_setting(self, key: str) -> Any:
        """A value of `FrontEndSettings`."""
        return self._state.surroundings.settings.get(key)

    def count_data_elements(self, data_type: str) -> int:
        """How many elements of that type there are."""
        return sum(element.data_type == data_type for element in self._state.surroundings.elements)

    def language(self) -> str:
        """The language the person reads."""
        return self._state.surroundings.language

    def time_zone(self) -> tzinfo | None:
        """Norway's: the server cannot know the browser's."""
        from zoneinfo import ZoneInfo

        return ZoneInfo("Europe/Oslo")

    def option_label(self, options_id: str, value: str | None) -> str | None:
        """The label of an option in a list that was fetched for this form."""
        return self._state.option_label(options_id, value, self._rows)

    def page_link(self, page: str, *, back: bool) -> str:
        """The address of a page."""
        if page not in self._state.layout.pages:
            raise EvaluationError(f"there is no page {page!r}")
        return self._state.surroundings.page_address(page)

    def component_link(self, component_id: str, *, back: bool) -> str:
        """The address of a component: its page, and its name there."""
        found = self._find(component_id)
        return f"{self._state.surroundings.page_address(found.component.page)}#{found.id}"

    def external_api(self, api_id: str) -> Any:
        """Not offered to layouts here."""
        raise EvaluationError(f"the external API {api_id!r} has not been asked")

    def may(self, action: str) -> bool:
        """Whether the user may do `action` in the current task."""
        return action in self._state.surroundings.actions

    def gateway_action(self) -> str | None:
        """A form is not a gateway."""
        raise EvaluationError("gatewayAction cannot be used in a layout")

    @property
    def _default_data_type(self) -> str:
        return self._state.layout.default_data_type

    def _find(self, component_id: str) -> Node:
        if component_id not in self._state.layout.components:
            raise EvaluationError(f"there is no component {component_id!r}")
        found = self._state.find(component_id, self._rows, None if self._node is None else self._node.component)
        if found is None:
            raise EvaluationError(
                f"the component {component_id!r} cannot be reached from here: it stands in other rows"
            )
        return found


def with_rows(binding: Binding, lists: Sequence[Component], rows: Sequence[int]) -> str:
    """The path of `binding` with an index after the path of each list that it runs through."""
    path, done = binding.path, ""
    for group, index in zip(lists, rows, strict=False):
        place = group.list_binding
        if place is None or place.data_type != binding.data_type:
            continue
        bare = paths.without_indices(path)
        if bare != place.path and not bare.startswith(f"{place.path}."):
            continue
        if bare == place.path:
            continue
        # What stands before this list has its indices already; skip as many names as the list's path has.
        names = place.path.count(".") + 1
        pieces = path.split(".")
        if "[" in pieces[names - 1]:
            # The path names its own row from here on.
            break
        pieces[names - 1] += f"[{index}]"
        path = ".".join(pieces)
    return done + path


def is_true(value: Any) -> bool:
    """A value as yes or no, as expressions convert it; what cannot be is no."""
    if isinstance(value, str):
        return value.lower() in ("true", "1")
    return value is True or (isinstance(value, int | float) and value == 1)


def _row_id(item: Any, index: int) -> str:
    row_id = item.get(ROW_ID) if isinstance(item, dict) else None
    return row_id if isinstance(row_id, str) and row_id else str(index)
