"""Enforcement points against the running API: both kinds decide alike, caches die at once, faults are 503."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts.authorization import AttributePair, Grant, Receiver
from havn.guard.enforcement import Enforcement
from havn.guard.pep import Enforcer, Resource
from havn.guard.principal import from_claims
from havn.guard.remote import RemoteDecisionPoint
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

KARI, OLA, EVA, LISE = 501, 502, 503, 504
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
GUID = "2d1c0b9e-3f60-4a1e-9d55-6c0f4f0f7a11"
PERMIT = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "permit")]

pytestmark = pytest.mark.usefixtures("published")


def place(party: int = BAKERY, **more: str) -> Resource:
    return Resource("ttd", "permit", party, **more)


@pytest.fixture
def person(platform):
    def make(party: int, level: int = 3):
        claims = {
            "sid": f"s{party}",
            "urn:altinn:userid": str(1000 + party),
            "urn:altinn:partyid": party,
            "urn:altinn:authlevel": level,
        }
        return from_claims(claims, token=platform.user_token(party, level=level))

    return make


@pytest.fixture
def owner(platform):
    return lambda org="ttd", level=3: from_claims(
        {"urn:altinn:org": org, "urn:altinn:orgNumber": "310000000", "urn:altinn:authlevel": level}, token="t"
    )


@pytest.fixture
async def enforcement(platform, http):
    made = Enforcement(AuthorizationClient(http), platform.signer("platform", "storage"), clock=platform.clock)
    async with made.running():
        await until(made.stream.fresh)
        yield made


@pytest.fixture
def remote(platform, client) -> Enforcer:
    return Enforcer(RemoteDecisionPoint(client, platform.signer("platform", "storage")))


async def until(condition, seconds: float = 10) -> None:
    """Wait for a condition that has no event of its own."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def becomes(check, wanted: bool, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while await check() is not wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_both_points_decide_alike(enforcement, remote, person, owner) -> None:
    places = [
        place(),
        place(BRANCH, task="Task_1"),
        place(task="Task_2", instance_id=f"{BAKERY}/{GUID}"),
        place(LISE),
        place(end_event="End"),
        Resource("ttd", "none", BAKERY),
    ]
    actions = ["read", "write", "sign", "fetch", "complete", "instantiate"]
    for caller in (
        person(KARI),
        person(KARI, level=2),
        person(EVA),
        person(LISE),
        owner(),
        owner(level=2),
        owner("skd"),
    ):
        here = await enforcement.enforcer.decide_many(caller, places, actions)
        assert here == await remote.decide_many(caller, places, actions)
    allowed = await enforcement.enforcer.decide(person(KARI), place(task="Task_1"), ["read", "write", "sign"])
    assert {action for action, decision in allowed.items() if decision.permitted} == {"read", "write"}


async def test_a_level_that_is_too_low_says_which_is_needed(enforcement, person, owner) -> None:
    with pytest.raises(Problem) as caught:
        await enforcement.enforcer.require(person(KARI, level=2), place(), "read")
    assert caught.value.status == 403
    assert caught.value.extensions == {
        "RequiredAuthenticationLevel": "3",
        "acrValues": "idporten-loa-substantial",
    }
    await enforcement.enforcer.require(owner(level=2), place(), "read")
    with pytest.raises(Problem) as caught:
        await enforcement.enforcer.require(owner(level=1), place(), "read")
    assert caught.value.extensions == {"RequiredAuthenticationLevel": "2"}
    with pytest.raises(Problem) as caught:
        await enforcement.enforcer.require(person(LISE, level=1), place(), "read")
    assert caught.value.extensions == {}


async def test_a_main_units_delegation_counts_and_ends_at_once_for_its_sub_units(
    enforcement, client, platform, person
) -> None:
    async def may() -> bool:
        return (await enforcement.enforcer.decide(person(OLA), place(BRANCH), ["read"]))["read"].permitted

    kari = Credentials(platform.user_token(KARI))
    assert not await may()
    given = await client.delegate(Grant(BAKERY, Receiver(user_id=1502), PERMIT, "read"), kari)
    await becomes(may, wanted=True, seconds=2)
    await client.revoke(given.id, kari)
    await becomes(may, wanted=False, seconds=2)


