"""Message boxes: a party's instances as lines to choose from, and one instance's history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from havn.contracts.messagebox import MessageBoxEvent, MessageBoxInstance, MessageBoxQuery
from havn.contracts.storage import Application, InstanceEvent
from havn.guard.principal import Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage.access import Access, require_audience, require_visible
from havn.platform.storage.bodies import aware
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.changes import Changes
from havn.platform.storage.instances import split_app_id
from havn.platform.storage.readable import Question, Readable, Rows
from havn.platform.storage.store import applications, events
from havn.platform.storage.store.rows import Outline, Stored
from havn.platform.storage.store.search import Filter, TimeFilter

_MOST = 5000
_MOST_PARTIES = 5000
_LANGUAGES = ("nb", "nn", "en")
_SHOWN_EVENTS = (
    "Created",
    "Deleted",
    "Saved",
    "Submited",
    "Undeleted",
    "SubstatusUpdated",
    "Signed",
    "SentToSign",
    "SentToPayment",
    "SentToSendIn",
    "SentToFormFill",
    "InstanceForwarded",
    "InstanceRightRevoked",
    "NotificationSentSms",
    "MessageArchived",
    "MessageRead",
)
_TASKS = {
    "data": "FormFilling",
    "confirmation": "Confirmation",
    "feedback": "Feedback",
    "signing": "Signing",
}
_LISTED_ACTIONS = ("read", "delete", "write", "sign")
_ACTIONS = (*_LISTED_ACTIONS, "instantiate")


class MessageBox:
    """Shows message boxes."""

    def __init__(
        self, changes: Changes, access: Access, readable: Readable, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._changes = changes
        self._access = access
        self._readable = readable
        self._catalogue = catalogue
        self._clock = clock

    async def find(self, principal: Principal, query: MessageBoxQuery) -> list[MessageBoxInstance]:
        """The lines that the caller may read, newest first: at most 5000, and the bound of `readable` on top."""
        if not query.instance_owner_party_id_list:
            raise Problem(400, "instanceOwnerPartyIdList must name at least one party.", code="party_id_missing")
        if len(query.instance_owner_party_id_list) > _MOST_PARTIES:
            raise Problem(400, f"At most {_MOST_PARTIES} parties can be searched at once.", code="too_many_parties")
        if not all(0 < party < 2**63 for party in query.instance_owner_party_id_list):
            raise Problem(400, "Party ids are positive numbers.", code="invalid_party_id")
        wanted = await self._filter(principal, query)
        if wanted is None:
            return []
        asked = Question(
            principal=principal, filter=wanted, actions=_LISTED_ACTIONS, choose=self._shown, with_elements=False
        )
        seen = (await self._readable.page(asked, size=_MOST)).seen
        names = await self._names([each.stored for each in seen], _language(query.language))
        # Whether one may sign is told where something waits to be signed.
        untold = frozenset() if any(_task_type(each.stored) == "signing" for each in seen) else frozenset({"sign"})
        return [_line(each.stored, each.may - untold, names.get(each.stored.app_id), allow_copy=False) for each in seen]

    async def one(self, principal: Principal, guid: str, language: str | None) -> MessageBoxInstance:
        """One line; 403 when the caller may do nothing with the instance."""
        stored = await self._changes.find(guid)
        require_audience(principal, stored.org)
        may = (await self._access.permitted(principal, [stored], _ACTIONS))[0]
        if not may:
            raise Problem(403, "You do not have the rights for this.", code="forbidden")
        require_visible(principal, stored)
        application = await self._catalogue.of(stored)
        copies = application.copy_instance_settings if application else None
        allow_copy = bool(copies and copies.enabled and stored.status.is_archived and "instantiate" in may)
        names = await self._names([stored], _language(language))
        return _line(stored, may, names.get(stored.app_id), allow_copy=allow_copy)

    async def events(self, principal: Principal, guid: str) -> list[MessageBoxEvent]:
        """The history: what was added counts as saved, and saves by one actor in a row are told once."""
        stored = await self._changes.find(guid)
        await self._access.act(principal, stored, "read")
        told: list[InstanceEvent] = []
        for event in await events.listed(self._changes.database, guid, types=_SHOWN_EVENTS):
            shown = event
            if event.event_type == "Created" and event.data_id:
                shown = msgspec.structs.replace(event, event_type="Saved")
            if told and shown.event_type == told[-1].event_type == "Saved" and shown.user == told[-1].user:
                told.pop()
            told.append(shown)
        return [
            MessageBoxEvent(
                id=each.id or "",
                created_date_time=each.created,
                event_type=each.event_type,
                user=each.user,
                related_user=each.related_user,
                additional_info=each.additional_info,
            )
            for each in told
        ]

    async def _filter(self, principal: Principal, query: MessageBoxQuery) -> Filter | None:
        """The rows looked at; None when none can match."""
        active, archived, deleted = query.include_active, query.include_archived, query.include_deleted
        reference = query.archive_reference.lower() if query.archive_reference else None
        if reference is not None:
            if active and not archived and not deleted:
                return None
            if not active == archived == deleted:
                active = False
        org, app = split_app_id(query.app_id) if query.app_id else (None, None)
        if principal.audience_org is not None:
            if org not in (None, principal.audience_org):
                return None
            org = principal.audience_org
        return Filter(
            parties=list(dict.fromkeys(query.instance_owner_party_id_list)),
            org=org,
            app=app,
            is_hard_deleted=False,
            states=None if active == archived == deleted else (active, archived, deleted),
            reference=reference,
            text=query.search_string or None,
            text_apps=(
                await applications.with_title(self._changes.database, query.search_string)
                if query.search_string
                else None
            ),
            visible_at=self._clock(),
            started_from=aware(query.from_created),
            started_to=aware(query.to_created),
            times=_between(query),
        )

    async def _shown(self, rows: Rows) -> list[bool]:
        """Which of the rows their apps let a message box show."""
        known = {each.app_id: await self._catalogue.of(each) for each in {one.app_id: one for one in rows}.values()}
        return [not _hidden(each, known[each.app_id]) for each in rows]

    async def _names(self, found: Sequence[Stored], language: str) -> dict[str, str]:
        return await applications.names(self._changes.database, sorted({each.app_id for each in found}), language)


def _between(query: MessageBoxQuery) -> list[TimeFilter]:
    start, end = aware(query.from_last_changed), aware(query.to_last_changed)
    found = [] if start is None else [TimeFilter("last_changed", ">=", start)]
    return found if end is None else [*found, TimeFilter("last_changed", "<=", end)]


def _language(language: str | None) -> str:
    return language if language in _LANGUAGES else "nb"


def _task_type(stored: Stored) -> str | None:
    process = stored.instance.process
    return process.current_task.altinn_task_type if process and process.current_task else None


def _hidden(stored: Stored | Outline, application: Application | None) -> bool:
    config = application.message_box_config if application else None
    settings = config.hide_settings if config else None
    if settings is None:
        return False
    return settings.hide_always or (stored.task is not None and stored.task in (settings.hide_on_task or ()))


def _current_task(stored: Stored) -> str:
    process = stored.instance.process
    if process is not None and process.ended is not None:
        return "Archived" if stored.status.is_archived else "Submit"
    return _TASKS.get(_task_type(stored) or "", "default")


def _line(stored: Stored, may: frozenset[str], name: str | None, *, allow_copy: bool) -> MessageBoxInstance:
    instance, status = stored.instance, stored.status
    texts = ", ".join((instance.presentation_texts or {}).values()) or None
    title = name or stored.app
    created = _later(instance.created, instance.visible_after)
    over = status.is_archived or status.is_soft_deleted
    return MessageBoxInstance(
        id=stored.guid,
        instance_owner_id=str(stored.party),
        org=stored.org,
        app_name=stored.app,
        title=f"{title}, {texts}" if texts else title,
        process_current_task=_current_task(stored),
        created_date_time=created,
        last_changed_by=instance.last_changed_by or "",
        due_date_time=None if over else instance.due_before,
        delete_status=1 if status.is_soft_deleted else 0,
        read_status=status.read_status,
        substatus=status.substatus,
        allow_delete="delete" in may,
        allow_new_copy=allow_copy,
        authorized_for_write="write" in may,
        authorized_for_sign="sign" in may,
        archived_date_time=status.archived,
        deleted_date_time=status.soft_deleted,
        presentation_text=texts,
        data_values=instance.data_values,
    )


def _later(created: datetime | None, visible: datetime | None) -> datetime:
    assert created is not None
    return visible if visible is not None and visible > created else created
