"""Making, rotating and revoking keys. A key is shown in the answer that makes it and never again."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from havn.contracts.management import Api, Key, NewKey, Subscription
from havn.engines import api_keys
from havn.kit.problem import Problem
from havn.platform.management.actors import Actor
from havn.platform.management.recording import Recorder
from havn.platform.management.store import Connection, Database, keys, subscriptions

LIVE_KEYS = 2
"""So many at once: one in use, and one to change to."""


class Keys:
    """The operations. Who may do them is decided before."""

    def __init__(
        self, database: Database, recorder: Recorder, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._db = database
        self._recorder = recorder
        self._random = random

    async def listed(self, subscription: str) -> list[Key]:
        """A subscription's keys, ended ones too."""
        return await keys.of_subscription(self._db, subscription, self._recorder.clock())

    async def make(
        self, actor: Actor, subscription: Subscription, api: Api, *, count: int = 1, expires: datetime | None = None
    ) -> list[NewKey]:
        """Make `count` keys. 409 when there would be more than two live ones, or the subscription is not active."""
        async with self._db.transaction() as connection:
            live = await self._live(connection, subscription, expires)
            if len(live) + count > LIVE_KEYS:
                raise Problem(409, "There are two keys already: rotate one, or revoke one first.", code="too_many_keys")
            return [await self._make(connection, actor, subscription, api, expires) for _ in range(count)]

    async def rotate(
        self, actor: Actor, subscription: Subscription, api: Api, prefix: str, *, expires: datetime | None = None
    ) -> NewKey:
        """End the key and make another in its place; the other key goes on meanwhile. 404 when it is not live."""
        async with self._db.transaction() as connection:
            live = await self._live(connection, subscription, expires)
            await self._end(connection, actor, subscription, api, _one(live, prefix))
            return await self._make(connection, actor, subscription, api, expires)

    async def revoke(self, actor: Actor, subscription: Subscription, api: Api, prefix: str) -> None:
        """End a key at once, whatever the subscription's state. 404 when it is not live."""
        async with self._db.transaction() as connection:
            await subscriptions.hold(connection, subscription.id, self._recorder.clock())
            live = await self._keys(connection, subscription)
            await self._end(connection, actor, subscription, api, _one(live, prefix))

    async def _live(self, connection: Connection, subscription: Subscription, expires: datetime | None) -> list[Key]:
        now = self._recorder.clock()
        held = await subscriptions.hold(connection, subscription.id, now)
        if held is None or held.state != "active":
            raise Problem(409, "Only an active subscription has keys.", code="not_active")
        if expires is not None and expires <= now:
            raise Problem(400, "The end of a key lies ahead.", code="invalid_expires")
        return await self._keys(connection, subscription)

    async def _keys(self, connection: Connection, subscription: Subscription) -> list[Key]:
        found = await keys.of_subscription(connection, subscription.id, self._recorder.clock())
        return [key for key in found if key.state == "active"]

    async def _make(
        self, connection: Connection, actor: Actor, subscription: Subscription, api: Api, expires: datetime | None
    ) -> NewKey:
        made = api_keys.make(self._random(api_keys.PREFIX_BYTES), self._random(api_keys.SECRET_BYTES))
        salt = self._random(api_keys.SALT_BYTES)
        key = Key(
            prefix=made.prefix,
            subscription=subscription.id,
            created=self._recorder.clock(),
            expires=expires,
            state="active",
        )
        await keys.add(connection, key, salt, api_keys.digest(made, salt))
        await self._recorder.record(
            connection, actor, "make", f"key/{key.prefix}", org=api.org, consumer=subscription.owner, after=key
        )
        return NewKey(**{name: getattr(key, name) for name in Key.__struct_fields__}, key=made.text)

    async def _end(self, connection: Connection, actor: Actor, subscription: Subscription, api: Api, key: Key) -> None:
        await keys.revoke(connection, key.prefix, self._recorder.clock())
        await self._recorder.record(
            connection, actor, "revoke", f"key/{key.prefix}", org=api.org, consumer=subscription.owner, before=key
        )


def _one(live: list[Key], prefix: str) -> Key:
    found = next((key for key in live if key.prefix == prefix), None)
    if found is None:
        raise Problem(404, "There is no such key that is live.", code="unknown_key")
    return found
