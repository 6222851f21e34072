"""Which deployments a change of a secret makes, beside those that are under way."""

from datetime import UTC, datetime

import pytest

from havn.deploy.access import Operator
from havn.deploy.secrets.redeploy import Redeploy
from havn.deploy.secrets.store import Scope
from havn.deploy.store import Store, Target, Wanted

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KARI = Operator("kari", "127.0.0.1")
OLD, NEW = (f"sha256:{digit * 64}" for digit in "ab")
FIRST, SECOND = Target("tt02", "ttd", "first"), Target("tt02", "ttd", "second")


@pytest.fixture
async def store(make_database):
    store = await Store.open(await make_database("deploy"))
    yield store
    await store.close()


async def asked(store, target, release=OLD, kind="deploy", replicas=2):
    wanted = Wanted(target=target, kind=kind, release=release, replicas=replicas, who="ola", address="", base="base")
    return await store.request(wanted, NOW)


async def deployed(store, target):
    await store.succeed(await asked(store, target), {}, NOW)


async def redeploy(store, scope):
    return await Redeploy(store, lambda: NOW)(scope, KARI)


async def test_the_apps_that_are_given_a_secret_are_deployed_anew_as_they_are(store):
    for target in (FIRST, SECOND, Target("tt02", "skd", "first"), Target("production", "ttd", "first")):
        await deployed(store, target)
    [own] = await redeploy(store, Scope("tt02", "ttd", "first"))
    assert (own.app, own.release, own.replicas, own.base, own.requested_by) == ("first", OLD, 2, "base", "kari")
    assert await redeploy(store, Scope("tt02", "ttd", "absent")) == []


async def test_an_orgs_secret_goes_to_all_its_apps(store):
    for target in (FIRST, SECOND):
        await deployed(store, target)
    assert [each.app for each in await redeploy(store, Scope("tt02", "ttd"))] == ["first", "second"]


async def test_a_deployment_that_has_not_begun_will_take_the_secret_by_itself(store):
    await deployed(store, FIRST)
    waiting = await asked(store, FIRST, NEW)
    assert await redeploy(store, Scope("tt02", "ttd", "first")) == [waiting]


async def test_a_change_that_is_just_being_made_is_not_taken_back(store):
    await deployed(store, FIRST)
    going_on = await asked(store, FIRST, NEW)
    await store.set_status(going_on.id, "running")
    [made] = await redeploy(store, Scope("tt02", "ttd", "first"))
    assert (made.id != going_on.id, made.release) == (True, NEW)


async def test_an_app_on_its_way_out_is_left_alone(store):
    await deployed(store, FIRST)
    await asked(store, FIRST, kind="undeploy", replicas=0)
    assert await redeploy(store, Scope("tt02", "ttd", "first")) == []
