"""Instances: made, read, deleted, confirmed, marked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from havn.contracts.storage import (
    READ_STATUSES,
    CompleteConfirmation,
    Instance,
    InstanceStatus,
    ReadStatus,
    Substatus,
)
from havn.guard.principal import Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage import happenings
from havn.platform.storage.access import SYNC_SCOPE, Access, is_owner, not_found, require_audience
from havn.platform.storage.bodies import aware, aware_process
from havn.platform.storage.catalogue import Catalogue
from havn.platform.storage.changes import Call, Changes
from havn.platform.storage.ids import new_guid
from havn.platform.storage.store import Connection, UniqueViolation, events, instances
from havn.platform.storage.store.instances import NewInstance
from havn.platform.storage.store.rows import Stamp, Stored

APP_ID = re.compile(r"([a-zæøå][a-zæøå0-9]*)/([a-zæøå][a-zæøå0-9-]*)")
_MAX_KEY = 255


def split_app_id(app_id: str | None) -> tuple[str, str]:
    """Org and app of `{org}/{app}`; 400 otherwise."""
    match = APP_ID.fullmatch(app_id or "")
    if match is None:
        raise Problem(400, "appId must be {org}/{app}.", code="invalid_app_id")
    return match[1], match[2]


def checked_key(key: str | None) -> str | None:
    """The `Idempotency-Key` header's value without its quotes; 400 when it is too long or not visible ASCII."""
    if key is None:
        return None
    key = key.strip().strip('"')
    if not 0 < len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise Problem(400, "Idempotency-Key must be 1 to 255 visible characters.", code="invalid_idempotency_key")
    return key