async def test_access_lists_count_at_once_in_the_asking_process(enforcement, remote, http, platform, person) -> None:
    registry = "/resourceregistry/api/v1"
    headers = platform.owner(scope="altinn:serviceowner altinn:resourceregistry/access-list.write")

    async def put(path: str, body: bytes) -> None:
        response = await http.request(
            "PUT", f"{registry}/{path}", content=body, headers=headers | {"content-type": "application/json"}
        )
        assert response.status_code == 200

    async def may() -> bool:
        here = await enforcement.enforcer.decide(person(KARI), place(), ["read"])
        return here["read"].permitted

    assert await may()
    await put("resource/app_ttd_permit/access-list-mode", b'{"accessListMode": "Enabled"}')
    await becomes(may, wanted=False, seconds=2)
    await put("access-lists/ttd/pilots", b'{"name": "Pilots"}')
    await put("access-lists/ttd/pilots/resource-connections/app_ttd_permit", b"{}")
    member = f"urn:altinn:party:uuid:00000000-0000-4000-8000-{BAKERY:012d}"
    await put("access-lists/ttd/pilots/members", f'{{"data": ["{member}"]}}'.encode())
    await becomes(may, wanted=True, seconds=2)
    places = [place(), place(BRANCH), place(LISE)]
    here = await enforcement.enforcer.decide_many(person(KARI), places, ["read"])
    assert [outcome["read"].permitted for outcome in here] == [True, False, False]
    assert here == await remote.decide_many(person(KARI), places, ["read"])


async def test_any_of_several_actions_suffices(enforcement, person) -> None:
    await enforcement.enforcer.require(person(KARI), place(task="Task_2"), "write", "sign")


async def test_a_thousand_instances_are_decided_once_for_each_circumstance(enforcement, person, platform) -> None:
    places = [
        place(instance_id=f"{BAKERY}/{number:08d}-0000-4000-8000-000000000000", task=f"Task_{number % 5}")
        for number in range(1000)
    ]
    await enforcement.enforcer.decide(person(KARI), place(), ["read"])
    asked = platform.register_asked
    found = await enforcement.enforcer.decide_many(person(KARI), places, ["read", "write"])
    assert platform.register_asked - asked <= 3
    assert sum(decisions["write"].permitted for decisions in found) == 200
    assert all(decisions["read"].permitted for decisions in found)
    # Equal circumstances share one answer object: they were decided once.
    assert len({id(decisions["read"]) for decisions in found}) <= 1000
    await enforcement.reporter.flush()
    rows = await platform.sql("select count, action from decision where count = 200")
    assert len(rows) == 10


async def test_a_right_on_one_instance_is_decided_apart_and_all_others_together(
    enforcement, client, platform, person
) -> None:
    ids = [f"{BAKERY}/{number:08d}-0000-4000-8000-000000000000" for number in range(100)]
    grant = Grant(BAKERY, Receiver(user_id=1502), PERMIT, "read", instance_id=ids[7])
    await client.delegate(grant, Credentials(platform.user_token(KARI)))
    found = await enforcement.enforcer.decide_many(person(OLA), [place(instance_id=each) for each in ids], ["read"])
    assert [each["read"].permitted for each in found] == [each == ids[7] for each in ids]
    await enforcement.reporter.flush()
    rows = await platform.sql("select count, result from decision where action = 'read' order by count")
    assert [(row["count"], row["result"]) for row in rows] == [(1, "Permit"), (99, "NotApplicable")]


