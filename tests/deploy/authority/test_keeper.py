"""A cluster's authority in a real PostgreSQL: what it signs, and how it is changed with overlap."""

from datetime import UTC, datetime, timedelta

import msgspec
import pyrage
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from havn.clusters.port import ClusterError
from havn.deploy.authority import certificates
from havn.deploy.authority.keeper import AUTHORITY_LIFE, TAKEN_UP, Keeper, due
from havn.deploy.authority.store import AuthorityStore
from havn.deploy.authority.tending import Tending
from havn.deploy.sealing import Sealer
from havn.kit import db
from havn.kit.problem import Problem
from havn.kit.queue import Job

PLACE = ("tt02", "ttd")


class Identities:
    def __init__(self):
        self.kept = [str(pyrage.x25519.Identity.generate())]

    def all(self):
        return self.kept


class Time:
    def __init__(self):
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
async def opened(make_database):
    url = await make_database("deploy")
    store = await AuthorityStore.open(url)
    connection = await db.connect(url)
    await connection.execute("set search_path to deploy")
    time, identities = Time(), Identities()
    yield Keeper(store, Sealer(identities), time), time, connection, identities
    await connection.close()
    await store.close()


def believed(bundle: str, certificate: str, name: str, at: datetime) -> bool:
    """Whether a client with the bundle takes the certificate for the name, by the rules of the web."""
    authorities = x509.load_pem_x509_certificates(bundle.encode())
    verifier = PolicyBuilder().store(Store(authorities)).time(at).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])
    except VerificationError:
        return False
    return True


async def test_a_leaf_is_good_for_its_names_alone_and_only_to_who_believes_its_authority(opened):
    keeper, time, _, _ = opened
    leaf = await keeper.issue(*PLACE, ["first", "first.default.svc"])
    bundle = await keeper.bundle(*PLACE)
    assert believed(bundle, leaf.certificate, "first", time.now)
    assert believed(bundle, leaf.certificate, "first.default.svc", time.now)
    assert not believed(bundle, leaf.certificate, "second", time.now)
    assert not believed(bundle, leaf.certificate, "first", time.now + timedelta(days=31))
    other = await keeper.bundle("tt02", "skd")
    assert not believed(other, leaf.certificate, "first", time.now)
    assert "PRIVATE" not in repr(leaf)
    # As a server takes it.
    assert serialization.load_pem_private_key(leaf.key.encode(), None).key_size == 256


async def test_a_leaf_signs_nothing(opened):
    keeper, time, _, _ = opened
    leaf = await keeper.issue(*PLACE, ["first"])
    forged = certificates.leaf(leaf, ["second"], time.now, timedelta(days=1))
    assert not believed(await keeper.bundle(*PLACE) + leaf.certificate, forged.certificate, "second", time.now)


async def test_at_every_step_of_a_change_the_old_and_the_new_leaf_are_believed_for_long_enough(opened):
    keeper, time, connection, _ = opened
    old = await keeper.issue(*PLACE, ["first"])
    before = await keeper.bundle(*PLACE)
    await keeper.rotate(*PLACE)
    with pytest.raises(Problem) as twice:
        await keeper.rotate(*PLACE)
    assert twice.value.status == 409

    # Believed, not yet signing: whoever has only the old bundle must go on.
    assert await keeper.advance(*PLACE)
    assert believed(before, (await keeper.issue(*PLACE, ["first"])).certificate, "first", time.now)
    time.now += TAKEN_UP
    assert await keeper.advance(*PLACE)
    both = await keeper.bundle(*PLACE)
    new = await keeper.issue(*PLACE, ["first"])
    assert not believed(before, new.certificate, "first", time.now)
    assert believed(both, new.certificate, "first", time.now)
    assert believed(both, old.certificate, "first", time.now)
    # The old one's private key is gone as soon as it signs no more.
    assert await connection.fetchval("select count(*) from authority where sealed is not null") == 1

    time.now += TAKEN_UP - timedelta(seconds=1)
    assert await keeper.advance(*PLACE)
    assert await keeper.bundle(*PLACE) == both
    time.now += timedelta(seconds=1)
    assert not await keeper.advance(*PLACE)
    after = await keeper.bundle(*PLACE)
    assert believed(after, new.certificate, "first", time.now)
    assert not believed(after, old.certificate, "first", time.now)
    assert not await keeper.advance(*PLACE)


async def test_an_authority_is_changed_by_itself_in_time(opened):
    keeper, time, _, _ = opened
    await keeper.bundle(*PLACE)
    assert not await keeper.advance(*PLACE)
    time.now += AUTHORITY_LIFE * 2 / 3
    assert await keeper.advance(*PLACE)
    assert (await keeper.bundle(*PLACE)).count("BEGIN CERTIFICATE") == 2


async def test_private_keys_are_sealed_and_sealed_anew(opened):
    keeper, _, connection, identities = opened
    await keeper.bundle(*PLACE)
    assert "PRIVATE" not in str(await connection.fetch("select * from authority"))
    identities.kept.insert(0, str(pyrage.x25519.Identity.generate()))
    assert await keeper.rekey() == 1
    del identities.kept[1:]
    await keeper.issue(*PLACE, ["first"])
    assert await keeper.rekey() == 0


async def test_the_job_comes_back_by_itself_and_ends_with_its_cluster(opened):
    keeper, _, connection, _ = opened
    there, away = True, False

    async def find(org, environment):
        if away:
            raise ClusterError("It cannot be reached.")
        return object() if there else None

    tending = Tending(keeper, find)

    async def waiting():
        rows = await connection.fetch("select id, due > now() + interval '1 minute' as late from job order by id")
        return {row["id"]: row["late"] for row in rows}

    await keeper.store.request(*PLACE)
    [number] = await waiting()
    payload = await connection.fetchval("select payload::text from job")
    job = Job(number, "certificates", "tt02/ttd/-certificates", msgspec.Raw(payload.encode()), 0)
    await tending.run(job)
    await tending.run(job)
    # One more, in an hour; and soon once a change is under way.
    assert await waiting() == {number: False, number + 1: True}
    await keeper.rotate(*PLACE)
    await tending.run(job)
    assert await waiting() == {number: False, number + 1: False}
    away = True
    with pytest.raises(Problem, match="cannot be reached"):
        await tending.run(job)
    away, there = False, False
    await tending.run(job)
    assert await keeper.store.all(*PLACE) == []
    assert len(await waiting()) == 2


def test_two_thirds_of_a_life_are_reckoned_from_the_certificate():
    now = datetime(2026, 11, 21, tzinfo=UTC)
    made = certificates.authority("x", now, timedelta(days=30)).certificate
    assert not due(made, now + timedelta(days=19, hours=23))
    assert due(made, now + timedelta(days=20, hours=1))
