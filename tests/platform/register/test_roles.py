"""Roles between parties as access decisions read them, and the users that sign-in reads."""

from __future__ import annotations

from typing import Any

import pytest

from havn.clients.credentials import Credentials
from havn.clients.register import RegisterClient
from havn.contracts.register import NewSelfIdentifiedUser, UserQuery
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

BASE = "/register/api/v1"


@pytest.fixture
async def register(platform: Any) -> Any:
    import httpx2

    http = HttpClient("https://platform.havn.test", name="Register", transport=httpx2.ASGITransport(platform.apps))
    yield RegisterClient(http)
    await http.close()


def component(platform: Any, name: str = "authorization") -> Credentials:
    return Credentials(platform_token=platform.signer("platform", name).token())


async def roles(platform: Any, register: RegisterClient, subject: str, object_: str) -> dict[str, list[str]]:
    found = await register.roles_for(platform.parties[subject].id, platform.parties[object_].id, component(platform))
    return {role.code: list(role.inherited) for role in found}


async def test_roles_are_held_directly_and_through_a_main_unit(platform: Any, register: RegisterClient) -> None:
    direct = await roles(platform, register, "BJØRK SINDIG", "LYSENDE FURU AS")
    assert direct["dagl"] == []
    assert direct["utinn"] == []
    below = await roles(platform, register, "BJØRK SINDIG", "LYSENDE FURU AVD. FJORDVIK")
    assert below["dagl"] == ["main-unit"]
    assert await roles(platform, register, "BEKK STILLE", "LYSENDE FURU AS") == {}


async def test_a_key_person_of_an_accountant_holds_what_the_accountant_holds(
    platform: Any, register: RegisterClient
) -> None:
    accountant = await roles(platform, register, "UGLE NØYAKTIG", "LYSENDE FURU AS")
    assert accountant == {"regn": ["key-role"], "regna": []}
    # A board member of the firm is no key person.
    assert await roles(platform, register, "BIE TRAVEL", "LYSENDE FURU AS") == {}
    # The nearest way is the one that is told.
    auditor = await roles(platform, register, "FALK STRENG", "LYSENDE FURU AS")
    assert auditor == {"revi": []}
    below = await roles(platform, register, "UGLE NØYAKTIG", "LYSENDE FURU AVD. FJORDVIK")
    assert below == {"regn": ["main-unit", "key-role"], "regna": ["main-unit"]}


async def test_everybody_is_themselves(platform: Any, register: RegisterClient) -> None:
    (role,) = await register.roles_for(50000003, 50000003, component(platform))
    assert (role.code, role.urn) == ("priv", "urn:altinn:role:privatperson")
    self_identified = platform.parties["epost:selv@example.no"].id
    (role,) = await register.roles_for(self_identified, self_identified, component(platform))
    assert role.code == "seln"


async def test_roles_have_their_newer_names(platform: Any, register: RegisterClient) -> None:
    found = await register.roles_for(50000001, 51000001, component(platform))
    urns = {role.code: role.urn for role in found}
    assert urns["dagl"] == "urn:altinn:external-role:ccr:daglig-leder"
    assert urns["medl"] == "urn:altinn:external-role:ccr:styremedlem"
    assert urns["utinn"] is None


async def test_many_parties_are_asked_for_at_once_in_order(platform: Any, register: RegisterClient) -> None:
    represented = await register.represented_by(platform.parties["BIE TRAVEL"].id, component(platform))
    ids = [party.party_id for party in represented.data]
    assert len(ids) > 500
    answer = await register.roles_for_many(platform.parties["BIE TRAVEL"].id, ids, component(platform))
    assert [entry.party for entry in answer.data] == ids
    assert all(entry.roles for entry in answer.data)
    with pytest.raises(Problem) as problem:
        await register.roles_for_many(1, list(range(1, 1002)), component(platform))
    assert problem.value.status == 400


async def test_represented_parties_are_a_tree_without_the_deleted(platform: Any, register: RegisterClient) -> None:
    answer = await register.represented_by(platform.parties["BJØRK SINDIG"].id, component(platform))
    tree = {party.name: [child.name for child in party.child_parties or ()] for party in answer.data}
    assert next(iter(tree)) == "BJØRK SINDIG"
    assert tree["LYSENDE FURU AS"] == ["LYSENDE FURU AVD. FJORDVIK"]
    assert len(tree["VIDSTRAKT SLETTE AS"]) == 300
    assert tree["MAUR LITEN"] == []
    assert not any(party.only_hierarchy_element_with_no_access for party in answer.data)
    oesters = platform.parties["ØSTERS TAUS"].id
    without = await register.represented_by(oesters, component(platform))
    assert [party.name for party in without.data] == ["ØSTERS TAUS"]
    with_deleted = await register.represented_by(oesters, component(platform), include_deleted=True)
    assert [(party.name, party.is_deleted) for party in with_deleted.data] == [
        ("ØSTERS TAUS", False),
        ("GLEMT VIK AS", True),
    ]


async def test_changes_of_roles_can_be_followed(platform: Any, register: RegisterClient) -> None:
    first = await register.role_changes(0, component(platform), limit=3)
    assert len(first.data) == 3
    second = await register.role_changes(first.next, component(platform), limit=3)
    assert second.data[0].version > first.data[-1].version
    answer = await register.roles_for_many(50000001, [], component(platform))
    end = await register.role_changes(answer.version, component(platform))
    assert (end.data, end.next) == ([], answer.version)


async def test_only_components_read_roles_and_users(platform: Any) -> None:
    await platform.deploy("ttd/skjema")
    token = await platform.token("Sindig Bjørk")
    for options, status in (({}, 401), ({"app": "ttd/skjema"}, 401), ({"token": token, "app": "ttd/skjema"}, 403)):
        async with platform.client(**options) as client:
            for method, path in (
                ("POST", "internal/user"),
                ("POST", "internal/users"),
                ("POST", "internal/roles"),
                ("GET", "internal/represented?subject=1"),
                ("GET", "internal/role-changes"),
            ):
                assert (await client.request(method, f"{BASE}/{path}", json={})).status_code == status


async def test_a_user_is_found_by_every_key(platform: Any, register: RegisterClient) -> None:
    sindig = platform.parties["BJØRK SINDIG"]
    for who in (
        UserQuery(user_id=20000001),
        UserQuery(user_uuid=sindig.uuid),
        UserQuery(ssn=sindig.number),
        UserQuery(party_id=50000001),
    ):
        user = await register.user(who, component(platform))
        assert user is not None
        assert (user.user_id, user.party.party_id) == (20000001, 50000001)
    assert await register.user(UserQuery(user_id=1), component(platform)) is None
    assert await register.user(UserQuery(party_id=51000001), component(platform)) is None
    assert await register.user(UserQuery(user_id=2**40), component(platform)) is None
    with pytest.raises(Problem):
        await register.user(UserQuery(), component(platform))


async def test_a_self_identified_user_is_made_once(platform: Any, register: RegisterClient) -> None:
    new = NewSelfIdentifiedUser(external_identity="feide:abc@school", username="feide_abc")
    first = await register.create_user(new, component(platform))
    second = await register.create_user(new, component(platform))
    assert first == second
    assert first.party.party_type_name == 3
    assert first.user_id >= 20_100_000
    found = await register.user(UserQuery(external_identity="feide:abc@school"), component(platform))
    assert found == first
