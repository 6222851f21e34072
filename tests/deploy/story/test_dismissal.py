"""The key of a rollout is taken back from the platform before it is forgotten, however long the platform is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx2

from havn.kit import db


class Line(httpx2.AsyncHTTPTransport):
    """The way to the platform, which may be cut."""

    cut = False

    async def handle_async_request(self, request):
        """See `httpx2.AsyncBaseTransport`."""
        if self.cut:
            raise httpx2.ConnectError("cut")
        return await super().handle_async_request(request)


@asynccontextmanager
async def cut_after_success(rig, planes_module, story_class):
    """A control plane whose platform is away as soon as a deployment has succeeded, but for the first."""
    line = Line()

    def reached(deployment: int, step: str) -> None:
        line.cut = line.cut or (deployment > 1 and step == "succeeded")

    connection = await db.connect(rig.config.database)
    async with planes_module.plane(rig.config, reached, line=line) as made:
        yield story_class(rig, made), line, connection
    await connection.close()


async def row(connection, query: str) -> None:
    """Wait until the query gives something."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(query):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_key_that_could_not_be_withdrawn_is_withdrawn_when_the_platform_is_back(
    rig, planes_module, story_class
):
    async with cut_after_success(rig, planes_module, story_class) as (story, line, connection):
        first, second = [(await story.deploy(await rig.release(number))).deployment for number in (1, 2)]
        assert (first.status, second.status) == ("succeeded", "succeeded")
        keyring, place = rig.keyring(), ("tt02", "ttd", "first")
        old, new = [await keyring.key_id(*place, each.id) for each in (first, second)]
        await row(connection, "select 1 from deploy.job where attempts > 1")
        assert {old, new} <= rig.published()
        assert await keyring.rollouts(*place) == [first.id, second.id]
        line.cut = False
        await row(connection, "select count(*) = 2 from deploy.job where finished is not null")
        assert {old, new} & rig.published() == {new}
        assert await keyring.rollouts(*place) == [second.id]


async def test_the_next_change_need_not_wait_for_a_key_that_cannot_be_withdrawn_and_withdraws_it(
    rig, planes_module, story_class
):
    async with cut_after_success(rig, planes_module, story_class) as (story, line, connection):
        first, second = [(await story.deploy(await rig.release(number))).deployment for number in (1, 2)]
        await row(connection, "select 1 from deploy.job where attempts > 0")
        # As if it had been away for long.
        await connection.execute("update deploy.job set due = now() + interval '1 hour' where finished is null")
        line.cut = False
        async with asyncio.timeout(60):
            scaled = await story.end(await story.client().scale("tt02", "ttd", "first", 1))
        assert scaled.deployment.status == "succeeded"
        await row(connection, "select count(*) = 3 from deploy.job where finished is not null")
        assert await rig.keyring().rollouts("tt02", "ttd", "first") == [second.id]
        assert await rig.keyring().key_id("tt02", "ttd", "first", first.id) is None
