"""Signing in by the device flow at a real provider, and what a token is worth afterwards."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from havn.contracts.estate import GrantRequest
from havn.deploy.promotion.store import Approvals
from havn.deploy.store import Target, Wanted
from havn.kit import db
from havn.kit.db import Database
from havn.kit.problem import Problem


async def test_a_person_confirms_on_another_screen_and_is_who_they_said(plane):
    client = plane.client(None)
    begun = await client.begin_login()
    assert begun.user_code not in begun.device_code
    assert (await client.poll_login(begun.device_code)).waiting
    people = await plane.sign_in.people()
    assert await plane.sign_in.confirm(begun.user_code.lower().replace("-", " "), people[1]) == 200
    session = await client.poll_login(begun.device_code)
    assert session.token is not None
    me = await plane.client(session.token).whoami()
    assert (me.subject, me.name, me.grants) == (session.subject, session.name, [])
    # Once, and never again.
    with pytest.raises(Problem) as problem:
        await client.poll_login(begun.device_code)
    assert problem.value.code == "login_expired"


async def test_who_is_refused_gets_no_token(plane):
    client = plane.client(None)
    begun = await client.begin_login()
    assert await plane.sign_in.confirm(begun.user_code, None) == 200
    with pytest.raises(Problem) as problem:
        await client.poll_login(begun.device_code)
    assert (problem.value.status, problem.value.code) == (403, "login_refused")


async def test_a_wrong_code_is_not_taken(plane):
    await plane.client(None).begin_login()
    assert await plane.sign_in.confirm("BCDF-GHJK", (await plane.sign_in.people())[0]) == 400


async def test_a_session_ends_by_itself_and_by_signing_out(plane):
    person = (await plane.sign_in.people())[1]
    first, second = await plane.login(person), await plane.login(person)
    await plane.client(first.token).logout()
    assert (await plane.call("GET", "/whoami", first.token)).status_code == 401
    assert (await plane.call("GET", "/whoami", second.token)).status_code == 200
    plane.clock.offset += second.expires - plane.clock()
    answer = await plane.call("GET", "/whoami", second.token)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_needed")
    assert "havn login" in answer.json()["detail"]


async def test_no_token_lies_in_the_database(plane):
    session = await plane.login((await plane.sign_in.people())[1])
    machine = await plane.holder("ttd", "look")
    connection = await db.connect(plane.url)
    for table in ("person", "ci_token", "access_grant", "login_session", "audit"):
        for row in await connection.fetch(f"select t::text as line from deploy.{table} t"):
            assert session.token not in row["line"]
            assert machine not in row["line"]
    digest = hashlib.sha256(session.token.encode()).digest()
    assert await connection.fetchval("select 1 from deploy.login_session where hash = $1", digest) == 1
    await connection.close()


async def test_a_role_holds_from_the_next_request_on_and_no_longer_than_it_is_held(plane):
    session = await plane.login((await plane.sign_in.people())[1])
    assert (await plane.call("GET", "/orgs", session.token)).status_code == 403
    await plane.give(session.subject, "ttd", "look")
    assert (await plane.call("GET", "/orgs", session.token)).status_code == 200
    admin = plane.client(await plane.admin())
    [grant] = [each for each in await admin.grants() if each.subject == session.subject]
    assert (grant.name, grant.role) == (session.name, "look")
    await admin.revoke(GrantRequest(subject=session.subject, org="ttd", role="look"))
    assert (await plane.call("GET", "/orgs", session.token)).status_code == 403


async def test_who_administers_one_org_gives_no_role_for_another(plane):
    own = plane.client(await plane.holder("ttd", "administer"))
    await own.grant(GrantRequest(subject="somebody", org="ttd", role="deploy"))
    assert {each.org for each in await own.grants()} == {"ttd"}
    for org in ("nav", "*"):
        with pytest.raises(Problem) as problem:
            await own.grant(GrantRequest(subject="somebody", org=org, role="look"))
        assert problem.value.status == 403


async def test_a_machines_token_is_shown_once_and_ends_when_it_is_revoked_or_old(plane):
    admin = plane.client(await plane.admin())
    token = await plane.holder("ttd", "deploy")
    assert (await plane.call("GET", "/apps", token)).status_code == 200
    [listed] = await admin.tokens()
    assert listed.token is None
    assert [(each.org, each.role) for each in listed.grants] == [("ttd", "deploy")]
    # Whoever administers another org neither sees it nor ends it.
    other = plane.client(await plane.holder("nav", "administer"))
    assert listed.id not in [each.id for each in await other.tokens()]
    with pytest.raises(Problem):
        await other.end_token(listed.id)
    await admin.end_token(listed.id)
    assert (await plane.call("GET", "/apps", token)).status_code == 401
    old = await plane.holder("ttd", "deploy")
    assert (await plane.call("GET", "/apps", old)).status_code == 200
    plane.clock.offset += timedelta(days=1)
    assert (await plane.call("GET", "/apps", old)).status_code == 401


async def test_every_change_of_access_is_in_the_audit_log(plane):
    await plane.give("somebody", "ttd", "look")
    log = (await plane.call("GET", "/audit", await plane.admin())).json()
    assert [entry["action"] for entry in log][:2] == ["grant", "login"]
    assert log[0]["after"] == {"subject": "somebody", "role": "look"}


async def begin(plane, address: str):
    return await plane.http().request("POST", "/api/v1/login", headers={"x-forwarded-for": f"198.51.100.1, {address}"})


async def test_one_address_begins_to_sign_in_so_often_and_then_waits(plane):
    answers = [await begin(plane, "192.0.2.7") for _ in range(21)]
    assert [each.status_code for each in answers[:20]] == [200] * 20
    refused = answers[20]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_calls")
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 3
    assert f"try again in {wait} seconds" in refused.json()["detail"]
    # Others do not wait, nor does who waited as long as was said.
    assert (await begin(plane, "192.0.2.8")).status_code == 200
    plane.clock.offset += timedelta(seconds=wait)
    assert (await begin(plane, "192.0.2.7")).status_code == 200


async def test_the_addresses_that_one_machine_may_have_are_one_caller(plane):
    for number in range(20):
        assert (await begin(plane, f"2001:db8:1:2::{number:x}")).status_code == 200
    assert (await begin(plane, "2001:db8:1:2:ffff::1")).status_code == 429
    assert (await begin(plane, "2001:db8:1:3::1")).status_code == 200
    for number in range(20):
        assert (await begin(plane, "192.0.2.9" if number % 2 else "::ffff:192.0.2.9")).status_code == 200
    assert (await begin(plane, "192.0.2.9")).status_code == 429


async def test_who_called_is_counted_and_not_kept(plane):
    await begin(plane, "192.0.2.10")
    connection = await db.connect(plane.url)
    [row] = await connection.fetch("select r::text as line from deploy.call_rate r")
    assert "192.0.2.10" not in row["line"]
    # A bucket that is full again is forgotten with the next call.
    plane.clock.offset += timedelta(minutes=2)
    await begin(plane, "192.0.2.11")
    assert await connection.fetchval("select count(*) from deploy.call_rate") == 1
    await connection.close()


async def test_asking_how_it_went_has_a_limit_too(plane):
    client = plane.client(None)
    begun = await client.begin_login()
    statuses = set()
    for _ in range(300):
        answer = await plane.call("POST", "/login/token", None, {"deviceCode": begun.device_code})
        statuses.add(answer.status_code)
        if answer.status_code == 429:
            break
    assert statuses == {200, 429}


async def waits_for(plane, requester: str, name: str) -> int:
    """An approval that somebody has asked for."""
    database = await Database.open(plane.url, "deploy")
    wanted = Wanted(
        target=Target("production", "ttd", "first"), kind="deploy", release=f"sha256:{'a' * 64}", replicas=1,
        who=name, address="",
    )  # fmt: skip
    asked = await Approvals(database).ask(wanted, requester, datetime.now(UTC))
    await database.close()
    return asked.id


async def test_nobody_approves_what_they_asked_for_by_a_token_that_they_made(plane):
    people = await plane.sign_in.people()
    admin = await plane.admin()
    me = await plane.client(admin).whoami()
    other = await plane.login(people[1])
    await plane.give(other.subject, "ttd", "administer")

    async def made_by(token: str, *roles: str) -> str:
        body = {"name": "robot", "org": "ttd", "roles": list(roles), "days": 1}
        return str((await plane.call("POST", "/ci-tokens", token, body)).json()["token"])

    async def approve(number: int, token: str):
        return await plane.call("POST", f"/approvals/{number}/approve", token, {})

    mine, another = await made_by(admin, "administer"), await made_by(other.token, "approve")
    number = await waits_for(plane, me.subject, me.name)
    # By one's own name, by a token of one's own, and by a token that such a token made.
    for token in (admin, mine, await made_by(mine, "approve")):
        refused = await approve(number, token)
        assert (refused.status_code, refused.json()["code"]) == (403, "own_request")
    assert f"acts for the same person as {me.name}" in refused.json()["detail"]
    assert (await approve(number, another)).status_code == 202