async def test_a_delegation_counts_and_stops_counting_within_a_second(enforcement, client, platform, person) -> None:
    credentials = Credentials(platform.user_token(KARI))

    async def may_read() -> bool:
        return (await enforcement.enforcer.decide(person(OLA), place(), ["read"]))["read"].permitted

    assert not await may_read()
    assert enforcement.facts.size[1] == 1
    given = await client.delegate(Grant(BAKERY, Receiver(user_id=1502), PERMIT, "read"), credentials)
    async with asyncio.timeout(1):
        await becomes(may_read, True)
    await client.revoke(given.id, credentials)
    async with asyncio.timeout(1):
        await becomes(may_read, False)


async def test_a_role_counts_and_stops_counting_when_register_changes(enforcement, platform, person) -> None:
    async def may_read() -> bool:
        return (await enforcement.enforcer.decide(person(LISE), place(SHOP), ["read"]))["read"].permitted

    assert not await may_read()
    platform.roles.append((SHOP, LISE, "dagl"))
    await platform.import_roles()
    await becomes(may_read, True)
    platform.roles.pop()
    await platform.import_roles()
    await becomes(may_read, False)


async def test_a_policy_counts_from_its_publication_and_its_rollback(
    enforcement, client, platform, person, make_policy
) -> None:
    deploy = Credentials(platform_token=platform.signer("platform", "deploy").token())

    async def may_read() -> bool:
        return (await enforcement.enforcer.decide(person(KARI), place(), ["read"]))["read"].permitted

    assert await may_read()
    await client.publish_policy("ttd", "permit", make_policy.policy(), deploy)
    await becomes(may_read, False)
    await client.activate_policy("ttd", "permit", 1, deploy)
    await becomes(may_read, True)


async def test_facts_are_remembered_while_the_stream_lives(enforcement, platform, person) -> None:
    await enforcement.enforcer.decide(person(KARI), place(), ["read"])
    await until(enforcement.stream.fresh)
    await enforcement.enforcer.decide(person(KARI), place(), ["read"])
    asked = await platform.sql("select 1")
    assert asked
    assert enforcement.facts.size == (1, 1)


async def test_without_a_stream_nothing_is_remembered_and_changes_count_at_once(platform, client, person, http) -> None:
    made = Enforcement(AuthorizationClient(http), platform.signer("platform", "storage"), clock=platform.clock)
    # Not running: no stream.
    decided = await made.enforcer.decide(person(KARI), place(), ["read"])
    assert decided["read"].permitted
    assert made.facts.size == (0, 0)
    assert not (await made.enforcer.decide(person(OLA), place(), ["read"]))["read"].permitted
    await client.delegate(Grant(BAKERY, Receiver(user_id=1502), PERMIT, "read"), Credentials(platform.user_token(KARI)))
    assert (await made.enforcer.decide(person(OLA), place(), ["read"]))["read"].permitted


@asynccontextmanager
async def relay(platform):
    """A TCP relay before the platform that can be cut, and be made silent."""
    open_ = asyncio.Event()
    open_.set()
    writers = set()

    async def pump(reader, writer) -> None:
        try:
            while data := await reader.read(65536):
                await open_.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader, writer) -> None:
        writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", int(platform.url.rpartition(":")[2]))
        except OSError:
            writer.close()
            return
        writers.add(back)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def cut() -> None:
        server.close()
        for writer in list(writers):
            writer.transport.abort()

    try:
        yield port, open_, cut
    finally:
        open_.set()
        cut()
        await asyncio.sleep(0)


async def test_a_cut_stream_ends_the_cache_and_a_missing_decision_point_is_503(platform, person) -> None:
    async with relay(platform) as (port, _, cut):
        http = HttpClient(f"http://127.0.0.1:{port}", name="Authorization", host="platform.havn.example")
        made = Enforcement(AuthorizationClient(http), platform.signer("platform", "storage"), clock=platform.clock)
        async with made.running():
            await until(made.stream.fresh)
            await made.enforcer.require(person(KARI), place(), "read")
            cut()
            await until(lambda: not made.stream.fresh())
            with pytest.raises(Problem) as caught:
                await made.enforcer.require(person(KARI), place(), "read")
            assert (caught.value.status, caught.value.code) == (503, "authorization_unavailable")
            assert caught.value.headers["Retry-After"]
        await http.close()


