"""A release in another registry is as good as in the one it was made for."""

import asyncio

import pytest

from havn.deploy.image.send import send
from havn.deploy.registry.layout import LayoutRegistry
from havn.deploy.release.model import ReleaseError
from havn.deploy.release.open import find_trusted
from havn.deploy.release.signing import SigningKey


async def test_what_was_sent_is_trusted_there_and_nothing_is_sent_twice(make, app_folder, registry, key, tmp_path):
    built = await asyncio.to_thread(make, app_folder)
    other, digest = LayoutRegistry(tmp_path / "other"), built.release.digest
    assert await send(registry, other, "ttd/first", digest) > 0
    release = await find_trusted(other, "ttd/first", digest, [key.public()])
    assert release.digest == digest
    assert await other.tags("ttd/first") == await registry.tags("ttd/first")
    found = [referrer.digest for referrer, _ in await registry.referrers("ttd/first", digest)]
    assert [referrer.digest for referrer, _ in await other.referrers("ttd/first", digest)] == found
    assert len(found) > 1
    assert await send(registry, other, "ttd/first", digest) == 0
    stranger = SigningKey(SigningKey.generate())
    with pytest.raises(ReleaseError):
        await find_trusted(other, "ttd/first", digest, [stranger.public()])
