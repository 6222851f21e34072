"""A form without an instance: the page carries the model along, nothing is stored."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.application import DataType
from havn.contracts.register import Party
from havn.contracts.storage import Instance
from havn.kit.problem import Problem
from havn.runtime import parties, stateless, visible
from havn.runtime.api.session import sign_in
from havn.runtime.issues import Severity, ValidationIssue
from havn.runtime.layout.form import FormState
from havn.runtime.layout.nodes import State
from havn.runtime.layout.reach import Reach, missing
from havn.runtime.layout.surroundings import Surroundings
from havn.runtime.layout.tree import Layout
from havn.runtime.messages import message
from havn.runtime.pages import page, posted, verbs
from havn.runtime.pages.dates import today
from havn.runtime.pages.feedback import REQUIRED
from havn.runtime.pages.filling import Form
from havn.runtime.pages.opened import Opened
from havn.runtime.pages.site import Site
from havn.runtime.process import AppProcessState

MODEL = "_model"
_NOWHERE = AppProcessState(
    started=None, start_event=None, current_task=None, ended=None, end_event=None, process_tasks=[]
)
Model = dict[str, Any]


class Stateless(Opened):
    """The one model of a stateless form."""

    stored = False

    def __init__(self, site: Site, layout: Layout, type_: DataType, model: Model, party: Party | None) -> None:
        nowhere = Instance(app_id=site.context.folder.id, org=site.context.folder.org)
        super().__init__(site, nowhere, _NOWHERE, party.name if party is not None else None)
        self._party = party
        self.layout = layout
        self.type = type_
        self.models = {type_.id: model}
        self._drawn: FormState | None = None

    @property
    def party_id(self) -> int | None:
        """Whom a signed-in user acts for."""
        return self._party.party_id if self._party is not None else None

    def speak(self, language: str) -> None:
        """Go on in another language."""
        super().speak(language)
        self._drawn = None

    def page_path(self, page: str, task: str | None = None) -> str:
        """The path of a page."""
        return f"/form/{page}"

    def around(self, layout: Layout, *, read_only: bool) -> Surroundings:
        """The surroundings of the layout: there is no instance."""
        found = visible.surroundings(
            self.site.context, self.site.language, None, default_data_type=layout.default_data_type
        )
        base = self.site.base
        return msgspec.structs.replace(
            found,
            today=today(self.site.context.clock()),
            page_address=lambda name: f"{base}{self.page_path(name)}",
        )

    async def state(self, layout: Layout, *, read_only: bool | None = None) -> FormState:
        """The layout with the model as it is now."""
        if self._drawn is None:
            self._drawn = await visible.state(
                self.site.context, self.site.actor, layout, self.models, self.around(layout, read_only=False)
            )
        return self._drawn

    async def earlier(self, layout: Layout) -> dict[str, State]:
        """There are no other tasks."""
        return {}

    async def edit(self, data_type: str, change: Callable[[Model], None]) -> list[ValidationIssue] | None:
        """Change the model, and let the app's code work on it."""
        model = copy.deepcopy(self.models[data_type])
        change(model)
        self.models = {data_type: await stateless.calculated(self.site.context, self.site.actor, self.type, model)}
        self._drawn = None
        return None

    async def judge(self, *, fully: bool) -> list[ValidationIssue]:
        """What the schema and the layout say of the model."""
        state = await self.state(self.layout)
        reach, type_id = Reach(state), self.type.id
        rules = self.site.context.models.rules(type_id)
        found: list[ValidationIssue] = []
        if rules is not None:
            issues = rules.check(
                self.models[type_id], "", self.site.language, asked_for=lambda path: reach.shows(type_id, path)
            )
            found = [issue for issue in issues if not reach.hides(type_id, issue.field or "")]
        for one in missing(state):
            text = one.node.text("requiredValidation") or message(self.site.language, "required")
            found.append(
                ValidationIssue(
                    severity=Severity.ERROR, field=one.path, code="required", description=text, source=REQUIRED
                )
            )
        return found

    def data_types(self) -> dict[str, str]:
        """The model is no element."""
        return {"": self.type.id}

    def facts(self) -> dict[str, str]:
        """Nothing is known of an instance."""
        return {}

    def carried(self) -> dict[str, str]:
        """The model travels with the page."""
        return {MODEL: msgspec.json.encode(self.models[self.type.id]).decode()}


async def show(request: Request) -> Response:
    """The first page, with a new model. Addresses of later pages lead here too: what they showed was not kept."""
    site = Site(request)
    layout, type_ = _form(site)
    if not site.actor.principal.authenticated and not stateless.allows_anonymous(type_):
        return sign_in(request)
    if "page" in request.path_params:
        return site.go("/", status=302)
    party = None
    if not stateless.allows_anonymous(type_):
        party = await parties.current(site.context, site.actor, request.cookies)
        await stateless.require_read(site.context, site.actor, party)
    prefill = {name: value for name, value in request.query_params.items() if name not in ("lang", "party")}
    known = site.context.folder.prefill(type_.id)
    wanted = {name: prefill[name] for name in prefill if known is not None and name in known.query_parameters}
    model = await stateless.fresh(site.context, site.actor, type_, party, wanted or None)
    opened = Stateless(site, layout, type_, model, party)
    pages = (await opened.state(layout)).pages()
    if not pages:
        raise Problem(404, "The form has no page to show.", code="no_page")
    return page.whole(await Form(opened, layout, pages[0]).view(None))


async def post(request: Request) -> Response:
    """A page sent back with its model."""
    site = Site(request)
    layout, type_ = _form(site)
    party = None
    if not stateless.allows_anonymous(type_):
        if not site.actor.principal.authenticated:
            return sign_in(request, goto=site.home) if not site.partial else Response(status_code=401)
        party = await parties.current(site.context, site.actor, request.cookies)
        await stateless.require_read(site.context, site.actor, party)
    sent = await posted.read(request)
    await site.check()
    try:
        model = msgspec.json.decode(sent.one(MODEL) or "{}", type=Model)
    except (msgspec.DecodeError, RecursionError):
        raise Problem(400, "The form did not bring its answers along.", code="invalid_model") from None
    site.context.models.check(type_.id, model)
    opened = Stateless(site, layout, type_, model, party)
    name = request.path_params["page"]
    found = layout.pages.get(name)
    if found is None or name not in layout.order:
        return site.go("/")
    form = Form(opened, layout, found, shown=sent.shown)
    form.open_rows = sent.open_rows
    return await verbs.take(form, sent)


def _form(site: Site) -> tuple[Layout, DataType]:
    layout_set = site.context.folder.stateless
    layout = site.context.layouts.of_set(layout_set.id) if layout_set is not None else None
    if layout is None:
        raise Problem(404, "The app has no form without an instance.", code="not_stateless")
    return layout, stateless.form_type(site.context, layout.default_data_type)