class Instances:
    """What can be done to whole instances."""

    def __init__(self, changes: Changes, access: Access, catalogue: Catalogue, clock: Clock) -> None:
        self._changes = changes
        self._access = access
        self._catalogue = catalogue
        self._clock = clock

    async def read(self, principal: Principal, guid: str) -> Stored:
        """The instance, if the caller may read it."""
        stored = await self._changes.find(guid)
        await self._access.read(principal, stored)
        return stored

    async def read_elements(self, principal: Principal, guid: str) -> Stored:
        """The instance, if the caller may read it; no scope stands in for the policy here."""
        stored = await self._changes.find(guid)
        await self._access.act(principal, stored, "read")
        return stored

    async def create(self, principal: Principal, app_id: str | None, wanted: Instance, key: str | None) -> Stored:
        """Make an instance, once for each `key` of the caller.

        Owner, status, process, data values and times are taken from `wanted`. Problems: 400, 403, 404 unknown
        application, 422 when the key was used for something else.
        """
        org, app = split_app_id(app_id)
        owner = wanted.instance_owner
        if owner is None or not (owner.party_id or "").isdecimal() or not 0 < int(owner.party_id or 0) < 2**63:
            raise Problem(400, "instanceOwner.partyId must be the owner's party id.", code="party_id_missing")
        party = int(owner.party_id or 0)
        require_audience(principal, org)
        application_version = await self._catalogue.require_version(org, app)
        await self._access.instantiate(principal, org, app, party)
        by, request = principal.performed_by(), f"instance {org}/{app} {party}"
        if key is not None and (made := await self._replayed(by, key, request)):
            return made
        now = self._clock()
        guid = new_guid(now)
        process = aware_process(wanted.process)
        new = NewInstance(
            guid=guid,
            org=org,
            app=app,
            party=party,
            owner=msgspec.structs.replace(owner, party_id=str(party)),
            status=_status(wanted.status or InstanceStatus()),
            process=process,
            due_before=aware(wanted.due_before),
            visible_after=aware(wanted.visible_after) or now,
            data_values=wanted.data_values or None,
            stamp=Stamp(now, by),
            event=happenings.made("Created", f"{party}/{guid}", principal, now),
            key=key,
            request=request,
        )
        try:
            await instances.insert(self._changes.database, new)
        except UniqueViolation:
            # The same call has run at the same time, or has been answered to nobody.
            if key is not None and (made := await self._replayed(by, key, request)):
                return made
            raise
        return self._changes.made(new, application_version)

    async def _replayed(self, by: str, key: str, request: str) -> Stored | None:
        found = await instances.replayed(self._changes.database, by, key)
        if found is None:
            return None
        require_same_request(found[0], request)
        return await self._changes.find(found[1])

    async def delete(self, call: Call, guid: str, *, hard: bool) -> Stored:
        """Mark as deleted. 403 while the application keeps archived instances from deletion."""
        application = None

        async def allow(stored: Stored) -> None:
            nonlocal application
            await self._access.act(call.principal, stored, "delete", sync=True)
            application = await self._catalogue.of(stored)

        async def act(connection: Connection, stored: Stored) -> Stored:
            days = application.prevent_instance_deletion_for_days if application else None
            now = self._clock()
            if days and stored.status.archived and now < stored.status.archived + timedelta(days=days):
                raise Problem(
                    403, f"Instances of this app cannot be deleted until {days} days after archiving.", code="kept"
                )
            await instances.mark_deleted(connection, guid, Stamp(now, call.principal.performed_by()), hard=hard)
            await self._write(connection, "Deleted", stored, call.principal)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act)

    async def undelete(self, call: Call, guid: str) -> None:
        """Take back a soft deletion; nothing happens to an instance that is not deleted. 404 when deleted for good."""

        async def allow(stored: Stored) -> None:
            await self._access.act(call.principal, stored, "delete")

        async def act(connection: Connection, stored: Stored) -> None:
            if stored.status.is_hard_deleted:
                raise not_found()
            if stored.status.is_soft_deleted:
                stamp = Stamp(self._clock(), call.principal.performed_by())
                await instances.mark_undeleted(connection, guid, stamp)
                await self._write(connection, "Undeleted", stored, call.principal)

        await self._changes.run(guid, call, allow, act)

    async def complete(self, call: Call, guid: str) -> Stored:
        """Confirm for the caller's org, once."""
        org = call.principal.org

        async def allow(stored: Stored) -> None:
            await self._access.act(call.principal, stored, "complete")
            if org is None:
                raise Problem(403, "Only an org can confirm that it has fetched an instance.", code="not_an_org")

        async def act(connection: Connection, stored: Stored) -> Stored:
            assert org is not None
            if any(each.stakeholder_id == org for each in stored.instance.complete_confirmations or ()):
                return stored
            now = self._clock()
            confirmation = CompleteConfirmation(stakeholder_id=org, confirmed_on=now)
            await instances.confirm(connection, guid, confirmation, Stamp(now, call.principal.performed_by()))
            await self._write(connection, "ConfirmedComplete", stored, call.principal)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act, heed_lock=False)

    async def set_read_status(self, call: Call, guid: str, name: str | None) -> Stored:
        """Mark as read or not, by the status's name in any case."""
        status: ReadStatus | None = next((each for each in READ_STATUSES if each.lower() == (name or "").lower()), None)
        if status is None:
            raise Problem(400, f"status must be one of {', '.join(READ_STATUSES)}.", code="invalid_read_status")

        async def allow(stored: Stored) -> None:
            await self._access.act(call.principal, stored, "read")

        async def act(connection: Connection, stored: Stored) -> Stored:
            if stored.status.read_status == status:
                return stored
            await instances.set_read_status(connection, guid, status)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act, heed_lock=False)

    async def set_substatus(self, call: Call, guid: str, substatus: Substatus) -> Stored:
        """Replace the substatus; the owning org only."""
        if not substatus.label:
            raise Problem(400, "A substatus needs a label.", code="label_missing")

        async def allow(stored: Stored) -> None:
            require_audience(call.principal, stored.org)
            if not is_owner(call.principal, stored.org):
                raise Problem(403, "Only the service owner sets the substatus.", code="not_the_owner")

        async def act(connection: Connection, stored: Stored) -> Stored:
            principal = call.principal
            stamp = Stamp(self._clock(), principal.org_number or principal.performed_by())
            await instances.set_substatus(connection, guid, substatus, stamp)
            await self._write(connection, "SubstatusUpdated", stored, principal)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act, heed_lock=False)

    async def merge_texts(self, call: Call, guid: str, texts: Mapping[str, str | None] | None) -> Stored:
        """Merge presentation texts."""
        if texts is None:
            raise Problem(400, "The body must hold texts.", code="texts_missing")

        async def allow(stored: Stored) -> None:
            await self._access.process(call.principal, stored)

        async def act(connection: Connection, stored: Stored) -> Stored:
            await instances.merge_texts(connection, guid, texts)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act)

    async def merge_values(self, call: Call, guid: str, values: Mapping[str, str | None] | None) -> Stored:
        """Merge data values."""
        if values is None:
            raise Problem(400, "The body must hold values.", code="values_missing")

        async def allow(stored: Stored) -> None:
            if call.principal.has_scope(SYNC_SCOPE):
                require_audience(call.principal, stored.org)
            else:
                await self._access.process(call.principal, stored)

        async def act(connection: Connection, stored: Stored) -> Stored:
            await instances.merge_values(connection, guid, values)
            return await self._changes.reread(connection, guid)

        return await self._changes.run(guid, call, allow, act)

    async def _write(self, connection: Connection, event_type: str, stored: Stored, principal: Principal) -> None:
        assert stored.instance.id is not None
        event = happenings.made(event_type, stored.instance.id, principal, self._clock())
        await events.insert(connection, stored.guid, [event])


def require_same_request(used_for: str, request: str) -> None:
    """422 when an idempotency key comes again with another request."""
    if used_for != request:
        raise Problem(422, "This Idempotency-Key was used for another request.", code="idempotency_key_reused")


def as_guid(text: str) -> str:
    """`text` as a guid in its usual form; 404 when it is none, as for a path that leads nowhere."""
    try:
        return str(UUID(text))
    except ValueError:
        raise Problem(404, "There is nothing at this address.", code="not_found") from None


def _status(status: InstanceStatus) -> InstanceStatus:
    return msgspec.structs.replace(
        status,
        archived=aware(status.archived),
        soft_deleted=aware(status.soft_deleted),
        hard_deleted=aware(status.hard_deleted),
    )