async def test_a_silent_stream_ends_the_cache_though_the_connection_stands(platform, person) -> None:
    async with relay(platform) as (port, open_, _):
        http = HttpClient(f"http://127.0.0.1:{port}", name="Authorization", host="platform.havn.example")
        made = Enforcement(AuthorizationClient(http), platform.signer("platform", "storage"), clock=platform.clock)
        async with made.running():
            await until(made.stream.fresh)
            open_.clear()
            await until(lambda: not made.stream.fresh())
            open_.set()
            await until(made.stream.fresh)
            await made.enforcer.require(person(KARI), place(), "read")
        await http.close()


async def test_when_register_is_away_the_stream_vouches_for_nothing(enforcement, platform, person) -> None:
    await enforcement.enforcer.require(person(KARI), place(), "read")
    platform.register_away = True
    await until(lambda: not enforcement.stream.fresh())
    with pytest.raises(Problem) as caught:
        await enforcement.enforcer.require(person(KARI), place(), "read")
    assert caught.value.status == 503
    platform.register_away = False
    await until(enforcement.stream.fresh)
    await enforcement.enforcer.require(person(KARI), place(), "read")


async def test_the_remote_point_away_is_503(platform, person) -> None:
    http = HttpClient("http://127.0.0.1:9", name="Authorization")
    point = Enforcer(RemoteDecisionPoint(AuthorizationClient(http), platform.signer("platform", "storage")))
    with pytest.raises(Problem) as caught:
        await point.require(person(KARI), place(), "read")
    assert (caught.value.status, caught.value.code) == (503, "authorization_unavailable")
    await http.close()


async def test_a_fault_at_the_remote_point_is_503_and_not_403(platform, remote, person) -> None:
    platform.register_away = True
    with pytest.raises(Problem) as caught:
        await remote.require(person(KARI), place(), "read")
    assert caught.value.status == 503


async def test_an_app_enforces_by_itself_with_its_own_key_and_the_users_token(platform, http, person) -> None:
    made = Enforcement(AuthorizationClient(http), platform.signer("ttd", "permit"), clock=platform.clock)
    async with made.running():
        await until(made.stream.fresh)
        await made.enforcer.require(person(KARI), place(), "read")
        await made.reporter.flush()
    rows = await platform.sql("select decided_by, result from decision where decided_by = 'ttd/permit'")
    assert [tuple(row) for row in rows] == [("ttd/permit", "Permit")]


async def test_nobody_signed_in_is_401_and_never_asked_about(enforcement, platform) -> None:
    from havn.guard.principal import ANONYMOUS

    with pytest.raises(Problem) as caught:
        await enforcement.enforcer.require(ANONYMOUS, place(), "read")
    assert caught.value.status == 401
    assert not (await enforcement.enforcer.decide(ANONYMOUS, place(), ["read"]))["read"].permitted


async def test_what_another_replica_writes_is_heard_through_the_database(enforcement, platform, person) -> None:
    async def may_read() -> bool:
        return (await enforcement.enforcer.decide(person(KARI), place(), ["read"]))["read"].permitted

    assert await may_read()
    await platform.sql("insert into policy select org, app, 2, 'x', $1, now(), 'other', null from policy", b"<Broken")
    await platform.sql("update policy_in_force set version = 2")
    # A policy that cannot be loaded lets nobody through, and says so as a fault of ours.
    statuses: list[int] = []

    async def fails() -> bool:
        try:
            await may_read()
        except Problem as problem:
            statuses.append(problem.status)
            return True
        return False

    await becomes(fails, True)
    assert set(statuses) == {503}
    await platform.sql("update policy_in_force set version = 1")
    await becomes(fails, False)
    assert await may_read()
