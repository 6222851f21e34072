"""Keys: published, signing, retiring, removed; and those of app deployments."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest

from havn.kit.settings import SettingsError
from havn.local.oidc import setup
from havn.platform.authentication.app import key_ring
from havn.platform.authentication.signing_keys import KeyFolder, KeyRing, KeyState
from havn.platform.authentication.store import Store

BASE = "/authentication/api/v1"
JWKS = f"{BASE}/openid/.well-known/openid-configuration/jwks"


@pytest.fixture
async def store(platform: Any) -> Any:
    opened = await Store.open(platform.settings.authentication_database_url)
    yield opened
    await opened.close()


def ring(platform: Any, store: Store) -> KeyRing:
    return key_ring(platform.settings, store, platform.clock)


async def test_discovery_and_keys_are_public_and_say_the_truth(platform: Any) -> None:
    async with platform.client() as client:
        document = (await client.get(f"{BASE}/openid/.well-known/openid-configuration")).json()
        assert document["issuer"] == platform.settings.issuer
        assert document["jwks_uri"].endswith(JWKS)
        answer = await client.get(JWKS)
        assert answer.headers["cache-control"] == "public, max-age=300"
        (key,) = answer.json()["keys"]
        assert {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}.items() <= key.items()
        assert "d" not in key
        assert "=" not in key["x"]


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_after(platform: Any, store: Store) -> None:
    keys = ring(platform, store)
    ((first, state),) = await keys.listed()
    assert state is KeyState.SIGNING
    second = await keys.rotate()
    assert {key.kid: state for key, state in await keys.listed()} == {
        first.kid: KeyState.SIGNING,
        second: KeyState.PUBLISHED,
    }
    platform.clock.forward(hours=48)
    assert {key.kid: state for key, state in await keys.listed()} == {
        first.kid: KeyState.RETIRING,
        second: KeyState.SIGNING,
    }
    assert len((await keys.jwks())["keys"]) == 2
    platform.clock.forward(hours=13)
    await keys.ensure()
    assert [key.kid for key, _ in await keys.listed()] == [second]
    folder = Path(platform.settings.authentication_key_folder)
    assert [path.name for path in folder.iterdir()] == [f"{second}.age"]


async def test_an_old_key_is_followed_by_a_new_one_by_itself(platform: Any, store: Store) -> None:
    keys = ring(platform, store)
    platform.clock.forward(days=90)
    await keys.ensure()
    assert [state for _, state in await keys.listed()] == [KeyState.SIGNING, KeyState.PUBLISHED]
    await keys.ensure()
    assert len(await keys.listed()) == 2


async def test_a_revoked_key_kills_its_tokens_and_another_signs_at_once(platform: Any, store: Store) -> None:
    token = await platform.token("Sindig Bjørk")
    keys = ring(platform, store)
    ((first, _),) = await keys.listed()
    assert await keys.revoke(first.kid)
    assert not await keys.revoke(first.kid)
    platform.clock.forward(minutes=6)
    async with platform.client(token) as client:
        refused = await client.get(f"{BASE}/refresh")
        assert refused.status_code == 401
        assert first.kid not in (await client.get(JWKS)).text
    assert await platform.token("Sindig Bjørk", app="ttd/annen")


async def test_replicas_that_start_together_make_one_first_key(
    make_database: Any, tmp_path: Path, platform: Any
) -> None:
    opened = await Store.open(await make_database("authentication"))
    identity = str(pyrage.x25519.Identity.generate())

    def replica() -> KeyRing:
        return KeyRing(
            opened,
            KeyFolder(tmp_path / "shared", identity),
            algorithm="ES256",
            wait=timedelta(hours=48),
            age=timedelta(days=90),
            clock=platform.clock,
        )

    replicas = [replica() for _ in range(4)]
    try:
        await asyncio.gather(*(one.ensure() for one in replicas))
        assert len(await opened.signing_keys()) == 1
        assert len(list((tmp_path / "shared").iterdir())) == 1
        assert all([await one.sign({"sub": "x"}) for one in replicas])
    finally:
        await opened.close()


async def test_private_keys_are_unreadable_without_the_identity(platform: Any, store: Store) -> None:
    folder = Path(platform.settings.authentication_key_folder)
    (file,) = folder.iterdir()
    assert file.read_bytes().startswith(b"age-encryption.org/")
    assert file.stat().st_mode & 0o077 == 0
    other = KeyFolder(folder, str(pyrage.x25519.Identity.generate()))
    with pytest.raises(SettingsError, match="HAVN_AUTHENTICATION_KEY_FOLDER"):
        other.read(file.stem)
    with pytest.raises(SettingsError, match="HAVN_AUTHENTICATION_KEY_IDENTITY"):
        KeyFolder(folder, "x")
    with pytest.raises(SettingsError):
        other.read("../../etc/passwd")


async def test_both_algorithms_sign(make_database: Any, tmp_path: Path, platform: Any) -> None:
    opened = await Store.open(await make_database("authentication"))
    folder = KeyFolder(tmp_path / "keys", str(pyrage.x25519.Identity.generate()))
    try:
        for algorithm in ("RS256", "ES256"):
            keys = KeyRing(
                opened, folder, algorithm=algorithm, wait=timedelta(0), age=timedelta(90), clock=platform.clock
            )
            await keys.ensure()
            assert (await keys.sign({"sub": "x"})).count(".") == 2
        assert sorted(key["alg"] for key in (await keys.jwks())["keys"]) == ["ES256", "RS256"]
    finally:
        await opened.close()


def public(key: str) -> dict[str, Any]:
    members = msgspec.json.decode(key, type=dict[str, Any])
    return {name: value for name, value in members.items() if name != "d"}


async def test_deploy_publishes_and_withdraws_an_apps_key(platform: Any) -> None:
    key = public(setup.new_key())
    path = f"{BASE}/access-token/ttd/skjema/keys/{key['kid']}"
    async with platform.client(component="deploy") as deploy, platform.client() as anyone:
        for _ in range(2):
            assert (await deploy.put(path, json=key)).status_code == 204
        (published,) = (await anyone.get(f"{BASE}/access-token/ttd/jwks")).json()["keys"]
        assert published == {**key, "use": "sig", "alg": "ES256", "app": "skjema"}
        assert (await anyone.get(f"{BASE}/access-token/fjord/jwks")).json() == {"keys": []}
        other = await deploy.put(f"{BASE}/access-token/ttd/annen/keys/{key['kid']}", json=key)
        assert (other.status_code, other.json()["code"]) == (409, "key_conflict")
        assert (await deploy.delete(path)).status_code == 204
        assert (await deploy.delete(path)).status_code == 404
        assert (await anyone.get(f"{BASE}/access-token/ttd/jwks")).json() == {"keys": []}


async def test_only_deploy_registers_keys(platform: Any) -> None:
    key = public(setup.new_key())
    path = f"{BASE}/access-token/ttd/skjema/keys/{key['kid']}"
    await platform.deploy("ttd/annen")
    for options, status in (({}, 401), ({"component": "storage"}, 403), ({"app": "ttd/annen"}, 401)):
        async with platform.client(**options) as client:
            assert (await client.put(path, json=key)).status_code == status


@pytest.mark.parametrize("change", [{"d": "AAAA"}, {"kty": "RSA"}, {"crv": "P-521"}, {"x": "AA"}, {"kid": "other-kid"}])
async def test_a_key_that_is_not_a_public_p256_key_is_refused(platform: Any, change: dict[str, str]) -> None:
    key = public(setup.new_key())
    async with platform.client(component="deploy") as deploy:
        answer = await deploy.put(f"{BASE}/access-token/ttd/skjema/keys/{key['kid']}", json=key | change)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_key")
        assert (await deploy.put(f"{BASE}/access-token/platform/x/keys/{key['kid']}", json=key)).status_code == 400


async def test_health_and_readiness(platform: Any) -> None:
    async with platform.client() as client:
        for api in ("authentication", "register", "profile"):
            for path in ("health", "health/ready"):
                assert (await client.get(f"/{api}/api/v1/{path}")).text == "OK"
