"""The test data: valid, repeatable, quick to load, and with everybody in it that stories need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from havn.contracts.register import PartyType
from havn.engines.identifiers import organisation_number_fault, person_number_fault
from havn.local.testdata import fixed, load, seeded
from havn.local.testdata.dataset import Dataset
from havn.platform.profile.store import Store as ProfileStore
from havn.platform.register.store import Store as RegisterStore

MakeDatabase = Callable[[str], Awaitable[str]]


@pytest.mark.parametrize("dataset", [fixed.dataset(), seeded.dataset(7, 40)], ids=["fixed", "seeded"])
def test_every_number_is_valid_and_synthetic_and_used_once(dataset: Dataset) -> None:
    numbers = [party.number for party in dataset.parties if party.number]
    assert len(set(numbers)) == len(numbers)
    for party in dataset.parties:
        if party.type is PartyType.PERSON:
            assert person_number_fault(party.number or "", "test") is None
        elif party.type is PartyType.ORGANISATION:
            assert organisation_number_fault(party.number or "") is None


@pytest.mark.parametrize("dataset", [fixed.dataset(), seeded.dataset(7, 40)], ids=["fixed", "seeded"])
def test_main_units_come_first_and_roles_name_known_parties(dataset: Dataset) -> None:
    seen: set[str] = set()
    for party in dataset.parties:
        assert party.main_unit is None or party.main_unit in seen
        seen.add(party.uuid)
    for role in dataset.roles:
        assert {role.from_party, role.to_party} <= seen
    keys = [(role.from_party, role.to_party, role.code, role.source) for role in dataset.roles]
    assert len(set(keys)) == len(keys)


def test_the_same_seed_gives_the_same_set_and_another_gives_others() -> None:
    assert seeded.dataset(7, 20).digest() == seeded.dataset(7, 20).digest()
    mine = {party.number for party in seeded.dataset(7, 20).parties}
    other = {party.number for party in seeded.dataset(8, 20).parties}
    assert len(mine & other) < 3


def test_numbers_that_are_taken_are_not_made_again() -> None:
    taken = {party.number for party in seeded.dataset(7, 20).parties if party.number}
    again = {party.number for party in seeded.dataset(7, 20, taken=taken).parties if party.number}
    assert not taken & again


def test_ids_of_the_people_in_the_documentation_do_not_move() -> None:
    parties = {party.name: party for party in fixed.dataset().parties}
    assert (parties["BJØRK SINDIG"].id, parties["BJØRK SINDIG"].user_id) == (50000001, 20000001)
    assert parties["LYSENDE FURU AS"].id == 51000001
    assert parties["FJORDVIK KOMMUNE"].number == "311000004"


async def test_loading_is_complete_and_a_second_load_changes_nothing(make_database: MakeDatabase) -> None:
    urls = {api: await make_database(api) for api in ("register", "profile")}
    assert await load.load(urls) == ["fixed"]
    assert await load.load(urls) == []
    store = await RegisterStore.open(urls["register"])
    profiles = await ProfileStore.open(urls["profile"])
    try:
        parties = {party.name: party for party in fixed.dataset().parties}
        sindig = parties["BJØRK SINDIG"]
        lysende = parties["LYSENDE FURU AS"]
        roles = await store.roles(sindig.id or 0, [lysende.id or 0])
        assert {"dagl", "utinn"} <= {role.code for role in roles[lysende.id or 0]}
        preferences, contact = await profiles.user(sindig.user_id or 0)
        assert contact.email == "sindig@example.no"
        assert preferences.language == "nb"
        travel = parties["BIE TRAVEL"]
        _, own = await store.represented(travel.id or 0, include_deleted=False)
        assert len(own) >= 500
        version = await store.version()
        await load.load_sets(urls, [fixed.dataset()])
        assert await store.version() == version
    finally:
        await store.close()
        await profiles.close()


async def test_a_set_without_ids_gets_them_from_the_register_and_is_kept_for_the_next_start(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    urls = {api: await make_database(api) for api in ("register", "profile")}
    dataset = seeded.dataset(7, 10)
    load.save(dataset, tmp_path)
    assert await load.load(urls, tmp_path) == ["fixed", dataset.name]
    store = await RegisterStore.open(urls["register"])
    try:
        person = next(party for party in dataset.parties if party.type is PartyType.PERSON)
        (stored,) = await store.by_uuids([person.uuid])
        assert stored.id >= 50_100_000
        assert stored.user_id is not None
        assert stored.user_id >= 20_100_000
    finally:
        await store.close()


async def test_a_role_that_an_import_no_longer_holds_is_withdrawn_with_a_new_version(
    make_database: MakeDatabase,
) -> None:
    urls = {api: await make_database(api) for api in ("register", "profile")}
    dataset = seeded.dataset(3, 5)
    await load.load_sets(urls, [dataset])
    store = await RegisterStore.open(urls["register"])
    try:
        before = await store.version()
        fewer = Dataset(
            name=dataset.name,
            parties=dataset.parties,
            roles=dataset.roles[1:],
            profiles=dataset.profiles,
            logins=dataset.logins,
        )
        await load.load_sets(urls, [fewer])
        (change,) = await store.role_changes(before, 100)
        assert change.removed
        assert change.code == dataset.roles[0].code
    finally:
        await store.close()
