"""A managed Api of a real app: consumers need keys, the app's own users do not notice."""

from __future__ import annotations

import os
import uuid

from havn.contracts.management import Api, Application, Key, Plan, Quota, Rate, Subscription, Title, api_id, plan_id
from havn.engines import api_keys
from havn.guard.callers import Callers
from havn.kit.http import HttpClient
from havn.kit.web import create_app
from havn.platform.management import store
from havn.platform.management.metering.wiring import Metering
from havn.platform.management.store import apis, applications, keys, subscriptions
from havn.runtime.app import build

MANAGED = "api/v1/applicationmetadata"


async def test_consumers_need_a_key_and_the_apps_own_users_do_not_notice(stage, builder, make_database) -> None:
    url = await make_database("management")
    database = await store.open_database(url)
    http = HttpClient("https://platform.havn.test", name="platform", transport=stage.network())
    callers = Callers(http, scheme="https", domain="havn.test", clock=stage.clock)
    metering = Metering(database, url, callers.components, clock=stage.clock)
    stage.hosts.apis["management"] = create_app(metering.routes("/management/api/v1"), name="management")
    folder = builder.write()
    first = await stage.deploy(folder)
    key = await _offer(database, *first.id.split("/"), stage.clock())

    # Another replica, started after the Api was published.
    app = build(first.settings, clock=stage.clock, transport=stage.network())
    stage.hosts.apps[first.id] = app
    async with app.router.lifespan_context(app):
        consumer, browser = await first.client("Sindig Bjørk"), await first.browser("Sindig Bjørk")
        assert (await consumer.get(MANAGED)).json()["code"] == "key_needed"
        with_key = {"x-api-key": key}
        statuses = [(await consumer.get(MANAGED, headers=with_key)).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = await consumer.get(MANAGED, headers=with_key)
        assert answer.headers["ratelimit-policy"] == '"few";q=3;w=3600, "daily";q=100;w=86400'
        assert answer.headers["x-content-type-options"] == "nosniff"
        for _ in range(5):
            assert (await browser.get(MANAGED)).status_code == 200
        assert (await consumer.get("")).status_code != 401
    # The process has ended, and has told and given back everything.
    row = await database.fetchrow("select granted, used from quota_use")
    assert tuple(row) == (3, 3)
    assert await database.fetchval("select rejected from use_by_day") == 2
    await http.close()
    await database.close()


async def _offer(database, org: str, app: str, now) -> str:
    """An Api of the app, a plan, and a key to it."""
    api = Api(id=api_id(org, app, "all", "v1"), org=org, app=app, name="all", title=Title(nb="Alt"), paths=("/api/v1",))
    plan = Plan(
        id=plan_id(api.id, "basic"), api=api.id, name="basic", title=Title(nb="Basis"), store_away="closed",
        rates=(Rate(name="few", requests=3, seconds=3600),), quotas=(Quota(name="daily", requests=100, per="day"),),
    )  # fmt: skip
    application = Application(id=str(uuid.uuid4()), name="system", owner="310000006", created=now)
    subscription = Subscription(
        id=str(uuid.uuid4()), application=application.id, plan=plan.id, api=api.id, state="active", created=now
    )
    await apis.put(database, api, declared=False, now=now)
    await apis.put_plan(database, plan)
    await applications.add(database, application)
    await subscriptions.add(database, subscription)
    made, salt = api_keys.make(os.urandom(8), os.urandom(32)), os.urandom(16)
    new = Key(prefix=made.prefix, subscription=subscription.id, created=now, state="active")
    await keys.add(database, new, salt, api_keys.digest(made, salt))
    return made.text
