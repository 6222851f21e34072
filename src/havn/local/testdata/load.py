"""Putting sets of test data into the register and the profiles: once, quickly, and again when a set has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from havn.kit.clock import Clock, system_clock
from havn.local.testdata import fixed
from havn.local.testdata.dataset import Dataset
from havn.platform.profile import store as profile
from havn.platform.register import store as register

_PREFIX = "testdata:"


def saved(folder: Path) -> list[Dataset]:
    """The sets that `save` has kept, by name."""
    return [msgspec.json.decode(path.read_bytes(), type=Dataset) for path in sorted(folder.glob("*.json"))]


def save(dataset: Dataset, folder: Path) -> Path:
    """Keep a set for the next start; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset.name}.json"
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(dataset))
    fresh.replace(path)
    return path


async def load(urls: Mapping[str, str], folder: Path | None = None, *, clock: Clock = system_clock) -> list[str]:
    """Load the fixed set and those in `folder` into the databases of `urls` (keys `register` and `profile`).

    Idempotent; returns the names of the sets that were new or had changed.
    """
    return await load_sets(urls, [fixed.dataset(), *(saved(folder) if folder else [])], clock=clock)


async def load_sets(urls: Mapping[str, str], datasets: Sequence[Dataset], *, clock: Clock = system_clock) -> list[str]:
    """As `load`, for these sets."""
    parties = await register.Store.open(urls["register"])
    try:
        profiles = await profile.Store.open(urls["profile"])
        try:
            return [dataset.name for dataset in datasets if await _load(parties, profiles, dataset, clock)]
        finally:
            await profiles.close()
    finally:
        await parties.close()


async def _load(parties: register.Store, profiles: profile.Store, dataset: Dataset, clock: Clock) -> bool:
    source, digest = _PREFIX + dataset.name, dataset.digest()
    # Profiles are written last: when they are there, everything is.
    if await profiles.imported(source) == digest:
        return False
    if await parties.imported(source) != digest:
        await parties.import_all(source, digest, dataset.parties, dataset.roles, clock())
    by_uuid = {party.uuid: party for party in await parties.by_uuids([facts.party for facts in dataset.profiles])}
    users = [
        profile.ImportedUser(user_id=user_id, preferences=facts.preferences, contact=facts.contact)
        for facts in dataset.profiles
        if (user_id := by_uuid[facts.party].user_id) is not None
    ]
    await profiles.import_all(source, digest, users, clock())
    return True
