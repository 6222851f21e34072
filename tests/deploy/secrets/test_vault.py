"""Secrets of apps in a real PostgreSQL: versions, what an app is given, what it goes back to, changing the key."""

from datetime import UTC, datetime

import msgspec
import pyrage
import pytest

from havn.deploy.author import Author
from havn.deploy.sealing import Sealer, SealError
from havn.deploy.secrets import rules
from havn.deploy.secrets.store import Scope, SecretStore
from havn.deploy.secrets.vault import Vault
from havn.deploy.store import Target
from havn.kit import db
from havn.kit.problem import Problem
from havn.runtime.settings import RuntimeSettings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BY = Author("kari", "127.0.0.1", NOW)
FIRST = Target("tt02", "ttd", "first")
OWN = Scope("tt02", "ttd", "first")
ALL = Scope("tt02", "ttd")


class Identities:
    def __init__(self):
        self.kept = [str(pyrage.x25519.Identity.generate())]

    def all(self):
        return self.kept

    def renew(self):
        self.kept.insert(0, str(pyrage.x25519.Identity.generate()))

    def keep_first(self):
        del self.kept[1:]


@pytest.fixture
async def opened(make_database):
    url = await make_database("deploy")
    store = await SecretStore.open(url)
    connection = await db.connect(url)
    await connection.execute("set search_path to deploy")
    identities = Identities()
    yield Vault(store, Sealer(identities)), connection, identities
    await connection.close()
    await store.close()


async def kept(connection, name):
    rows = await connection.fetch("select version from secret where name = $1 and sealed is not null order by 1", name)
    return [row["version"] for row in rows]


async def test_an_app_is_given_the_newest_of_its_own_and_its_orgs_secrets(opened):
    vault, _, _ = opened
    await vault.put(ALL, "mail", "org's", variable="MAIL", by=BY)
    await vault.put(ALL, "shared", "for all", variable=None, by=BY)
    await vault.put(OWN, "mail", "old", variable="MAIL_KEY", by=BY)
    assert await vault.put(OWN, "mail", "mine alone", variable="MAIL_KEY", by=BY) == 2
    await vault.put(Scope("tt02", "ttd", "second"), "other", "x", variable=None, by=BY)
    await vault.put(Scope("production", "ttd", "first"), "mail", "y", variable=None, by=BY)
    given = await vault.current(FIRST)
    assert given.files == {"mail": "mine alone", "shared": "for all"}
    assert given.variables == {"MAIL_KEY": "mail"}
    assert "mine alone" not in repr(given)
    assert (await vault.current(Target("tt02", "ttd", "second"))).files == {
        "mail": "org's",
        "shared": "for all",
        "other": "x",
    }


async def test_the_api_proxys_secrets_are_not_the_apps(opened):
    vault, _, _ = opened
    await vault.put(ALL, "egress.folk-key", "org's", variable=None, by=BY)
    await vault.put(OWN, "egress.folk-key", "own", variable=None, by=BY)
    await vault.put(OWN, "mail", "x", variable=None, by=BY)
    given = await vault.current(FIRST)
    assert (given.files, given.outbound) == ({"mail": "x"}, {"folk-key": "own"})
    await vault.settle(FIRST, given)
    assert (await vault.in_force(FIRST)).outbound == {"folk-key": "own"}
    for name, variable, code in (
        ("egress.Folk", None, "invalid_secret_name"),
        ("egress.", None, "invalid_secret_name"),
        ("egress.folk-key", "FOLK", "outbound_secret"),
    ):
        with pytest.raises(Problem) as refused:
            await vault.put(OWN, name, "v", variable=variable, by=BY)
        assert refused.value.code == code


async def test_the_version_in_force_is_kept_until_another_is(opened):
    vault, connection, _ = opened
    await vault.put(OWN, "token", "one", variable=None, by=BY)
    await vault.settle(FIRST, await vault.current(FIRST))
    await vault.put(OWN, "token", "two", variable=None, by=BY)
    assert (await vault.current(FIRST)).files == {"token": "two"}
    assert (await vault.in_force(FIRST)).files == {"token": "one"}
    await vault.put(OWN, "token", "three", variable=None, by=BY)
    assert await kept(connection, "token") == [1, 3]
    [(version, running)] = await vault.known("tt02", "ttd", "first")
    assert (version.version, running) == (3, {"first": 1})
    await vault.settle(FIRST, await vault.current(FIRST))
    assert await kept(connection, "token") == [3]
    assert (await vault.in_force(FIRST)).files == {"token": "three"}


async def test_an_orgs_secret_is_kept_while_any_app_runs_with_it(opened):
    vault, connection, _ = opened
    second = Target("tt02", "ttd", "second")
    await vault.put(ALL, "shared", "one", variable=None, by=BY)
    for target in (FIRST, second):
        await vault.settle(target, await vault.current(target))
    await vault.put(ALL, "shared", "two", variable=None, by=BY)
    await vault.settle(FIRST, await vault.current(FIRST))
    assert (await vault.in_force(second)).files == {"shared": "one"}
    [(_, running)] = await vault.known("tt02", "ttd")
    assert running == {"first": 2, "second": 1}
    await vault.forget(second)
    assert await kept(connection, "shared") == [2]


