"""Application metadata and texts: written by the platform as apps are deployed, read by everybody."""

from __future__ import annotations

import re

import msgspec

from havn.contracts.storage import Application, TextResource
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.storage.access import not_found
from havn.platform.storage.bodies import aware
from havn.platform.storage.instances import split_app_id
from havn.platform.storage.store import Database, applications

_LANGUAGE = re.compile(r"[a-z]{2}")


class Applications:
    """Reads and writes application metadata; `by` is who does it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def listed(self, org: str | None = None) -> list[Application]:
        """All, or one org's; 400 for what cannot be an org."""
        if org is not None and ("-" in org or " " in org):
            raise Problem(400, "This is no org code.", code="invalid_org")
        return await applications.listed(self._database, org)

    async def get(self, org: str, app: str) -> Application:
        """One; 404."""
        found = await applications.find(self._database, org, app)
        if found is None:
            raise not_found("application")
        return found[1]

    async def publish(self, app_id: str | None, wanted: Application, by: str) -> Application:
        """Write, new or not: who made it first, and when, stays."""
        org, app = split_app_id(app_id)
        if wanted.id is not None and wanted.id != app_id:
            raise Problem(400, "The body is about another application.", code="wrong_app_id")
        return await self._put(org, app, wanted, by, must_exist=False)

    async def replace(self, org: str, app: str, wanted: Application, by: str) -> Application:
        """Write one that is there; 404."""
        if wanted.id != f"{org}/{app}":
            raise Problem(400, "The body is about another application.", code="wrong_app_id")
        return await self._put(org, app, wanted, by, must_exist=True)

    async def _put(self, org: str, app: str, wanted: Application, by: str, *, must_exist: bool) -> Application:
        now = self._clock()
        async with self._database.transaction() as connection:
            before = await applications.hold(connection, org, app)
            if before is None and must_exist:
                raise not_found("application")
            application = msgspec.structs.replace(
                wanted,
                id=f"{org}/{app}",
                org=org,
                valid_from=aware(wanted.valid_from) or (before.valid_from if before else None) or now,
                valid_to=aware(wanted.valid_to),
                storage_account_number=before.storage_account_number if before else wanted.storage_account_number,
                created=before.created if before else now,
                created_by=before.created_by if before else by,
                last_changed=now,
                last_changed_by=by,
            )
            await applications.put(connection, org, app, application)
        return application

    async def delete(self, org: str, app: str, by: str, *, hard: bool) -> Application:
        """End its validity now, or remove it with its texts; 404."""
        now = self._clock()
        async with self._database.transaction() as connection:
            before = await applications.hold(connection, org, app)
            if before is None:
                raise not_found("application")
            if hard:
                await applications.remove(connection, org, app)
                return before
            ended = msgspec.structs.replace(before, valid_to=now, last_changed=now, last_changed_by=by)
            await applications.put(connection, org, app, ended)
        return ended

    async def text(self, org: str, app: str, language: str) -> TextResource:
        """The texts in one language; 404."""
        _check_language(language)
        found = await applications.text(self._database, org, app, language)
        if found is None:
            raise not_found("text")
        return found

    async def put_text(
        self, org: str, app: str, wanted: TextResource, *, language: str | None = None
    ) -> TextResource | None:
        """Write texts; with `language` only over those that are there, None when they are not. 404 unknown app."""
        _check_language(wanted.language)
        if language is not None and language != wanted.language:
            raise Problem(400, "The body is in another language than the address says.", code="wrong_language")
        text = msgspec.structs.replace(wanted, id=f"{org}-{app}-{wanted.language}", org=org)
        async with self._database.transaction() as connection:
            if await applications.hold(connection, org, app) is None:
                raise not_found("application")
            if language is not None and await applications.text(connection, org, app, language) is None:
                return None
            await applications.put_text(connection, org, app, text)
        return text

    async def delete_text(self, org: str, app: str, language: str) -> None:
        """Remove; 404."""
        _check_language(language)
        if not await applications.remove_text(self._database, org, app, language):
            raise not_found("text")


def _check_language(language: str) -> None:
    if not _LANGUAGE.fullmatch(language):
        raise Problem(400, "A language is two lower-case letters.", code="invalid_language")
