"""Every route of the control plane, and who is let through: read from the table, so that none is forgotten."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from havn.deploy.access import ROLES, Operator
from havn.deploy.endpoints import all_orgs, any_org
from havn.kit import db

_IMPLIED = {"look": {"look", "deploy", "approve", "administer"}, "deploy": {"deploy", "administer"},
            "approve": {"approve", "administer"}, "administer": {"administer"}}  # fmt: skip
PATH = {"org": "ttd", "environment": "tt02", "app": "first"}


def sample(type_: Any) -> Any:
    """A body of the type, for the org ttd."""
    made = {}
    for each in msgspec.json.schema_components([type_])[1][type_.__name__].get("properties", {}).items():
        name, schema = each
        if name == "org":
            made[name] = "ttd"
        elif "enum" in schema:
            made[name] = schema["enum"][0]
        elif "default" not in schema:
            by_type = {"string": "x", "integer": 1, "boolean": False, "array": [], "object": {}}
            made[name] = by_type.get(schema.get("type"))
    return made


def path(endpoint: Any) -> str:
    def fill(match: re.Match[str]) -> str:
        return PATH.get(match[1]) or ("1" if match[2] == "int" else "x")

    return re.sub(r"\{(\w+)(?::(\w+))?\}", fill, endpoint.path)


@pytest.fixture
async def rows(plane) -> None:
    """What the routes with numbers are about: of the org ttd."""
    connection = await db.connect(plane.url)
    now = datetime.now(UTC)
    await connection.execute(
        "insert into deploy.deployment (environment, org, app, revision, kind, release, replicas, status, reason,"
        " requested_by, requested, finished)"
        " values ('tt02', 'ttd', 'first', 1, 'deploy', 'x', 1, 'failed', 'none', 'x', $1, $1)",
        now,
    )
    await connection.execute(
        "insert into deploy.approval (environment, org, app, release, replicas, mapping, strand, requested_by,"
        " requester, requested, expires, status)"
        " values ('tt02', 'ttd', 'first', 'x', 1, '{}', false, 'x', 'x', $1, $1, 'waiting')",
        now,
    )
    await connection.close()


async def ask(plane, endpoint: Any, token: str | None) -> Any:
    body = sample(endpoint.body) if endpoint.body is not None else None
    return await plane.call(endpoint.method, path(endpoint), token, body)


async def test_whoever_shows_no_token_or_a_wrong_one_is_let_through_nowhere_but_to_sign_in(plane, rows):
    for token in (None, "havn_s_" + "x" * 43, "havn_ci_" + "x" * 43, "x" * 5000):
        passed = {
            f"{each.method} {each.path}"
            for each in plane.endpoints
            if (await ask(plane, each, token)).status_code != 401
        }
        assert passed == {"GET /health", "GET /openapi.json", "POST /login", "POST /login/token"}


async def test_whoever_has_no_role_for_the_org_is_refused_by_every_route_that_takes_one(plane, rows):
    nobody = (await plane.login((await plane.sign_in.people())[1])).token
    stranger = await plane.holder("nav", *ROLES)
    for endpoint in plane.endpoints:
        if endpoint.role is None:
            continue
        answer = await ask(plane, endpoint, nobody)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_needed"), endpoint.path
        if endpoint.org is not any_org:
            answer = await ask(plane, endpoint, stranger)
            assert (answer.status_code, answer.json()["code"]) == (403, "role_needed"), endpoint.path


async def test_each_role_opens_exactly_what_the_table_says(plane, rows):
    tokens = {(org, role): await plane.holder(org, role) for org, role in itertools.product(("ttd", "*"), ROLES)}
    for endpoint in plane.endpoints:
        if endpoint.role is None or endpoint.lines:
            continue
        for (org, role), token in tokens.items():
            answer = await ask(plane, endpoint, token)
            refused = answer.status_code == 403 and answer.json().get("role") == endpoint.role
            wide = org == "*" or endpoint.org is not all_orgs
            assert refused != (role in _IMPLIED[endpoint.role] and wide), (endpoint.method, endpoint.path, role, org)


async def test_what_is_listed_is_what_the_caller_may_see(plane, rows):
    admin = await plane.admin()
    for org in ("ttd", "nav"):
        await plane.client(admin).put_org(org, org.upper())
    for org in ("ttd", "nav"):
        token = await plane.holder(org, "look")
        assert [each.org for each in await plane.client(token).orgs()] == [org]
        assert {each["org"] for each in (await plane.call("GET", "/audit", token)).json()} == {org}
        other = "nav" if org == "ttd" else "ttd"
        for place in ("/audit", "/apps", "/approvals"):
            assert (await plane.call("GET", f"{place}?org={other}", token)).status_code == 403


def test_roles_for_all_orgs_hold_for_each():
    operator = Operator("x", "", {"*": frozenset(("deploy",)), "ttd": frozenset(("approve",))})
    assert operator.may("deploy", "nav")
    assert operator.may("look", "*")
    assert operator.may("approve", "ttd")
    assert not operator.may("approve", "nav")
    assert not operator.may("approve", "*")
    assert operator.orgs("look") is None
    assert operator.orgs("approve") == {"ttd"}