async def test_a_removed_secret_is_gone_with_the_next_deployment_and_its_value_after_it(opened):
    vault, connection, _ = opened
    await vault.put(OWN, "token", "one", variable=None, by=BY)
    await vault.settle(FIRST, await vault.current(FIRST))
    await vault.remove(OWN, "token", BY)
    assert await vault.known("tt02", "ttd", "first") == []
    assert (await vault.current(FIRST)).files == {}
    assert (await vault.in_force(FIRST)).files == {"token": "one"}
    await vault.settle(FIRST, await vault.current(FIRST))
    assert await kept(connection, "token") == []
    with pytest.raises(Problem) as missing:
        await vault.remove(OWN, "token", BY)
    assert missing.value.status == 404
    assert await vault.put(OWN, "token", "again", variable=None, by=BY) == 3


async def test_rotating_needs_the_secret_and_keeps_its_variable(opened):
    vault, _, _ = opened
    with pytest.raises(Problem) as missing:
        await vault.put(OWN, "token", "x", variable=None, by=BY, rotate=True)
    assert missing.value.status == 404
    await vault.put(OWN, "token", "one", variable="TOKEN", by=BY)
    await vault.put(OWN, "token", "two", variable=None, by=BY, rotate=True)
    given = await vault.current(FIRST)
    assert (given.files, given.variables) == ({"token": "two"}, {"TOKEN": "token"})


@pytest.mark.parametrize(
    ("name", "variable", "value", "code"),
    [
        ("../token", None, "x", "invalid_secret_name"),
        ("..data", None, "x", "invalid_secret_name"),
        ("a" * 64, None, "x", "invalid_secret_name"),
        ("platform-access-key", None, "x", "reserved_secret_name"),
        ("Frontend-URL", None, "x", "reserved_secret_name"),
        ("token", "HAVN_DOMAIN", "x", "reserved_variable"),
        ("token", "LD_PRELOAD", "x", "reserved_variable"),
        ("token", "not one", "x", "invalid_variable"),
        ("token", None, "", "empty_secret"),
        ("token", "TOKEN", "a\0b", "invalid_secret"),
        ("token", None, "x" * 70_000, "secret_too_large"),
    ],
)
async def test_what_cannot_be_a_secret_is_refused_without_repeating_it(opened, name, variable, value, code):
    vault, _, _ = opened
    with pytest.raises(Problem) as refused:
        await vault.put(OWN, name, value, variable=variable, by=BY)
    assert refused.value.code == code
    assert await vault.known("tt02", "ttd", "first") == []


async def test_an_app_is_never_given_more_than_a_cluster_can_hold(opened):
    vault, _, _ = opened
    for number in range(7):
        await vault.put(OWN, f"large-{number}", "x" * 65_536, variable=None, by=BY)
    with pytest.raises(Problem) as refused:
        await vault.put(ALL, "one-more", "x" * 65_536 + "", variable=None, by=BY)
        await vault.put(ALL, "and-more", "x" * 65_536, variable=None, by=BY)
    assert refused.value.code == "secrets_too_large"
    # Another version of the same is no more than before.
    await vault.put(OWN, "large-0", "y" * 65_536, variable=None, by=BY)


async def test_every_change_has_an_audit_line_without_the_value(opened):
    vault, connection, _ = opened
    await vault.put(OWN, "token", "planted-value", variable=None, by=BY)
    await vault.put(OWN, "token", "planted-value-2", variable=None, by=BY, rotate=True)
    await vault.remove(OWN, "token", BY)
    rows = await connection.fetch("select action, org, app, before::text, after::text from audit order by id")
    assert [row["action"] for row in rows] == ["secret_set", "secret_rotated", "secret_removed"]
    assert [row["after"] for row in rows][2] is None
    everything = str(await connection.fetch("select * from secret")) + str([dict(row) for row in rows])
    assert "planted" not in everything


async def test_identities_are_changed_without_losing_a_value(opened):
    vault, connection, identities = opened
    await vault.put(OWN, "token", "one", variable=None, by=BY)
    await vault.settle(FIRST, await vault.current(FIRST))
    await vault.put(OWN, "token", "two", variable=None, by=BY)
    assert await vault.rekey() == (0, await connection.fetchval("select distinct key_id from secret"))
    identities.renew()
    count, key_id = await vault.rekey()
    assert count == 2
    assert await connection.fetchval("select distinct key_id from secret") == key_id
    identities.keep_first()
    assert (await vault.current(FIRST)).files == {"token": "two"}
    assert (await vault.in_force(FIRST)).files == {"token": "one"}


async def test_rows_that_were_swapped_in_the_database_are_refused(opened):
    vault, connection, _ = opened
    await vault.put(OWN, "mine", "one", variable=None, by=BY)
    await vault.put(Scope("tt02", "ttd", "second"), "yours", "two", variable=None, by=BY)
    await connection.execute(
        "update secret set sealed = (select sealed from secret where name = 'yours') where name = 'mine'"
    )
    with pytest.raises(SealError, match="another place"):
        await vault.current(FIRST)


def test_every_setting_of_the_runtime_is_reserved():
    fields = msgspec.structs.fields(RuntimeSettings)
    assert {field.name.replace("_", "-") for field in fields} == rules.SETTINGS
