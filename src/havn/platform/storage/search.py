"""`GET /instances`: what a caller may ask for, and what they get of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import UUID

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request

from havn.contracts.storage import Instance, QueryResponse
from havn.guard.pep import Enforcer, Resource
from havn.guard.principal import Kind, Principal
from havn.kit.problem import Problem
from havn.platform.storage.access import OWNER_SCOPE_PREFIX, READ_SCOPE, SYNC_SCOPE, Access, require_audience
from havn.platform.storage.bodies import aware
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.instances import split_app_id
from havn.platform.storage.readable import Question, Readable
from havn.platform.storage.store import Database, search
from havn.platform.storage.store.rows import Stored
from havn.platform.storage.store.search import Column, Filter, Operator, Position, TimeFilter

MAX_SIZE = 1000
_DEFAULT_SIZE = 100
_OPERATORS: Mapping[str, Operator] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "="}
_TIMES: Mapping[str, Column] = {
    "process.ended": "process_ended",
    "dueBefore": "due_before",
    "visibleAfter": "visible_after",
    "created": "created",
    "lastChanged": "last_changed",
}
_OWNER = re.compile(r"(person):(\d{11})|(organisation):(\d{9})")
_TOKEN = re.compile(r"(-?\d{1,17})\.([0-9a-f-]{36})")

FindParty = Callable[[str, str], Awaitable[int | None]]
"""`("person" or "organisation", number)` to a party id; None when there is no such party."""


class Search:
    """Answers queries for instances."""

    def __init__(
        self,
        database: Database,
        links: str,
        enforcer: Enforcer,
        access: Access,
        readable: Readable,
        catalogue: Catalogue,
        find_party: FindParty,
    ) -> None:
        self._database = database
        self._links = links
        self._enforcer = enforcer
        self._access = access
        self._readable = readable
        self._catalogue = catalogue
        self._find_party = find_party

    async def page(
        self, request: Request, principal: Principal, params: QueryParams, owner: str | None
    ) -> QueryResponse:
        """The page that `params` ask for; `owner` is the header that names an owner by number.

        It is full unless nothing is left, or so much of what was looked at may not be read that the bound of
        `readable` was reached: then it may be short, even empty, and still have a next one.
        """
        size = _size(params)
        descending = params.get("order", "desc:lastChanged").startswith("desc:")
        after = _position(params.get("continuationToken"))
        as_owner = principal.org is not None
        wanted = _filter(params, principal.org)
        parties = await self._parties(params, owner)
        if parties is not None and not parties:
            return self._answer(params, [], None)
        if as_owner:
            await self._allow_owner(principal, params, wanted)
        elif principal.kind in (Kind.USER, Kind.SYSTEM_USER) or principal.user_id is not None:
            if parties is None:
                raise Problem(400, "instanceOwner.partyId must be given.", code="party_id_missing")
        else:
            raise Problem(400, "Only users, system users and service owners can search.", code="not_a_searcher")
        if wanted is None:
            return self._answer(params, [], None)
        org = wanted.org
        if principal.audience_org is not None:
            if org is not None:
                require_audience(principal, org)
            org = principal.audience_org
        sees_deleted = as_owner and any(scope.startswith(OWNER_SCOPE_PREFIX) for scope in principal.scopes)
        hard = wanted.is_hard_deleted
        if not sees_deleted:
            if hard:
                return self._answer(params, [], None)
            hard = False
        wanted = msgspec.structs.replace(wanted, parties=parties, org=org, is_hard_deleted=hard)
        with_elements = _flag(params, "includeDataElements") is not False
        if as_owner:
            found = await search.page(
                self._database,
                wanted,
                self._links,
                size=size,
                descending=descending,
                after=after,
                with_elements=with_elements,
            )
            position = search.position(found[-1]) if len(found) == size else None
        else:
            asked = Question(principal=principal, filter=wanted, descending=descending, with_elements=with_elements)
            page = await self._readable.page(asked, size=size, after=after)
            found, position = [each.stored for each in page.seen], page.after
        shown = await self._shown(request, principal, found, sees_deleted=sees_deleted)
        return self._answer(params, shown, position)

    async def _shown(
        self, request: Request, principal: Principal, found: Sequence[Stored], *, sees_deleted: bool
    ) -> list[Instance]:
        """The instances with the elements that the caller is shown."""
        rows = [(each, await self._catalogue.of(each) if each.instance.data else None) for each in found]
        data = await self._access.shown_many(request, principal, rows)
        if not sees_deleted:
            data = [[each for each in elements if each.delete_status is None] for elements in data]
        return [
            msgspec.structs.replace(each.instance, data=list(elements)) if each.instance.data else each.instance
            for each, elements in zip(found, data, strict=True)
        ]

    async def _allow_owner(self, principal: Principal, params: QueryParams, wanted: Filter | None) -> None:
        """The rules for tokens with an org claim."""
        if not principal.has_scope(READ_SCOPE, SYNC_SCOPE):
            raise Problem(403, f"The scope {READ_SCOPE} is needed.", code="scope_missing")
        org, app_id = params.get("org"), params.get("appId")
        if not org and not app_id:
            raise Problem(400, "Either org or appId must be given.", code="org_missing")
        asked = org or split_app_id(app_id)[0]
        if asked == principal.org or principal.has_scope(SYNC_SCOPE):
            return
        if not app_id:
            raise Problem(400, "appId must be given for another org's instances.", code="app_id_missing")
        await self._enforcer.require(principal, Resource(*split_app_id(app_id)), "read")

    async def _parties(self, params: QueryParams, owner: str | None) -> list[int] | None:
        text = params.get("instanceOwner.partyId")
        if text and owner:
            raise Problem(400, "Name the instance owner once, by id or by number.", code="two_owners")
        if text:
            if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
                raise Problem(400, "instanceOwner.partyId must be a number.", code="invalid_party_id")
            return [int(text)]
        if not owner:
            return None
        match = _OWNER.fullmatch(owner.replace(" ", "").lower())
        if match is None:
            raise Problem(400, "The owner must be Person:<11 digits> or Organisation:<9 digits>.", code="invalid_owner")
        party = await self._find_party(match[1] or match[3], match[2] or match[4])
        return [] if party is None else [party]

    def _answer(self, params: QueryParams, instances: Sequence[Instance], after: Position | None) -> QueryResponse:
        kept = [(name, value) for name, value in params.multi_items() if name != "continuationToken"]
        token = params.get("continuationToken")
        here = kept if token is None else [*kept, ("continuationToken", token)]
        following = None
        if after is not None:
            following = self._link([*kept, ("continuationToken", encode_position(after))])
        return QueryResponse(count=len(instances), self_=self._link(here), next=following, instances=list(instances))

    def _link(self, params: Sequence[tuple[str, str]]) -> str:
        query = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in params)
        return f"{self._links}/instances" + (f"?{query}" if query else "")


def encode_position(position: Position) -> str:
    """A continuation token; its inside is ours alone."""
    return f"{_microseconds(position.last_changed)}.{position.guid}"


def _position(token: str | None) -> Position | None:
    if not token:
        return None
    match = _TOKEN.fullmatch(token)
    try:
        if match is None:
            raise ValueError
        seconds, rest = divmod(int(match[1]), 1_000_000)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
        return Position(moment, str(UUID(match[2])))
    except (ValueError, OverflowError, OSError):
        raise Problem(400, "The continuation token is not one of ours.", code="invalid_continuation_token") from None


def _microseconds(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def _filter(params: QueryParams, caller_org: str | None) -> Filter | None:
    """The filters; None when nothing can match. 400 for each that cannot be read."""
    org, app_id = params.get("org") or None, params.get("appId") or None
    app = None
    if app_id is not None:
        app_org, app = split_app_id(app_id)
        if org is not None and org != app_org:
            return None
        org = app_org
    if not _is_ours(params):
        return None
    reference = params.get("A3Ref") or None
    if reference is not None and len(reference) != 12:
        raise Problem(400, "A3Ref is 12 characters.", code="invalid_reference")
    confirmed, not_confirmed_by = _flag(params, "confirmed"), params.get("excludeConfirmedBy") or None
    if not_confirmed_by is not None and (org or caller_org or "").lower() == not_confirmed_by.lower():
        if confirmed:
            return None
        confirmed, not_confirmed_by = False, None
    return Filter(
        org=org,
        app=app,
        current_task=params.get("process.currentTask") or None,
        is_complete=_flag(params, "process.isComplete"),
        times=[each for name, column in _TIMES.items() for each in _times(params, name, column)],
        is_archived=_flag(params, "status.isArchived"),
        is_soft_deleted=_flag(params, "status.isSoftDeleted"),
        is_hard_deleted=_flag(params, "status.isHardDeleted"),
        confirmed=confirmed,
        not_confirmed_by=not_confirmed_by,
        reference=reference.lower() if reference else None,
        text=params.get("searchString") or None,
    )


def _is_ours(params: QueryParams) -> bool:
    """Every instance here is of main version 3; older ones can be asked for, and there are none."""
    if params.get("dataValues.A2ArchRef"):
        return False
    include, exclude = _number(params, "mainVersionInclude"), _number(params, "mainVersionExclude")
    if params.get("A3Ref"):
        return True
    return (include is None or include == 3) and exclude != 3


def _times(params: QueryParams, name: str, column: Column) -> list[TimeFilter]:
    found: dict[Operator, TimeFilter] = {}
    for value in params.getlist(name):
        word, colon, text = value.partition(":")
        operator = _OPERATORS.get(word)
        if not colon or operator is None:
            names = ", ".join(_OPERATORS)
            raise Problem(400, f"{name} must be op:time with op one of {names}.", code="invalid_time_filter")
        if operator in found:
            raise Problem(400, f"{name} has {word} twice.", code="invalid_time_filter")
        found[operator] = TimeFilter(column, operator, _moment(text, name))
    return list(found.values())


def _moment(text: str, name: str) -> datetime:
    """A date or a time of ISO 8601, in UTC when it names no zone; a plus sign may have become a space on its way."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    except ValueError:
        raise Problem(400, f"{name} holds no time.", code="invalid_time_filter") from None
    return aware(moment)


def _flag(params: QueryParams, name: str) -> bool | None:
    value = params.get(name)
    if not value:
        return None
    if value.lower() not in ("true", "false"):
        raise Problem(400, f"{name} must be true or false.", code="invalid_query")
    return value.lower() == "true"


def _number(params: QueryParams, name: str) -> int | None:
    value = params.get(name)
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise Problem(400, f"{name} must be a number.", code="invalid_query")
    return int(value)


def _size(params: QueryParams) -> int:
    size = _number(params, "size")
    if size is None:
        return _DEFAULT_SIZE
    if size == 0:
        raise Problem(400, "size must be at least 1.", code="invalid_query")
    return min(size, MAX_SIZE)
