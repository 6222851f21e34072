"""Signing in by the device flow at a real provider, and what a token is worth afterwards."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from havn.contracts.estate import GrantRequest
from havn.kit import db
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
