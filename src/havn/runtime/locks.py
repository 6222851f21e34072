"""The instance's lock, held while its process moves, and data elements left locked by a move that was cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from havn.contracts.application import DataType
from havn.contracts.storage import DataElement, Instance
from havn.kit.background import background
from havn.kit.problem import Problem

if TYPE_CHECKING:
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext

_EVERY = 0.5
"""Seconds between attempts to take a lock that is held."""


@asynccontextmanager
async def moving(context: AppContext, actor: Actor, instance: Instance) -> AsyncIterator[Actor]:
    """Hold the instance's lock, renewed as long as the block runs; gives the actor that may still change it.

    Waits for a lock whose holder may have been killed; 409 `move_under_way` when it is still held after that.
    """
    storage, instance_id, credentials = context.clients.storage, instance.id or "", actor.credentials
    seconds = context.settings.lock_seconds
    token = await _take(context, actor, instance_id)

    async def renew() -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            with suppress(Problem):
                await storage.extend_lock(instance_id, token, seconds, credentials)

    try:
        async with background(renew(), name="lock renewal"):
            yield _holding(actor, token)
    finally:
        # A lock that cannot be released ends by itself.
        with suppress(Problem):
            await storage.extend_lock(instance_id, token, 0, credentials)


def _holding(actor: Actor, token: str) -> Actor:
    return msgspec.structs.replace(actor, credentials=msgspec.structs.replace(actor.credentials, lock_token=token))


async def _take(context: AppContext, actor: Actor, instance_id: str) -> str:
    seconds = context.settings.lock_seconds
    # A little longer than a dead holder's lock can last.
    for attempt in range(int(seconds * 1.2 / _EVERY) + 2):
        if attempt:
            await asyncio.sleep(_EVERY)
        try:
            return await context.clients.storage.lock_instance(instance_id, seconds, actor.credentials)
        except Problem as problem:
            if problem.status != 409:
                raise
    raise Problem(
        409, "The instance is being moved on just now. Try again.", code="move_under_way", headers={"Retry-After": "5"}
    )


async def reopen(context: AppContext, actor: Actor, instance: Instance, element: DataElement, type_: DataType) -> None:
    """Unlock an element of the current task.

    Elements are locked at the end of their task. One of the *current* task that is locked means that a move is under
    way (409), or that one was cut short: nobody holds the instance's lock then, and the person goes on editing.
    """
    task = instance.process.current_task if instance.process else None
    if task is None or type_.task_id != task.element_id or task.altinn_task_type != "data":
        raise Problem(409, "The data is locked and cannot be changed.", code="locked")
    storage, instance_id = context.clients.storage, instance.id or ""
    try:
        token = await storage.lock_instance(instance_id, context.settings.lock_seconds, actor.credentials)
    except Problem as problem:
        if problem.status == 409:
            raise Problem(409, "The form is being submitted just now.", code="move_under_way") from None
        raise
    try:
        await storage.unlock_data(instance_id, element.id or "", _holding(actor, token).credentials)
    finally:
        with suppress(Problem):
            await storage.extend_lock(instance_id, token, 0, actor.credentials)
